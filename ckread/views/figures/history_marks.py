"""What is marked on training curves: which is which, the best epoch, the checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckread.model.run_entries import base_name
from ckread.views.figures.names import drawable, families_of, fits
from ckread.views.figures.numbers import count
from ckread.views.figures.steps import pushed_apart
from ckread.views.figures.style import TEXT_SIZE, Palette
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ckread.analysis.history import TrainingHistory
    from ckread.views.figures.sheet import Sheet

    Floats = NDArray[np.float64]


def label_ends(
    sheet: Sheet,
    axes: Axes,
    ends: Sequence[tuple[Floats, str, str]],
    place: tuple[float, float],
    *,
    depth: float,
) -> None:
    """Write which curve is which at their ends, one above the other."""
    x, y = place
    wanted = []
    for values, _, _ in ends:
        last = values[np.isfinite(values)][-1:] if np.isfinite(values).any() else [0.0]
        share = axes.transAxes.inverted().transform(axes.transData.transform((0, last[0])))[1]
        wanted.append(y + depth * (1 - float(share)))
    for at, (_, word, color) in zip(pushed_apart(wanted, 0.13, y, y + depth), ends, strict=True):
        sheet.text(x, at, word, color=color, va="center", gid="ckread:label")


def mark_best(
    axes: Axes,
    result: TrainingHistory,
    base: str,
    curves: tuple[Floats | None, Floats | None],
    palette: Palette,
    width: float,
) -> None:
    """Draw a line at the best epoch, a ring on the curve, and who holds it."""
    best = result.best
    if best is None:
        return
    at = result.epochs.index(best.epoch)
    axes.axvline(best.epoch, color=palette.mark, lw=1.0, zorder=2)
    shown = curves[1] if curves[1] is not None else curves[0]
    if shown is not None and np.isfinite(shown[at]):
        (ring,) = axes.plot([best.epoch], [shown[at]], "o", ms=5, mfc=palette.paper, zorder=5)
        ring.set(mec=palette.mark, mew=1.4, gid=f"ckread:best:{base}")
    if best.metric.removeprefix("val_") != base:
        return
    path = best.checkpoint
    word = drawable(safe_text(base_name(path)) if path else f"{result.unit} {count(best.epoch)}")
    low, high = axes.get_xlim()
    share = (best.epoch - low) / (high - low)
    is_left = share > 0.5
    if fits(word, width * (share if is_left else 1 - share) - 0.1, size=TEXT_SIZE):
        text = axes.annotate(
            word, (best.epoch, 1), (-4 if is_left else 4, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right" if is_left else "left", va="top",
            size=TEXT_SIZE, color=palette.mark, parse_math=False, family=families_of(word),
        )  # fmt: skip
        text.set_gid("ckread:holder")


def draw_rail(axes: Axes, result: TrainingHistory, palette: Palette) -> None:
    """Draw the checkpoints as squares: hollow where deleted, one marked that holds the best."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    best = result.best.epoch if result.best and result.best.checkpoint else None
    kept = [epoch for epoch in result.holders.kept if epoch != best]
    size = 3.2 if len(kept) <= 60 else 1.6
    for epochs, face, edge, gid in (
        (kept, palette.ink, "none", "kept"),
        (result.holders.deleted, palette.paper, palette.rule, "deleted"),
    ):
        (marks,) = axes.plot(epochs, [0.5] * len(epochs), "s", ms=size, mfc=face, mec=edge)
        marks.set_gid(f"ckread:{gid}")
    if best is not None:
        (mark,) = axes.plot([best], [0.5], "s", ms=5, color=palette.mark, mec="none", zorder=4)
        mark.set_gid("ckread:holding")
