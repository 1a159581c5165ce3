"""`ckread diff --plot` and `--show`: every variable along the model, or one before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.options import patterns_of
from ckread.cli.pictures import hand_over, palette_of
from ckread.views.figures.diff import plot_diff
from ckread.views.quantities import plural

if TYPE_CHECKING:
    import argparse

    from ckread.analysis.diff_records import CheckpointDiff, VariableDiff
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint


def draw(
    a: Checkpoint,
    b: Checkpoint,
    result: CheckpointDiff,
    arguments: argparse.Namespace,
    output: Output,
) -> None:
    """Draw a diff; where one variable of both sides is asked for, its distributions.

    Raises:
        UsageError: there is no display, or the file is there already.
        CheckpointError: values cannot be read.
    """
    palette = palette_of(arguments)
    only = _only_one(result, patterns_of(arguments))
    if only is None or only.a is None or only.b is None:
        what = f"{plural(len(result.variables), 'variable')} of {a.path} and {b.path}"
        pages = plot_diff(result, palette=palette)
    else:
        from ckread.analysis.difference import measure_difference
        from ckread.views.figures.difference import plot_difference

        what = f"{only.name} of {a.path} and {b.path}"
        difference = measure_difference(a[only.a.name], b[only.b.name])
        pages = [plot_difference(result, only, difference, palette=palette)]
    hand_over(pages, what, arguments, output)


def _only_one(result: CheckpointDiff, patterns: list[str]) -> VariableDiff | None:
    """Give the one variable that is asked for, if its two sides have values to draw."""
    named = [variable for variable in result.variables if variable.name in patterns]
    chosen = named if len(patterns) == 1 and named else list(result.variables)
    if len(chosen) != 1 or chosen[0].elements < 2 or chosen[0].permutation is not None:
        return None
    metrics = chosen[0].metrics
    is_real = metrics is not None and metrics.sign_flips is not None
    return chosen[0] if is_real else None
