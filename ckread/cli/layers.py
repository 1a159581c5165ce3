"""The layers of a model: class, output shape, weights and parameters, in the model's order.

    $ ckread layers digits_files/digits.keras

Of a Keras file, or a SavedModel of Keras 2, these are the layers that its configuration
lists, those of nested models below them; an output shape that neither the file nor the
arithmetic of Keras's own layers tells is unknown. The totals are those of Keras's
`model.summary()`. Of other checkpoints the scopes of weights stand for layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import open_path
from ckread.views.layers import layers_document, layers_page

if TYPE_CHECKING:
    import argparse

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

EXAMPLES = (
    ("ckread layers digits.keras", "what Keras's model.summary() shows, without Keras"),
    ("ckread layers ckpt-10", "of a checkpoint: scopes and their weights"),
)


def add_arguments(parser: Parser) -> None:
    """Add no option."""


def run(arguments: argparse.Namespace, output: Output) -> int:
    """List the layers."""
    with open_path(arguments.path, arguments, output) as checkpoint:
        if output.is_json:
            output.json("layers", layers_document(checkpoint))
        else:
            output.render(layers_page(checkpoint))
    return 0
