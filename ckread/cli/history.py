"""Training curves of one or more logs, and which checkpoint holds the best epoch.

    $ ckread history digits_run/history.json --run digits_run
    digits_run/history.json  10 epochs, 5 metrics
    Best val_loss 0.0353 at epoch 8, held by digits_run/ckpt-8.

    epoch        loss    val_loss    accuracy  val_accuracy  checkpoint
           ▇▂▂▁▁▁▁▁▁▁  ▇▅▁▅▂▁▁▁▁▁  ▁▆▆▇▇▇▇▇▇▇    ▁▂▇▄▆▇▇▇▇▇
    [… 13 lines]

LOG is the JSON of a list with a record per epoch (what `ckread.callbacks.HistoryLogger`
writes) or of a record per line, the JSON of Keras's `History.history` or of a pandas
DataFrame, a table with a header (`CSVLogger`, `DataFrame.to_csv`), or event files of
TensorBoard or their directory. Several logs of a resumed training are joined: of an
epoch in two of them the later log counts.

A checkpoint is put at an epoch only where something ties the two: a step, an epoch or
iterations that both hold, an epoch in its name, or iterations to an epoch that all
checkpoints agree on. Where nothing does, --match COLUMN=NUMBER says it: which number of
the names a column is (the first is 1), or of a single checkpoint the column's value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import OneOf, add_why
from ckread.cli.files import add_pictures, hand_over, palette_of, wants_picture
from ckread.errors import UsageError

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
    parser.add_argument(
        "--match", metavar="COLUMN=NUMBER", action="append", default=[],
        help="the column of the log that a number of the names is",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="a row for every epoch")
    add_pictures(parser)
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Read logs, and show their curves."""
    from ckread.analysis.history.history import history

    draws = wants_picture(arguments)
    checkpoints = None
    if arguments.run:
        from ckread.model.run.run import open_run

        checkpoints = open_run(arguments.run, reader=arguments.reader)
        for note in checkpoints.notes:
            output.note(note)
    match = {}
    for text in arguments.match:
        column, sign, number = text.rpartition("=")
        if not (column and sign and number):
            raise UsageError(f"--match {text}: expected COLUMN=NUMBER, such as epoch=10")
        match[column] = number
    if match and checkpoints is None:
        raise UsageError("--match without --run: there is no checkpoint to match")
    result = history(
        arguments.logs, checkpoints, best=arguments.best, mode=arguments.mode, match=match
    )
    if output.is_json:
        output.json("history", result.to_dict())
    else:
        from ckread.views.history import history_page

        output.render(history_page(result, show_all=arguments.all), result.evidence)
    if draws:
        from ckread.views.figures.curves import plot_history
        from ckread.views.terminal.words import plural

        figure = plot_history(result, palette=palette_of(arguments))
        hand_over([figure], plural(len(result.epochs), result.unit), arguments, output)
    return 0
