"""Pictures for Python: `plot_<word>` draws what `ckread.<word>` gives, as a matplotlib figure.

Each takes that answer, or what it is an answer of: a path, an open checkpoint, a run. Without
`ax` it is the picture that the command writes: laid out whole, in the house style, no part of
pyplot's state; `savefig` writes it, and a notebook shows it, at the end of the cell if nothing
else has, as it does figures of pyplot. With `ax` the data alone is drawn there, and the figure
of these axes is given back.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ckread.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.audit.optimizer import OptimizerAudit, RunOptimizerAudit
    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.analysis.drift.records import RunDrift
    from ckread.analysis.filters.filters import Filters
    from ckread.analysis.filters.responses import Responses
    from ckread.analysis.history.history import TrainingHistory
    from ckread.analysis.statistics.statistics import CheckpointStatistics, RunStatistics
    from ckread.analysis.track import RunTrack
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import Run
    from ckread.model.variable import Variable
    from ckread.views.figures.style import Palette

    PathLike = str | os.PathLike[str]


# What every `plot_` function is asked: of what, which colours, which page, whose axes.

Source = TypeVar("Source")


def source_of(source: Source, wanted: str) -> Source:
    """Give what an answer can be made of, as it is.

    Raises:
        TypeError: it is an answer itself, of another kind than is wanted.
    """
    from ckread.model.records import Records

    if isinstance(source, Records):
        raise TypeError(f"expected {wanted}, found {source!r}")
    return source


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
    return in_notebook(pages[number - 1])


def figure_of(ax: Axes) -> Figure:
    """Give the whole figure that axes are in, subfigures left out."""
    figure = ax.figure
    while (above := figure.figure) is not figure:
        figure = above
    return figure


_unshown: list[Figure] = []
"""What was drawn in the cell of a notebook that is running, and may be shown by its end."""


def in_notebook(figure: Figure) -> Figure:
    """Give a figure; a notebook shows it at the end of the cell unless that was done before."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is not None:
        if not _unshown:
            shell.events.register("post_execute", _show_unshown)
        _unshown.append(figure)
    return figure


def _show_unshown() -> None:
    ipython: Any = sys.modules["IPython"]
    ipython.get_ipython().events.unregister("post_execute", _show_unshown)
    figures = [figure for figure in _unshown if not getattr(figure, "is_shown", False)]
    _unshown.clear()
    for figure in figures:
        ipython.display.display(figure)


# Pictures of what changed between two checkpoints.


def plot_diff(
    diff: CheckpointDiff | Checkpoint | PathLike,
    b: Checkpoint | PathLike | None = None,
    patterns: str | Sequence[str] = (),
    *,
    ax: Axes | None = None,
    dark: bool = False,
    page: int = 1,
) -> Figure:
    """Draw how far every variable moved, in the order of the model, on a logarithmic axis.

    Args:
        diff: what `diff` gave, values having been read; or the first of two checkpoints.
        b: the second of them.
        patterns: of two checkpoints, which variables; all if empty.
        ax: axes for up to 60 rows.
        dark: whether the ground is dark.
        page: of more than 60 rows, which page, from 1.

    Raises:
        UsageError: no values were read, there is no such page, or too much for one axes.
        TypeError: it is neither, or one checkpoint alone.
        CheckpointError: as for `diff`, of two checkpoints.

    Example:
        >>> run = "fixtures/digits_run"
        >>> figure = ckread.plot_diff(f"{run}/ckpt-1", f"{run}/ckpt-10", dark=True)
        >>> type(figure).__mro__[1].__name__
        'Figure'
    """
    from ckread.analysis.diff.diff import diff_checkpoints
    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.views.figures.diff import plot_diff
    from ckread.views.figures.on_axes import draw_diff

    wanted = "a ckread.CheckpointDiff or two checkpoints"
    if isinstance(diff, CheckpointDiff):
        found = diff
    elif b is None:
        raise TypeError(f"expected {wanted}, found {diff!r} alone")
    else:
        found = diff_checkpoints(source_of(diff, wanted), source_of(b, wanted), patterns)
    if found.index_only:
        remedy = "Compare without index_only."
        raise UsageError(f"{found.a}: no values were read, nothing to draw", remedy=remedy)
    if ax is not None:
        draw_diff(ax, found, palette_of(dark=dark))
        return figure_of(ax)
    return page_of(plot_diff(found, palette=palette_of(dark=dark)), page)


