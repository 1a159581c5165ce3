"""Checking what training left: weights that never moved, dead units, counters that disagree."""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.initial import KERNELS, draw_of
from ckread.analysis.training import read_training_state
from ckread.errors import CheckpointError, by
from ckread.model.role import Role
from ckread.readers.contract import DataType, few

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.analysis.check.finite import Look
    from ckread.analysis.training import TrainingState
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_SECOND_MOMENTS = ("velocity", "v", "Adam_1", "accumulator", "rms")
"""Slots that sum squares of gradients, by the writers' words: once above zero, zero no more."""
_ACCUMULATORS = ("accumulator", "Adagrad")
_OF_TRAINING = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE, Role.SLOT)
_VARIANCES = ("moving_variance", "running_var", "running_variance")
"""Statistics that begin with 1, and sink to 0 where nothing varies."""
_HUGE = 1e10
_MANY = 100
"""Iterations after which whatever gets gradients has got one."""
_LOST, _FAR_BELOW = 0.99, 1e-3
"""Share of elements that rounding leaves as they were, and how far below the usual update."""


def check_counters(checkpoint: Checkpoint) -> tuple[list[Finding], TrainingState]:
    """Compare file name, step and counters, and name weights that Keras will not restore."""
    state = read_training_state(checkpoint)
    findings = [
        Finding(Level.WARNING, Code.STEP, None, None, warning.rstrip("."))
        for warning in state.warnings
    ]
    if state.lost:
        shown = ", ".join(state.lost[:3]) + (" and more" if len(state.lost) > 3 else "")
        message = (
            f"{len(state.lost)} weights are in the file only because the optimizer holds them "
            f"({shown}): they come back only if it is built before they are restored"
        )
        remedy = "Save model.save_weights(...) or a .keras file as well, or attach the layers."
        findings.append(Finding(Level.WARNING, Code.LOST, None, None, message, remedy))
    return findings, state


def check_training(
    checkpoint: Checkpoint, looks: Mapping[str, Look], state: TrainingState
) -> list[Finding]:
    """Look for weights that are constant, huge, never trained or dead in part."""
    is_start = state.iterations == 0 or (state.iterations is None and state.step == 0)
    findings = [] if is_start else list(_constants(checkpoint, looks))
    findings += _exploding(checkpoint, looks)
    slots = [variable for variable in checkpoint.values() if variable.role is Role.SLOT]
    if not slots:
        if not is_start:
            findings += [*_dead_columns(checkpoint, looks), *_as_initialised(checkpoint, looks)]
        return findings
    seen = [looks[slot.name] for slot in slots if slot.name in looks]
    if len(seen) > 1 and all(look.is_zero for look in seen):
        if state.iterations:
            message = (
                f"all {len(seen)} slots are zero after {state.iterations} iterations, "
                "as where the optimizer's state was reset or never restored"
            )
            findings.append(Finding(Level.WARNING, Code.MOMENTS_RESET, None, None, message))
        return findings
    findings += _untrained_copies(checkpoint, slots, looks)
    if (state.iterations or state.step or 0) >= _MANY:
        findings += _odd_updates(checkpoint, state)
    from ckread.analysis.audit.optimizer import keepers

    keeper_of = keepers(checkpoint, state)
    still = Counter(looks[s.name].low for s in slots if s.name in looks and _is_still(s, looks))
    by_owner: dict[str, list[Variable]] = {}
    for slot in slots:
        by_owner.setdefault(slot.owner or "", []).append(slot)
    for slot in slots:
        look = looks.get(slot.name)
        if look is None or not slot.owner:
            continue
        if slot.slot in _SECOND_MOMENTS:
            beside = [other for other in by_owner[slot.owner] if other is not slot]
            findings += _untrained(checkpoint, slot, beside, looks, forgets=keeper_of(slot).forgets)
        iterations = state.iterations or state.step or 0
        if _is_still(slot, looks) and iterations >= _MANY:
            # It stands at what all begin with: equal gradients make an equal sum too.
            begun = keeper_of(slot).hyperparameters.get("initial_accumulator_value")
            is_begun = begun is not None and math.isclose(
                begun.value or 0, look.low or 0, rel_tol=1e-6
            )
            if not is_begun and still[look.low] < 2:
                continue
            message = (
                f"{_no_gradient(1, forgets=False)}: {slot.slot} of the optimizer is {look.low:.3g} "
                f"in all {look.elements} elements after {iterations} iterations"
            )
            findings.append(Finding(Level.WARNING, Code.NEVER_TRAINED, slot.owner, None, message))
    return findings


