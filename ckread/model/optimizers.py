"""The optimizers of a checkpoint: the objects that keep slots, and of which class they are.

In the object graph an optimizer is an object that holds lists of variables or slot
variables; in name-based files only the names of slots speak of it.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ckread.model.evidence import ObjectGraph
    from ckread.model.variable import Variable


CLASS_NAMES = {
    name.lower(): name
    for name in (
        "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
        "Muon", "Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW",
    )
}  # fmt: skip
"""Keras's classes by one lower-case word."""


def class_of_config(class_name: str, settings: Mapping[str, Any]) -> str:
    """Give the class that a configuration names, with momentum or AMSGrad as for the others."""
    bare = class_name.rpartition(">")[2].removesuffix("V2")
    kind = CLASS_NAMES.get(bare.replace("_", "").lower(), bare)
    if kind == "SGD" and settings.get("momentum"):
        return "SGD with momentum"
    return "Adam with AMSGrad" if kind == "Adam" and settings.get("amsgrad") else kind


def is_class_word(word: str) -> bool:
    """Tell whether a component of a name is an optimizer's class: `Adam`, `rm_sprop_2`."""
    return _NUMBERED.sub("", word).replace("_", "").lower() in CLASS_NAMES


_INNER = ("inner_optimizer", "base_optimizer", "_optimizer")
_CHILDREN = frozenset(
    {"_trainable_variables", "_variables", "_iterations", "_learning_rate", "iter", "decay"}
    | {"learning_rate", "inner_optimizer", "base_optimizer"}
)
NOT_SLOTS = frozenset({"_variables", "_trainable_variables", "trainable_variables"})
"""Lists of an optimizer that are none of slots."""


class Optimizer:
    """One optimizer object of an object graph.

    Only variable nodes that are `stored` are looked at: those whose keys the file has.

    Attributes:
        node: its node id.
        inner: node id of the optimizer that it wraps, if it wraps one.
    """

    def __init__(self, graph: ObjectGraph, node: int, stored: Container[int]) -> None:
        self.node = node
        self._graph, self._stored = graph, stored
        inner = (graph.child(node, name) for name in _INNER)
        self.inner: int | None = next((child for child in inner if child is not None), None)

    @cached_property
    def trainable(self) -> dict[int, int] | None:
        """The variables it trains by index; None where it keeps no such list."""
        weights = self._graph.child(self.node, "_trainable_variables")
        return None if weights is None else self._items(weights)

    @cached_property
    def variables(self) -> dict[int, int]:
        """Its own variables by index, the weights not among them."""
        own = self._graph.child(self.node, "_variables")
        return {} if own is None else self._items(own)

    @cached_property
    def lists(self) -> dict[str, dict[int, int]]:
        """Local name of each further list, with its items by index.

        Where there is `trainable`, those that run beside it.
        """
        trainable = self.trainable
        return {
            name: items
            for child, name in self._graph.children[self.node]
            if name not in NOT_SLOTS and child not in self._stored and (items := self._items(child))
            if trainable is None or items.keys() <= trainable.keys()
        }

    def _items(self, node: int) -> dict[int, int]:
        stored = self._stored
        return {i: child for i, child in self._graph.items(node).items() if child in stored}


def find_optimizers(graph: ObjectGraph, stored: Container[int]) -> dict[int, Optimizer]:
    """Give the optimizers of a graph by node id, in file order."""
    found = [
        node
        for names, nodes in graph.by_local_names.items()
        if _is_optimizer(names)
        for node in nodes
    ]
    return {node: Optimizer(graph, node, stored) for node in sorted({*found, *graph.with_slots})}


def trained_by(optimizers: Mapping[int, Optimizer]) -> frozenset[int]:
    """Give the variables that some optimizer lists as those it trains."""
    return frozenset(
        node for found in optimizers.values() for node in (found.trainable or {}).values()
    )


