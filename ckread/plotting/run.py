"""Pictures of a whole run: how far variables moved, single values, training curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.plotting.choosing import figure_of, page_of, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift
    from ckread.analysis.history import TrainingHistory
    from ckread.analysis.track import RunTrack


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
    from ckread.views.figures.on_axes import draw_track
    from ckread.views.figures.track import plot_track

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
    from ckread.views.figures.history import plot_history
    from ckread.views.figures.on_axes import draw_history

    if ax is None:
        return plot_history(history, palette=palette_of(dark=dark))
    best = history.best.metric if history.best else next(iter(history.metrics))
    draw_history(ax, history, metric or best.removeprefix("val_"), palette_of(dark=dark))
    return figure_of(ax)
