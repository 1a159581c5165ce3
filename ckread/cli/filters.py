"""Convolution kernels as a picture, and what they see in an image.

    $ ckread filters digits_run/ckpt-10 conv1/kernel -o conv1.png
    wrote conv1.png: 16 kernels of conv1/kernel, 3×3, scale ±0.256

Kernels of 2-D and depthwise convolutions are tiles, in colour where the input has
three channels; 3-D ones have a tile per slice of depth, below each other; 1-D ones
have taps across and channels down; a dense layer is one map. With `--image` each
kernel's response to it is drawn: what the layer gives for this image, if it is the
first one. A `.keras`, a whole-model `.h5` and a SavedModel of Keras 2 tell how it computes
that, and rescaling, normalization, padding and cropping before it are followed; else stride
1 and padding same are taken, unless options say more. Deeper layers need the model, whose
array of shape (rows, columns, channels) before the layer is taken as `.npy`. `-o FILE.npy`
writes all responses as one array, channels last, as Keras gives them.
Without `-o` the file is called after the variable, `conv1-kernel.png`, a response after the
image too, `conv1-kernel-response-to-cat.png`.
"""

from __future__ import annotations

from os.path import basename, splitext
from typing import TYPE_CHECKING, Any

from ckread.cli.arguments import (
    OneOf,
    add_top,
    add_why,
    keep_blas_in_one_thread,
    open_path,
    positive,
)
from ckread.cli.files import (
    add_picture_settings,
    check_target,
    evidence_of,
    new_file,
    palette_of,
    prepare_drawing,
    save,
    show,
)
from ckread.errors import UsageError
from ckread.model.evidence import Strength
from ckread.model.lookup import find_kernel
from ckread.views.terminal.page import Page
from ckread.views.terminal.words import listed

if TYPE_CHECKING:
    import argparse

    from ckread.analysis.filters.responses import Responses
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

EXAMPLES = (
    ("ckread filters ckpt-10 conv1/kernel -o conv1.png", "its kernels as tiles"),
    ("ckread filters ckpt-10 conv1/kernel --image cat.png", "their response to it"),
)

_MAX_TILES = 256
_MAX_TILES_BY_KIND = {"conv1d": 16, "conv3d": 64}
_MAX_RESPONSES = 64


def add_arguments(parser: Parser) -> None:
    """Add the options of `filters`."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".png, .svg, .pdf; .npy of responses (default: .png)"
    )
    add_top(parser, "the first N kernels only")
    parser.add_argument("--per-kernel", action="store_true", help="stretch each kernel's colours")
    parser.add_argument("--image", metavar="FILE", help="image to which kernels respond, or .npy")
    parser.add_argument(
        "--range", metavar="LOW:HIGH", type=_range,
        help="what black and white pixels become (default 0:1, or as the model takes them)",
    )  # fmt: skip
    parser.add_argument("--bias", metavar="NAME", help="variable to add per kernel")
    parser.add_argument("--stride", metavar="N", type=positive, help="of the layer")
    parser.add_argument(
        "--padding", metavar="HOW", type=OneOf(("same", "valid")), help="same or valid"
    )
    parser.add_argument(
        "--relu", action="store_true", default=None, help="negative responses become 0"
    )
    add_picture_settings(parser)
    add_why(parser)


def _range(text: str) -> tuple[float, float]:
    import argparse
    import math

    try:
        low, high = (float(part) for part in text.split(":"))
        if math.isfinite(low) and math.isfinite(high):
            return low, high
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}, expected two numbers as 0:255 or -1:1")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Draw kernels or responses."""
    keep_blas_in_one_thread()
    prepare_drawing(arguments)
    with open_path(arguments.path, arguments, output) as checkpoint:
        variable = find_kernel(checkpoint, arguments.name)
        target = arguments.output
        if target is None and not arguments.show:
            name = variable.name.replace("/", "-")
            if arguments.image:  # beside the kernels, and the responses to other images
                name += f"-response-to-{splitext(basename(arguments.image))[0]}"
            target = f"{name}.png"
        is_array = target is not None and target.lower().endswith(".npy")
        if is_array and not arguments.image:
            remedy = "ckread show PATH NAME -o FILE.npy writes the kernel itself."
            raise UsageError("an array of responses needs --image", path=target, remedy=remedy)
        if target is not None:
            check_target(target, force=arguments.force, others=(".npy",))
        found = None
        if arguments.image:
            found = _respond(checkpoint, variable.name, arguments)
            figure, words = _draw_responses(checkpoint, found, arguments)
        else:
            figure, words = _draw(checkpoint, variable, arguments)
    if target is not None:
        if is_array and found is not None:
            words = _write_array(found, target, arguments)
        else:
            save([figure], target, palette_of(arguments), force=arguments.force)
        output.wrote(target, words)
    if output.is_json:
        document = {"file": target, "variables": [variable.name], "left_out": []}
        layer = None
        if found is not None:
            layer = found.layer.to_dict() | {"pixels": found.pixel_range}
        claims = () if found is None else found.layer.claims
        evidence = [claim.to_dict() for claim in claims]
        output.json("filters", {**document, "layer": layer, "evidence": evidence})
    elif found is not None and arguments.why:
        output.render(Page([]), found.layer.claims)
    if arguments.show:
        show([figure])
    return 0