def plot_difference(
    a: Checkpoint | PathLike,
    b: Checkpoint | PathLike,
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
        return in_notebook(
            plot_difference(result, found, difference, palette=palette_of(dark=dark))
        )


# Pictures of a whole run: how far variables moved, single values, training curves.


def plot_drift(
    drift: RunDrift | Run | PathLike | Iterable[PathLike],
    patterns: str | Sequence[str] = (),
    *,
    ax: Axes | None = None,
    dark: bool = False,
    page: int = 1,
) -> Figure:
    """Draw how variables moved over a run: lines for up to six, a map of cells for more.

    Args:
        drift: what `drift` gave; or a run, or what `open_run` takes.
        patterns: of a run, which variables; all if empty.
        ax: axes for the lines of up to ten variables, and the seams of the run.
        dark: whether the ground is dark.
        page: of more than 450 variables, which page, from 1.

    Raises:
        UsageError: there is nothing to draw, no such page, or too much for one axes.
        TypeError: it is none of these.
        CheckpointError: as for `drift`, of a run.

    Example:
        >>> figure = ckread.plot_drift("fixtures/digits_run", "kernel")
        >>> len(figure.axes) > 0
        True
    """
    from ckread.analysis.drift.drift import drift as measure
    from ckread.analysis.drift.records import RunDrift
    from ckread.views.figures.drift import plot_drift
    from ckread.views.figures.on_axes import draw_drift

    if isinstance(drift, RunDrift):
        found = drift
    else:
        found = measure(source_of(drift, "a ckread.RunDrift or a run"), patterns)
    if ax is not None:
        draw_drift(ax, found, palette_of(dark=dark))
        return figure_of(ax)
    return page_of(plot_drift(found, palette=palette_of(dark=dark)), page)


def plot_track(
    track: RunTrack | Run | PathLike | Iterable[PathLike],
    patterns: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    dark: bool = False,
) -> Figure:
    """Draw values over a run as steps: a strip for each, up to twelve.

    Args:
        track: what `track` gave; or a run, or what `open_run` takes.
        patterns: of a run, which values, as for `track`.
        ax: axes for up to ten values together, and the seams of the run.
        dark: whether the ground is dark.

    Raises:
        UsageError: there is nothing to draw, or too much of it.
        TypeError: it is none of these, or a run without patterns.
        CheckpointError: as for `track`, of a run.

    Example:
        >>> figure = ckread.plot_track("fixtures/digits_run", "learning_rate")
        >>> len(figure.axes)
        1
    """
    from ckread.analysis.track import RunTrack
    from ckread.analysis.track import track as follow
    from ckread.views.figures.curves import plot_track
    from ckread.views.figures.on_axes import draw_track

    if isinstance(track, RunTrack):
        found = track
    elif patterns is None:
        raise TypeError("expected patterns beside a run: which values, as 'learning_rate'")
    else:
        found = follow(source_of(track, "a ckread.RunTrack or a run"), patterns)
    if ax is not None:
        draw_track(ax, found, palette_of(dark=dark))
        return figure_of(ax)
    return in_notebook(plot_track(found, palette=palette_of(dark=dark)))


def plot_history(
    history: TrainingHistory | PathLike | Sequence[PathLike],
    metric: str | None = None,
    *,
    run: Run | PathLike | Iterable[PathLike] | None = None,
    ax: Axes | None = None,
    dark: bool = False,
) -> Figure:
    """Draw training curves, a panel for each of the first six metrics, and the checkpoints.

    Args:
        history: what `history` gave; or the path of a log, or of several.
        metric: for `ax`, which one, without `val_`; by default what the best epoch is
            best by.
        run: of logs, the checkpoints, or what `open_run` takes.
        ax: axes for the curves of one metric, and the seams of the run.
        dark: whether the ground is dark.

    Raises:
        UsageError: there is no such metric.
        TypeError: it is none of these; a run stands beside its logs.
        CheckpointError: as for `history`, of logs.

    Example:
        >>> run = "fixtures/digits_run"
        >>> len(ckread.plot_history(f"{run}/history.json", run=run).axes) >= 3
        True
    """
    from ckread.analysis.history.history import TrainingHistory
    from ckread.analysis.history.history import history as read
    from ckread.model.run.run import Run
    from ckread.views.figures.curves import plot_history
    from ckread.views.figures.on_axes import draw_history

    wanted = "a ckread.TrainingHistory or the log of a training, with run="
    if isinstance(history, TrainingHistory):
        found = history
    elif isinstance(history, Run):
        raise TypeError(f"expected {wanted}, found {history!r}")
    else:
        found = read(source_of(history, wanted), run)
    if ax is None:
        return in_notebook(plot_history(found, palette=palette_of(dark=dark)))
    best = found.best.metric if found.best else next(iter(found.metrics))
    draw_history(ax, found, metric or best.removeprefix("val_"), palette_of(dark=dark))
    return figure_of(ax)


def plot_optimizer(
    audit: OptimizerAudit | RunOptimizerAudit | Checkpoint | Run | PathLike,
    patterns: str | Sequence[str] = (),
    *,
    dark: bool = False,
    page: int = 1,
) -> Figure:
    """Draw the relative size of the last update of each weight, or its course over a run.

    Up to 40 weights have a row each, more are points along the model; over a run each weight
    is a row of a map, with a line where the run did not simply go on.

    Args:
        audit: what `optimizer` or `optimizer_of_run` gave; or a checkpoint, a path, or a
            `Run` for its course.
        patterns: of these, which weights; all if empty.
        dark: whether the ground is dark.
        page: of a run with more than 450 weights, which page, from 1.

    Raises:
        UsageError: no update can be recomputed, or there is no such page.
        TypeError: it is none of these.
        CheckpointError: as for `optimizer`, of a checkpoint or run.

    Example:
        >>> figure = ckread.plot_optimizer("fixtures/digits_run")
        >>> figure.get_size_inches().tolist()[0]
        7.2
    """
    from ckread.analysis.audit.optimizer import (
        OptimizerAudit,
        RunOptimizerAudit,
        optimizer,
        optimizer_of_run,
    )
    from ckread.model.run.run import Run
    from ckread.views.figures.optimizer import plot_optimizer, plot_optimizer_of_run

    palette = palette_of(dark=dark)
    if isinstance(audit, Run):
        audit = optimizer_of_run(audit, patterns)
    elif not isinstance(audit, OptimizerAudit | RunOptimizerAudit):
        wanted = "a ckread.OptimizerAudit, a checkpoint or a run"
        audit = optimizer(source_of(audit, wanted), patterns)
    if isinstance(audit, OptimizerAudit):
        return page_of([plot_optimizer(audit, palette=palette)], page)
    return page_of(plot_optimizer_of_run(audit, palette=palette), page)


# Pictures of values: distributions, and kernels.

_MAX_TILES, _MAX_RESPONSES = 256, 64


def plot_statistics(
    statistics: CheckpointStatistics | RunStatistics | Checkpoint | Run | PathLike,
    patterns: str | Sequence[str] = (),
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
        statistics: what `statistics` or `statistics_of_run` gave; or a checkpoint, a path,
            or a `Run` for one variable over it.
        patterns: of these, which variables; all if empty.
        ax: axes for the histogram of one variable, or for its bands over a run.
        dark: whether the ground is dark.
        shared: whether small histograms have one value axis.
        log: whether counts are on a log axis; None to decide by them.
        page: of more than 180 variables, which page, from 1.

    Raises:
        UsageError: there is nothing to draw, no such page, or too much for one axes.
        TypeError: it is none of these.
        CheckpointError: as for `statistics`, of a checkpoint or run.

    Example:
        >>> figure = ckread.plot_statistics("fixtures/digits_run", "conv1")
        >>> figure.get_size_inches().tolist()[0]
        7.2
    """
    from ckread.analysis.statistics.statistics import (
        CheckpointStatistics,
        RunStatistics,
        statistics_of_run,
    )
    from ckread.analysis.statistics.statistics import statistics as measure
    from ckread.model.run.run import Run

    if isinstance(statistics, Run):
        statistics = statistics_of_run(statistics, patterns)
    elif not isinstance(statistics, CheckpointStatistics | RunStatistics):
        wanted = "a ckread.CheckpointStatistics, a checkpoint or a run"
        statistics = measure(source_of(statistics, wanted), patterns)
    palette = palette_of(dark=dark)
    if isinstance(statistics, RunStatistics):
        from ckread.views.figures.on_axes import draw_quantiles
        from ckread.views.figures.over_steps import distributions_of, plot_over_run

        if len(statistics.names) != 1:
            raise _too_many(len(statistics.names))
        [name] = statistics.names
        if ax is None:
            return in_notebook(plot_over_run(statistics, name, palette=palette))
        draw_quantiles(ax, name, distributions_of(statistics, name), palette)
        return figure_of(ax)
    from ckread.views.figures.many import last_two, noun_of, plot_statistics
    from ckread.views.figures.on_axes import draw_histogram
    from ckread.views.terminal.words import plural

    measured = statistics.measured
    if ax is not None and measured:
        if len(measured) > 1:
            raise _too_many(len(measured))
        draw_histogram(ax, measured[0], palette, log=bool(log))
        return figure_of(ax)
    held = plural(len(measured), noun_of(measured))
    pages = plot_statistics(
        statistics,
        measured,
        evidence=[last_two(statistics.path) if len(measured) == 1 else held],
        palette=palette,
        is_shared=shared,
        is_log=log,
    )
    return page_of(pages, page)


def plot_filters(
    variable: Filters | Responses | Checkpoint | Variable | PathLike,
    name: str | None = None,
    *,
    ax: Axes | None = None,
    dark: bool = False,
    per_kernel: bool = False,
    top: int | None = None,
) -> Figure:
    """Draw convolution kernels as tiles, a dense layer as one map, or responses to an image.

    Args:
        variable: a kernel, or what `filters` or `responses` gave; or an open checkpoint or
            a path.
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
        TypeError: it is none of these.
        CheckpointError: it cannot be opened or read.

    Example:
        >>> figure = ckread.plot_filters("fixtures/digits_run", "conv1/kernel")
        >>> len(figure.axes[0].images)
        16
    """
    from ckread.analysis.filters.filters import Filters, filters
    from ckread.analysis.filters.responses import Responses
    from ckread.views.figures.filters import plot_filters, plot_responses
    from ckread.views.figures.on_axes import draw_filters

    palette = palette_of(dark=dark)
    if isinstance(variable, Responses):
        if ax is not None:
            raise UsageError("responses take several panels", remedy="Leave out ax.")
        drawn = variable.head(top or _MAX_RESPONSES)
        return in_notebook(plot_responses(drawn, evidence=[], palette=palette))
    n = top or _MAX_TILES
    if isinstance(variable, Filters):
        found = variable if len(variable) <= n else variable.head(n)
    else:
        found = filters(source_of(variable, "kernels, or what holds them"), name, top=n)
    if ax is not None:
        draw_filters(ax, found, palette, per_kernel=per_kernel)
        return figure_of(ax)
    return in_notebook(plot_filters(found, evidence=[], palette=palette, is_per_kernel=per_kernel))


def _too_many(n: int) -> UsageError:
    remedy = "Give a pattern that means one variable."
    return UsageError(f"{n} variables do not fit one picture, expected 1", remedy=remedy)
