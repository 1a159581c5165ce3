"""What a program that loads a file would run, read or write; nothing of it is run.

    $ ckread loads digits_export
    digits_export
    Nothing beyond TensorFlow's own ops: 434 nodes, 2 signatures. Files: only its
    own variables.

    [… 4 lines]

PATH is what `ckread.open` takes, a `saved_model.pb`, the `.meta` of a TF 1 graph, or a
pickle: .pkl, .pt, .npy, .npz. Of a graph the operations are followed from what is called
or initialized; of Keras the configuration is read, and a Lambda's bytecode described; of
a pickle the opcodes. What every export has, saving and restoring, is counted alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.loading.loading import on_loading
from ckread.cli.arguments import add_strict
from ckread.views.loads import loads_page

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread loads exported", "a SavedModel: its operations, and what leads to them"),
    ("ckread loads model.keras", "code and modules in a configuration"),
    ("ckread loads weights.pt --strict", "exit code 1 if anything is listed"),
)
EXIT_CODE = "0 done, 1 with --strict if anything is listed, 2 trouble"


def add_arguments(parser: Parser) -> None:
    """Add the options of `loads`."""
    add_strict(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Tell what loading would do."""
    found = on_loading(arguments.path)
    if output.is_json:
        output.json("loads", found.to_dict())
    else:
        output.render(loads_page(found))
    return 1 if arguments.strict and found.facts else 0
