"""The layers of a model: class, output shape, weights and parameters, in the model's order.

    $ ckread layers digits.keras
    digits.keras

    layer    class               output    weights                        parameters
    digit    InputLayer          ?×8×8×1                                           –
    conv1    Conv2D              ?×8×8×16  kernel 3×3×1×16, bias 16              160
    norm1    BatchNormalization  ?×8×8×16  gamma, beta, 2 more of 16              64
    conv2    Conv2D              ?×8×8×32  kernel 3×3×16×32, bias 32           4,640
    norm2    BatchNormalization  ?×8×8×32  gamma, beta, 2 more of 32             128
    pool     MaxPooling2D        ?×4×4×32                                          –
    flatten  Flatten             ?×512                                             –
    hidden   Dense               ?×64      kernel 512×64, bias 64             32,832
    logits   Dense               ?×10      kernel 64×10, bias 10                 650

    9 layers, 38,474 parameters: 38,378 trainable, 96 not

Of a Keras file, or a SavedModel of Keras 2, these are the layers that its configuration
lists, those of nested models below them; an output shape that neither the file nor the
arithmetic of Keras's own layers tells is unknown. The totals are those of Keras's
`model.summary()`. Of other checkpoints the scopes of weights stand for layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import open_path
from ckread.views.listing import layers_document, layers_page

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
