"""Pictures of what changed between two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import UsageError
from ckread.plotting.choosing import figure_of, page_of, palette_of

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.diff_records import CheckpointDiff
    from ckread.model.checkpoint import Checkpoint


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
    from ckread.analysis.diff import diff_checkpoints
    from ckread.analysis.difference import measure_difference
    from ckread.model.opening import opened
    from ckread.views.figures.difference import plot_difference

    with opened(a) as first, opened(b) as second:
        result = diff_checkpoints(first, second, name, everything=True)
        found = result[name]
        has_values = found.metrics is not None and found.metrics.sign_flips is not None
        if found.a is None or found.b is None or not has_values or found.permutation:
            raise UsageError(f"{name}: not on both sides with real numbers of one shape")
        difference = measure_difference(first[found.a.name], second[found.b.name])
        return plot_difference(result, found, difference, palette=palette_of(dark=dark))
