"""What changed between two checkpoints, and how far.

    $ ckread diff digits_run/ckpt-2 digits_run/ckpt-3 "conv*/**" "hidden/**"
    digits_run/ckpt-2 → digits_run/ckpt-3
    4 of 6 variables changed; the weights among them moved 14 %, conv1/** stayed as
    they were.

      weight          moved                max |Δ|  cosine  elements
    ~ conv2/bias     31.9 %  ━━━━━━━━━━━━   0.0446  0.9812       all
    ~ hidden/bias    19.8 %  ━━━━━━━╸       0.0104  0.9825    85.9 %
    ~ conv2/kernel   17.3 %  ━━━━━━╸        0.0860  0.9862       all
    ~ hidden/kernel  13.3 %  ━━━━━          0.0640  0.9915    86.0 %
    = conv1/kernel        –                                     none
    = conv1/bias          –                                     none

    moved: ‖b − a‖ / ‖a‖. elements: how many changed, bit for bit. =: equal by
    checksum, not read. What was read has the right checksums.

Variables pair by name, then by key, content, shape and nearest name; `--rename`
and `--rename-map` say it where that does not do. Equal checksums in both indexes
answer "the same": only the rest is read. Bookkeeping and aliases count with `--all`.
A rename map that exists is used; one that does not is written, with what was found.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.records import DiffStatus
from ckread.cli.arguments import (
    SeveralOf,
    add_jobs,
    add_roles,
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
    hand_over,
    palette_of,
    read_rename_map,
    wants_picture,
    write_rename_map,
)
from ckread.cli.reading import Places, reading
from ckread.errors import UsageError
from ckread.model.opening import shared_graphs
from ckread.model.selection import find_variable
from ckread.readers.contract import no_garbage_collection
from ckread.views.diff.page import DiffView, diff_page, elements_page

if TYPE_CHECKING:
    from ckread.analysis.diff.difference import ElementDiff
    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint

EXAMPLES = (
    ("ckread diff ckpt-9 ckpt-10", "every variable, bit for bit"),
    ('ckread diff ckpt-9 ckpt-10 "conv*/**"', "only these subtrees"),
    ("ckread diff A B --index-only", "by checksum, no values read"),
)
EXIT_CODE = "0 equal, 1 different, 2 trouble"

_EXIT_EQUAL, _EXIT_DIFFERENT, _EXIT_NOT_KNOWN = 0, 1, 2


def add_arguments(parser: Parser) -> None:
    """Add the options of `diff`."""
    parser.add_argument(
        "--index-only", action="store_true",
        help="compare checksums, sizes and shapes; read no values",
    )  # fmt: skip
    parser.add_argument(
        "--rtol", metavar="R", type=_size, default=0.0,
        help="call values equal within R of the larger (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--atol", metavar="A", type=_size, default=0.0,
        help="and within A (default 0: bit for bit)",
    )  # fmt: skip
    parser.add_argument(
        "--ulp", metavar="N", type=_size, default=0.0,
        help="call it rounding up to N steps at a variable's largest value",
    )  # fmt: skip
    parser.add_argument(
        "--only", metavar="STATUS", type=SeveralOf(DiffStatus), action="append", default=[],
        help="changed, rounding, close, added, removed, reshaped, retyped …",
    )  # fmt: skip
    add_roles(parser)
    add_top(parser, "the N that moved most")
    parser.add_argument(
        "--rename", metavar="RULE", action="append", default=[],
        help="s/old/new/ on names of A, to pair them (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--rename-map", "--map", metavar="FILE",
        help="names of A and B as JSON: read, or else written",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="bookkeeping and aliases too")
    parser.add_argument(
        "--elements", metavar="N", type=positive,
        help="of one variable: the N elements farthest apart, with both values",
    )  # fmt: skip
    add_jobs(parser)
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Compare two checkpoints."""
    keep_blas_in_one_thread()
    if arguments.index_only and (arguments.plot or arguments.show):
        raise UsageError("--index-only: no values to draw", remedy="Leave out --index-only.")
    draws = wants_picture(arguments)
    with ExitStack() as stack:
        with shared_graphs():
            a, b = (
                stack.enter_context(open_path(path, arguments, output))
                for path in (arguments.a, arguments.b)
            )
        if arguments.index_only:
            stack.enter_context(no_garbage_collection())  # of 100,000 records none is garbage
        result = _compare(a, b, arguments, output)
        elements = None
        if arguments.elements:
            result, elements = _elements(a, b, result, arguments)
        has_values = all(file.nbytes is not None for side in (a, b) for file in side.files())
        only = frozenset(status for statuses in arguments.only for status in statuses)
        view = DiffView(result, only, arguments.top, has_values)
        if output.is_json:
            rows = None if elements is None else [element.to_dict() for element in elements]
            output.json("diff", view.to_dict() | {"elements": rows})
        elif elements is not None:
            output.render(elements_page(result, elements))
        else:
            output.render(diff_page(view), result.evidence)
        if draws:
            # Every variable along the model; one that is asked for alone, before and after.
            from ckread.views.figures.diff import has_difference, plot_diff, plot_difference
            from ckread.views.terminal.words import plural

            palette = palette_of(arguments)
            patterns = patterns_of(arguments)
            named = [variable for variable in result.variables if variable.name in patterns]
            chosen = named if len(patterns) == 1 and named else result.variables
            alone = chosen[0] if len(chosen) == 1 and chosen[0].elements > 1 else None
            if alone is None or alone.a is None or alone.b is None or not has_difference(alone):
                what = f"{plural(len(result.variables), 'variable')} of {a.path} and {b.path}"
                pages = plot_diff(result, palette=palette)
            else:
                from ckread.analysis.diff.difference import measure_difference

                what = f"{alone.name} of {a.path} and {b.path}"
                difference = measure_difference(a[alone.a.name], b[alone.b.name])
                pages = [plot_difference(result, alone, difference, palette=palette)]
            hand_over(pages, what, arguments, output)
    if result.equal is None:
        return _EXIT_NOT_KNOWN
    return _EXIT_EQUAL if result.equal else _EXIT_DIFFERENT