def _is_optimizer(names: frozenset[str]) -> bool:
    """Tell an object without slot variables by the local names of what it holds."""
    if _CHILDREN.isdisjoint(names):
        return False
    if "_variables" in names and names & {"_trainable_variables", "_iterations", "_learning_rate"}:
        return True
    return bool(
        {"_iterations", "_learning_rate"} <= names
        or ("iter" in names and names & {"learning_rate", "decay"})
        or names & {"inner_optimizer", "base_optimizer"}
    )


# The class of an optimizer object: by the names of its variables, else by its lists.

_BY_LISTS = (
    (frozenset({"linears"}), "Ftrl"),
    (frozenset({"accumulated_delta_vars"}), "Adadelta"),
    (frozenset({"average_gradients"}), "RMSprop"),
    (frozenset({"adam_velocities"}), "Muon"),
    (frozenset({"r", "c", "v"}), "Adafactor"),
    (frozenset({"m", "u"}), "Adamax"),
    (frozenset({"u_product"}), "Nadam"),
    (frozenset({"momentum_cache"}), "Nadam"),
    (frozenset({"accumulators"}), "Adagrad"),
)
"""Local names that only one optimizer has, the surest first."""

_BY_LIST = (("momentums", "momentum"), ("velocity_hats", "vhat"))
_BY_WORDS = ((frozenset({"m", "v", "vhat"}), "Adam with AMSGrad"), (frozenset({"m", "v"}), "Adam"))
"""What Keras 2 calls slots; under loss scaling nothing else names its class."""

_SCOPES = frozenset(
    {"velocity", "velocity_hat", "average_gradient", "accumulated_grad", "accumulated_delta_var"}
    | {"norm", "u", "r", "c"}
)
_NUMBERED = re.compile(r"_\d+$")
_OUTPUT = re.compile(r":\d+\Z")


def class_of_object(graph: ObjectGraph, optimizer: Optimizer) -> str | None:
    """Give the class of an optimizer object, with momentum or AMSGrad where it shows."""
    children = graph.children[optimizer.node]
    kept = {name.lstrip("_") for name in optimizer.lists}
    # Of its counters, then of its slots.
    full_names = [graph.full_names[child] for child, _ in children if child in graph.full_names]
    own = graph.child(optimizer.node, "_variables")
    slots = [slot for _, _, slot in graph.nodes[optimizer.node].slot_variables]
    slots += () if own is None else graph.items(own).values()
    full_names += [graph.full_names.get(slot, "") for slot in slots]
    words = {word for _, word, _ in graph.nodes[optimizer.node].slot_variables}
    words |= {name.partition("/")[0] for name in full_names}
    words |= {name.split("/", 2)[1] for name in full_names if name.count("/") > 1}
    for full_name in full_names:
        for scope in full_name.split("/")[:-1]:
            kind = CLASS_NAMES.get(_NUMBERED.sub("", scope).replace("_", "").lower())
            if kind:
                is_keras_2 = "m" in words
                words |= {word for name, word in _BY_LIST if name in kept and not is_keras_2}
                return with_variant(kind, words)
        kind = class_of_key(full_name)
        if kind:
            return kind
    if "momentums" in optimizer.lists and words & {"m", "momentum"}:
        return with_variant("SGD", words)  # Lion's list is called `_momentums`
    names = {name.lstrip("_") for _, name in children}
    return next((kind for of_class, kind in _BY_LISTS if of_class <= names), None) or next(
        (kind for of_class, kind in _BY_WORDS if of_class <= words), None
    )


# How TensorFlow 1 and its followers end the names of slots.

