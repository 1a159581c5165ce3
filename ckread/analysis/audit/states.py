"""What one checkpoint of a run tells by its index and its counters, without numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.checksums import content_key, is_zero
from ckread.analysis.training import (
    STEPS,
    is_power,
    iterations_by_power,
    outermost,
    read_optimizers,
)
from ckread.errors import CheckpointError, UsageError
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.analysis.training import OptimizerState
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Run
    from ckread.model.variable import Variable

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
    plans: dict[int, tuple[object, Plan]] = {}  # the evidence is kept, so that its id is its own
    for index, found in run.opened():
        if not isinstance(found, CheckpointError):
            with found:
                evidence = found.evidence
                _, plan = plans.get(id(evidence)) or plans.setdefault(
                    id(evidence), (evidence, plan_of(found))
                )
                yield state_of(index, run.entries[index], found, plan)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the state of checkpoints that are built alike lies: names are told once for all.

    Attributes:
        scalars: names of counters and rates.
        optimizers: with places among `scalars` for their numbers; a rate that is no whole
            number is that of the configuration.
        kind: their class.
        powers: names of the powers of Adam's betas.
        steps: name of the step, else of the save counter, with what it is called.
        parameters: names and keys of weights and statistics.
        compared: of all but bookkeeping and the save counter.
        slots: of the slots.
        owners: the weights that have slots.
    """

    scalars: list[str]
    optimizers: tuple[OptimizerState, ...]
    kind: str | None
    powers: list[str]
    steps: tuple[str, str] | None
    parameters: list[tuple[str, str]]
    compared: list[tuple[str, str]]
    slots: list[tuple[str, str]]
    owners: frozenset[str]


def plan_of(checkpoint: Checkpoint) -> Plan:
    """Tell where counters, rates and contents of a checkpoint lie."""
    values = [v for v in checkpoint.values() if v.role is not Role.BOOKKEEPING]
    roles = (Role.COUNTER, Role.HYPERPARAMETER)
    scalars = [v for v in values if v.role in roles and v.elements == 1]
    names: list[str] = []

    def place(variable: Variable | None) -> int | None:
        if variable is None:
            return None
        names.append(variable.name)
        return len(names) - 1

    optimizers = read_optimizers(checkpoint, scalars, place)
    step, saves = outermost(scalars, STEPS), outermost(scalars, (_SAVES,))
    slots = [v for v in values if v.role is Role.SLOT]
    return Plan(
        names,
        optimizers,
        " and ".join(sorted({one.kind for one in optimizers if one.kind is not None})) or None,
        [v.name for v in values if is_power(v)],
        (step.name, "step") if step else (saves.name, "save counter") if saves else None,
        [(v.name, v.key) for v in values if v.role.is_parameter],
        [(v.name, v.key) for v in values if v.name.rpartition("/")[2] != _SAVES],
        [(v.name, v.key) for v in slots],
        frozenset(v.owner for v in slots if v.owner),
    )


def state_of(index: int, entry: RunEntry, checkpoint: Checkpoint, plan: Plan) -> State:
    """Read what a checkpoint tells, by the plan of its kind."""

    def number(place: Any) -> int | float | None:
        if not isinstance(place, int):
            return None if place is None else float(place)
        return _number(checkpoint, plan.scalars[place])

    told = {one.name: number(one.iterations) for one in plan.optimizers}
    rates = {one.name: number(one.learning_rate) for one in plan.optimizers}
    counts, unit = {name: int(n) for name, n in told.items() if n is not None}, "iterations"
    if not counts and plan.powers:
        by_power, _ = iterations_by_power(checkpoint[name] for name in plan.powers)
        counts = {} if by_power is None else {"": by_power}
    if not counts and plan.steps:
        name, unit = plan.steps
        step = _number(checkpoint, name)
        counts = {} if step is None else {"": int(step)}
    slots = _content(checkpoint, plan.slots)
    return State(
        index,
        entry,
        unit,
        counts,
        {name: float(rate) for name, rate in rates.items() if rate and 0 < rate < math.inf},
        plan.kind,
        _content(checkpoint, plan.parameters),
        _content(checkpoint, plan.compared),
        slots,
        plan.owners,
        len(plan.slots),
        len(plan.compared),
        bool(plan.slots) and all(_is_blank(checkpoint[name]) for name, _ in plan.slots),
    )


def _number(checkpoint: Checkpoint, name: str) -> int | float | None:
    """Read a scalar; None where it cannot be read, or is not finite."""
    try:
        value = checkpoint[name].scalar()
    except (CheckpointError, UsageError):
        return None
    return value if math.isfinite(value) else None


def _is_blank(variable: Variable) -> bool:
    key = content_key(variable)
    return key is not None and is_zero(key)


def _content(checkpoint: Checkpoint, chosen: Sequence[tuple[str, str]]) -> int | None:
    """Give a number that is equal for equal contents under equal names; 0 for none."""
    tensors = checkpoint.reader.tensors
    marks: list[object] = []
    for name, key in chosen:
        record = tensors[key]
        crc: object = record.crc32c
        if crc is None:
            crc = content_key(checkpoint[name])
            if crc is None:
                return None
        marks.append((name, record.dtype, record.shape, crc))
    return hash(frozenset(marks)) if marks else 0
