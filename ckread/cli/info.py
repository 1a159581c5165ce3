"""What a checkpoint is: format, step, parameters, bytes by role, tree.

    $ ckread digits_run/ckpt-10
    digits_run/ckpt-10
    A Keras 3 model of 38,474 parameters, saved with Adam after 900 iterations.

    [… 23 lines]

Of the values only scalars and the object graph are read. A damaged or missing data
shard is a warning: the rest is shown, and the exit code is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.info import shown_tree, summarise
from ckread.cli.arguments import add_why, open_path
from ckread.views.info.page import info_page

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread digits_run", "the latest checkpoint of a run"),
    ("ckread info model.keras", "any format TensorFlow or Keras writes"),
    ("ckread info ckpt-10 --json", "the same for a program"),
)


def add_arguments(parser: Parser) -> None:
    """Add the options of `info`."""
    add_why(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Show the summary."""
    with open_path(arguments.path, arguments, output) as checkpoint:
        summary = summarise(checkpoint)
        if output.is_json:
            output.json("info", summary.to_dict())
            return 0
        tree = shown_tree(checkpoint, folds=output.is_terminal)
        output.render(info_page(summary, tree), summary.evidence)
    return 0