def _elements(
    a: Checkpoint, b: Checkpoint, result: CheckpointDiff, arguments: argparse.Namespace
) -> tuple[CheckpointDiff, list[ElementDiff]]:
    """Give what became of the one variable that is asked for, and its elements that differ."""
    from ckread.analysis.diff.difference import differing_elements

    if arguments.index_only:
        raise UsageError("--index-only: no elements to compare", remedy="Leave out --index-only.")
    patterns = patterns_of(arguments)
    named = find_variable(b.values(), patterns[0]) if len(patterns) == 1 else None
    pairs = [v for v in result.variables if v.a and v.b and (not named or v.name == named.name)]
    if len(pairs) != 1 or pairs[0].a is None:
        n = len(pairs)
        remedy = "Give a NAME, or a PATTERN that means one."
        raise UsageError(f"--elements: {n} variables on both sides, expected one", remedy=remedy)
    first, second = a[pairs[0].a.name], b[pairs[0].name]
    found = differing_elements(first, second, arguments.elements, result.tolerance)
    return replace(result, variables=tuple(pairs)), found


def _compare(
    a: Checkpoint, b: Checkpoint, arguments: argparse.Namespace, output: Output
) -> CheckpointDiff:
    for warning in dict.fromkeys(f"{side.path}: {w}" for side in (a, b) for w in side.warnings):
        output.warning(warning)  # files of both sides may have the same names
    path = arguments.rename_map
    known = read_rename_map(path) if path and os.path.exists(path) else None

    def nbytes() -> int:
        crcs = {variable.name: variable.crc32c for variable in a.values()}
        differing = {v.name for v in b.values() if v.crc32c is None or crcs.get(v.name) != v.crc32c}
        return sum(v.nbytes for side in (a, b) for v in side.values() if v.name in differing)

    places = Places([a.path, b.path], "--index-only", is_by_index=True)
    with reading(0 if arguments.index_only else nbytes, arguments, output, places) as how:
        result = diff_checkpoints(
            a,
            b,
            patterns=patterns_of(arguments),
            roles=roles_of(arguments) or (),
            index_only=arguments.index_only,
            rtol=arguments.rtol,
            atol=arguments.atol,
            ulp=arguments.ulp,
            everything=arguments.all,
            rename=arguments.rename,
            rename_map=known,
            **how,
        )
    if known is not None:
        output.note(f"{path}: {len(known)} names were read from it")
    elif path:
        pairs = result.conversion_map if result.conversion else dict(result.renames)
        write_rename_map(path, pairs)
        output.wrote(path, f"{len(pairs)} names")
    return result


def _size(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of 0 or more")
    return value
