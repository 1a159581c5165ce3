"""Training curves of one or more logs, and which checkpoint holds the best epoch.

    $ ckread history digits_run/history.json --run digits_run
    digits_run/history.json  10 epochs, 5 metrics
    Best val_loss 0.0353 at epoch 8, held by digits_run/ckpt-8.

    epoch        loss    val_loss    accuracy  val_accuracy  checkpoint
           ▇▂▂▁▁▁▁▁▁▁  ▇▅▁▅▂▁▁▁▁▁  ▁▆▆▇▇▇▇▇▇▇    ▁▂▇▄▆▇▇▇▇▇
    [… 13 lines]

LOG is the JSON of a list with a record per epoch (what `ckread.callbacks.HistoryLogger`
writes), the JSON of Keras's `History.history`, a `CSVLogger` file, or event files of
TensorBoard or their directory. Several logs of a resumed training are joined: of an
epoch in two of them the later log counts. Checkpoints are matched with epochs by
their step, else by the iterations of their optimizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import OneOf, add_why
from ckread.cli.pictures import add_pictures, hand_over, palette_of, wants_picture

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread history history.json", "the curves as a table"),
    ("ckread history first.csv second.csv --run run", "a resumed training, its checkpoints"),
    ("ckread history history.json --best val_accuracy", "the best epoch by another metric"),
    ("ckread history history.json --run run --plot h.png", "as a picture"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `history`."""
    parser.add_argument("--run", metavar="RUN", help="the checkpoints of this training")
    parser.add_argument("--best", metavar="METRIC", help="what the best epoch is best by")
    parser.add_argument(
        "--mode", metavar="MODE", type=OneOf(("min", "max")), help="which is better: min or max"
    )
    parser.add_argument("--all", action="store_true", help="a row for every epoch")
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Read logs, and show their curves."""
    from ckread.analysis.history import history

    draws = wants_picture(arguments)
    checkpoints = None
    if arguments.run:
        from ckread.model.run.run import open_run

        checkpoints = open_run(arguments.run, reader=arguments.reader)
        for note in checkpoints.notes:
            output.note(note)
    result = history(arguments.logs, checkpoints, best=arguments.best, mode=arguments.mode)
    if output.is_json:
        output.json("history", result.to_dict())
    else:
        from ckread.views.history import history_page

        output.render(history_page(result, show_all=arguments.all), result.evidence)
    if draws:
        from ckread.views.figures.history import plot_history
        from ckread.views.terminal.words import plural

        figure = plot_history(result, palette=palette_of(arguments))
        hand_over([figure], plural(len(result.epochs), result.unit), arguments, output)
    return 0
