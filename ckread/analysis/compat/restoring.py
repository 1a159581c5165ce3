"""`tf.train.Checkpoint.restore`: what becomes of every value of a program with objects."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.compat.records import (
    Asserts,
    Code,
    Outcome,
    Raised,
    RestoreForecast,
    Shift,
    Stored,
    ValueForecast,
    Way,
)
from ckread.analysis.compat.sameness import Sameness
from ckread.model.binding import bind
from ckread.model.evidence import VARIABLE_VALUE, ObjectGraph
from ckread.model.role import Role
from ckread.readers.graphs.object_graph import Attribute, Child, TrackableObject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

CALL = "by tf.train.Checkpoint.restore"
_COUNTER = "save_counter"
_NO_COUNTER = (
    "restore() makes a save_counter, which this file does not have: both assertions fail for it "
    "alone. read() makes none."
)
_ATTRIBUTES = ".ATTRIBUTES/"
_LOOKED_FOR = (VARIABLE_VALUE, "table-", "ITERATOR_STATE")
"""Values of variables, tables and iterators: these read them under their own names."""
_MAX_LOOKED_AT = 40
"""Objects below one that are looked at for what it is called."""
_KERAS3 = frozenset({"_kernel", "_embeddings", "_losses_override", "call_signature_parameters"})
"""Local names that layers and models of Keras 3 have."""


class Parting(NamedTuple):
    """Where the way to an object of the program leaves what is bound.

    Attributes:
        holder: the last object of the program that is bound.
        name: the local name it knows the next one by.
        child: that next object.
    """

    holder: int
    name: str
    child: int


class Objects:
    """The objects of one side with the values they hold.

    Attributes:
        graph: the object graph.
        variables: what is stored, by checkpoint key.
    """

    def __init__(self, graph: ObjectGraph, variables: Iterable[Variable]) -> None:
        self.graph = graph
        self.variables: dict[str, Variable] = {one.key: one for one in variables}
        self._labels: dict[int, str] = {}
        self._stored: dict[str, Stored] = {}

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Objects:
        """Take those of an object-based checkpoint."""
        graph = checkpoint.evidence.graph
        if graph is None:
            raise ValueError("no object graph")
        return cls(graph, checkpoint.values())

    def values(self, node: int) -> dict[str, str]:
        """Give the checkpoint keys of an object's values by what they are of it.

        A table or an iterator has one attribute, and keeps keys and values, or its state, under
        what its key begins.
        """
        found: dict[str, str] = {}
        for name, _, key in self.graph.nodes[node].attributes:
            if key in self.variables:
                found[name] = key
                continue
            starts = f"{key}-", f"{key}_"
            parts = [one[len(key) :] for one in self.variables if one.startswith(starts)]
            found |= {f"{name}{part}": f"{key}{part}" for part in parts} or {name: key}
        return found

    def holds(self, node: int) -> bool:
        """Tell whether an object has values of its own."""
        one = self.graph.nodes[node]
        return bool(one.attributes) or bool(one.registered_saver)

    def stored(self, key: str) -> Stored:
        """Give a value; the save counter may be yet to be made."""
        if key in self._stored:
            return self._stored[key]
        variable = self.variables.get(key)
        if variable is not None:
            stored = self._stored[key] = Stored.of(variable)
            return stored
        name = key.partition("/.ATTRIBUTES")[0]
        return Stored(name, None, "int64", (), str(Role.COUNTER))

    def label(self, node: int) -> str:
        """Give the scope that the variables of an object are called by; empty if it has none."""
        if node not in self._labels:
            names = (
                self.variables[key].name.rpartition("/")
                for below in islice(self.graph.walk(node), _MAX_LOOKED_AT)
                for key in self.values(below).values()
                if key in self.variables
            )
            self._labels[node] = next((scope or leaf for scope, _, leaf in names), "")
        return self._labels[node]


def with_counter(graph: ObjectGraph) -> ObjectGraph:
    """Give the objects of a program as `restore` leaves them: it makes a save counter."""
    if graph.child(0, _COUNTER) is not None:
        return graph
    key = f"{_COUNTER}/{_ATTRIBUTES}{VARIABLE_VALUE}"
    counter = TrackableObject((), (Attribute(VARIABLE_VALUE, _COUNTER, key),), (), None, True)
    root = graph.nodes[0]
    root = root._replace(children=(*root.children, Child(len(graph), _COUNTER)))
    return ObjectGraph((root, *graph.nodes[1:], counter))


def forecast_restore(saved: Checkpoint, target: Checkpoint) -> RestoreForecast:
    """Say what becomes of every value of a program when an object-based file is restored."""
    there = Objects.of(saved)
    here = Objects.of(target)
    has_counter = any(side.graph.child(0, _COUNTER) is not None for side in (there, here))
    notes = () if has_counter else (_NO_COUNTER,)
    if has_counter:
        here.graph = with_counter(here.graph)
    work = _Restore(there, here, Sameness(saved.values(), target.values()))
    asserts = work.asserts()
    if not has_counter and not work.raises:
        asserts = Asserts(False, False)
    return RestoreForecast(
        saved=saved.path,
        target=target.path,
        way=Way.CHECKPOINT,
        call=CALL,
        values=work.values(target.in_order()),
        left_over=left_over(saved, work.used),
        raises=work.raises,
        assigned_before=work.assigned_before(),
        asserts=asserts,
        shift=_find_shift(there, here) if work.is_partial else None,
        notes=notes,
    )


def count_restored(
    saved: Checkpoint, target: Checkpoint, graph: ObjectGraph, above: int = 0
) -> tuple[int, bool]:
    """Count what would come back if the objects of the program hung together like this.

    Returns:
        The number, and whether an exception is foretold.
    """
    there, here = Objects.of(saved), Objects(with_counter(graph), target.values())
    first = bind(there.graph, here.graph).first()
    if sum(there.holds(one) and here.holds(at) for at, one in first.items() if at >= 0) <= above:
        return 0, False
    work = _Restore(there, here, Sameness(saved.values(), target.values()))
    n = sum(one.outcome is Outcome.RESTORED for one in work.found.values())
    return n, bool(work.raises)


class _Restore:
    """One restore, worked out; the search first, then value by value."""

    def __init__(self, there: Objects, here: Objects, sameness: Sameness) -> None:
        self.there = there
        self.here = here
        self.sameness = sameness
        self.binding = bind(there.graph, here.graph)
        self.first = self.binding.first()
        self.partings = _partings(here.graph, self.first)
        self.found: dict[str, ValueForecast] = {}
        self.used: set[str] = set()
        self.unused = False
        self._raised: list[tuple[int, str, Raised]] = []
        self._take_bound()
        self._take_unbound()
        self._take_deferred()
        self._take_refusal()
        self.raises = tuple(raised for _, _, raised in sorted(self._raised))
        self.is_partial = any(one.outcome is not Outcome.RESTORED for one in self.found.values())

    def values(self, order: Iterable[Variable]) -> tuple[ValueForecast, ...]:
        """Give the values of the program in this order, then what it has yet to make."""
        left = dict(self.found)
        taken = [left.pop(variable.key) for variable in order if variable.key in left]
        return (*taken, *left.values())

    def asserts(self) -> Asserts:
        """Say which assertions pass; none is reached after an exception."""
        if self._raised:
            return Asserts(None, None)
        matched = set(self.binding.bound.values())
        nodes = range(len(self.here.graph))
        existing = all(node in matched for node in nodes if self.here.holds(node))
        resolved = {*self.binding.bound, *self.binding.untold}
        saved = enumerate(self.there.graph.nodes)
        is_resolved = all(node in resolved for node, one in saved if one.attributes)
        consumed = existing and is_resolved and not self.binding.has_open_slots and not self.unused
        is_untold = any(one.outcome is Outcome.UNFORESEEN for one in self.found.values())
        return Asserts(None if consumed and is_untold else consumed, existing)

    def assigned_before(self) -> int | None:
        """Count what is assigned before the first exception.

        Values are assigned in the order of the saved keys, after all of them were read.
        """
        if not self._raised:
            return None
        stage, place, _ = min(self._raised)
        if stage < _ASSIGNING:
            return 0
        fine = (Outcome.RESTORED, Outcome.OTHER)
        return sum(
            one.outcome in fine and one.saved is not None and _place(one.saved.key or "") < place
            for one in self.found.values()
        )

    def _take_bound(self) -> None:
        for target, saved in self.first.items():
            if target < 0:
                # A slot that the optimizer makes on the fly; it has the saved shape.
                [key] = self.there.values(saved).values()
                value = self.there.stored(key)
                self.found[f"{key} "] = ValueForecast(
                    value._replace(key=None), Outcome.RESTORED, value,
                    reason="made on the fly by the optimizer", path=self.binding.paths[saved],
                )  # fmt: skip
            elif self.here.holds(target) or self.there.holds(saved):
                self._take_pair(saved, target)
        for saved in self.binding.bound:
            self.used.update(self.there.values(saved).values())

    def _take_pair(self, saved: int, target: int) -> None:
        """Decide on the values of an object of the program and the saved one bound to it."""
        ours, theirs = self.there.values(saved), self.here.values(target)
        path = self.binding.paths[saved]
        saver = self.there.graph.nodes[saved].registered_saver
        saver = saver or self.here.graph.nodes[target].registered_saver
        if saver is not None:
            reason = f'a registered saver ("{saver.name}") decides at load time'
            for key in theirs.values() or [f"{path}/{_ATTRIBUTES}{saver.name}"]:
                self._put(key, Outcome.UNFORESEEN, None, Code.REGISTERED_SAVER, reason, path)
            return
        if ours and not theirs:
            self.unused = True
            return
        for name, key in theirs.items():
            if name in ours:
                self._take_value(ours[name], key, name, path)
            elif not ours:
                label = self.there.label(saved)
                is_other = label and label != self.here.stored(key).name
                reason = f"{path} is {label} there" if is_other else f"{path} holds no value there"
                self._put(key, Outcome.KEPT, None, Code.OTHER_OBJECT, reason, path)
            elif (word := key.partition(_ATTRIBUTES)[2]).startswith(_LOOKED_FOR):
                wanted = f"{_place(next(iter(ours.values())))}{word}"
                reason = f"{path} holds other values there"
                self._put(key, Outcome.RAISES, None, Code.OTHER_OBJECT, reason, path)
                message = f"Key {wanted} not found in checkpoint"
                self._raise(_READING, wanted, "NotFoundError", message, key)
            else:
                reason = f"{path} holds other values there"
                self._put(key, Outcome.UNFORESEEN, None, Code.OTHER_OBJECT, reason, path)

    def _take_value(self, saved_key: str, key: str, name: str, path: str) -> None:
        source = self.there.variables.get(saved_key)
        place = self.here.variables.get(key)
        if source is None:
            reason = f"{saved_key} is not in the file"
            self._put(key, Outcome.RAISES, None, Code.NO_SUCH_PATH, reason, path)
            message = f"Key {saved_key} not found in checkpoint"
            self._raise(_READING, saved_key, "NotFoundError", message, key)
            return
        value, wanted = self.there.stored(saved_key), self.here.stored(key)
        if value.dtype != wanted.dtype:
            reason = f"{value.dtype} there, {wanted.dtype} here"
            self._put(key, Outcome.RAISES, value, Code.OTHER_DTYPE, reason, path)
            message = (
                f"tensor_name = {saved_key}; expected dtype {type_word(wanted.dtype)} does not "
                f"equal original dtype {type_word(value.dtype)}"
            )
            self._raise(_READING, saved_key, "InvalidArgumentError", message, key)
        elif name == VARIABLE_VALUE and not fits(value.shape, wanted.shape):
            reason = f"{shape_text(value.shape)} there, {shape_text(wanted.shape)} here"
            self._put(key, Outcome.RAISES, value, Code.SHAPE, reason, path)
            message = (
                f"Received incompatible tensor with shape {value.shape} when attempting to "
                f"restore variable with shape {wanted.shape} and name {self._full_name(key)}:0."
            )
            self._raise(_ASSIGNING, saved_key, "ValueError", message, key)
        elif place is not None and self.sameness.is_another(source, place):
            reason = self._exchanged(path, value.name, place.name)
            self._put(key, Outcome.OTHER, value, Code.OTHER_OBJECT, reason, path)
        else:
            self._put(key, Outcome.RESTORED, value, None, "", path)

    def _exchanged(self, path: str, there: str, here: str) -> str:
        """Say whose values stand at a path there and here: of layers, where their names differ."""
        scopes = [name.rpartition("/")[0] for name in (there, here)]
        if scopes[0] != scopes[1] and all(scopes) and "/" in path:
            return f"{path.rpartition('/')[0]} is {scopes[0]} there, {scopes[1]} here"
        return f"{path} is {there} there, {here} here"

    def _full_name(self, key: str) -> str:
        for node in self.here.graph.nodes:
            for one in node.attributes:
                if one.checkpoint_key == key:
                    return one.full_name.removesuffix(":0")
        return key

    def _put(
        self,
        key: str,
        outcome: Outcome,
        saved: Stored | None,
        code: Code | None,
        reason: str,
        path: str | None,
    ) -> None:
        value = self.here.stored(key)
        self.found[key] = ValueForecast(value, outcome, saved, code, reason, path)

    def _raise(self, stage: int, saved_key: str, kind: str, message: str, key: str) -> None:
        name = self.here.stored(key).name
        self._raised.append((stage, _place(saved_key), Raised(kind, message, name)))

    def _take_unbound(self) -> None:
        for target in range(len(self.here.graph)):
            if target in self.first or not self.here.holds(target):
                continue
            code, reason = self._why(target)
            for key in self.here.values(target).values():
                if key not in self.found:
                    self._put(key, Outcome.KEPT, None, code, reason, None)

    def _why(self, target: int) -> tuple[Code, str]:
        """Say where the way to an object that is not bound leaves what is bound."""
        parting = self.partings.get(target)
        if parting is None:
            return Code.NO_SUCH_PATH, "no optimizer there keeps it as a slot"
        holder, name, child = parting
        saved = self.first[holder]
        path = self.binding.paths.get(saved, "")
        place = f"{path}/{name}" if path else name
        partner = self.there.graph.child(saved, name)
        if partner is not None:
            taken = self.binding.paths.get(partner, "")
            return Code.SHADOWED, f"{place} is {taken or 'the root'} there, which is bound before"
        ours, theirs = self.there.label(saved), self.here.label(holder)
        if path and target == child and ours != theirs and self.here.graph.nodes[target].attributes:
            is_there = ours or "nothing with values"
            return Code.OTHER_OBJECT, f"{path} is {is_there} there, {theirs} here"
        if name.isdecimal():
            label = self.here.label(child) or "an object"
            return Code.NO_SUCH_PATH, f"{place} is {label} here, nothing there"
        # Local names of the saved object that nothing here has.
        deferred = (name for holder, _, name in self.binding.deferred if holder == saved)
        strangers = [word for word in deferred if word != _COUNTER]
        if not path and len(strangers) == 1:
            return Code.NO_SUCH_PATH, f"root/{strangers[0]} there, root/{name} here"
        return Code.NO_SUCH_PATH, f"no {place} there"

    def _take_deferred(self) -> None:
        """Find objects of the program that have no values yet but have some there."""
        places = {path: self.binding.bound[saved] for saved, path in self.binding.paths.items()}
        known: dict[int, Outcome | None] = {}
        for holder, child, name in self.binding.deferred:
            if child in self.binding.bound or not self.there.values(child):
                continue
            target = self.binding.bound[holder]
            path = self.binding.paths[holder]
            if target not in known:
                known[target] = self._awaited(target, path, places)
            outcome = known[target]
            if outcome is None:
                continue
            reason = "no variable of it here yet; it comes if the object makes it later"
            if outcome is Outcome.UNFORESEEN:
                reason = "not built here: how Keras 3 builds it decides; build before restore()"
            for key in self.there.values(child).values():
                value = self.there.stored(key)
                made = value._replace(key=None)
                self.used.add(key)
                self.found[f"{key} "] = ValueForecast(
                    made, outcome, value, None, reason, f"{path}/{name}"
                )

    def _awaited(self, target: int, path: str, places: Mapping[str, int]) -> Outcome | None:
        """Say what becomes of values for which an object may yet make variables.

        TensorFlow keeps them for the object. A Keras 3 layer that is built by a call of its
        model may take them or not; an optimizer that is not built takes them.
        """
        parts = path.split("/")
        if target < 0 or not path or "_operations" in parts:
            return None
        if parts[-1] == "_variables":
            optimizer = places.get("/".join(parts[:-1]), -1)
            listed = self.here.graph.child(optimizer, "_trainable_variables") if parts[1:] else None
            is_built = listed is None or bool(self.here.graph.children[listed])
            return None if is_built else Outcome.DEFERRED
        if any(self.here.holds(node) for node in self.here.graph.walk(target)):
            return None
        return Outcome.UNFORESEEN if self._is_keras3 else Outcome.DEFERRED

    @cached_property
    def _is_keras3(self) -> bool:
        """Whether anything on either side has a local name that only Keras 3 gives."""
        sides = (self.there.graph.children, self.here.graph.children)
        return any(name in _KERAS3 for side in sides for each in side for _, name in each)

    def _take_refusal(self) -> None:
        refusal = self.binding.refusal
        if refusal is not None:
            kind, message = "ValueError", _REFUSED
            if refusal.is_strange:
                word = "'_create_or_restore_slot_variable'"
                kind, message = "AttributeError", f"the object has no attribute {word}"
            self._raised.append((_BINDING, "", Raised(kind, message, None)))
            reason = "the optimizer here refuses the slots of a legacy one"
            for key, one in self.found.items():
                if one.outcome is Outcome.KEPT and one.target.role == Role.SLOT:
                    self.found[key] = ValueForecast(
                        one.target, Outcome.RAISES, None, Code.SLOT_REFUSED, reason
                    )
        for slot in self.binding.untold:
            reason = "an object without variables decides at load time"
            for key in self.there.values(slot).values():
                value = self.there.stored(key)
                self.used.add(key)
                self.found[f"{key} "] = ValueForecast(
                    value._replace(key=None), Outcome.UNFORESEEN, value, None, reason
                )


_BINDING, _READING, _ASSIGNING = 0, 1, 2
"""When an exception comes: before anything is read, before anything is assigned, between."""

_REFUSED = (
    "You are trying to restore a checkpoint from a legacy Keras optimizer into a v2.11+ "
    "Optimizer, which can cause errors. Please update the optimizer referenced in your code "
    "to be an instance of `tf.keras.optimizers.legacy.Optimizer`."
)

_TYPE_WORDS = {"float32": "float", "float64": "double", "float16": "half"}


def type_word(dtype: str) -> str:
    """Give TensorFlow's word for a type in messages: `float` for float32."""
    return _TYPE_WORDS.get(dtype, dtype)


