"""What the files tell besides the tensors, and who a stored tensor is. Plain data.

Evidence is filled by `opening` from whatever lies beside the tensors; `naming` finds
identities from it, `info` shows parts of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckread.errors import CheckpointError
    from ckread.model.object_graph import ObjectGraph
    from ckread.model.role import Role
    from ckread.readers.graphs.meta_graph import MetaGraph, SavedModel
    from ckread.readers.keras.config import CompiledConfig, KerasLayer
    from ckread.readers.keras.saved_metadata import SavedLayers


class UnreadGraph(NamedTuple):
    """A file with a graph that lies beside the values and cannot be read.

    Attributes:
        error: why not.
        lost: what is not known without it.
    """

    error: CheckpointError
    lost: str

    @property
    def warning(self) -> str:
        """The sentence that says so."""
        return f"{self.error.message}: {self.lost}."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known besides keys, shapes and values.

    Attributes:
        graph: the object graph of an object-based checkpoint.
        saved_model: what `saved_model.pb` says, decoded statically.
        meta_graph: what the `.meta` file of a TF 1 checkpoint says.
        unread: which of these two files is there and cannot be read.
        layers: layers of a Keras file, from its configuration, in model order.
        keras_version: the writer's version, in a Keras file.
        saved: when a `.keras` was saved, in seconds since 1970, by the writer's clock.
        optimizer_class: what a Keras model was compiled with: `SGD with momentum`.
        compiled: the rest of what it was compiled with.
        saved_layers: the Keras objects of a SavedModel of Keras 2.
        assets: names of the members of a `.keras` that are neither weights nor model.
    """

    graph: ObjectGraph | None = None
    saved_model: SavedModel | None = None
    meta_graph: MetaGraph | None = None
    unread: UnreadGraph | None = None
    layers: tuple[KerasLayer, ...] = ()
    keras_version: str | None = None
    saved: float | None = None
    optimizer_class: str | None = None
    compiled: CompiledConfig | None = None
    saved_layers: SavedLayers | None = None
    assets: tuple[str, ...] = ()


class Identity(NamedTuple):
    """The identity of one checkpoint key. A named tuple: made 100,000 at once.

    Attributes:
        name: what the program that made the variable called it; unique in the file.
        role: what it is for.
        trainable: whether training moves it by gradient; None where the files do
            not say, and for everything that is not a weight or statistic.
        owner: name of the variable that a slot, average or alias belongs to.
        slot: the writer's word for a slot: `momentum`, `m`, `accumulator`.
        paths: other paths to the same object in the object graph, unescaped.
    """

    name: str
    role: Role
    trainable: bool | None = None
    owner: str | None = None
    slot: str | None = None
    paths: tuple[str, ...] = ()
