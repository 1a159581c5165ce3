"""What one checkpoint of a run tells by its index and its counters, without numpy."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.checksums import content_key, is_blank
from ckread.analysis.training import (
    STEPS,
    counters_of,
    is_power,
    iterations_by_power,
    read_optimizers,
)
from ckread.errors import CheckpointError, UsageError
from ckread.model.role import Role
from ckread.model.variable import Variable
from ckread.readers.contract import TensorColumns, checksums_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.analysis.training import OptimizerState
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.columns.variables import VariableColumns
    from ckread.model.evidence import Identity
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Run, Structure
    from ckread.readers.contract import CheckpointReader

_SAVES = "save_counter"


@dataclass(frozen=True, slots=True)
class State:
    """What one checkpoint tells by its index and its counters.

    Attributes:
        index: its place in the run.
        entry: as listed.
        unit: what `counts` count: `iterations`, `step`, `save counter`.
        counts: by optimizer, or of the whole.
        rates: learning rates by optimizer.
        kind: class of the optimizer.
        weights: equal for equal weights and statistics; None where checksums are missing.
        everything: the same of all but bookkeeping and the save counter.
        slots: the same of the slots; 0 where there are none.
        owners: the weights that have slots.
        n_slots: how many slots there are.
        n_variables: how many variables `everything` is of.
        is_blank: whether all slots are zero, by their checksums.
    """

    index: int
    entry: RunEntry
    unit: str
    counts: dict[str, int]
    rates: dict[str, float]
    kind: str | None
    weights: int | None
    everything: int | None
    slots: int | None
    owners: frozenset[str]
    n_slots: int
    n_variables: int
    is_blank: bool


def states_of(run: Run) -> Iterator[State]:
    """Yield the state of each checkpoint that can be opened."""
    plans: dict[int, tuple[Structure, Plan]] = {}  # it is kept, so that its id is its own
    for index, found in run.indexes():
        if isinstance(found, CheckpointError):
            continue
        built = found.structure
        if id(built) not in plans:
            plans[id(built)] = built, plan_of(found.checkpoint())
        with closing(found.reader) as reader:
            yield state_of(index, run.entries[index], reader, plans[id(built)][1], found.numbers)


class Contents(NamedTuple):
    """Variables whose contents are compared, in the order of their names.

    Attributes:
        keys: of these.
        mark: equal for equal names, types and shapes; 0 where there are none.
    """

    keys: list[str]
    mark: int
    places: list[int] | None = None
    """Where in the columns of an index they are."""

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> Contents:
        """Take them from a checkpoint."""
        ordered = sorted(variables, key=lambda variable: variable.name)
        kinds = [hash((v.dtype, v.shape)) for v in ordered]
        return cls([v.key for v in ordered], _mark_of([v.name for v in ordered], kinds))

    @classmethod
    def of_columns(cls, columns: VariableColumns, are_meant: NDArray[np.bool_]) -> Contents:
        """Take the same from columns."""
        names, tensors = columns.names, columns.tensors
        places = sorted(are_meant.nonzero()[0].tolist(), key=names.__getitem__)
        hashes = [hash((dtype, shape)) for dtype, shape, _ in tensors.kinds]
        kinds = [hashes[number] for number in tensors.kind[places].tolist()]
        keys = list(map(tensors.keys_in_order.__getitem__, places))
        return cls(keys, _mark_of(map(names.__getitem__, places), kinds), places)


def _mark_of(names: Iterable[str], kinds: Iterable[int]) -> int:
    told = *names, *kinds
    return hash(told) if told else 0


class Plan(NamedTuple):
    """Where the state of checkpoints that are built alike lies: names are told once for all.

    Attributes:
        identities: by key.
        scalars: keys of counters and rates.
        optimizers: with places among `scalars` for their numbers; a rate that is no whole
            number is that of the configuration.
        kind: their class.
        powers: keys of the powers of Adam's betas.
        steps: key of the step, else of the save counter, with what it is called.
        parameters: weights and statistics.
        compared: all but bookkeeping and the save counter.
        slots: the slots.
        owners: the weights that have slots.
    """

    identities: Mapping[str, Identity]
    scalars: list[str]
    optimizers: tuple[OptimizerState, ...]
    kind: str | None
    powers: list[str]
    steps: tuple[str, str] | None
    parameters: Contents
    compared: Contents
    slots: Contents
    owners: frozenset[str]


def plan_of(checkpoint: Checkpoint) -> Plan:
    """Tell where counters, rates and contents of a checkpoint lie."""
    keys: list[str] = []
    numbers = checkpoint.of_role(Role.COUNTER, Role.HYPERPARAMETER)
    scalars = [v for v in numbers if v.elements == 1]
    columns = checkpoint.columns
    if columns is None:
        values = [v for v in checkpoint.values() if v.role is not Role.BOOKKEEPING]
        identities: Mapping[str, Identity] = {v.key: v.identity for v in values}
        powers = [v.key for v in values if is_power(v.name)]
        compared = Contents.of([v for v in values if v.name.rpartition("/")[2] != _SAVES])
        parameters = Contents.of([v for v in values if v.role.is_parameter])
        slots = Contents.of([v for v in values if v.role is Role.SLOT])
        owners = {v.owner for v in values if v.role is Role.SLOT}
    else:
        identities = columns.identities
        ends_in, are_values = identities.spelling.ends_in, ~columns.have_role([Role.BOOKKEEPING])
        [places] = (ends_in(is_power) & are_values).nonzero()
        powers = list(map(columns.tensors.keys_in_order.__getitem__, places.tolist()))
        are_compared = are_values & ~ends_in(_SAVES.__eq__)
        compared = Contents.of_columns(columns, are_compared)
        is_model, are_slots = columns.are_parameters, columns.have_role([Role.SLOT])
        parameters = compared
        if (is_model != are_compared).any():
            parameters = Contents.of_columns(columns, is_model)
        slots = Contents.of_columns(columns, are_slots)
        owners = set(identities.owners(are_slots.nonzero()[0]))

    def place(variable: Variable | None) -> int | None:
        if variable is None:
            return None
        keys.append(variable.key)
        return len(keys) - 1

    optimizers = read_optimizers(checkpoint, scalars, place)
    steps, saves = counters_of(scalars, STEPS), counters_of(scalars, (_SAVES,))
    counter = (steps[0].key, "step") if len(steps) == 1 else None
    if not steps and saves:
        counter = saves[0].key, "save counter"
    return Plan(
        identities,
        keys,
        optimizers,
        " and ".join(sorted({one.kind for one in optimizers if one.kind is not None})) or None,
        powers,
        counter,
        parameters,
        compared,
        slots,
        frozenset(filter(None, owners)),
    )


def state_of(
    index: int,
    entry: RunEntry,
    reader: CheckpointReader,
    plan: Plan,
    known: Mapping[str, int | float],
) -> State:
    """Read what a checkpoint tells, by the plan of its kind; some scalars were read already."""

    def variable(key: str) -> Variable:
        return Variable(reader.tensors[key], plan.identities[key], reader)

    def scalar(key: str) -> int | float | None:
        try:
            value = known[key] if key in known else variable(key).scalar()
        except (CheckpointError, UsageError):
            return None
        return value if math.isfinite(value) else None

    def number_of(one: Variable | None) -> int | float | None:
        return None if one is None else scalar(one.key)

    def number(place: Any) -> int | float | None:
        if not isinstance(place, int):
            return None if place is None else float(place)
        return scalar(plan.scalars[place])

    def content(chosen: Contents) -> int | None:
        """Give a number that is equal for equal contents under equal names; 0 for none."""
        if isinstance(tensors, TensorColumns) and chosen.places is not None:
            of_places: list[int] = tensors.crc32c[chosen.places].tolist()
            return hash((chosen.mark, *of_places)) if of_places else 0
        marks: list[object] = [checksums[key] for key in chosen.keys]
        for at, mark in enumerate(marks if None in marks else ()):
            if mark is None:
                marks[at] = content_key(variable(chosen.keys[at]))
                if marks[at] is None:
                    return None
        return hash((chosen.mark, *marks)) if marks else 0

    tensors = reader.tensors
    checksums = {} if isinstance(tensors, TensorColumns) else checksums_of(tensors)
    told = {one.name: number(one.iterations) for one in plan.optimizers}
    rates = {one.name: number(one.learning_rate) for one in plan.optimizers}
    counts, unit = {name: int(n) for name, n in told.items() if n is not None}, "iterations"
    if not counts and plan.powers:
        by_power, _ = iterations_by_power(
            map(variable, plan.powers), lambda v: scalar(v.key) if v else None
        )
        counts = {} if by_power is None else {"": by_power}
    if not counts and plan.steps:
        key, unit = plan.steps
        step = scalar(key)
        counts = {} if step is None else {"": int(step)}
    slots = plan.slots.keys
    weights = content(plan.parameters)
    return State(
        index,
        entry,
        unit,
        counts,
        {name: float(rate) for name, rate in rates.items() if rate and 0 < rate < math.inf},
        plan.kind,
        weights,
        weights if plan.compared is plan.parameters else content(plan.compared),
        content(plan.slots),
        plan.owners,
        len(slots),
        len(plan.compared.keys),
        bool(slots) and all(is_blank(variable(key)) for key in slots),
    )
