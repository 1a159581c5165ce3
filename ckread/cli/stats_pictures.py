"""`ckread stats --plot` and `--show`: from the statistics to a picture in a file or a window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.cli.options import patterns_of
from ckread.cli.pictures import evidence_of, hand_over, palette_of, step_of
from ckread.errors import UsageError
from ckread.views.quantities import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ckread.analysis.statistics import CheckpointStatistics, VariableStatistics
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint


def draw(
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
    from ckread.views.figures.histograms import plot_distributions

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