def _place(key: str) -> str:
    """Give the part of a checkpoint key by which TensorFlow orders what it assigns."""
    return "".join(key.partition(_ATTRIBUTES)[:2])


def fits(saved: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether a value fits; -1 stands for a size that the variable leaves open."""
    return len(saved) == len(target) and all(
        b in (a, -1) for a, b in zip(saved, target, strict=True)
    )


def left_over(saved: Checkpoint, used: Collection[str]) -> tuple[Stored, ...]:
    """Give the values of a file whose keys are not used, in the order of its model."""

    def is_left(variable: Variable) -> bool:
        return variable.key not in used and variable.role is not Role.BOOKKEEPING

    if not any(map(is_left, saved.values())):
        return ()
    order = saved.in_order()
    return tuple(Stored.of(variable) for variable in order if is_left(variable))


def shape_text(shape: tuple[int, ...]) -> str:
    """Give `3×3×16×32`, and `scalar`."""
    return "×".join(map(str, shape)) or "scalar"


def _partings(graph: ObjectGraph, bound: Mapping[int, int]) -> dict[int, Parting]:
    """Find where the shortest way to each object that is not bound leaves those that are."""
    found: dict[int, Parting] = {}
    queue: deque[int] = deque()
    for node in bound:
        if node < 0:
            continue
        for child, name in graph.children[node]:
            if child not in bound and child not in found:
                found[child] = Parting(node, name, child)
                queue.append(child)
    while queue:
        node = queue.popleft()
        for child, _ in graph.children[node]:
            if child not in bound and child not in found:
                found[child] = found[node]
                queue.append(child)
    return found


def _find_shift(there: Objects, here: Objects) -> Shift | None:
    """Find the first layer that stands at another place of the model's list of layers."""
    ours, theirs = _places(there), _places(here)
    moved: list[Shift] = []
    for name, (scope, number) in sorted(ours.items(), key=lambda one: (one[1][0], one[1][1])):
        other = theirs.get(name)
        if other is None or other[0] != scope:
            continue
        by = other[1] - number
        if by or moved:
            moved.append(Shift(name, f"{scope}/{number}", f"{scope}/{other[1]}", by))
    if not moved:
        return None
    is_even = all(one.by == moved[0].by for one in moved) and len(moved) > 1
    return moved[0] if is_even else moved[0]._replace(by=None)


def _places(side: Objects) -> dict[str, tuple[str, int]]:
    """Give of each layer with variables, by name, the list of layers and its number there."""
    found: dict[str, tuple[str, int]] = {}
    children = side.graph.children
    if not any(name == "_operations" for each in children for _, name in each):
        return found
    paths = {0: ""}
    for node in side.graph.walk():
        for child, name in children[node]:
            if child in paths:
                continue
            paths[child] = f"{paths[node]}/{name}" if paths[node] else name
            if name.isdecimal() and "_operations" in paths[node] and side.label(child):
                found.setdefault(side.label(child), (paths[node], int(name)))
    return found
