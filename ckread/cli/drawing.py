"""`ckread diff --plot` and `--show`: every variable along the model, or one before and after."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.cli.arguments import patterns_of
from ckread.cli.pictures import evidence_of, hand_over, palette_of, step_of
from ckread.errors import UsageError
from ckread.views.figures.diff import plot_diff
from ckread.views.terminal.words import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ckread.analysis.diff.records import CheckpointDiff, VariableDiff
    from ckread.analysis.statistics.statistics import CheckpointStatistics, VariableStatistics
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint


def draw_diff(
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
        from ckread.analysis.diff.difference import measure_difference
        from ckread.views.figures.diff import plot_difference

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


# `ckread stats --plot` and `--show`: from the statistics to a picture in a file or a window.


def draw_statistics(
    checkpoint: Checkpoint,
    result: CheckpointStatistics,
    rows: Sequence[VariableStatistics],
    arguments: argparse.Namespace,
    output: Output,
) -> None:
    """Draw the distributions of some variables.

    Raises:
        UsageError: there is nothing to draw, no display, or the file is there already.
    """
    from ckread.views.figures.many import plot_distributions

    measured = [variable for variable in rows if variable.distribution]
    if not measured:
        raise UsageError(f"{checkpoint.path}: no variable to draw")
    is_model = all(variable.role.is_parameter for variable in measured)
    noun = "weight" if is_model else "variable"
    name = os.path.basename(checkpoint.path.rstrip(os.sep)) or checkpoint.path
    pages = plot_distributions(
        measured,
        title=f"{noun.capitalize()}s of {name}",
        evidence=_evidence(checkpoint, result, measured, arguments, noun),
        notes=_left_out(result, noun),
        palette=palette_of(arguments),
        is_shared=arguments.shared,
        is_log=True if arguments.log else None,
    )
    what = f"{plural(len(measured), noun)} of {checkpoint.path}"
    hand_over(pages, what, arguments, output)


def _evidence(
    checkpoint: Checkpoint,
    result: CheckpointStatistics,
    measured: Sequence[VariableStatistics],
    arguments: argparse.Namespace,
    noun: str,
) -> list[str]:
    if len(measured) == 1:
        return evidence_of(checkpoint)
    patterns = patterns_of(arguments)
    whose = f" (pattern {', '.join(patterns)})" if patterns else ""
    n_all = len(result.variables)
    of_all = f"{len(measured)} of " if len(measured) < n_all else ""
    order = "" if arguments.sort != "model" else " in the order of the model"
    return [*step_of(checkpoint), f"{of_all}{plural(n_all, noun)}{whose}{order}"]


def _left_out(result: CheckpointStatistics, noun: str) -> list[str]:
    n = len(result.damaged)
    return [f"{plural(n, f'damaged {noun}')} left out."] if n else []
