"""What the files tell besides the tensors: object graph, lists, configuration. Plain data.

Evidence is filled by `opening` from whatever lies beside the tensors; `naming` finds
identities from it, `info` shows parts of it.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ckread.errors import CorruptCheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ckread.errors import CheckpointError
    from ckread.model.role import Role
    from ckread.readers.graphs.meta_graph import MetaGraph, SavedModel
    from ckread.readers.graphs.object_graph import Child, TrackableObject, TrackableObjectGraph
    from ckread.readers.keras.config import CompiledConfig, KerasLayer, LayerConfig
    from ckread.readers.keras.saved_metadata import SavedLayers


class Strength(StrEnum):
    """How well a claim is told, strongest first."""

    STORED = "stored"
    """Read from the content of the checkpoint's own files."""
    NAMED = "named"
    """Told by the name of a file or of a variable."""
    DERIVED = "derived"
    """Concluded from several things: saved times, neighbours, shapes, sums."""
    UNKNOWN = "unknown"
    """Nothing tells; no value."""


class Claim(NamedTuple):
    """One claim with its evidence.

    Attributes:
        claim: what is claimed, in the words of the JSON field: "step", "latest", "optimizer".
        value: the claimed value; None exactly where the strength is `unknown`.
        strength: how well it is told.
        source: what told it, or for what is unknown what would: "file name, after `ckpt-`".
        against: what was seen and not believed, each with its reason.
    """

    claim: str
    value: str | float | bool | None
    strength: Strength
    source: str
    against: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the entry of `evidence` in JSON documents."""
        return {
            "claim": self.claim,
            "value": self.value,
            "strength": self.strength.value,
            "from": self.source,
            "against": list(self.against),
        }


# The trackable objects of a checkpoint: who refers to whom, and under what name.
#
# A graph, not a tree: objects are shared, and Keras makes cycles. Everything here is
# iterative and linear in the number of references.


VARIABLE_VALUE = "VARIABLE_VALUE"
"""Name of the attribute that holds the value of a variable."""

LISTS_OF_TRAINED = frozenset({"_trainable_variables", "trainable_variables"})
"""Lists of variables in the order in which a program made them."""

Reference = tuple[int, str]
"""One end of a reference and its local name: (parent, name) or (child, name)."""


class ObjectGraph:
    """The trackable objects of an object-based checkpoint; node 0 is the root.

    Attributes:
        nodes: the trackable objects; a node id is an index into them.
        children: of each node, the (node id, local name) it refers to, in file order.
    """

    def __init__(self, nodes: Sequence[TrackableObject]) -> None:
        self.nodes = nodes
        self.children: Sequence[tuple[Child, ...]] = [node.children for node in nodes]
        self._items: dict[int, dict[int, int]] = {}

    @classmethod
    def from_message(cls, message: TrackableObjectGraph) -> Self:
        """Make it from the decoded message."""
        graph = cls(tuple(message.nodes))
        n_nodes = len(graph.nodes)
        if not n_nodes:
            raise CorruptCheckpointError("object graph: no node, expected a root")
        for node_id, children in enumerate(graph.children):
            for child, name in children:
                if not 0 <= child < n_nodes:
                    text = f"object graph: node {node_id}: child {name!r} is node {child}"
                    raise CorruptCheckpointError(f"{text}, expected one below {n_nodes}")
        return graph

    def with_kinds(self, kinds: Mapping[int, str]) -> ObjectGraph:
        """Give it with what is told of the kinds of some objects, by node id."""
        if not kinds:
            return self
        nodes = list(self.nodes)
        for node_id in kinds.keys() & range(len(nodes)):
            nodes[node_id] = nodes[node_id]._replace(kind=kinds[node_id])
        return ObjectGraph(tuple(nodes))

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self.nodes)

    @cached_property
    def parents(self) -> Sequence[Sequence[Reference]]:
        """Of each node, the (node id, local name) pairs that refer to it, in file order."""
        parents: list[list[Reference]] = [[] for _ in self.nodes]
        for node_id, children in enumerate(self.children):
            for child, name in children:
                parents[child].append((node_id, name))
        return parents

    @cached_property
    def by_local_names(self) -> dict[frozenset[str], list[int]]:
        """The nodes that refer to others, by the names under which they do, numbers left out."""
        known: dict[tuple[str, ...], frozenset[str]] = {}
        found: dict[frozenset[str], list[int]] = {}
        for node_id, children in enumerate(self.children):
            if children:
                listed = tuple([name for _, name in children])
                names = known.get(listed)
                if names is None:
                    named = (name for name in listed if not name.isdecimal())
                    names = known[listed] = frozenset(named)
                    found.setdefault(names, [])
                found[names].append(node_id)
        return found

    @property
    def with_slots(self) -> Iterable[int]:
        """The nodes that list slot variables."""
        return [node_id for node_id, node in enumerate(self.nodes) if node.slot_variables]

    @property
    def full_names(self) -> dict[int, str]:
        """Of each variable node, the name its program gave it, without `:0`."""
        return self._names_and_keys[0]

    @property
    def variables(self) -> dict[int, str]:
        """Of each variable node, its checkpoint key."""
        return self._names_and_keys[1]

    @cached_property
    def _names_and_keys(self) -> tuple[dict[int, str], dict[int, str]]:
        names, keys = {}, {}
        for node_id, node in enumerate(self.nodes):
            for attribute, full_name, key in node.attributes:
                if attribute == VARIABLE_VALUE:
                    names[node_id] = full_name.removesuffix(":0")
                    keys[node_id] = key
        return names, keys

    def child(self, node_id: int, name: str) -> int | None:
        """Give the child of this local name, None if there is none."""
        return next((child for child, local in self.children[node_id] if local == name), None)

    def items(self, node_id: int) -> dict[int, int]:
        """Give the node ids of a list's items by their index, in order of index.

        Children that are not numbered, and numbers that no list has, are left out.
        """
        found = self._items.get(node_id)
        if found is None:
            children = self.children[node_id]
            if [name for _, name in children] == list(map(str, range(len(children)))):
                numbered = list(enumerate(child for child, _ in children))
            else:
                numbered = sorted(
                    (int(name), child)
                    for child, name in children
                    if name.isdecimal() and len(name) < 10
                )
            found = self._items[node_id] = dict(numbered)
        return found

    @cached_property
    def keys_in_order(self) -> list[str]:
        """The checkpoint keys of all variables that are reached, in the order of the model.

        They are numbered as the optimizer lists them, others after the one met before.
        """
        met: dict[str, None] = {}
        seen = bytearray(len(self))
        to_visit = [0]
        variables, children = self.variables, self.children
        while to_visit:  # depth first: all of a layer before the next
            node = to_visit.pop()
            if seen[node]:
                continue
            seen[node] = True
            if node in variables:
                met[variables[node]] = None
            if children[node]:
                to_visit += [child for child, _ in children[node] if not seen[child]][::-1]
        holders = [
            node
            for names, nodes in self.by_local_names.items()
            if not LISTS_OF_TRAINED.isdisjoint(names)
            for node in nodes
        ]
        held = (one for node in sorted(holders) for one in children[node])
        listed: dict[str, int] = {}
        for members in (child for child, name in held if name in LISTS_OF_TRAINED):
            for node in self.items(members).values():
                if node in variables:
                    listed.setdefault(variables[node], len(listed))
        last = -1
        places = {}
        for key in met:
            places[key] = last = listed.get(key, last)
        return sorted(places, key=places.__getitem__)

    def walk(self, start: int = 0, *, ends: Collection[int] = ()) -> Iterator[int]:
        """Yield every node that can be reached, breadth-first, once; `ends` lead no further."""
        seen = {start}
        queue = deque([start])
        while queue:
            node_id = queue.popleft()
            yield node_id
            for child, _ in () if node_id in ends else self.children[node_id]:
                if child not in seen:
                    seen.add(child)
                    queue.append(child)


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


class Evidence(NamedTuple):
    """What is known besides keys, shapes and values.

    Attributes:
        graph: the object graph of an object-based checkpoint.
        saved_model: what `saved_model.pb` says, decoded statically.
        meta_graph: what the `.meta` file of a TF 1 checkpoint says.
        unread: which of these two files is there and cannot be read.
        model: the configuration of a Keras model.
        layers: layers of a Keras file, from its configuration, in model order.
        keras_version: the writer's version, in a Keras file.
        saved: when a `.keras` was saved, in seconds since 1970, by the writer's clock.
        optimizer_class: what a Keras model was compiled with: `SGD with momentum`.
        compiled: the rest of what it was compiled with.
        saved_layers: the Keras objects of a SavedModel of Keras 2.
        assets: names of the members of a `.keras` that are neither weights nor model.
        is_in_order: whether the file lists the variables in the order of the model.
        metadata: texts that the writer of a safetensors file put beside the tensors.
    """

    graph: ObjectGraph | None = None
    saved_model: SavedModel | None = None
    meta_graph: MetaGraph | None = None
    unread: UnreadGraph | None = None
    model: LayerConfig | None = None
    layers: tuple[KerasLayer, ...] = ()
    keras_version: str | None = None
    saved: float | None = None
    optimizer_class: str | None = None
    compiled: CompiledConfig | None = None
    saved_layers: SavedLayers | None = None
    assets: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    is_in_order: bool = False


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
        tied: those of them that are a second place in the model: it is one variable in both.
    """

    name: str
    role: Role
    trainable: bool | None = None
    owner: str | None = None
    slot: str | None = None
    paths: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
