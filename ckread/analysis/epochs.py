"""Which checkpoint of a run holds which epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.model.run import Run


@dataclass(frozen=True, slots=True)
class Holders:
    """The checkpoints by epoch.

    Attributes:
        kept: path by epoch, of those on disk.
        deleted: epochs of those that the state file still names.
        how: by what they were matched, in words; empty where they could not be.
    """

    kept: dict[int, str] = field(default_factory=dict)
    deleted: tuple[int, ...] = ()
    how: str = ""

    def nearest(self, epoch: int) -> str | None:
        """Give the checkpoint nearest to an epoch, the earlier one of two."""
        near = min(self.kept, key=lambda known: (abs(known - epoch), known), default=None)
        return None if near is None else self.kept[near]


def match_epochs(run: Run | None, epochs: Sequence[int]) -> Holders:
    """Match checkpoints with epochs: by step where these count epochs, else by iterations.

    Iterations count batches: their greatest common divisor is taken for an epoch's.
    """
    if run is None or not len(run):
        return Holders()
    steps = [entry.step for entry in run.entries]
    stale = [entry.step for entry in run.stale]
    known = [step for step in steps if step is not None]
    if len(known) == len(steps) and max(known) <= max(epochs) and len(set(known)) == len(known):
        kept = {step: entry.path for step, entry in zip(known, run.entries, strict=True)}
        deleted = tuple(step for step in stale if step is not None and step not in kept)
        return Holders(kept, deleted, "by step")
    iterations = [entry.iterations for entry in run.entries if entry.iterations]
    counted = iterations if len(iterations) == len(steps) else known
    if not counted or len(counted) != len(steps):
        return Holders()
    per_epoch = math.gcd(*counted)
    numbers = [count // per_epoch for count in counted] if per_epoch else []
    if not numbers or max(numbers) > max(epochs) or len(set(numbers)) != len(numbers):
        return Holders()
    kept = {number: entry.path for number, entry in zip(numbers, run.entries, strict=True)}
    return Holders(kept, (), f"by iterations, {per_epoch:,} to an epoch")
