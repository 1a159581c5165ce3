"""Which program wrote a checkpoint, as far as its files tell.

A SavedModel and a `.meta` file record TensorFlow's version, a Keras file that of
Keras. A bundle records none; the names in its object graph tell the generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.object_graph import ObjectGraph

_KERAS_3 = frozenset({"_operations", "_functional", "_call_has_context_arg"})
_KERAS_3_TOGETHER = (
    frozenset({"_trainable_variables", "_variables"}),  # an optimizer
    frozenset({"_all_variables", "_misc_assets"}),  # an export
)
_KERAS_2 = "keras_api"
_KERAS_2_LAYER = "layer_with_weights-"


def find_writer(checkpoint: Checkpoint) -> str | None:
    """Name the program and, where it is recorded, its version; None if nothing tells."""
    evidence = checkpoint.evidence
    graph = evidence.saved_model or evidence.meta_graph
    if graph is not None and graph.tensorflow_version:
        return f"TensorFlow {graph.tensorflow_version}"
    version = evidence.keras_version
    if version:
        return f"Keras {version}"
    if evidence.graph is None and not _has_object_graph(checkpoint):
        return None
    keras = find_keras(checkpoint)
    return f"TensorFlow 2 with {keras}" if keras else "TensorFlow 2"


def find_keras(checkpoint: Checkpoint) -> str | None:
    """Name the generation of Keras that a model was made with, `Keras 3`; None if none."""
    version = checkpoint.evidence.keras_version
    if version:
        return f"Keras {version.partition('.')[0]}"
    graph = checkpoint.evidence.graph
    return None if graph is None else _keras_of_graph(graph)


def _keras_of_graph(graph: ObjectGraph) -> str | None:
    is_keras_2 = False
    for children in graph.children:
        names = {name for _, name in children}
        if names & _KERAS_3 or any(together <= names for together in _KERAS_3_TOGETHER):
            return "Keras 3"
        is_keras_2 |= _KERAS_2 in names or any(name.startswith(_KERAS_2_LAYER) for name in names)
    return "Keras 2" if is_keras_2 else None


def _has_object_graph(checkpoint: Checkpoint) -> bool:
    return any(variable.role is Role.BOOKKEEPING for variable in checkpoint.values())
