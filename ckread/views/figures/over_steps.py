"""One variable over the checkpoints of a run: ridges for few of them, a fan for many."""

from __future__ import annotations

import os
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
    from ckread.analysis.evolution import RunStatistics

MAX_RIDGES = 24


def distributions_of(statistics: RunStatistics, name: str) -> list[tuple[int, Distribution | None]]:
    """Give step and distribution of a variable in each checkpoint, None where there is none."""
    found = [(moment.step, moment.variables.get(name)) for moment in statistics.moments]
    return [(step, None if known is None else known.distribution) for step, known in found]


def plot_over_run(statistics: RunStatistics, name: str, *, palette: Palette = LIGHT) -> Figure:
    """Draw how the distribution of one variable changed over a run that was measured."""
    last = [m.variables[name] for m in statistics.moments if name in m.variables][-1]
    return plot_over_steps(
        name,
        distributions_of(statistics, name),
        run=os.path.basename(statistics.path.rstrip(os.sep)) or statistics.path,
        dtype=str(last.dtype),
        shape=last.shape,
        palette=palette,
    )


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
