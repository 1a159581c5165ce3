"""Object graphs written by hand, with the keys that TensorFlow would give them.

An object is a dict of its children by local name; the same dict or `Var` in two places
is one shared object. Keys are those of `tf.train.Checkpoint`: the shortest path, ties
by order of children.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckread.model.evidence import Evidence, ObjectGraph
from ckread.model.naming import identify
from ckread.readers.contract import DataType, TensorRecord
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    SlotVariable,
    TrackableObject,
    TrackableObjectGraph,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.evidence import Identity

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(eq=False)
class Var:
    """A variable: the name its program gave it, and what is stored."""

    full_name: str = ""
    shape: tuple[int, ...] = (3, 2)
    dtype: DataType = DataType.FLOAT32
    crc32c: int | None = 0


@dataclass(eq=False)
class Optimizer:
    """An object with slot variables, as Keras 2's legacy optimizers have them."""

    children: dict[str, Any] = field(default_factory=dict)
    slots: list[tuple[Var, str, Var]] = field(default_factory=list)


Holder = dict[str, Any] | Optimizer


@dataclass(frozen=True)
class Made:
    """A graph, the tensors of its variables, and the key of each variable."""

    graph: ObjectGraph
    tensors: dict[str, TensorRecord]
    keys: dict[int, str]

    def identities(self, **evidence: Any) -> Mapping[str, Identity]:
        """Identify all keys, as `opening` does."""
        return identify(self.tensors, Evidence(graph=self.graph, **evidence))

    def names(self, **evidence: Any) -> dict[str, str]:
        """Give names by key path, bookkeeping left out."""
        found = self.identities(**evidence)
        return {
            key.removesuffix(SUFFIX): identity.name
            for key, identity in found.items()
            if key != GRAPH_KEY
        }

    def of(self, variable: Var, **evidence: Any) -> Identity:
        """Identify one variable."""
        return self.identities(**evidence)[self.keys[id(variable)]]


def record(key: str, variable: Var) -> TensorRecord:
    """Give the record under which a variable is stored."""
    nbytes = math.prod(variable.shape) * variable.dtype.itemsize
    return TensorRecord(key, variable.dtype, variable.shape, nbytes, variable.crc32c, 0, 0)


def items(*values: Any) -> dict[str, Any]:
    """Give a list object: its items by number; None leaves a gap."""
    return {str(i): value for i, value in enumerate(values) if value is not None}


def children_of(thing: Any) -> dict[str, Any]:
    """Give the children of an object by local name."""
    if isinstance(thing, Optimizer):
        return thing.children
    return thing if isinstance(thing, dict) else {}


def make(root: Holder) -> Made:
    """Make the graph of everything that `root` leads to."""
    order, paths = _walk(root)
    for thing in list(order):
        if isinstance(thing, Optimizer):
            for owner, word, slot in thing.slots:
                path = f"{paths[id(owner)]}/.OPTIMIZER_SLOT/{paths[id(thing)]}/{word}"
                paths[id(slot)] = path
                order.append(slot)
    ids = {id(thing): i for i, thing in enumerate(order)}
    keys = {id(thing): paths[id(thing)] + SUFFIX for thing in order if isinstance(thing, Var)}
    nodes = tuple(_node(thing, ids, keys) for thing in order)
    tensors = {
        keys[id(thing)]: record(keys[id(thing)], thing) for thing in order if isinstance(thing, Var)
    }
    tensors[GRAPH_KEY] = record(GRAPH_KEY, Var(shape=(), dtype=DataType.STRING))
    return Made(ObjectGraph.from_message(TrackableObjectGraph(nodes)), tensors, keys)


def _walk(root: Holder) -> tuple[list[Any], dict[int, str]]:
    order: list[Any] = [root]
    paths = {id(root): ""}
    queue = deque([root])
    while queue:
        thing = queue.popleft()
        for name, child in children_of(thing).items():
            if id(child) not in paths:
                escaped = name.replace(".", "..").replace("/", ".S")
                paths[id(child)] = f"{paths[id(thing)]}/{escaped}".lstrip("/")
                order.append(child)
                queue.append(child)
    return order, paths


def _node(thing: Any, ids: dict[int, int], keys: dict[int, str]) -> TrackableObject:
    if isinstance(thing, Var):
        attribute = Attribute("VARIABLE_VALUE", thing.full_name, keys[id(thing)])
        return TrackableObject(attributes=(attribute,), has_checkpoint_values=True)
    slots = thing.slots if isinstance(thing, Optimizer) else []
    return TrackableObject(
        children=tuple(Child(ids[id(child)], name) for name, child in children_of(thing).items()),
        slot_variables=tuple(
            SlotVariable(ids[id(owner)], word, ids[id(slot)]) for owner, word, slot in slots
        ),
    )
