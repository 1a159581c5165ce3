"""One variable over the checkpoints of a run: ridges for few of them, a fan for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.figures.fan import plot_fan
from ckread.views.figures.numbers import count
from ckread.views.figures.ridge import plot_ridge
from ckread.views.figures.style import LIGHT, Palette
from ckread.views.quantities import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ckread.analysis.distribution import Distribution

MAX_RIDGES = 24


def plot_over_steps(
    name: str,
    pairs: Sequence[tuple[int, Distribution | None]],
    *,
    run: str,
    dtype: str,
    shape: tuple[int, ...],
    palette: Palette = LIGHT,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw how the distribution of one variable changed.

    Args:
        name: of the variable.
        pairs: step and distribution in the order of the run, None where the variable is
            absent or could not be read.
        run: what the run is called.
        dtype: element type.
        shape: of the variable.
        palette: `LIGHT` or `DARK`.
        notes: what is left out.
    """
    steps = f"step {count(pairs[0][0])} to {count(pairs[-1][0])}"
    evidence = [run, f"{len(pairs)} checkpoints, {steps}", dtype, shape_text(shape)]
    plot = plot_ridge if len(pairs) <= MAX_RIDGES else plot_fan
    return plot(name, pairs, evidence=evidence, palette=palette, notes=notes)
