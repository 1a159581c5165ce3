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
    add_every,
    add_jobs,
    add_roles,
    add_sort,
    add_top,
    add_why,
    keep_blas_in_one_thread,
    open_path,
    patterns_of,
    positive,
    roles_of,
)
from ckread.cli.files import (
    add_pictures,
    evidence_of,
    hand_over,
    palette_of,
    step_of,
    wants_picture,
)
from ckread.cli.reading import Places, reading
from ckread.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import (
        CheckpointStatistics,
        VariableStatistics,
    )
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint


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
        "--bins", metavar="N", type=positive, default=64,
        help="bins of histograms piped and in JSON",
    )  # fmt: skip
    add_every(parser)
    add_jobs(parser)
    add_pictures(parser)
    parser.add_argument("--shared", action="store_true", help="one value axis for all panels")
    parser.add_argument("--log", action="store_true", help="logarithmic counts in the picture")
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Measure, then show a table, a histogram, JSON, a picture."""
    keep_blas_in_one_thread()
    draws = wants_picture(arguments)
    if arguments.every:
        return _run_every(arguments, output, draws=draws)
    with open_path(arguments.path, arguments, output) as checkpoint:
        from ckread.analysis.statistics.statistics import choose_variables, statistics

        patterns, roles = patterns_of(arguments), roles_of(arguments)

        def nbytes() -> int:
            chosen, _ = choose_variables(checkpoint, patterns, roles)
            return sum(variable.nbytes for variable in chosen)

        with reading(nbytes, arguments, output, Places([checkpoint.path])) as how:
            result = statistics(
                checkpoint,
                patterns,
                roles=roles,
                n_bins=arguments.bins,
                **how,
            )
        errors = {str(variable.error): variable.error for variable in result.damaged}
        for error in errors.values():
            if len(errors) == 1 and not result.measured and error is not None:
                raise error  # what keeps every variable from being read is said once
        rows = _in_order(result.variables, arguments.sort)[: arguments.top]
        if output.is_json:
            from dataclasses import replace

            from ckread.views.json_document import encode_statistics

            output.json_pieces(encode_statistics(replace(result, variables=tuple(rows))))
        elif len(result.variables) == 1:
            from ckread.views.statistics import histogram_page

            output.render(histogram_page(result.variables[0], result.path, n_bins=arguments.bins))
        else:
            from ckread.views.statistics import statistics_page

            output.render(statistics_page(result, shown=rows))
        if draws:
            _draw(checkpoint, result, rows, arguments, output)
    return _TROUBLE if result.damaged else 0


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


def _in_order(variables: Sequence[VariableStatistics], order: str) -> list[VariableStatistics]:
    from ckread.model.selection import natural_key

    if order == "model":
        return list(variables)
    if order == "name":
        return sorted(variables, key=lambda v: natural_key(v.name))

    def place(variable: VariableStatistics) -> tuple[bool, float]:
        figures = variable.distribution
        value = _FIGURES[order](figures) if figures else None
        return value is None, 0 if value is None else value

    return sorted(variables, key=place)


def _draw(
    checkpoint: Checkpoint,
    result: CheckpointStatistics,
    rows: Sequence[VariableStatistics],
    arguments: argparse.Namespace,
    output: Output,
) -> None:
    """Draw the distributions of the variables that are shown."""
    from ckread.views.figures.many import noun_of, plot_statistics
    from ckread.views.terminal.words import plural

    measured = [variable for variable in rows if variable.distribution]
    noun, n_all = noun_of(measured), len(result.variables)
    if len(measured) == 1:
        evidence = evidence_of(checkpoint)
    else:
        patterns = patterns_of(arguments)
        whose = f" (pattern {', '.join(patterns)})" if patterns else ""
        of_all = f"{len(measured)} of " if len(measured) < n_all else ""
        order = "" if arguments.sort != "model" else " in the order of the model"
        evidence = [*step_of(checkpoint), f"{of_all}{plural(n_all, noun)}{whose}{order}"]
    pages = plot_statistics(
        result,
        measured,
        evidence=evidence,
        palette=palette_of(arguments),
        is_shared=arguments.shared,
        is_log=True if arguments.log else None,
    )
    hand_over(pages, f"{plural(len(measured), noun)} of {checkpoint.path}", arguments, output)


# `ckread stats RUN NAME --every`: one variable in every checkpoint of a run.


def _run_every(arguments: argparse.Namespace, output: Output, *, draws: bool) -> int:
    """Measure along a run; give the exit code."""
    from ckread.analysis.statistics.statistics import choose_variables, statistics_of_run
    from ckread.model.run.run import open_run

    run = open_run(arguments.path, reader=arguments.reader).every(arguments.every)
    patterns, roles = patterns_of(arguments), roles_of(arguments)
    with run[-1] as last:
        chosen, _ = choose_variables(last, patterns, roles)
        nbytes = len(run) * sum(variable.nbytes for variable in chosen)
    places = Places([entry.path for entry in run.entries])
    with reading(nbytes, arguments, output, places) as how:
        result = statistics_of_run(
            run,
            patterns,
            roles=roles,
            n_bins=arguments.bins,
            **how,
        )
    for note in result.notes:
        output.note(note)
    if output.is_json:
        output.json("stats", result.to_dict())
    else:
        from ckread.views.statistics import evolution_page

        output.render(evolution_page(result), result.evidence)
    if draws:
        from ckread.views.figures.over_steps import plot_over_run

        if len(result.names) != 1:
            remedy = "Give a PATTERN that means one variable."
            n = len(result.names)
            raise UsageError(f"{n} variables over a run do not fit one picture", remedy=remedy)
        [name] = result.names
        figure = plot_over_run(result, name, palette=palette_of(arguments))
        what = f"{name} in {len(result.moments)} checkpoints of {result.path}"
        hand_over([figure], what, arguments, output)
    return _TROUBLE if result.damaged else 0
