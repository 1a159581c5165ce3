"""`ckread stats RUN NAME --every`: one variable in every checkpoint of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.options import patterns_of, roles_of
from ckread.cli.working import ProgressBar
from ckread.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from ckread.analysis.evolution import RunStatistics
    from ckread.cli.output import Output
    from ckread.model.run import Run


def run_every(arguments: argparse.Namespace, output: Output) -> int:
    """Measure along a run; give the exit code."""
    from ckread.analysis.evolution import statistics_of_run
    from ckread.model.run import open_run

    run = open_run(arguments.path, reader=arguments.reader)
    with ProgressBar(_nbytes(run, arguments), output) as progress:
        result = statistics_of_run(
            run,
            patterns_of(arguments),
            roles=roles_of(arguments),
            n_bins=arguments.bins,
            n_jobs=arguments.jobs,
            progress=progress,
        )
    for note in result.notes:
        output.note(note)
    if output.is_json:
        output.json("stats", result.to_dict())
    else:
        from ckread.views.evolution import evolution_page

        output.render(evolution_page(result))
    if arguments.plot or arguments.show:
        _draw(result, arguments, output)
    return 2 if result.damaged else 0


def _nbytes(run: Run, arguments: argparse.Namespace) -> int:
    from ckread.analysis.statistics import choose_variables

    with run[-1] as last:
        chosen, _ = choose_variables(last, patterns_of(arguments), roles_of(arguments))
        return len(run) * sum(variable.nbytes for variable in chosen)


def _draw(result: RunStatistics, arguments: argparse.Namespace, output: Output) -> None:
    from ckread.cli.pictures import hand_over, palette_of
    from ckread.views.figures.over_steps import plot_over_run

    if len(result.names) != 1:
        remedy = "Give a PATTERN that means one variable."
        n = len(result.names)
        raise UsageError(f"{n} variables over a run do not fit one picture", remedy=remedy)
    [name] = result.names
    figure = plot_over_run(result, name, palette=palette_of(arguments))
    what = f"{name} in {len(result.moments)} checkpoints of {result.path}"
    hand_over([figure], what, arguments, output)