def _is_still(slot: Variable, looks: Mapping[str, Look]) -> bool:
    """Tell an accumulator that is one number in all its elements."""
    look = looks[slot.name]
    is_many = look.elements > 1 and not look.is_zero
    return slot.slot in _ACCUMULATORS and look.is_constant and is_many


def _exploding(checkpoint: Checkpoint, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Give what is finite and no sound training leaves: huge values, variances of zero."""
    for variable in checkpoint.values():
        look = looks.get(variable.name)
        if look is None or variable.role not in _OF_TRAINING or not look.elements:
            continue
        largest = _largest(look, variable.dtype)
        if largest > _HUGE and not look.not_finite:
            message = (
                f"holds finite values up to {largest:.3g} in size, as where a training diverged"
            )
            remedy = "Find the last checkpoint of the run in which they were small."
            yield Finding(Level.WARNING, Code.EXPLODING, variable.name, None, message, remedy)
        if look.is_zero and variable.name.rpartition("/")[2] in _VARIANCES:
            message = f"its {look.elements} elements are all 0, where training begins with 1"
            yield Finding(Level.WARNING, Code.ZERO_VARIANCE, variable.name, None, message)


def _odd_updates(checkpoint: Checkpoint, state: TrainingState) -> Iterator[Finding]:
    """Give kernels whose last update is larger than they are, or lost in their rounding.

    Lost is only what is so beside others that move: at the end of a schedule nothing does.
    """
    from ckread.analysis.audit.optimizer import sample_updates

    updates = sample_updates(checkpoint, state)
    usual = sorted(one.ratio for one in updates)[len(updates) // 2] if updates else 0.0
    for one in updates:
        of = "" if one.n_read == checkpoint[one.name].elements else f" of its first {one.n_read}"
        if one.ratio >= 1:
            message = (
                f"its last update is {one.ratio:.3g} times as large as itself, by the moments of "
                f"the optimizer{of and f', {of.strip()} elements'}"
            )
            shows = by("ckread optimizer", "ckread.optimizer()")
            remedy = f"Lower the learning rate, or clip the gradients: {shows} shows all."
            yield Finding(Level.WARNING, Code.UPDATE_HUGE, one.name, None, message, remedy)
        elif one.lost >= _LOST and len(updates) > 2 and one.ratio < _FAR_BELOW * usual:
            message = (
                f"its last update is lost in rounding: {one.lost:.1%} of its elements{of} are the "
                f"same without it, and the usual kernel moves by {usual:.1e} of itself"
            )
            yield Finding(Level.WARNING, Code.UPDATE_LOST, one.name, None, message)


def _largest(look: Look, dtype: DataType) -> float:
    """Give the greatest size that a look tells of; of bfloat16 that of the greatest pattern.

    A pattern with its sign is above all without: then it is the size of the least number.
    """
    if look.low is None or look.high is None:
        return 0.0
    if dtype is DataType.BFLOAT16:
        return float(struct.unpack("<f", struct.pack("<I", (int(look.high) & 0x7FFF) << 16))[0])
    return 0.0 if dtype is DataType.FLOAT16 else max(-look.low, look.high)


def _untrained_copies(
    checkpoint: Checkpoint, slots: Sequence[Variable], looks: Mapping[str, Look]
) -> Iterator[Finding]:
    """Give weights without slots beside trained ones of the same name but for its numbers.

    That they stand at their initial values is told by their vectors: all 0, or all 1.
    """
    weights = [v for v in checkpoint.values() if v.role is Role.WEIGHT]
    trained = {slot.owner for slot in slots}
    twins = {(_unnumbered(v.name), v.shape) for v in weights if v.name in trained}
    copies = [
        v for v in weights if v.name not in trained and (_unnumbered(v.name), v.shape) in twins
    ]
    vectors = [looks[v.name] for v in copies if len(v.shape) == 1 and v.name in looks]
    if vectors and all(look.is_zero or (look.is_constant and look.low == 1) for look in vectors):
        names = ", ".join(v.name for v in copies[:3]) + (" and more" if len(copies) > 3 else "")
        message = (
            f"{len(copies)} of {len(weights)} weights have no slot ({names}), beside others of "
            "their names that are trained, and their vectors are all 0 or all 1 as at the start: "
            "as where a graph was built twice"
        )
        yield Finding(Level.WARNING, Code.NOT_TRAINED, None, None, message)


def _unnumbered(name: str) -> str:
    return re.sub(r"_\d+(?=/|\Z)", "", name)


def _dead_columns(checkpoint: Checkpoint, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Give units of which all weights are 0 and the bias too: no slots tell of gradients here."""
    for kernel in checkpoint.values():
        scope, _, leaf = kernel.name.rpartition("/")
        look = looks.get(kernel.name)
        is_kernel = kernel.role is Role.WEIGHT and leaf in KERNELS and len(kernel.shape) > 1
        if not is_kernel or look is None or look.is_zero or look.is_constant:
            continue  # of one number all units are alike
        if not look.may_have_zero:
            continue
        if _is_transposed(kernel):
            continue
        if f"{scope}/recurrent_kernel" in checkpoint:  # which answers too
            continue
        try:
            first = kernel.read((0,) * (len(kernel.shape) - 1))
        except CheckpointError:
            continue
        dead = _zero_units(kernel) if (first == 0).any() else []
        bias = next(filter(None, map(checkpoint.get, (f"{scope}/bias", f"{scope}/biases"))), None)
        if bias is not None and bias.shape != kernel.shape[-1:]:
            continue  # of a GRU, with two rows
        if dead and bias is not None:
            zero = set(_zero_units(bias))
            dead = [unit for unit in dead if unit in zero]
        if dead and len(dead) < kernel.shape[-1]:
            each = kernel.elements // kernel.shape[-1]
            with_bias = "" if bias is None else ", and so is the bias"
            what = "its" if len(dead) == 1 else "their"
            told = f"{_units(kernel, dead)} cannot answer: {what} {each} weights are 0{with_bias}"
            yield Finding(Level.WARNING, Code.DEAD_UNITS, kernel.name, None, told)


def _as_initialised(checkpoint: Checkpoint, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Give kernels that fill the bounds of the draw that Keras begins with: no slots tell here."""
    for kernel in checkpoint.of_role(Role.WEIGHT):
        look = looks.get(kernel.name)
        draw = draw_of(kernel, look.low, look.high) if look and look.low and look.high else None
        if draw is not None:
            told = (
                f"its {kernel.elements} elements fill ±{draw.bound:.4g}, the bounds of "
                f"{draw.name} draw, as before any training"
            )
            yield Finding(Level.NOTE, Code.AS_INITIALISED, kernel.name, None, told)


def _units(kernel: Variable, dead: Sequence[int]) -> str:
    index = "index" if len(dead) == 1 else "indices"
    leaf = kernel.name.rpartition("/")[2]
    units = "units" if leaf in KERNELS and "lstm" not in kernel.name.lower() else "columns"
    return f"{len(dead)} of {kernel.shape[-1]} {units} ({index} {few([*map(str, dead)], 8)})"


def _no_gradient(n_units: int, *, forgets: bool) -> str:
    """Say what zero moments mean; of those that forget only that no gradient shows.

    They may have begun late, as where a training is resumed without its optimizer.
    """
    if forgets:
        return "shows no gradient" if n_units == 1 else "show no gradient"
    return f"{'has' if n_units == 1 else 'have'} not received a gradient since the slots began"


def _constants(checkpoint: Checkpoint, looks: Mapping[str, Look]) -> Iterator[Finding]:
    for variable in checkpoint.values():
        look = looks.get(variable.name)
        if look is None or variable.role is not Role.WEIGHT or len(variable.shape) < 2:
            continue
        if look.elements > 1 and (look.is_zero or look.is_constant):
            what = "all zero" if look.is_zero else "the same number"
            message = f"its {look.elements} elements are {what}"
            yield Finding(Level.WARNING, Code.CONSTANT, variable.name, None, message)


def _untrained(
    checkpoint: Checkpoint,
    slot: Variable,
    beside: list[Variable],
    looks: Mapping[str, Look],
    *,
    forgets: bool,
) -> Iterator[Finding]:
    """Give the finding for a weight, by a second moment of it and the other slots beside that."""
    owner = checkpoint.get(slot.owner or "")
    if owner is None or owner.elements != slot.elements:
        return
    # The square of a gradient below 1e-23 is 0 in float32, the gradient itself is not.
    look = looks[slot.name]
    others = [other for other in beside if other.shape == owner.shape]
    if look.is_zero:
        if any(other.name not in looks or not looks[other.name].is_zero for other in others):
            return
        told = _no_gradient(1, forgets=forgets)
        message = f"{told}: {slot.slot} of the optimizer is all 0"
        yield Finding(Level.WARNING, Code.NEVER_TRAINED, owner.name, None, message)
    elif len(owner.shape) > 1 and look.low == 0 and not _is_transposed(owner):
        dead = _zero_units(slot)
        for other in others if dead else ():
            zero = set(_zero_units(other))
            dead = [unit for unit in dead if unit in zero]
        if not dead or len(dead) == owner.shape[-1]:
            return
        scope, _, leaf = owner.name.rpartition("/")
        biases = (f"{scope}/bias", f"{scope}/biases") if leaf in KERNELS else ()
        fitting = (
            other
            for other in checkpoint.values()
            if other.owner in biases and other.slot == slot.slot and other.shape == owner.shape[-1:]
        )
        bias = next(fitting, None)
        with_bias = ""
        if bias is not None and (seen := looks.get(bias.name)) and seen.low == 0:
            with_bias = " and its bias" if set(dead) <= set(_zero_units(bias)) else ""
        told, its = _no_gradient(len(dead), forgets=forgets), "its" if len(dead) == 1 else "their"
        message = (
            f"{_units(owner, dead)} {told}: {slot.slot} of the optimizer "
            f"is 0 in {its} {owner.elements // owner.shape[-1]} elements{with_bias}"
        )
        yield Finding(Level.WARNING, Code.DEAD_UNITS, owner.name, None, message)


def _is_transposed(owner: Variable) -> bool:
    """Tell whether a kernel's last dimension is that of its inputs, as far as its name does."""
    return any(word in owner.name.lower() for word in ("transpose", "deconv"))


def _zero_units(variable: Variable) -> list[int]:
    """Give the places along the last dimension at which everything is zero."""
    import numpy as np

    n_units = variable.shape[-1]
    if not n_units or not math.prod(variable.shape):
        return []
    lives: NDArray[np.bool_] = np.zeros(n_units, np.bool_)
    at = 0  # the unit that comes next
    try:
        for chunk in variable.chunks():
            used = chunk.astype(np.bool_)
            head = min(-at % n_units, used.size)
            lives[at : at + head] |= used[:head]
            whole = (used.size - head) // n_units * n_units
            if whole:
                lives |= used[head : head + whole].reshape(-1, n_units).any(axis=0)
            rest = used[head + whole :]
            lives[: rest.size] |= rest
            at = (at + used.size) % n_units
    except CheckpointError:
        return []
    return [int(unit) for unit in np.flatnonzero(~lives)]
