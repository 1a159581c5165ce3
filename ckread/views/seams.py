"""The seams of a run in words: in the sentence of a page, and as lines between rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.display import safe_text
from ckread.views.terminal.page import Span
from ckread.views.terminal.words import place, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.model.run.entries import RunEntry
    from ckread.views.terminal.page import Line

_TOLD = 3
"""Seams that get a line of their own, or a word in the sentence."""


def between_sentence(seams: Sequence[Seam]) -> str:
    """Say between which checkpoints what happened; nothing where there is no seam."""
    if not seams:
        return ""
    told = [
        f"between {safe_text(seam.before.name)} and {safe_text(seam.after.name)} {_happened(seam)}"
        for seam in seams[:_TOLD]
    ]
    more = f"; {len(seams) - _TOLD} more" if len(seams) > _TOLD else ""
    return f"{plural(len(seams), 'seam')}: {'; '.join(told)}{more}."


def place_sentence(marks: Mapping[int, Seam], entries: Sequence[RunEntry]) -> str:
    """Say where what happened, by steps: `The optimizer began anew at step 6.`."""
    if len(marks) > _TOLD:
        steps = ", ".join(place(entries[at], entries) for at in list(marks)[:_TOLD])
        return f"{len(marks)} seams, the first at {steps}."
    told = (f"{_happened(seam)} at {place(entries[at], entries)}" for at, seam in marks.items())
    return " ".join(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in told)


def epoch_sentence(marks: Mapping[int, Seam], epochs: Sequence[int], unit: str) -> str:
    """Say the same of curves: `The optimizer began anew after epoch 5.`."""
    if len(marks) > _TOLD:
        return f"{len(marks)} seams of the run, the first after {unit} {epochs[min(marks) - 1]:,}."
    told = (f"{_happened(seam)} after {unit} {epochs[at - 1]:,}" for at, seam in marks.items())
    return " ".join(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in told)


def seam_label(seam: Seam) -> str:
    """Say in a picture what changed: `iterations 225 → 45`."""
    return safe_text(seam.brief.partition(":")[0].partition(",")[0])


def seam_title(marks: Mapping[int, Seam], entries: Sequence[RunEntry]) -> str:
    """Give the title of a picture of a run with seams: `The optimizer began anew at step 6`."""
    return place_sentence(marks, entries).removesuffix(".")


def has_lines(marks: Mapping[int, Seam]) -> bool:
    """Tell whether each seam gets a line between the rows of a table."""
    return 0 < len(marks) <= _TOLD


def mark_line(seam: Seam) -> Line:
    """Give the line above the row of the first checkpoint after a seam."""
    return Span("!", "warning"), Span(f"     {safe_text(seam.brief)}", "muted")


_VERBLESS = {
    "other-optimizer": "another optimizer took over",
    "other-model": "another model began under the same names",
    "rollback": "the run went back to an earlier state",
    "trained-twice": "one count was trained to a second time",
    "duplicate": "nothing changed",
}


def _happened(seam: Seam) -> str:
    return _VERBLESS.get(seam.code, seam.title)