_CLASSES = (
    "Adam|AdamW|AdaMax|Nadam|Momentum|MomentumW|RMSProp|RMSprop|Adagrad|AdagradDA|Adadelta|Ftrl"
    "|ProximalAdagrad|Adafactor|LARSOptimizer|LAMBOptimizer|LazyAdam|PowerSign|AddSign|SGD"
    "|ExponentialMovingAverage"
)
_BY_CLASS = re.compile(rf"(?:{_CLASSES})(?:_\d+)?")
_KERAS = frozenset(
    {"m", "v", "vhat", "momentum", "rms", "mg", "accumulator", "linear", "accum_grad", "accum_var"}
    | {"adam_m", "adam_v", "lamb_m", "lamb_v", "average", "gradient_accumulator"}
)
_APPENDED = re.compile(r"(?P<owner>.+)_slot_(?P<word>[a-z]+)")
_SCOPE = re.compile(rf"training(?:_\d+)?/(?P<optimizer>{_CLASSES})(?:_\d+)?/.+")
_MOMENTS = {"Adam": "m", "Adam_1": "v"}
_BY_WORD = {"adam_m": "Adam", "adam_v": "Adam", "lamb_m": "LAMB", "lamb_v": "LAMB"}
_PRINTED = {"LARSOptimizer": "LARS", "LAMBOptimizer": "LAMB", "AdaMax": "Adamax"}


def split_slot(key: str) -> tuple[str, str]:
    """Split a key into what may be a variable's name, and what may be a slot's word."""
    if "_slot_" in key:
        match = _APPENDED.fullmatch(key)
        if match is not None:
            return match["owner"], match["word"]
    owner, _, suffix = key.rpartition("/")
    return owner, suffix


def may_be_slot(key: str, custom: Collection[str]) -> bool:
    """Tell quickly whether a key can be that of a slot, `custom` words included."""
    suffix = key.rpartition("/")[2]
    if slot_word(suffix) is not None or suffix in custom:
        return True
    return "_slot_" in suffix or suffix.endswith("-values") or key.startswith("training")


@lru_cache(maxsize=4096)
def slot_word(suffix: str) -> str | None:
    """Give the word of a slot whose name ends so, None if no optimizer ends names so."""
    if suffix in _KERAS or suffix in {"vr", "vc"}:
        return suffix
    if _BY_CLASS.fullmatch(suffix):
        return _MOMENTS.get(suffix, suffix)
    return None


def with_variant(kind: str | None, words: AbstractSet[str]) -> str | None:
    """Complete a class by what its slots are called.

    Plain SGD keeps no `momentum`; that of Keras 2.11 and later keeps `m` with it and without.
    """
    if kind == "SGD" and "momentum" in words:
        return "SGD with momentum"
    return "Adam with AMSGrad" if kind == "Adam" and words & {"vhat", "velocity_hat"} else kind


def is_slot_scope_word(word: str) -> bool:
    """Tell whether Keras 2 names the slots of an optimizer under such a scope: `m/stem/kernel`."""
    return word in _KERAS or word in _SCOPES


def is_slot_scope(key: str) -> bool:
    """Tell Keras's `training/Adam/Variable_3`: an optimizer's, of an untold weight."""
    return key.startswith("training") and _SCOPE.match(key) is not None


def class_of_key(key: str) -> str | None:
    """Give the optimizer that the key of a slot names, None if it names none."""
    key = _OUTPUT.sub("", key)
    if _APPENDED.fullmatch(key):
        return "Adafactor"
    suffix = key.rpartition("/")[2]
    if suffix in _BY_WORD:
        return _BY_WORD[suffix]
    scope = _SCOPE.match(key)
    if scope is not None:
        name = scope["optimizer"]
    elif _BY_CLASS.fullmatch(suffix):
        name = _NUMBERED.sub("", suffix)
    else:
        return None
    return _PRINTED.get(name, name)


def classes_of_slots(variables: Iterable[Variable]) -> str | None:
    """Give the optimizers that the keys of slots name, as in TensorFlow 1; None if none does."""
    slots = (variable.key for variable in variables if variable.role is Role.SLOT)
    return " and ".join(sorted({kind for key in slots if (kind := class_of_key(key))})) or None
