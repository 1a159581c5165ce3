"""What the optimizer did to each weight in its last step, from its slots alone.

    $ ckread optimizer digits_run/ckpt-10
    digits_run/ckpt-10  Adam, 900 iterations
    The last update moved the weights by 0.12 %, kernels by 0.055 to 0.15 %. No
    gradient has reached 11 of 38,378 elements since the slots began.

    learning rate                          6.95e-4
    beta_1, beta_2, epsilon, weight_decay  0.9, 0.999, 1e-07, 0: defaults, assumed;
                                           the file does not hold them

    weight          update  1e-5        0.01  signal  no gradient     step
    conv1/kernel   0.00103            ●       0.175         6.2 %  0.00537
    conv1/bias     0.00579                ●   0.141         6.2 %  0.00362
    [… 15 lines]

The last update is recomputed from momentum and velocity, for Adam, AdamW, AMSGrad,
Adamax, Lion, momentum, and RMSprop with momentum; others do not keep the gradient.
Hyperparameters that no file holds are assumed to be the defaults of the class, and
are called so: what is recomputed from them is right where a program left them alone.
`--every` takes a run of checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import (
    add_every,
    add_jobs,
    add_why,
    keep_blas_in_one_thread,
    open_path,
    patterns_of,
)
from ckread.cli.files import add_pictures, hand_over, palette_of, wants_picture
from ckread.cli.reading import Places, reading, reading_run
from ckread.views.terminal.words import plural

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread optimizer ckpt-10", "size and signal of the last update"),
    ("ckread optimizer ckpt-10 'conv*/**' --all", "these weights, each in its row"),
    ("ckread optimizer ckpt-10 --plot u.png", "the same as a picture, along the model"),
    ("ckread optimizer run --every", "how updates went along a run"),
)


_TROUBLE = 2


def add_arguments(parser: Parser) -> None:
    """Add the options of `optimizer`."""
    add_every(parser)
    parser.add_argument("--all", action="store_true", help="every weight in a row of its own")
    add_jobs(parser)
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Read the slots, and show what they tell."""
    keep_blas_in_one_thread()
    draws = wants_picture(arguments)
    if arguments.every:
        return _run_every(arguments, output, draws=draws)
    from ckread.analysis.audit.optimizer import optimizer, owners_of_slots
    from ckread.views.optimizer import optimizer_page

    with open_path(arguments.path, arguments, output) as checkpoint:
        slots = owners_of_slots(checkpoint)
        nbytes = sum(v.nbytes for owner, many in slots.items() for v in (checkpoint[owner], *many))
        with reading(nbytes, arguments, output, Places([checkpoint.path])) as how:
            result = optimizer(checkpoint, patterns_of(arguments), **how)
    output.answer("optimizer", result, lambda: optimizer_page(result, show_all=arguments.all))
    if draws:
        from ckread.views.figures.optimizer import plot_optimizer

        figure = plot_optimizer(result, palette=palette_of(arguments))
        hand_over([figure], f"last update of {plural(len(result.weights), 'weight')}", arguments,
                  output)  # fmt: skip
    return _TROUBLE if result.notes else 0


def _run_every(arguments: argparse.Namespace, output: Output, *, draws: bool) -> int:
    from ckread.analysis.audit.optimizer import optimizer_of_run
    from ckread.model.run.run import open_run
    from ckread.views.optimizer import optimizer_run_page

    run = open_run(arguments.path, reader=arguments.reader).every(arguments.every)
    with reading_run(run, arguments, output) as how:
        result = optimizer_of_run(run, patterns_of(arguments), **how)
    output.answer("optimizer", result, lambda: optimizer_run_page(result, show_all=arguments.all))
    if draws:
        from ckread.views.figures.optimizer import plot_optimizer_of_run

        pages = plot_optimizer_of_run(result, palette=palette_of(arguments))
        what = f"updates in {plural(len(result.checkpoints), 'checkpoint')}"
        hand_over(pages, what, arguments, output)
    return 0
