"""How every variable of a run moved, step by step.

    $ ckread drift digits_run conv
    digits_run  10 checkpoints, steps 1 to 10
    conv2/bias moved most: 1.6 times its first norm. conv1/** did not change before
    step 4. All values are finite.

    variable        moved  2 … 10     l2 first   last  cosine
    conv1/bias     from 0  ··▇▇▄▄▃▃▃     0      0.121       –
    [… 6 lines]

RUN is a directory (every checkpoint in it), several paths, or a quoted glob. Every
checkpoint is read side by side and once, its checksums verified. `--index-only`
compares checksums alone, and says what changed when, not how far. Where a value is
NaN or infinite the optimizer's state is read too, for what failed first.

In JSON arrays go along the checkpoints, null where a variable is absent;
`first_nonfinite` is the index of a checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import (
    add_jobs,
    add_roles,
    add_top,
    add_why,
    keep_blas_in_one_thread,
    open_run_words,
    roles_of,
)
from ckread.cli.files import add_pictures, hand_over, palette_of, wants_picture
from ckread.cli.reading import reading_run
from ckread.errors import UsageError
from ckread.model.role import Role

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread drift digits_run", "how every weight moved"),
    ('ckread drift digits_run "conv*/**"', "only these subtrees"),
    ("ckread drift digits_run --index-only", "what changed when, by checksum"),
    ("ckread drift 'run/ckpt-?' --plot d.png", "some checkpoints, as a picture"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `drift`."""
    parser.add_argument(
        "--index-only", action="store_true", help="compare checksums alone; read no values"
    )
    add_roles(parser)
    add_top(parser, "the N that moved most")
    parser.add_argument("--all", action="store_true", help="every row, however many")
    add_jobs(parser)
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Measure the drift of a run, and show it."""
    keep_blas_in_one_thread()
    from ckread.analysis.drift.drift import drift
    from ckread.views.drift.page import DriftView, drift_page

    draws = wants_picture(arguments)
    roles = roles_of(arguments)
    if roles and len(roles) == len(Role):
        roles -= {Role.BOOKKEEPING}  # `all` means every role that holds numbers
    run, patterns = open_run_words(arguments, output)
    if len(run) == 1:
        remedy = (
            "Give the directory of a run, several paths, or a quoted glob. What is in one"
            " checkpoint is told by ckread stats."
        )
        raise UsageError(f"{run.path}: one checkpoint, and drift compares several", remedy=remedy)
    with reading_run(run, arguments, output, "--index-only") as how:
        result = drift(run, patterns, roles=roles, index_only=arguments.index_only, **how)
    top, every = arguments.top, arguments.all
    output.answer("drift", result, lambda: drift_page(DriftView(result, top, every)))
    if draws:
        from ckread.views.figures.drift import plot_drift
        from ckread.views.terminal.words import plural

        pages = plot_drift(result, palette=palette_of(arguments))
        hand_over(pages, f"drift of {plural(len(result.variables), 'variable')}", arguments, output)
    return 0
