"""What an audit finds between two checkpoints of a run, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import Code, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.evidence import Claim
    from ckread.model.run.entries import RunEntry


@dataclass(frozen=True, slots=True)
class Seam:
    """A place in a run where the training did not simply go on.

    Example:
        >>> import shutil, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for old, new in ((2, 2), (3, 3), (2, 4)):
        ...         for end in ("index", "data-00000-of-00001"):
        ...             name = f"fixtures/digits_run/ckpt-{old}.{end}"
        ...             _ = shutil.copy(name, f"{folder}/ckpt-{new}.{end}")
        ...     seam = ckread.seams(folder)[0]
        >>> str(seam.code), str(seam.level), seam.before.name, seam.after.name
        ('rollback', 'warning', 'ckpt-3', 'ckpt-4')
        >>> seam.title, seam.brief
        ('went back to an earlier state', 'the weights of ckpt-2 again')
        >>> seam.message[:40], seam.remedy[:40]
        ('Iterations went from 270 to 180; the wei', 'A resume from ckpt-2, or one before it, ')
        >>> seam.claim.claim, seam.finding.code is seam.code, seam.to_dict()["step"]
        ('seam', True, 2)

    Attributes:
        code: what kind it is:

            - `optimizer-reset`: the weights went on, iterations and moments began anew;
            - `iterations-reset`: a counter began anew;
            - `moments-reset`: weights and iterations went on, the slots are all zero;
            - `slots-lost`, `slots-came`: slots are not saved any more, or were not before;
            - `rate-jump`: a learning rate that else stands still changed at once;
            - `other-optimizer`: the slots are of another class;
            - `other-model`: names are the same, weights have little in common;
            - `rollback`: the weights are an earlier checkpoint's, or went on from those;
            - `trained-twice`: one count, other values;
            - `duplicate`: every value is that of the checkpoint before.
        level: a warning or a note; the bytes are sound.
        before: the last checkpoint before it.
        after: the first one after it.
        title: what happened, in a few words without a capital.
        brief: what shows it, for a line of a table.
        message: what was seen, with the figures, without a final stop.
        remedy: what it resembles, and what to do; commands on lines that begin with spaces.
        claim: that it is there, with what told it.
    """

    code: Code
    level: Level
    before: RunEntry
    after: RunEntry
    title: str
    brief: str
    message: str
    remedy: str | None
    claim: Claim

    @property
    def finding(self) -> Finding:
        """The seam as a finding on the checkpoint after it."""
        return Finding(self.level, self.code, None, None, self.message, self.remedy)

    def to_dict(self) -> dict[str, Any]:
        """Give the entry of `seams` in JSON documents."""
        return {
            "code": self.code.value,
            "level": self.level.value,
            "before": self.before.path,
            "after": self.after.path,
            "step": self.after.step,
            "title": self.title,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": self.claim.to_dict(),
        }


def without_copies(seams: Iterable[Seam]) -> list[Seam]:
    """Give those that are marked in curves, the graver first: a copy is no event of training."""
    ordered = sorted(seams, key=lambda seam: list(Level).index(seam.level))
    return [seam for seam in ordered if seam.code is not Code.DUPLICATE]


def seams_by_place(seams: Iterable[Seam], entries: Sequence[RunEntry]) -> dict[int, Seam]:
    """Give the seams by the index of the checkpoint after each, as far as it is listed.

    Of two at one place the graver one, else the first; copies are left out.
    """
    places = {entry.path: at for at, entry in enumerate(entries)}
    found: dict[int, Seam] = {}
    for seam in without_copies(seams):
        if seam.after.path in places:
            found.setdefault(places[seam.after.path], seam)
    return dict(sorted(found.items()))
