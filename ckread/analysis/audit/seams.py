"""Where a run did not simply go on: resumed without its optimizer, or from an older checkpoint.

    iterations   8  16  24  32 | 8  16          of the optimizer, else the step, else the saves
    rate         …  1e-3  1e-3 | 1e-4  1e-4     an outlier among all its changes
    checksums    of weights, slots, everything  equal contents are told without a value

Counters and checksums are in the index, or a few bytes. Only where a counter went back, or
stood still, some values are read too (see `sampling`): which of the two began anew, weights
or moments, and of which earlier checkpoint the weights are. Nothing here loads numpy.

That moments went on is told by the rule of their average: an element of Adam's velocity is
after t steps at least beta2^t of what it was, whatever the gradients were. In a new one many
are below that, unless t is so large that little of the old ones would be left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.audit.records import Seam
from ckread.analysis.audit.sampling import Nearness, nearness
from ckread.analysis.check.findings import Code, Level
from ckread.analysis.checksums import content_key, is_zero
from ckread.analysis.training import (
    POWERS,
    STEPS,
    iterations_by_power,
    outermost,
    read_optimizers,
)
from ckread.errors import CheckpointError, UsageError
from ckread.model.evidence import Claim, Strength
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.model.run.run import Run, as_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.training import OptimizerState
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import PathLike
    from ckread.model.variable import Variable

_SAVES = "save_counter"
_SECOND_MOMENTS = ("velocity", "v", "Adam_1")
_SUMS = ("accumulator", "Adagrad")
"""Slots that only grow."""
_BETA_2 = 0.999
_LEFT = 0.2
"""Share of an old moment that must be left for it to be missed."""
_BELOW = 0.05
"""Share of elements that must be below the bound for a moment to be a new one."""
_UNLIKE = 0.5
"""Cosine below which kernels have nothing in common: training turns them slowly."""
_NEARER = 0.9
_OLDER = 6
"""Checkpoints before a seam whose weights are compared with those after it."""
_JUMP, _OUTLYING = math.log(1.5), 4.0
"""Least change of a learning rate, and how many times the next largest it must be."""


def find_seams(run: Run | PathLike | Iterable[PathLike]) -> tuple[Seam, ...]:
    """Find where a run did not simply go on, in its order; numpy is not needed.

    Told by counters, learning rates and checksums; where a counter went back, or stood still, a
    few thousand values of both neighbours are read too. What cannot be opened is passed over,
    and where the order of the checkpoints is not known, only copies of one another are told.

    Args:
        run: its checkpoints, or what `open_run` takes.

    Raises:
        CheckpointError: a path names no run.

    Example:
        >>> ckread.seams("fixtures/digits_run")
        ()
    """
    run = as_run(run)
    states = _in_order_saved([*_states(run)])
    is_ordered = not run.claims or run.claims[0].value is not None or len(run.titles) > 1
    seams: list[Seam] = []
    if is_ordered:
        comparison = _Comparison(run, states)
        for at in range(1, len(states)):
            seams += comparison.seams_before(at)
        seams += _rate_jumps(states)
        seams += _other_groups(run, states)
    else:
        seams += filter(None, (_duplicate(a, b) for a, b in pairwise(states)))
    places = {entry.path: at for at, entry in enumerate(run.entries)}
    return tuple(sorted(seams, key=lambda seam: places.get(seam.after.path, len(places))))


@dataclass(frozen=True, slots=True)
class _State:
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


def _states(run: Run) -> Iterator[_State]:
    plans: dict[int, tuple[object, _Plan]] = {}  # the evidence is kept, so that its id is its own
    for index, found in run.opened():
        if not isinstance(found, CheckpointError):
            with found:
                evidence = found.evidence
                _, plan = plans.get(id(evidence)) or plans.setdefault(
                    id(evidence), (evidence, _plan(found))
                )
                yield _state(index, run.entries[index], found, plan)


@dataclass(frozen=True, slots=True)
class _Plan:
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


def _plan(checkpoint: Checkpoint) -> _Plan:
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
    return _Plan(
        names,
        optimizers,
        " and ".join(sorted({one.kind for one in optimizers if one.kind is not None})) or None,
        [v.name for v in values if v.name.rpartition("/")[2] in POWERS],
        (step.name, "step") if step else (saves.name, "save counter") if saves else None,
        [(v.name, v.key) for v in values if v.role.is_parameter],
        [(v.name, v.key) for v in values if v.name.rpartition("/")[2] != _SAVES],
        [(v.name, v.key) for v in slots],
        frozenset(v.owner for v in slots if v.owner),
    )


def _state(index: int, entry: RunEntry, checkpoint: Checkpoint, plan: _Plan) -> _State:
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
    return _State(
        index,
        entry,
        unit,
        counts,
        {name: float(rate) for name, rate in rates.items() if rate},
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
    try:
        return checkpoint[name].scalar()
    except (CheckpointError, UsageError):
        return None


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


def _in_order_saved(states: list[_State]) -> list[_State]:
    """Order by the numbers of the names where these rise with the time: a step may go back."""
    numbers = [state.entry.numbers for state in states]
    if not all(len(number) == 1 for number in numbers) or len(set(numbers)) < len(numbers):
        return states
    placed = sorted(states, key=lambda state: state.entry.numbers)
    times = [state.entry.time or 0.0 for state in placed]
    return placed if times == sorted(times) else states


class _Change(NamedTuple):
    """A counter of both neighbours."""

    name: str
    before: int
    after: int


class _Comparison:
    """The neighbours of a run, compared; checkpoints are opened again where values are wanted."""

    def __init__(self, run: Run, states: Sequence[_State]) -> None:
        self._run = run
        self._states = states
        moves = [b.counts[n] - a.counts[n] for a, b in pairwise(states) for n in b.counts
                 if n in a.counts and a.unit == b.unit]  # fmt: skip
        # A counter that seldom rises is not one of this training.
        self._counts = 2 * sum(move > 0 for move in moves) >= len(moves)

    def seams_before(self, at: int) -> Iterator[Seam]:
        """Yield the seams between a checkpoint and the one before it."""
        a, b = self._states[at - 1], self._states[at]
        copied = _duplicate(a, b)
        if copied is not None:
            yield copied
            return
        other = _other_optimizer(a, b) or _slots_changed(a, b)
        if other is not None:
            yield other
        changes = [
            _Change(name, a.counts[name], count)
            for name, count in b.counts.items()
            if name in a.counts and a.unit == b.unit and self._counts
        ]
        back = next((one for one in changes if one.after < one.before), None)
        still = next((one for one in changes if one.after == one.before), None)
        older = next((old for old in self._states[: at - 1] if self._is_same(old, b)), None)
        if older is not None and not self._is_same(a, b):
            yield _rollback(a, b, older, back, None, None)
        elif back is not None:
            found = self._went_back(at, back)
            if other is None or found.code in (Code.ROLLBACK, Code.OTHER_MODEL):
                yield found
        elif b.is_blank and a.n_slots and not a.is_blank and other is None and changes:
            yield _moments_reset(a, b, changes[0])
        elif still is not None and still.before and self._is_all_new(a, b):
            yield _trained_twice(a, b, still)

    def _is_same(self, a: _State, b: _State) -> bool:
        return a.weights == b.weights and bool(a.weights)

    def _is_all_new(self, a: _State, b: _State) -> bool:
        """Tell whether weights and slots both changed, as no program does by hand."""
        is_known = None not in (a.weights, b.weights, a.slots, b.slots)
        return is_known and a.weights != b.weights and a.slots != b.slots

    def _went_back(self, at: int, change: _Change) -> Seam:
        """Tell what a counter that went back means: by the weights, then by the moments."""
        a, b = self._states[at - 1], self._states[at]
        opened: dict[int, Checkpoint] = {}
        try:
            after = opened[b.index] = self._run[b.index]
            before = opened[a.index] = self._run[a.index]
            went_on = nearness(before, after, _is_weight)
            near, far = None, went_on.distance if went_on else 0.0
            for old in self._states[max(0, at - 1 - _OLDER) : at - 1] if went_on else ():
                opened[old.index] = self._run[old.index]
                this = nearness(opened[old.index], after, _is_weight)
                if this is not None and this.distance < _NEARER * far:
                    near, far = old, this.distance
            is_new = went_on and went_on.cosine is not None and went_on.cosine < _UNLIKE
            if went_on and is_new and far > _UNLIKE:
                return _other_model(a, b, change, went_on)
            if went_on and near is not None:
                return _rollback(a, b, near, change, went_on, far)
            left = _left(after, b, change)
            moments = nearness(before, after, _is_second, 0.9 * left) if went_on and left else None
            return _began_anew(after, a, b, change, went_on, moments)
        except CheckpointError:
            return _began_anew(None, a, b, change, None, None)
        finally:
            for checkpoint in opened.values():
                checkpoint.close()


def _is_weight(variable: Variable) -> bool:
    return variable.role is Role.WEIGHT and len(variable.shape) > 1


def _is_second(variable: Variable) -> bool:
    return variable.role is Role.SLOT and variable.slot in (*_SECOND_MOMENTS, *_SUMS)


# Each kind of seam, in words.

_ALONE = "A resume that restores the model alone looks like this. To bring the optimizer with it:\n"


def _seam(
    code: Code, a: _State, b: _State, title: str, brief: str, message: str,
    remedy: str | None, source: str, strength: Strength = Strength.STORED,
    level: Level = Level.WARNING,
) -> Seam:  # fmt: skip
    claim = Claim("seam", f"{code} at {b.entry.name}", strength, source)
    return Seam(code, level, a.entry, b.entry, title, brief, message, remedy, claim)


def _counter(b: _State, change: _Change) -> str:
    if b.unit == "iterations":
        return f"iterations of {change.name}" if len(b.counts) > 1 else "iterations"
    return f"the {b.unit}"


def _arrow(b: _State, change: _Change) -> str:
    return f"{_counter(b, change).removeprefix('the ')} {change.before:,} → {change.after:,}"


def _from_to(b: _State, change: _Change) -> str:
    return f"{_counter(b, change)} went from {change.before} to {change.after}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _began_anew(
    checkpoint: Checkpoint | None,
    a: _State,
    b: _State,
    change: _Change,
    weights: Nearness | None,
    moments: Nearness | None,
) -> Seam:
    """Tell an optimizer that began anew from a counter that did."""
    went = _from_to(b, change)
    source, strength = f"{went}, stored", Strength.STORED
    on = ""
    if weights is not None and weights.cosine is not None:
        on = f"; the weights went on (cosine {_cosine(weights.cosine)})"
        source, strength = f"{went}; kernels compared: {weights.extent}", Strength.DERIVED
    is_adam = b.kind is not None and _is_adam(b.kind)
    if moments is not None:
        rule = ", by a beta2 of 0.999" if is_adam and not _beta_2(checkpoint) else ""
        source += f"; second moments compared: {moments.extent}{rule}"
    slot = _second_word(checkpoint)
    is_gone = moments is not None and moments.below > _BELOW
    if b.unit == "iterations" and (b.is_blank or (on and is_gone)):
        fell = "all slots are zero"
        if not b.is_blank and moments is not None:
            fell = f"{slot} fell to {_share(moments.ratio)} of its norm"
            if moments.ratio > _LEFT:
                fell = f"{slot} is below what {change.after} steps leave of it in "
                fell += f"{_share(moments.below)} of its elements"
        return _seam(
            Code.OPTIMIZER_RESET, a, b, "the optimizer began anew",
            f"{_arrow(b, change)}{', the weights went on' if on else ''}: the optimizer began anew",
            _capital(f"{went}, {fell}{on}"), _ALONE + _restoring(checkpoint), source, strength,
        )  # fmt: skip
    is_on = moments is not None and not moments.below
    title, remedy = f"{_counter(b, change)} began anew", None
    told = _capital(f"{went}{on}")
    if on and is_on and moments is not None and (moments.cosine or 0) > 0.95:
        title += ", the moments went on"
        told = _capital(f"{went}; {slot} went on (cosine {_cosine(moments.cosine or 0)}){on}")
        if is_adam:
            remedy = (
                "Adam's correction for the first steps then acts a second time, and a schedule "
                "begins anew. Restore the iterations with the rest of the optimizer."
            )
    elif b.unit == "iterations" and b.n_slots:
        told += ". Whether the optimizer's moments went with it cannot be told from what is left"
        remedy = _ALONE + _restoring(checkpoint)
    elif b.unit == "save counter":
        remedy = "A program that was started again without restoring it counts so."
    brief = f"{_arrow(b, change)}{', the weights went on' if on else ''}"
    return _seam(Code.ITERATIONS_RESET, a, b, title, brief, told, remedy, source, strength)


def _is_adam(kind: str) -> bool:
    return kind.lower().startswith(("adam", "nadam", "lamb")) and kind != "Adamax"


def _beta_2(checkpoint: Checkpoint | None) -> float | None:
    """Give what the model was compiled with, as far as the files tell."""
    compiled = checkpoint.evidence.compiled if checkpoint is not None else None
    settings = compiled.optimizer.settings if compiled and compiled.optimizer else {}
    found = settings.get("beta_2")
    return found if isinstance(found, float) else None


def _left(checkpoint: Checkpoint, b: _State, change: _Change) -> float:
    """Give the share of an old second moment that is left at least; 0 where that tells nothing."""
    if b.kind == "Adagrad":
        return 1.0
    if b.kind is None or not _is_adam(b.kind):
        return 0.0
    left = (_beta_2(checkpoint) or _BETA_2) ** change.after
    return left if left > _LEFT else 0.0


def _second_word(checkpoint: Checkpoint | None) -> str:
    found = (v for v in checkpoint.values() if _is_second(v)) if checkpoint is not None else ()
    word = next((v.slot for v in found), None)
    return f"the optimizer's {'velocity' if word in _SECOND_MOMENTS else word or 'moments'}"


def _restoring(checkpoint: Checkpoint | None) -> str:
    """Give the call that brings the optimizer too, for the way it was saved."""
    if checkpoint is not None and checkpoint.path.endswith((".keras", ".h5", ".hdf5")):
        return "  model = keras.models.load_model(path)"
    if checkpoint is not None and checkpoint.evidence.graph is None:
        return "  tf.compat.v1.train.Saver().restore(session, path)"
    return "  tf.train.Checkpoint(model=model, optimizer=optimizer).restore(path)"


def _other_model(a: _State, b: _State, change: _Change, weights: Nearness) -> Seam:
    return _seam(
        Code.OTHER_MODEL, a, b, "another model under the same names",
        f"{_arrow(b, change)}, and the weights are others",
        _capital(f"{_from_to(b, change)}, and the weights have nothing in common (cosine "
                 f"{_cosine(weights.cosine or 0)}): a training that began from new initial values"),
        "Save each training into a directory of its own: here the earlier one is being deleted "
        "or overwritten as the new one goes on.",
        f"kernels compared: {weights.extent}", Strength.DERIVED,
    )  # fmt: skip


def _rollback(
    a: _State, b: _State, old: _State, change: _Change | None, weights: Nearness | None,
    far: float | None,
) -> Seam:  # fmt: skip
    went = _from_to(b, change) if change else ""
    title = "went back to an earlier state"
    if weights is None or far is None:
        message = f"the weights are those of {old.entry.name}, by their checksums"
        told = _capital("; ".join(filter(None, [went, message])))
        brief = f"the weights of {old.entry.name} again"
        source, strength = "equal checksums of all weights", Strength.STORED
    else:
        stands = ""
        if change is not None and old.counts.get(change.name) == change.after:
            stands = f", where {old.entry.name} stands too"
        told = _capital(
            f"{went}{stands}. The weights are nearer to {old.entry.name} (moved "
            f"{_share(far)}) than to {a.entry.name} ({_share(weights.distance)}), and not equal "
            "to any: what lies between was trained twice"
        )
        brief = f"{_arrow(b, change) if change else ''}: back to near {old.entry.name}"
        source, strength = f"kernels compared: {weights.extent}", Strength.DERIVED
    remedy = f"A resume from {old.entry.name}, or one before it, looks like this."
    return _seam(Code.ROLLBACK, a, b, title, brief, told, remedy, source, strength)


def _trained_twice(a: _State, b: _State, change: _Change) -> Seam:
    names = f"{a.entry.name} and {b.entry.name}"
    what = _counter(b, change).removeprefix("the ")
    return _seam(
        Code.TRAINED_TWICE, a, b, "trained twice",
        f"{what} {change.after:,} a second time, with other values",
        f"Both stand at {what} {change.after} and hold different weights and slots: what leads "
        "there was trained twice",
        f"A resume from a checkpoint before {names} looks like this.",
        f"{what} and checksums, stored",
    )  # fmt: skip


def _moments_reset(a: _State, b: _State, change: _Change) -> Seam:
    return _seam(
        Code.MOMENTS_RESET, a, b, "the moments began anew",
        f"all {b.n_slots} slots are zero",
        _capital(f"{_from_to(b, change)}, and all {b.n_slots} slots are zero, which those of "
                 f"{a.entry.name} are not"),
        "A resume that made the optimizer anew and set its iterations looks like this.",
        "checksums of zeros, stored",
    )  # fmt: skip


def _duplicate(a: _State, b: _State) -> Seam | None:
    if a.everything is None or a.everything != b.everything or not b.n_variables:
        return None
    return _seam(
        Code.DUPLICATE, a, b, "identical", f"identical to {a.entry.name}",
        f"All {b.n_variables} variables have equal checksums: the same state saved twice",
        None, "equal checksums, stored", level=Level.NOTE,
    )  # fmt: skip


def _other_optimizer(a: _State, b: _State) -> Seam | None:
    if a.kind is None or b.kind is None or a.kind == b.kind:
        return None
    return _seam(
        Code.OTHER_OPTIMIZER, a, b, "another optimizer", f"{a.kind} → {b.kind}",
        f"{a.kind} before, {b.kind} after: nothing of the one's state is of use to the other",
        "Its first steps are those of a new optimizer: lower the learning rate for them, or "
        "keep the optimizer.",
        "names and lists of its variables",
    )  # fmt: skip


def _slots_changed(a: _State, b: _State) -> Seam | None:
    if a.n_slots and not b.n_slots:
        return _seam(
            Code.SLOTS_LOST, a, b, "the optimizer's slots are gone",
            f"{a.n_slots} slots before, none after",
            f"{a.n_slots} slots before, none after: a resume from here begins with a new optimizer",
            "Save the optimizer too: tf.train.Checkpoint(model=model, optimizer=optimizer), or "
            "model.save(path).",
            "the variables of both",
        )  # fmt: skip
    if b.n_slots and not a.n_slots and a.counts and max(a.counts.values()) > 0:
        return _seam(
            Code.SLOTS_CAME, a, b, "the optimizer's slots came",
            f"{b.n_slots} slots, none before",
            f"{b.n_slots} slots after, none before: the earlier ones hold no optimizer to go on "
            "with", None, "the variables of both", level=Level.NOTE,
        )  # fmt: skip
    if a.owners - b.owners and b.n_slots:
        lost = a.owners - b.owners
        return _seam(
            Code.SLOTS_LOST, a, b, "slots are gone", f"{len(lost)} weights without slots",
            f"{len(lost)} weights that had slots have none any more, such as {min(lost)}",
            "Where they are frozen from here on, this is as it should be.",
            "the variables of both",
        )  # fmt: skip
    return None


def _rate_jumps(states: Sequence[_State]) -> Iterator[Seam]:
    """Yield where a learning rate that else stands still, or moves little, changes at once."""
    for name in {name for state in states for name in state.rates}:
        known = [state for state in states if name in state.rates]
        moves = [math.log(b.rates[name] / a.rates[name]) for a, b in pairwise(known)
                 if a.rates[name] > 0 < b.rates[name]]  # fmt: skip
        if len(moves) < max(2, len(known) - 1):
            continue
        first, second = sorted(map(abs, moves), reverse=True)[:2]
        if first < _JUMP or first < _OUTLYING * second:
            continue
        at = [abs(move) for move in moves].index(first)
        a, b = known[at], known[at + 1]
        old, new = a.rates[name], b.rates[name]
        times = max(old, new) / min(old, new)
        how = "a tenth" if 9.99 < times < 10.01 else f"1/{times:.3g}"
        title = f"fell to {how}" if new < old else f"rose {times:.3g} times"
        beside = "stands still" if second < 1e-6 else f"moves at most {math.expm1(second):.1%}"
        remedy, level = None, Level.NOTE  # as some schedules do
        if new > old:
            level = Level.WARNING
            remedy = "A resume with another rate, or a schedule that began anew, looks like this."
        yield _seam(
            Code.RATE_JUMP, a, b, f"the learning rate {title}",
            f"learning rate {old:.3g} → {new:.3g}",
            f"{old:.3g} → {new:.3g}, once; before and after it {beside}",
            remedy, "the learning rates, stored", level=level,
        )  # fmt: skip


def _other_groups(run: Run, states: Sequence[_State]) -> Iterator[Seam]:
    """Yield where a group of the same model begins after this one, or ends before it."""
    for group in run.others:
        if group.model or not states:
            continue
        first, last = group.entries[0], group.latest
        pairs = ((states[-1].entry, first), (last, states[0].entry))
        for before, after in pairs:
            if before.count is None or after.count is None or before.count >= after.count:
                continue
            try:
                with open_checkpoint(before.path) as a, open_checkpoint(after.path) as b:
                    one = _state(-1, before, a, _plan(a))
                    other = _state(-1, after, b, _plan(b))
            except CheckpointError:
                continue
            seam = _other_optimizer(one, other) or _slots_changed(one, other)
            if seam is not None:
                yield seam


def _share(value: float) -> str:
    return f"{value * 100:.3g} %"


def _cosine(value: float) -> str:
    return ">0.9999" if 0.9999 < value < 1 else f"{value:.4f}"
