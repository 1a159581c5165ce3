"""The order of a model's variables: as its layers follow each other, as far as the files tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.patterns import natural_key
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.object_graph import ObjectGraph
    from ckread.model.variable import Variable

_KERAS_FILES = (Format.KERAS_ARCHIVE, Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)


def in_model_order(checkpoint: Checkpoint, variables: Iterable[Variable]) -> list[Variable]:
    """Sort variables of a checkpoint: layers as in the model, then all that is not a parameter.

    The object graph and Keras files list layers in order; elsewhere names are sorted
    naturally. The variables of one scope stay together.
    """
    chosen = list(variables)
    ranks = _ranks(checkpoint)
    last = len(ranks)
    first_of_scope: dict[str, int] = {}
    for variable in chosen:
        scope, rank = _scope(variable.name), ranks.get(variable.key, last)
        first_of_scope[scope] = min(rank, first_of_scope.get(scope, last))

    def place(variable: Variable) -> tuple[bool, int, str, int, str]:
        scope, rank = _scope(variable.name), ranks.get(variable.key, last)
        is_other = not variable.role.is_parameter
        return is_other, first_of_scope[scope], natural_key(scope), rank, natural_key(variable.name)

    return sorted(chosen, key=place)


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _ranks(checkpoint: Checkpoint) -> dict[str, int]:
    """Give the place of each checkpoint key that the files put in an order."""
    graph = checkpoint.evidence.graph
    if graph is not None:
        return _depth_first(graph)
    if checkpoint.format in _KERAS_FILES:
        return {variable.key: i for i, variable in enumerate(checkpoint.values())}
    return {}


def _depth_first(graph: ObjectGraph) -> dict[str, int]:
    """Number the variables as they are met, all of a layer before those of the next."""
    ranks: dict[str, int] = {}
    seen: set[int] = set()
    to_visit = [0]
    while to_visit:
        node_id = to_visit.pop()
        if node_id in seen:
            continue
        seen.add(node_id)
        key = graph.variables.get(node_id)
        if key is not None:
            ranks.setdefault(key, len(ranks))
        to_visit.extend(child for child, _ in reversed(graph.children[node_id]))
    return ranks
