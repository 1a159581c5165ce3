"""Where a run did not simply go on: resumed without its optimizer, or from an older checkpoint.

    iterations   8  16  24  32 | 8  16          of the optimizer, else the step, else the saves
    rate         …  1e-3  1e-3 | 1e-4  1e-4     an outlier among all its changes
    checksums    of weights, slots, everything  equal contents are told without a value

Counters and checksums are in the index, or a few bytes. Only where a counter went back, or
stood still, some values are read too (see `sampling`): which of the two began anew, weights
or moments, and of which earlier checkpoint the weights are. Nothing here loads numpy.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.analysis.audit.kinds import (
    Change,
    began_anew,
    duplicate,
    is_second_moment,
    moments_reset,
    other_model,
    other_optimizer,
    rollback,
    seam_of,
    share_left,
    slots_changed,
    trained_twice,
)
from ckread.analysis.audit.sampling import nearness
from ckread.analysis.audit.states import plan_of, state_of, states_of
from ckread.analysis.findings import Code, Level
from ckread.errors import CheckpointError
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.model.run.run import Run, as_run
from ckread.readers.files import found_out_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.analysis.audit.states import State
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import PathLike
    from ckread.model.variable import Variable

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
    with found_out_once():
        states = _in_order_saved([*states_of(run)])
    is_ordered = not run.claims or run.claims[0].value is not None or len(run.titles) > 1
    seams: list[Seam] = []
    if is_ordered:
        comparison = _Comparison(run, states)
        for at in range(1, len(states)):
            seams += comparison.seams_before(at)
        seams += _rate_jumps(states)
        seams += _other_groups(run, states)
    else:
        seams += filter(None, (duplicate(a, b) for a, b in pairwise(states)))
    places = {entry.path: at for at, entry in enumerate(run.entries)}
    return tuple(sorted(seams, key=lambda seam: places.get(seam.after.path, len(places))))


def _in_order_saved(states: list[State]) -> list[State]:
    """Order by the numbers of the names where these rise with the time: a step may go back."""
    numbers = [state.entry.numbers for state in states]
    if not all(len(number) == 1 for number in numbers) or len(set(numbers)) < len(numbers):
        return states
    placed = sorted(states, key=lambda state: state.entry.numbers)
    times = [state.entry.time or 0.0 for state in placed]
    return placed if times == sorted(times) else states


class _Comparison:
    """The neighbours of a run, compared; checkpoints are opened again where values are wanted."""

    def __init__(self, run: Run, states: Sequence[State]) -> None:
        self._run = run
        self._states = states
        self._firsts: dict[int | None, int] = {}
        for at, state in enumerate(states):
            self._firsts.setdefault(state.weights, at)
        moves = [b.counts[n] - a.counts[n] for a, b in pairwise(states) for n in b.counts
                 if n in a.counts and a.unit == b.unit]  # fmt: skip
        # A counter that seldom rises is not one of this training.
        self._counts = 2 * sum(move > 0 for move in moves) >= len(moves)

    def seams_before(self, at: int) -> Iterator[Seam]:
        """Yield the seams between a checkpoint and the one before it."""
        a, b = self._states[at - 1], self._states[at]
        copied = duplicate(a, b)
        if copied is not None:
            yield copied
            return
        other = other_optimizer(a, b) or slots_changed(a, b)
        if other is not None:
            yield other
        changes = [
            Change(name, a.counts[name], count)
            for name, count in b.counts.items()
            if name in a.counts and a.unit == b.unit and self._counts
        ]
        back = next((one for one in changes if one.after < one.before), None)
        still = next((one for one in changes if one.after == one.before), None)
        first = self._firsts.get(b.weights, at) if b.weights else at
        older = self._states[first] if first < at - 1 else None
        if older is not None and not self._is_same(a, b):
            yield rollback(a, b, older, back, None, None)
        elif back is not None:
            found = self._went_back(at, back)
            if other is None or found.code in (Code.ROLLBACK, Code.OTHER_MODEL):
                yield found
        elif b.is_blank and a.n_slots and not a.is_blank and other is None and changes:
            yield moments_reset(a, b, changes[0])
        elif still is not None and still.before and self._is_all_new(a, b):
            yield trained_twice(a, b, still)

    def _is_same(self, a: State, b: State) -> bool:
        return a.weights == b.weights and bool(a.weights)

    def _is_all_new(self, a: State, b: State) -> bool:
        """Tell whether weights and slots both changed, as no program does by hand."""
        is_known = None not in (a.weights, b.weights, a.slots, b.slots)
        return is_known and a.weights != b.weights and a.slots != b.slots

    def _went_back(self, at: int, change: Change) -> Seam:
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
                return other_model(a, b, change, went_on)
            if went_on and near is not None:
                return rollback(a, b, near, change, went_on, far)
            left = share_left(after, b, change)
            moments = (
                nearness(before, after, is_second_moment, 0.9 * left) if went_on and left else None
            )
            return began_anew(after, a, b, change, went_on, moments)
        except CheckpointError:
            return began_anew(None, a, b, change, None, None)
        finally:
            for checkpoint in opened.values():
                checkpoint.close()


def _is_weight(variable: Variable) -> bool:
    return variable.role is Role.WEIGHT and len(variable.shape) > 1


def _rate_jumps(states: Sequence[State]) -> Iterator[Seam]:
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
        yield seam_of(
            Code.RATE_JUMP, a, b, f"the learning rate {title}",
            f"learning rate {old:.3g} → {new:.3g}",
            f"{old:.3g} → {new:.3g}, once; before and after it {beside}",
            remedy, "the learning rates, stored", level=level,
        )  # fmt: skip


def _other_groups(run: Run, states: Sequence[State]) -> Iterator[Seam]:
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
                    one = state_of(-1, before, a.reader, plan_of(a), {})
                    other = state_of(-1, after, b.reader, plan_of(b), {})
            except CheckpointError:
                continue
            seam = other_optimizer(one, other) or slots_changed(one, other)
            if seam is not None:
                yield seam
