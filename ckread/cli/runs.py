"""The checkpoints in a directory: step, time, size, and what its state file says.

    $ ckread runs digits_run
    digits_run
    10 checkpoints, steps 1 to 10, 4.47 MiB. The latest is ckpt-10.

    step  checkpoint  iterations  saved                  bytes  state file
       1  ckpt-1              90  2026-11-21 05:50:30  458 KiB  kept
       2  ckpt-2             180  2026-11-21 05:50:30  458 KiB  kept
    [… 10 lines]

Checkpoints that the state file does not name are `untracked`, names without a
checkpoint `stale`. Names that differ only in their numbers are one series; within
it checkpoints of other variables are another model, and each model is a group.
DIR may be a quoted glob, or several paths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.audit.seams import find_seams
from ckread.cli.arguments import add_why
from ckread.model.run.run import open_run
from ckread.views.runs import rows_of, runs_page

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

_N_TOLD = 8
"""Checkpoints of which it is told one by one why they were left out."""

EXAMPLES = (
    ("ckread runs digits_run", "every checkpoint in a directory"),
    ('ckread runs "runs/*" --all', "several runs, every checkpoint listed"),
    ("ckread runs digits_run -q", "paths alone, one a line"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `runs`."""
    parser.add_argument("--all", action="store_true", help="every checkpoint of every model")
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """List the checkpoints."""
    found = open_run(arguments.dirs, reader=arguments.reader)
    for skipped in found.skipped[:_N_TOLD]:
        output.warning(f"{skipped.path} was left out: {skipped.error.message}.")
    if len(found.skipped) > _N_TOLD:
        more = len(found.skipped) - _N_TOLD
        output.warning(f"{more:,} more were left out; --json lists them.")
    seams = find_seams(found) if output.is_json or not output.is_quiet else ()
    if output.is_json:
        listed = [seam.to_dict() for seam in seams]
        output.json("runs", found.to_dict() | {"seams": listed})
    elif output.is_quiet:
        output.lines(row.entry.path for row in rows_of(found) if row.entry.nbytes is not None)
    else:
        page = runs_page(found, show_all=arguments.all, seams=seams)
        output.render(page, [*found.claims, *(seam.claim for seam in seams)])
    return 0
