"""What the files of a checkpoint tell besides its tensors.

Filled by `opening` from whatever lies beside the tensors; `naming` and `role`
decide from it, `info` shows parts of it. Everything here is plain data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckread.model.object_graph import ObjectGraph
    from ckread.readers.keras_config import KerasLayer
    from ckread.readers.meta_graph import MetaGraph
    from ckread.readers.saved_model import SavedModel


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known besides keys, shapes and values.

    Attributes:
        graph: the object graph of an object-based checkpoint.
        saved_model: what `saved_model.pb` says, decoded statically.
        meta_graph: what the `.meta` file of a TF 1 checkpoint says.
        layers: layers of a Keras file, from its configuration, in model order.
        keras_version: the writer's version, in a Keras file.
        saved: when a `.keras` was saved, in seconds since 1970, by the writer's clock.
        optimizer_class: what a Keras model was compiled with: `Adam`.
        assets: names of the members of a `.keras` that are neither weights nor model.
    """

    graph: ObjectGraph | None = None
    saved_model: SavedModel | None = None
    meta_graph: MetaGraph | None = None
    layers: tuple[KerasLayer, ...] = ()
    keras_version: str | None = None
    saved: float | None = None
    optimizer_class: str | None = None
    assets: tuple[str, ...] = ()
