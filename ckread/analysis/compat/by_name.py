"""Restores by the names of variables: a Saver's file, a Saver's graph, assignment maps.

A file of names into a program of objects is read variable by variable, in the order in
which the objects are met; a name that is not there is passed over. A Saver asks for all
its names at once, and assigns nothing unless all are there. `init_from_checkpoint` sets
initial values by a map of names or of scopes.

Reference: tensorflow/python/checkpoint/checkpoint.py, tensorflow/python/training/saver.py,
tensorflow/python/training/checkpoint_utils.py
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.analysis.compat.records import (
    Asserts,
    Code,
    Outcome,
    Raised,
    RestoreForecast,
    Stored,
    ValueForecast,
    Way,
)
from ckread.analysis.compat.restoring import fits, left_over, shape_text, type_word
from ckread.errors import UsageError
from ckread.model.role import Role
from ckread.model.selection import bounded_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

SAVER_CALL = "by tf.compat.v1.train.Saver.restore"
INIT_CALL = "by tf.compat.v1.train.init_from_checkpoint"
WARM_CALL = "by tf.compat.v1.train.warm_start"
NAMES_CALL = "by tf.train.Checkpoint.restore of a name-based file: by the variables' names"
EVERYTHING = {"/": "/"}
"""The map of `init_from_checkpoint` that means every variable under its own name."""


def forecast_names(saved: Checkpoint, target: Checkpoint) -> RestoreForecast:
    """Foretell `tf.train.Checkpoint.restore` of a file of names into a program of objects."""
    graph = target.evidence.graph
    if graph is None:
        raise ValueError("no object graph")
    there = {variable.key: variable for variable in saved.values()}
    names = {key: graph.full_names[node] for node, key in graph.variables.items()}
    # The order in which TensorFlow meets the objects.
    met = (node for node in graph.walk() if node in graph.variables)
    rank = {graph.variables[node]: at for at, node in enumerate(met)}
    work = _Names(there)
    for variable in target.in_order():
        if variable.role is Role.BOOKKEEPING:
            continue
        name = names.get(variable.key)
        if name is None:
            reason = "a value without a name is not looked for"
            work.put(variable, Outcome.KEPT, None, Code.NO_SUCH_PATH, reason)
        elif name == "save_counter" and name not in there:
            continue  # restore() makes it, and no assertion asks for it
        else:
            work.take(variable, name, order=rank.get(variable.key, 0))
    is_whole = all(one.outcome is Outcome.RESTORED for one in work.values)
    passes = None if work.raised else is_whole
    return _forecast(
        saved, target, Way.CHECKPOINT, NAMES_CALL, work, Asserts(passes, passes), certain=True
    )


def forecast_saver(
    saved: Checkpoint, target: Checkpoint, names: Mapping[str, str] | None = None
) -> RestoreForecast:
    """Foretell `Saver.restore` in a graph; of an object-based file by its variables' names.

    Args:
        saved: the file.
        target: what a Saver of the graph wrote.
        names: names there to the names here that the Saver's `var_list` holds; None for
            a Saver of all variables.
    """
    graph = saved.evidence.graph
    there = _by_full_name(saved)
    work = _Names(there, target, word="Saver")
    wanted = None if names is None else {here: name for name, here in names.items()}
    for variable in target.in_order():
        if variable.role is Role.BOOKKEEPING:
            continue
        if wanted is not None and variable.key not in wanted:
            reason = "not in the Saver's var_list"
            work.put(variable, Outcome.KEPT, None, Code.SKIPPED, reason)
            continue
        name = variable.key if wanted is None else wanted[variable.key]
        work.take(variable, name, must_be=True)
    if graph is not None and any(raised.type == "NotFoundError" for _, raised in work.raised):
        missing = sorted(name for name in work.missing)
        message = f"Existing variables not in the checkpoint: {', '.join(missing)}"
        work.raised = [(-1, Raised("NotFoundError", message, missing[0]))]
    result = _forecast(saved, target, Way.SAVER, SAVER_CALL, work, Asserts(None, None))
    if graph is None:
        return result
    note = "The file has objects: the Saver looks them up by the names of their variables."
    return replace(result, notes=(*result.notes, note))


def _by_full_name(saved: Checkpoint) -> dict[str, Variable]:
    """Give the variables of a file by the names that graphs look for."""
    found = {variable.key: variable for variable in saved.values()}
    graph = saved.evidence.graph
    if graph is None:
        return found
    return {
        one.full_name.removesuffix(":0"): found[one.checkpoint_key]
        for node in graph.nodes
        for one in node.attributes
        if one.checkpoint_key in found
    }


def forecast_warm_start(
    saved: Checkpoint,
    target: Checkpoint,
    names: Mapping[str, str] | None = None,
    chosen: str | Sequence[str] = ".*",
) -> RestoreForecast:
    """Foretell `warm_start`, which Estimators call: an assignment map of what an expression names.

    Args:
        saved: the file.
        target: what a Saver of the graph wrote.
        names: names there to those here, `var_name_to_prev_var_name` the other way round.
        chosen: `vars_to_warm_start`: an expression for trainable variables, or a list of
            expressions for all.

    Raises:
        UsageError: it is no regular expression.
    """
    is_one = isinstance(chosen, str)
    try:
        tests = [
            bounded_test(one, re.compile(one).match)
            for one in ([chosen] if isinstance(chosen, str) else chosen)
        ]
    except re.error as error:
        raise UsageError(f"vars_to_warm_start: {error.pattern!r}: {error}") from None
    meta_graph = target.evidence.meta_graph
    listed = None
    if meta_graph is not None and is_one:
        listed = {one.key for one in meta_graph.collections.get("trainable_variables", ())}
    by_role = (Role.WEIGHT,) if is_one else tuple(Role)
    earlier = {here: there for there, here in (names or {}).items()}
    assignments = {
        earlier.get(variable.key, variable.key): variable.key
        for variable in target.values()
        if (variable.key in listed if listed is not None else variable.role in by_role)
        and any(test(f"{variable.key}:0") for test in tests)
    }
    result = forecast_init(saved, target, assignments)
    raises = list(result.raises)
    unused = sorted(earlier.keys() - set(assignments.values()))
    if unused:
        message = (
            "You provided the following variables in var_name_to_prev_var_name that were not "
            f"used: {', '.join(unused)}"
        )
        raises.append(Raised("ValueError", message))
    left_out = (Role.SLOT, Role.AVERAGE, Role.HYPERPARAMETER)
    values = [
        replace(one, reason="not among the variables that are warm-started")
        if one.code is Code.SKIPPED
        else one
        for one in result.values
        if one.target.key in assignments.values() or one.target.role not in left_out
    ]
    notes = []
    if len(values) < len(result.values):
        notes.append("What the optimizer keeps is not warm-started, and left out here.")
    if is_one and listed is None:
        notes.append("No .meta lists what is trainable: taken to be what is named as a weight.")
    return replace(
        result,
        way=Way.WARM_START,
        call=WARM_CALL,
        values=tuple(values),
        raises=tuple(raises),
        assigned_before=0 if raises else None,
        notes=tuple(notes),
    )


def forecast_init(
    saved: Checkpoint, target: Checkpoint, names: Mapping[str, str] | None = None
) -> RestoreForecast:
    """Foretell `init_from_checkpoint`, called before an optimizer has made its slots.

    Args:
        saved: the file.
        target: what a Saver of the graph wrote.
        names: the assignment map: names or scopes there to names or scopes here.

    Raises:
        UsageError: a scope is mapped to a name.
    """
    there = _by_full_name(saved)
    order = [variable for variable in target.in_order() if variable.role is not Role.BOOKKEEPING]
    slots = (Role.SLOT, Role.AVERAGE, Role.HYPERPARAMETER) if names is None else ()
    here = {variable.key: variable for variable in order if variable.role not in slots}
    work = _Names(there, target, word="init")
    assigned: dict[str, str] = {}
    stop: Raised | None = None
    for source, place in sorted((EVERYTHING if names is None else names).items()):
        pairs, stop = _mapped(source, place, here, there)
        assigned |= pairs
        if stop is not None:
            break
    for variable in order:
        if variable.key in assigned:
            work.take(variable, assigned[variable.key], must_be=True)
        elif variable.role not in slots:
            reason = "not in the assignment map" if stop is None else "the call stops before it"
            work.put(variable, Outcome.KEPT, None, Code.SKIPPED, reason)
    if stop is not None:
        work.raised.append((-2, stop))
    result = _forecast(
        saved, target, Way.INIT_FROM_CHECKPOINT, INIT_CALL, work, Asserts(None, None)
    )
    if all(variable.role not in slots for variable in order):
        return result
    note = "Taken as called before the optimizer has made its variables, which are left out."
    return replace(result, notes=(*result.notes, note))


def _mapped(
    source: str, place: str, here: Mapping[str, Variable], there: Mapping[str, Variable]
) -> tuple[dict[str, str], Raised | None]:
    """Give the names here that one entry of a map means, with those there; and what it raises."""
    if place in here:
        if source not in there:
            message = f"Tensor {source} is not found in the checkpoint"
            return {place: source}, Raised("ValueError", message, here[place].name)
        ours, theirs = there[source].shape, here[place].shape
        if ours != theirs:
            message = (
                f"Shape of variable {place}:0 ({theirs}) doesn't match with shape of tensor "
                f"{source} ({list(ours)}) from checkpoint reader."
            )
            return {place: source}, Raised("ValueError", message, here[place].name)
        return {place: source}, None
    scopes = place.rpartition("/")[0]
    if not source.endswith("/"):
        message = (
            f"Assignment map with scope only name {scopes} should map to scope only {source}. "
            "Should be 'scope/': 'other_scope/'."
        )
        return {}, Raised("ValueError", message, None)
    pairs: dict[str, str] = {}
    for name in sorted(here):
        if scopes and not name.startswith(f"{scopes}/"):
            continue
        full = name[len(scopes) :]
        full = full if place == "/" else full[1:]
        full = full if source == "/" else source + full
        pairs[name] = full.removesuffix("/")
        if pairs[name] not in there:
            rest = name[len(scopes) + 1 :]
            message = f"Tensor {pairs[name]} ({rest} in {source}) is not found in the checkpoint"
            return pairs, Raised("ValueError", message, here[name].name)
    return pairs, None


class _Names:
    """The values of a program, decided by names one after the other."""

    def __init__(
        self, there: Mapping[str, Variable], target: Checkpoint | None = None, *, word: str = ""
    ) -> None:
        self.there = there
        self.word = word
        self.resources: dict[str, bool] = {}
        meta_graph = None if target is None else target.evidence.meta_graph
        for listed in () if meta_graph is None else meta_graph.collections.values():
            self.resources |= {one.key: one.is_resource for one in listed}
        self.values: list[ValueForecast] = []
        self.raised: list[tuple[int, Raised]] = []
        self.missing: list[str] = []
        self.used: set[str] = set()
        self.order: dict[str, int] = {}

    def take(self, variable: Variable, name: str, *, order: int = 0, must_be: bool = False) -> None:
        """Decide on the value of a variable that is looked for under this name."""
        found = self.there.get(name)
        self.order[variable.key] = order
        if found is None:
            reason = f"no {name} there{self._alike(variable)}"
            self.missing.append(name)
            outcome = Outcome.RAISES if must_be else Outcome.KEPT
            self.put(variable, outcome, None, Code.NO_SUCH_PATH, reason)
            if must_be:
                message = f"Key {name} not found in checkpoint"
                self.raised.append((order, Raised("NotFoundError", message, variable.name)))
            return
        self.used.add(found.key)
        if found.dtype != variable.dtype:
            reason = f"{found.dtype} there, {variable.dtype} here"
            self.put(variable, Outcome.RAISES, found, Code.OTHER_DTYPE, reason)
            self._raise_type(variable, found, order, must_be=must_be)
        elif not fits(found.shape, variable.shape) and must_be:
            self._take_other_shape(variable, found, order, name)
        elif not fits(found.shape, variable.shape):
            reason = f"{shape_text(found.shape)} there, {shape_text(variable.shape)} here"
            self.put(variable, Outcome.RAISES, found, Code.SHAPE, reason)
            message = (
                f"Received incompatible tensor with shape {found.shape} when attempting to "
                f"restore variable with shape {variable.shape} and name {name}."
            )
            self.raised.append((order, Raised("ValueError", message, variable.name)))
        else:
            self.put(variable, Outcome.RESTORED, found, None, "")

    def put(
        self,
        variable: Variable,
        outcome: Outcome,
        saved: Variable | None,
        code: Code | None,
        reason: str,
    ) -> None:
        """Note what becomes of a variable."""
        source = None if saved is None else Stored.of(saved)
        self.values.append(ValueForecast(Stored.of(variable), outcome, source, code, reason))

    def _raise_type(
        self, variable: Variable, found: Variable, order: int, *, must_be: bool
    ) -> None:
        if must_be:
            message = (
                f"tensor_name = {found.key}; expected dtype {type_word(variable.dtype)} does not "
                f"equal original dtype {type_word(found.dtype)}"
            )
        else:
            message = (
                "Trying to assign variable with wrong dtype. Expected "
                f"{type_word(variable.dtype)} got {type_word(found.dtype)}"
            )
        self.raised.append((order, Raised("InvalidArgumentError", message, variable.name)))

    def _take_other_shape(self, variable: Variable, found: Variable, order: int, name: str) -> None:
        """Decide on a value of another shape in a graph: a resource variable takes it."""
        shapes = f"{shape_text(found.shape)} there, {shape_text(variable.shape)} here"
        is_resource = self.resources.get(variable.key)
        if is_resource is None:
            reason = f"{shapes}; a resource variable takes it, another raises, no .meta tells"
            self.put(variable, Outcome.UNFORESEEN, found, Code.SHAPE, reason)
        elif is_resource:
            reason = f"{shapes}: the variable takes it without a word"
            self.put(variable, Outcome.OTHER, found, Code.SHAPE, reason)
        else:
            self.put(variable, Outcome.RAISES, found, Code.SHAPE, shapes)
            message = (
                "Assign requires shapes of both tensors to match. "
                f"lhs shape= {_shape_list(variable.shape)} rhs shape= {_shape_list(found.shape)}"
            )
            raised = Raised("InvalidArgumentError", message, variable.name, is_shape=True)
            self.raised.append((order, raised))

    def _alike(self, variable: Variable) -> str:
        """Name the one variable there that has this shape, type and last component."""
        leaf = variable.name.rpartition("/")[2]
        found = [
            one.name
            for one in self.there.values()
            if one.shape == variable.shape
            and one.dtype == variable.dtype
            and one.role == variable.role
            and one.name.rpartition("/")[2] == leaf
        ]
        if len(found) != 1:
            return ""
        return f"; {found[0]} has its shape, {shape_text(variable.shape)}"


def _shape_list(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _forecast(
    saved: Checkpoint,
    target: Checkpoint,
    way: Way,
    call: str,
    work: _Names,
    asserts: Asserts,
    *,
    certain: bool = False,
) -> RestoreForecast:
    def place(one: tuple[int, Raised]) -> tuple[int, int]:
        order, raised = one
        if certain:
            return order, 0
        is_type = raised.type == "InvalidArgumentError"
        return min(order, 0), 2 if raised.is_shape else int(is_type)

    raised = sorted(work.raised, key=place)
    return RestoreForecast(
        saved=saved.path,
        target=target.path,
        way=way,
        call=call,
        values=tuple(work.values),
        left_over=left_over(saved, work.used),
        raises=tuple(one for _, one in raised),
        assigned_before=_assigned(work, raised, certain=certain),
        asserts=asserts,
        is_name_based=True,
    )


def _assigned(work: _Names, raised: list[tuple[int, Raised]], *, certain: bool) -> int | None:
    """Count what is assigned before the first exception: where one by one, what came before."""
    if not raised:
        return None
    first = raised[0]
    if certain:
        fine = [one for one in work.values if one.outcome is Outcome.RESTORED]
        return sum(work.order.get(one.target.key or "", 0) < first[0] for one in fine)
    # Of another shape a Saver learns only once it assigns: others may be assigned by then.
    return None if first[1].is_shape and work.word == "Saver" else 0


def check_names(names: Mapping[str, str]) -> None:
    """See that a map has one place for each name.

    Raises:
        UsageError: two names there become one here.
    """
    seen: dict[str, str] = {}
    for name, place in names.items():
        if place in seen and not place.endswith("/"):
            raise UsageError(f"{seen[place]} and {name} both become {place}")
        seen[place] = name