def _draw(
    checkpoint: Checkpoint, variable: Variable, arguments: argparse.Namespace
) -> tuple[Any, str]:
    """Give the picture and what it holds in words."""
    from ckread.analysis.filters.filters import filters, kernel_kind
    from ckread.views.figures.filters import plot_filters
    from ckread.views.terminal.words import float_text, plural, shape_text

    limit = _MAX_TILES_BY_KIND.get(kernel_kind(variable.name, variable.shape), _MAX_TILES)
    found = filters(variable, top=arguments.top or limit)
    figure = plot_filters(
        found,
        evidence=evidence_of(checkpoint),
        palette=palette_of(arguments),
        is_per_kernel=arguments.per_kernel,
    )
    size = shape_text(found.shape[:3] if found.n_slices > 1 else found.tiles.shape[1:3])
    n = plural(len(found), "kernel") if found.kind != "dense" else "the matrix"
    return figure, f"{n} of {found.name}, {size}, scale ±{float_text(found.scale)}"


def _respond(checkpoint: Checkpoint, name: str, arguments: argparse.Namespace) -> Responses:
    """Put the image through the layer."""
    from ckread.analysis.filters.responses import responses

    return responses(
        checkpoint,
        name,
        arguments.image,
        stride=arguments.stride,
        padding=arguments.padding,
        bias=arguments.bias,
        relu=arguments.relu,
        pixel_range=arguments.range,
    )


def _draw_responses(
    checkpoint: Checkpoint, found: Responses, arguments: argparse.Namespace
) -> tuple[Any, str]:
    from ckread.views.figures.filters import plot_responses

    drawn = found.head(arguments.top or _MAX_RESPONSES)
    figure = plot_responses(drawn, evidence=evidence_of(checkpoint), palette=palette_of(arguments))
    return figure, f"{len(drawn)} {_told(found, arguments)}"


def _told(found: Responses, arguments: argparse.Namespace) -> str:
    """Say of what and to what the responses are, how the layer was taken, and what is not told."""
    layer = found.layer
    as_layer = f"as {layer.name} computes them: " if layer.name else ""
    told = f"responses of {found.filters.name} to {arguments.image}, {as_layer}{layer.words}"
    if found.pixel_range is not None:
        told += ", pixels {:g} to {:g}".format(*found.pixel_range)
    unknown = [claim.claim for claim in layer.claims if claim.strength is Strength.UNKNOWN]
    return f"{told}; the file does not tell {listed(unknown)}" if unknown else told


def _write_array(found: Responses, target: str, arguments: argparse.Namespace) -> str:
    """Write all responses as one array, channels last as Keras gives them; say what it is."""
    from ckread.views.array_files import write_npy
    from ckread.views.terminal.words import shape_text

    array = found.output
    with new_file(target, force=arguments.force) as file:
        write_npy(file, array.shape, [array.ravel()])
    return f"{_told(found, arguments)}, {shape_text(array.shape)}"
