"""Pictures of values: distributions, and kernels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import UsageError
from ckread.plotting.choosing import figure_of, page_of, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.evolution import RunStatistics
    from ckread.analysis.statistics import CheckpointStatistics
    from ckread.model.variable import Variable
    from ckread.views.figures.style import Palette

_MAX_TILES = 256


def plot_statistics(
    statistics: CheckpointStatistics | RunStatistics,
    *,
    ax: Axes | None = None,
    dark: bool = False,
    shared: bool = False,
    log: bool | None = None,
    page: int = 1,
) -> Figure:
    """Draw distributions: of a checkpoint's variables, or of one variable over a run.

    One variable is a large histogram, up to 48 are small ones, more are rows of
    quantiles. Over a run, up to 24 checkpoints are ridges, more are bands of quantiles.

    Args:
        statistics: what `statistics` or `statistics_of_run` gave.
        ax: axes for the histogram of one variable, or for its bands over a run.
        dark: whether the ground is dark.
        shared: whether small histograms have one value axis.
        log: whether counts are on a log axis; None to decide by them.
        page: of more than 180 variables, which page, from 1.

    Raises:
        UsageError: there is nothing to draw, no such page, or too much for one axes.

    Example:
        >>> figure = ckread.plot_statistics(ckread.statistics("fixtures/digits_run", "conv1"))
        >>> figure.get_size_inches().tolist()[0]
        7.2
    """
    from ckread.analysis.evolution import RunStatistics

    if isinstance(statistics, RunStatistics):
        return _plot_over_run(statistics, ax, palette_of(dark=dark))
    from ckread.views.figures.histograms import plot_distributions
    from ckread.views.figures.on_axes import draw_histogram
    from ckread.views.quantities import plural

    measured = statistics.measured
    if not measured:
        raise UsageError(f"{statistics.path}: no variable to draw")
    if ax is not None:
        if len(measured) > 1:
            raise _too_many(len(measured))
        draw_histogram(ax, measured[0], palette_of(dark=dark), log=bool(log))
        return figure_of(ax)
    noun = "weight" if all(variable.role.is_parameter for variable in measured) else "variable"
    held, n_damaged = plural(len(measured), noun), len(statistics.damaged)
    pages = plot_distributions(
        measured,
        title=f"{noun.capitalize()}s of {_base(statistics.path)}",
        evidence=[_last_two(statistics.path) if len(measured) == 1 else held],
        notes=[f"{plural(n_damaged, f'damaged {noun}')} left out."] if n_damaged else [],
        palette=palette_of(dark=dark),
        is_shared=shared,
        is_log=log,
    )
    return page_of(pages, page)


def _plot_over_run(statistics: RunStatistics, ax: Axes | None, palette: Palette) -> Figure:
    from ckread.views.figures.on_axes import draw_quantiles
    from ckread.views.figures.over_steps import distributions_of, plot_over_run

    if len(statistics.names) != 1:
        raise _too_many(len(statistics.names))
    [name] = statistics.names
    if ax is not None:
        draw_quantiles(ax, name, distributions_of(statistics, name), palette)
        return figure_of(ax)
    return plot_over_run(statistics, name, palette=palette)


def plot_filters(
    variable: Variable,
    *,
    ax: Axes | None = None,
    dark: bool = False,
    per_kernel: bool = False,
    top: int = _MAX_TILES,
) -> Figure:
    """Draw convolution kernels as tiles, or a dense layer as one map.

    Args:
        variable: a kernel of 2, 3 or 4 dimensions, with real numbers.
        ax: axes for the tiles.
        dark: whether the ground is dark.
        per_kernel: whether each tile is stretched to its own largest weight; otherwise
            one scale, symmetric about 0, holds for all.
        top: how many kernels at most, the first ones.

    Raises:
        UsageError: it is no kernel, or too large for a picture.
        CheckpointError: it cannot be read.

    Example:
        >>> with ckread.open("fixtures/digits_run") as checkpoint:
        ...     figure = ckread.plot_filters(checkpoint["conv1/kernel"])
        >>> len(figure.axes[0].images)
        16
    """
    from ckread.analysis.filters import filters_of, read_kernel
    from ckread.views.figures.filters import plot_filters
    from ckread.views.figures.on_axes import draw_filters

    filters = filters_of(variable.name, read_kernel(variable), top=top)
    palette = palette_of(dark=dark)
    if ax is not None:
        draw_filters(ax, filters, palette, per_kernel=per_kernel)
        return figure_of(ax)
    return plot_filters(filters, evidence=[], palette=palette, is_per_kernel=per_kernel)


def _too_many(n: int) -> UsageError:
    remedy = "Give a pattern that means one variable."
    return UsageError(f"{n} variables do not fit one picture, expected 1", remedy=remedy)


def _base(path: str) -> str:
    return os.path.basename(path.rstrip(os.sep)) or path


def _last_two(path: str) -> str:
    return os.path.join(*path.rstrip(os.sep).split(os.sep)[-2:])
