"""Statistics and a distribution of every variable, checksums verified in the same pass.

    $ ckread stats digits_run/ckpt-10 conv1
    name              min  distribution                 max      mean     std  zeros
    conv1/kernel  -0.256   ▁▂▄▅▅▄▅▆▆▃▆▃▅▃▂▅▃▃▅▇▄▅▂▂  0.241   -0.00555  0.131       –
    conv1/bias    -0.0445  ▄▄▄▄▄ ▄▇▄▄▄▄▄  ▄     ▄ ▄  0.0658  -0.00202  0.0301  6.2 %

    2 weights, 160 elements, all finite, checksums right. Left out: 4 optimizer
    slots (--role all).

Minimum and maximum stand left and right of the distribution: it is its own axis.
One variable alone gets a histogram with its quantiles. Variables that are damaged
have no figures; the exit code is then 2. `--every` takes a run of checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import (
    add_roles,
    add_sort,
    add_top,
    open_path,
    patterns_of,
    positive,
    roles_of,
)
from ckread.cli.pictures import check_picture
from ckread.cli.progress import ProgressBar, add_jobs, keep_blas_in_one_thread
from ckread.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import (
        CheckpointStatistics,
        RunStatistics,
        VariableStatistics,
    )
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import Run


EXAMPLES = (
    ("ckread stats ckpt-10", "every weight"),
    ("ckread stats ckpt-10 hidden/kernel", "one, with its histogram and quantiles"),
    ("ckread stats ckpt-10 --plot all.png", "distributions as a picture"),
    ("ckread stats run conv1/kernel --every", "how one changed over a run"),
)

_ORDERS = ("model", "name", "elements", "min", "max", "mean", "std", "l2", "zeros", "nan")
_TROUBLE = 2


def add_arguments(parser: Parser) -> None:
    """Add the options of `stats`."""
    add_roles(parser)
    add_sort(parser, _ORDERS)
    add_top(parser)
    parser.add_argument(
        "--bins",
        metavar="N",
        type=positive,
        default=64,
        help="bins of histograms piped and in JSON",
    )
    parser.add_argument("--every", action="store_true", help="every checkpoint of a run")
    add_jobs(parser)
    parser.add_argument("--plot", metavar="FILE", help="picture: .png, .svg or .pdf")
    parser.add_argument("--show", action="store_true", help="picture in a window")
    parser.add_argument("--dark", action="store_true", help="picture on a dark ground")
    parser.add_argument("--shared", action="store_true", help="one value axis for all panels")
    parser.add_argument("--log", action="store_true", help="logarithmic counts in the picture")
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Measure, then show a table, a histogram, JSON, a picture."""
    keep_blas_in_one_thread()
    check_picture(arguments)
    if arguments.every:
        return run_every(arguments, output)
    with open_path(arguments.path, arguments, output) as checkpoint:
        result = _measure(checkpoint, arguments, output)
        _raise_if_nothing_is_there(result)
        rows = _in_order(result.variables, arguments.sort)[: arguments.top]
        _report(result, rows, arguments, output)
        if arguments.plot or arguments.show:
            from ckread.cli.drawing import draw_statistics

            draw_statistics(checkpoint, result, rows, arguments, output)
    return _TROUBLE if result.damaged else 0


def _measure(
    checkpoint: Checkpoint, arguments: argparse.Namespace, output: Output
) -> CheckpointStatistics:
    from ckread.analysis.choosing import choose_variables
    from ckread.analysis.statistics.statistics import statistics

    patterns, roles = patterns_of(arguments), roles_of(arguments)
    chosen, _ = choose_variables(checkpoint, patterns, roles)
    with ProgressBar(sum(variable.nbytes for variable in chosen), output) as progress:
        return statistics(
            checkpoint,
            patterns,
            roles=roles,
            n_bins=arguments.bins,
            n_jobs=arguments.jobs,
            progress=progress,
        )


def _raise_if_nothing_is_there(result: CheckpointStatistics) -> None:
    """Say once, as an error, what keeps every variable from being read."""
    errors = {str(variable.error): variable.error for variable in result.damaged}
    if len(errors) == 1 and not result.measured:
        [error] = errors.values()
        if error is not None:
            raise error


def _report(
    result: CheckpointStatistics,
    rows: Sequence[VariableStatistics],
    arguments: argparse.Namespace,
    output: Output,
) -> None:
    if output.is_json:
        from dataclasses import replace

        output.json("stats", replace(result, variables=tuple(rows)).to_dict())
    elif len(result.variables) == 1:
        from ckread.views.histogram import histogram_page

        output.render(histogram_page(result.variables[0], result.path, n_bins=arguments.bins))
    else:
        from ckread.views.statistics import statistics_page

        output.render(statistics_page(result, shown=rows))


def _in_order(variables: Sequence[VariableStatistics], order: str) -> list[VariableStatistics]:
    from ckread.model.selection import natural_key

    if order == "model":
        return list(variables)
    if order == "name":
        return sorted(variables, key=lambda v: natural_key(v.name))
    give = _FIGURES[order]

    def place(variable: VariableStatistics) -> tuple[bool, float]:
        value = give(variable.distribution) if variable.distribution else None
        return value is None, 0 if value is None else value

    return sorted(variables, key=place)


_FIGURES: dict[str, Callable[[Distribution], float | None]] = {
    "elements": lambda d: -d.elements,
    "min": lambda d: d.min,
    "max": lambda d: None if d.max is None else -d.max,
    "mean": lambda d: None if d.mean is None else -abs(d.mean),
    "std": lambda d: None if d.std is None else -d.std,
    "l2": lambda d: None if d.l2 is None else -d.l2,
    "zeros": lambda d: -d.zeros / max(1, d.elements),
    "nan": lambda d: -(d.nan + d.infinite),
}
"""What a column is sorted by, the most remarkable first."""


# `ckread stats RUN NAME --every`: one variable in every checkpoint of a run.


def run_every(arguments: argparse.Namespace, output: Output) -> int:
    """Measure along a run; give the exit code."""
    from ckread.analysis.statistics.statistics import statistics_of_run
    from ckread.model.run.run import open_run

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
        from ckread.views.statistics import evolution_page

        output.render(evolution_page(result))
    if arguments.plot or arguments.show:
        _draw(result, arguments, output)
    return 2 if result.damaged else 0


def _nbytes(run: Run, arguments: argparse.Namespace) -> int:
    from ckread.analysis.choosing import choose_variables

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
