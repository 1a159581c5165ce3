"""Checking what training left: weights that never moved, dead units, counters that disagree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.training import read_training_state
from ckread.errors import CheckpointError
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.analysis.training import TrainingState
    from ckread.analysis.value_scan import Look
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_SECOND_MOMENTS = ("velocity", "v", "Adam_1", "accumulator", "rms")
"""Slots that sum squares of gradients, by the writers' words: once above zero, never zero."""


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
            f"({shown}): Keras does not restore them into the model"
        )
        remedy = "Save model.save_weights(...) or a .keras file as well, or attach the layers."
        findings.append(Finding(Level.WARNING, Code.LOST, None, None, message, remedy))
    return findings, state


def check_training(
    checkpoint: Checkpoint, looks: Mapping[str, Look], state: TrainingState
) -> list[Finding]:
    """Look for weights that are constant, never trained or dead in part."""
    findings = list(_constants(checkpoint, looks))
    slots = [variable for variable in checkpoint.values() if variable.role is Role.SLOT]
    seen = [looks[slot.name] for slot in slots if slot.name in looks]
    if len(seen) > 1 and all(look.is_zero for look in seen):
        if state.iterations:
            message = (
                f"all {len(seen)} slots are zero after {state.iterations} iterations: "
                "the optimizer's state was reset or never restored"
            )
            findings.append(Finding(Level.WARNING, Code.MOMENTS_RESET, None, None, message))
        return findings
    for slot in slots:
        if slot.slot in _SECOND_MOMENTS and slot.owner and (look := looks.get(slot.name)):
            findings += _untrained(checkpoint, slot, look, looks)
    return findings


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
    checkpoint: Checkpoint, slot: Variable, look: Look, looks: Mapping[str, Look]
) -> Iterator[Finding]:
    owner = checkpoint.get(slot.owner or "")
    if owner is None or owner.elements != slot.elements:
        return
    if look.is_zero:
        message = f"has not received a gradient: {slot.slot} of the optimizer is all 0"
        yield Finding(Level.WARNING, Code.NEVER_TRAINED, owner.name, None, message)
    elif len(owner.shape) > 1 and look.low == 0:
        dead = _zero_units(slot)
        bias = _bias_slot(checkpoint, slot, owner)
        if bias is not None and (seen := looks.get(bias.name)) and seen.low == 0:
            alike = set(_zero_units(bias))
            with_bias = " and its bias" if alike.issuperset(dead) and dead else ""
        else:
            with_bias = ""
        if dead and len(dead) < owner.shape[-1]:
            yield _dead_units(owner, slot, dead, with_bias)


def _dead_units(owner: Variable, slot: Variable, dead: list[int], with_bias: str) -> Finding:
    shown = ", ".join(map(str, dead[:8])) + (f" and {len(dead) - 8} more" if len(dead) > 8 else "")
    unit = f"unit {shown}" if len(dead) == 1 else f"units {shown}"
    each = owner.elements // owner.shape[-1]
    has, its = ("has", "its") if len(dead) == 1 else ("have", "their")
    message = (
        f"{unit} of {owner.shape[-1]} {has} not received a gradient: {slot.slot} of the optimizer "
        f"is 0 in {its} {each} elements{with_bias}"
    )
    return Finding(Level.WARNING, Code.DEAD_UNITS, owner.name, None, message)


def _bias_slot(checkpoint: Checkpoint, slot: Variable, owner: Variable) -> Variable | None:
    scope, _, leaf = owner.name.rpartition("/")
    if leaf not in ("kernel", "weights", "depthwise_kernel"):
        return None
    wanted = {f"{scope}/bias", f"{scope}/biases"}
    for other in checkpoint.values():
        if other.owner in wanted and other.slot == slot.slot and other.shape == owner.shape[-1:]:
            return other
    return None


def _zero_units(variable: Variable) -> list[int]:
    """Give the places along the last dimension at which everything is zero."""
    import numpy as np

    n_units = variable.shape[-1]
    if not n_units or not math.prod(variable.shape):
        return []
    lives: NDArray[np.bool_] = np.zeros(n_units, np.bool_)
    at = 0
    try:
        for chunk in variable.chunks():
            used = chunk.astype(np.bool_)
            at = _mark(lives, used, at)
    except CheckpointError:
        return []
    return [int(unit) for unit in np.flatnonzero(~lives)]


def _mark(lives: NDArray[np.bool_], used: NDArray[np.bool_], at: int) -> int:
    """Mark the units that some elements are not zero in; give the unit that comes next."""
    n = lives.size
    head = min(-at % n, used.size)
    if head:
        lives[at : at + head] |= used[:head]
    whole = (used.size - head) // n * n
    if whole:
        lives |= used[head : head + whole].reshape(-1, n).any(axis=0)
    rest = used[head + whole :]
    lives[: rest.size] |= rest
    return (at + used.size) % n
