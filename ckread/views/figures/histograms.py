"""Distributions of the variables of a checkpoint: the picture follows from how many there are.

1      large, with a table of its figures
2–48   small histograms
49–    rows of quantiles, 180 to a page
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.figures.panels import plot_panels
from ckread.views.figures.quantile_rows import plot_quantile_rows
from ckread.views.figures.single import plot_histogram
from ckread.views.figures.style import LIGHT, Palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ckread.analysis.statistics import VariableStatistics

MAX_PANELS = 48


def plot_distributions(
    variables: Sequence[VariableStatistics],
    *,
    title: str,
    evidence: Sequence[str] = (),
    notes: Sequence[str] = (),
    palette: Palette = LIGHT,
    is_shared: bool = False,
    is_log: bool | None = None,
) -> list[Figure]:
    """Draw the distributions of measured variables, one figure per page.

    Args:
        variables: in the order of the model; at least one.
        title: of several variables; one alone is titled by its name.
        evidence: where they are from: file, step, counts.
        notes: what was left out.
        palette: `LIGHT` or `DARK`.
        is_shared: one value axis for all small histograms.
        is_log: log counts; None to decide for one variable alone.
    """
    if len(variables) == 1:
        return [plot_histogram(variables[0], evidence=evidence, palette=palette, is_log=is_log)]
    if len(variables) <= MAX_PANELS:
        figure = plot_panels(
            variables,
            title=title,
            evidence=evidence,
            palette=palette,
            notes=notes,
            is_shared=is_shared,
            is_log=bool(is_log),
        )
        return [figure]
    return plot_quantile_rows(
        variables, title=title, evidence=evidence, palette=palette, notes=notes
    )
