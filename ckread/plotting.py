"""Pictures for Python: `plot_<word>` draws what `ckread.<word>` gives, as a matplotlib figure.

Without `ax` it is the picture that the command writes: laid out whole, in the house
style, no part of pyplot's state; a notebook shows it, `savefig` writes it. With `ax`
the data alone is drawn there, and the figure of these axes is given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.audit.optimizer import OptimizerAudit, RunOptimizerAudit
    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.analysis.drift.records import RunDrift
    from ckread.analysis.filters import Filters
    from ckread.analysis.history.history import TrainingHistory
    from ckread.analysis.responses import Responses
    from ckread.analysis.statistics.statistics import CheckpointStatistics, RunStatistics
    from ckread.analysis.track import RunTrack
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.views.figures.style import Palette


# What every `plot_` function is asked: which colours, which page, whose axes.


def palette_of(*, dark: bool) -> Palette:
    """Give the colours for a light or a dark ground."""
    from ckread.views.figures.style import DARK, LIGHT

    return DARK if dark else LIGHT


def page_of(pages: Sequence[Figure], number: int) -> Figure:
    """Give one page, counted from 1.

    Raises:
        UsageError: there is no such page.
    """
    if not 1 <= number <= len(pages):
        raise UsageError(f"page {number}, expected 1 to {len(pages)}")
    return pages[number - 1]


def figure_of(ax: Axes) -> Figure:
    """Give the whole figure that axes are in, subfigures left out."""
    figure = ax.figure
    while (above := figure.figure) is not figure:
        figure = above
    return figure


# Pictures of what changed between two checkpoints.


def plot_diff(
    diff: CheckpointDiff, *, ax: Axes | None = None, dark: bool = False, page: int = 1
) -> Figure:
    """Draw how far every variable moved, in the order of the model, on a logarithmic axis.

    Args:
        diff: what `diff` gave; values must have been read.
        ax: axes for up to 60 rows.
        dark: whether the ground is dark.
        page: of more than 60 rows, which page, from 1.

    Raises:
        UsageError: no values were read, there is no such page, or too much for one axes.

    Example:
        >>> found = ckread.diff("fixtures/digits_run/ckpt-1", "fixtures/digits_run/ckpt-10")
        >>> type(ckread.plot_diff(found, dark=True)).__mro__[1].__name__
        'Figure'
    """
    from ckread.views.figures.diff import plot_diff
    from ckread.views.figures.on_axes import draw_diff

    if diff.index_only:
        remedy = "Compare without index_only."
        raise UsageError(f"{diff.a}: no values were read, nothing to draw", remedy=remedy)
    if ax is not None:
        draw_diff(ax, diff, palette_of(dark=dark))
        return figure_of(ax)
    return page_of(plot_diff(diff, palette=palette_of(dark=dark)), page)


def plot_difference(
    a: Checkpoint | str | os.PathLike[str],
    b: Checkpoint | str | os.PathLike[str],
    name: str,
    *,
    dark: bool = False,
) -> Figure:
    """Draw one variable before and after: both distributions, and that of the differences.

    Several panels, so there is no `ax`.

    Args:
        a: the first checkpoint, or its path.
        b: the second.
        name: of the variable, in the second.
        dark: whether the ground is dark.

    Raises:
        VariableNotFoundError: it is in neither.
        UsageError: it is not on both sides with real numbers of one shape.
        CheckpointError: a checkpoint or its values cannot be read.

    Example:
        >>> run = "fixtures/digits_run"
        >>> figure = ckread.plot_difference(f"{run}/ckpt-1", f"{run}/ckpt-10", "conv2/bias")
        >>> len(figure.axes)
        3
    """
    from ckread.analysis.diff.diff import diff_checkpoints
    from ckread.analysis.diff.difference import measure_difference
    from ckread.model.opening import opened
    from ckread.views.figures.diff import has_difference, plot_difference

    with opened(a) as first, opened(b) as second:
        result = diff_checkpoints(first, second, name, everything=True)
        found = result[name]
        if found.a is None or found.b is None or not has_difference(found):
            raise UsageError(f"{name}: not on both sides with real numbers of one shape")
        difference = measure_difference(first[found.a.name], second[found.b.name])
        return plot_difference(result, found, difference, palette=palette_of(dark=dark))


# Pictures of a whole run: how far variables moved, single values, training curves.


def plot_drift(
    drift: RunDrift, *, ax: Axes | None = None, dark: bool = False, page: int = 1
) -> Figure:
    """Draw how variables moved over a run: lines for up to six, a map of cells for more.

    Args:
        drift: what `drift` gave.
        ax: axes for the lines of up to ten variables.
        dark: whether the ground is dark.
        page: of more than 450 variables, which page, from 1.

    Raises:
        UsageError: there is nothing to draw, no such page, or too much for one axes.

    Example:
        >>> figure = ckread.plot_drift(ckread.drift("fixtures/digits_run", "kernel"))
        >>> len(figure.axes) > 0
        True
    """
    from ckread.views.figures.drift import plot_drift
    from ckread.views.figures.on_axes import draw_drift

    if ax is not None:
        draw_drift(ax, drift, palette_of(dark=dark))
        return figure_of(ax)
    return page_of(plot_drift(drift, palette=palette_of(dark=dark)), page)


def plot_track(track: RunTrack, *, ax: Axes | None = None, dark: bool = False) -> Figure:
    """Draw values over a run as steps: a strip for each, up to twelve.

    Args:
        track: what `track` gave.
        ax: axes for up to ten values together.
        dark: whether the ground is dark.

    Raises:
        UsageError: there is nothing to draw, or too much of it.

    Example:
        >>> figure = ckread.plot_track(ckread.track("fixtures/digits_run", "learning_rate"))
        >>> len(figure.axes)
        1
    """
    from ckread.views.figures.curves import plot_track
    from ckread.views.figures.on_axes import draw_track

    if ax is not None:
        draw_track(ax, track, palette_of(dark=dark))
        return figure_of(ax)
    return plot_track(track, palette=palette_of(dark=dark))


def plot_history(
    history: TrainingHistory,
    metric: str | None = None,
    *,
    ax: Axes | None = None,
    dark: bool = False,
) -> Figure:
    """Draw training curves, a panel for each of the first six metrics, and the checkpoints.

    Args:
        history: what `history` gave.
        metric: for `ax`, which one, without `val_`; by default what the best epoch is
            best by.
        ax: axes for the curves of one metric.
        dark: whether the ground is dark.

    Raises:
        UsageError: there is no such metric.

    Example:
        >>> found = ckread.history("fixtures/digits_run/history.json", "fixtures/digits_run")
        >>> len(ckread.plot_history(found).axes) >= 3
        True
    """
    from ckread.views.figures.curves import plot_history
    from ckread.views.figures.on_axes import draw_history

    if ax is None:
        return plot_history(history, palette=palette_of(dark=dark))
    best = history.best.metric if history.best else next(iter(history.metrics))
    draw_history(ax, history, metric or best.removeprefix("val_"), palette_of(dark=dark))
    return figure_of(ax)


def plot_optimizer(
    audit: OptimizerAudit | RunOptimizerAudit, *, dark: bool = False, page: int = 1
) -> Figure:
    """Draw the relative size of the last update of each weight, or its course over a run.

    Up to 40 weights have a row each, more are points along the model; over a run each weight
    is a row of a map, with a line where the run did not simply go on.

    Args:
        audit: what `optimizer` or `optimizer_of_run` gave.
        dark: whether the ground is dark.
        page: of a run with more than 450 weights, which page, from 1.

    Raises:
        UsageError: no update can be recomputed, or there is no such page.

    Example:
        >>> figure = ckread.plot_optimizer(ckread.optimizer("fixtures/digits_run"))
        >>> figure.get_size_inches().tolist()[0]
        7.2
    """
    from ckread.analysis.audit.optimizer import OptimizerAudit
    from ckread.views.figures.optimizer import plot_optimizer, plot_optimizer_of_run

    palette = palette_of(dark=dark)
    if isinstance(audit, OptimizerAudit):
        return page_of([plot_optimizer(audit, palette=palette)], page)
    return page_of(plot_optimizer_of_run(audit, palette=palette), page)


# Pictures of values: distributions, and kernels.

_MAX_TILES, _MAX_RESPONSES = 256, 64


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
    from ckread.analysis.statistics.statistics import RunStatistics

    if isinstance(statistics, RunStatistics):
        from ckread.views.figures.on_axes import draw_quantiles
        from ckread.views.figures.over_steps import distributions_of, plot_over_run

        if len(statistics.names) != 1:
            raise _too_many(len(statistics.names))
        [name] = statistics.names
        if ax is None:
            return plot_over_run(statistics, name, palette=palette_of(dark=dark))
        draw_quantiles(ax, name, distributions_of(statistics, name), palette_of(dark=dark))
        return figure_of(ax)
    from ckread.views.figures.many import last_two, noun_of, plot_statistics
    from ckread.views.figures.on_axes import draw_histogram
    from ckread.views.terminal.words import plural

    measured = statistics.measured
    if ax is not None and measured:
        if len(measured) > 1:
            raise _too_many(len(measured))
        draw_histogram(ax, measured[0], palette_of(dark=dark), log=bool(log))
        return figure_of(ax)
    held = plural(len(measured), noun_of(measured))
    pages = plot_statistics(
        statistics,
        measured,
        evidence=[last_two(statistics.path) if len(measured) == 1 else held],
        palette=palette_of(dark=dark),
        is_shared=shared,
        is_log=log,
    )
    return page_of(pages, page)


def plot_filters(
    source: Filters | Responses | Checkpoint | Variable | str | os.PathLike[str],
    name: str | None = None,
    *,
    ax: Axes | None = None,
    dark: bool = False,
    per_kernel: bool = False,
    top: int | None = None,
) -> Figure:
    """Draw convolution kernels as tiles, a dense layer as one map, or responses to an image.

    Args:
        source: what `filters` or `responses` gave, or what `filters` takes: an open
            checkpoint, a path, or a kernel.
        name: of the kernel in a checkpoint; by default the first convolution.
        ax: axes for the tiles.
        dark: whether the ground is dark.
        per_kernel: whether each tile is stretched to its own largest weight; otherwise
            one scale, symmetric about 0, holds for all.
        top: how many kernels at most, the first ones; by default 256, 64 of responses.

    Raises:
        VariableNotFoundError: there is no such variable.
        UsageError: it is no kernel, or too large for a picture; responses take several
            panels, so there is no `ax` for them.
        CheckpointError: it cannot be opened or read.

    Example:
        >>> figure = ckread.plot_filters("fixtures/digits_run", "conv1/kernel")
        >>> len(figure.axes[0].images)
        16
    """
    from ckread.analysis.filters import Filters, filters
    from ckread.analysis.responses import Responses
    from ckread.views.figures.filters import plot_filters, plot_responses
    from ckread.views.figures.on_axes import draw_filters

    palette = palette_of(dark=dark)
    if isinstance(source, Responses):
        if ax is not None:
            raise UsageError("responses take several panels", remedy="Leave out ax.")
        return plot_responses(source.head(top or _MAX_RESPONSES), evidence=[], palette=palette)
    if isinstance(source, Filters):
        found = source if len(source) <= (top or _MAX_TILES) else source.head(top or _MAX_TILES)
    else:
        found = filters(source, name, top=top or _MAX_TILES)
    if ax is not None:
        draw_filters(ax, found, palette, per_kernel=per_kernel)
        return figure_of(ax)
    return plot_filters(found, evidence=[], palette=palette, is_per_kernel=per_kernel)


def _too_many(n: int) -> UsageError:
    remedy = "Give a pattern that means one variable."
    return UsageError(f"{n} variables do not fit one picture, expected 1", remedy=remedy)
