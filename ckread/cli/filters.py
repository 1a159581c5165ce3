"""Convolution kernels as a picture, and what they see in an image.

    $ ckread filters digits_run/ckpt-10 conv1/kernel -o conv1.png
    wrote conv1.png: 16 kernels of conv1/kernel, 3×3, scale ±0.256

Kernels of 2-D and depthwise convolutions are tiles, in colour where the input has
three channels; 3-D ones have a tile per slice of depth, below each other; 1-D ones
have taps across and channels down; a dense layer is one map. With `--image` each
kernel's response to it is drawn: what the layer gives for this image, if it is the
first one. Deeper layers need the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.cli.arguments import OneOf, add_top, keep_blas_in_one_thread, open_path, positive
from ckread.cli.files import (
    add_picture_settings,
    check_target,
    evidence_of,
    palette_of,
    prepare_drawing,
    save,
    show,
)
from ckread.errors import UsageError
from ckread.model.lookup import find_named

if TYPE_CHECKING:
    import argparse

    from ckread.analysis.filters import Filters
    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

EXAMPLES = (
    ("ckread filters ckpt-10 conv1/kernel -o conv1.png", "its kernels as tiles"),
    ("ckread filters ckpt-10 conv1/kernel --image cat.png", "their response to an image"),
)

_MAX_TILES = 256
_MAX_TILES_BY_KIND = {"conv1d": 16, "conv3d": 64}
_MAX_RESPONSES = 64


def add_arguments(parser: Parser) -> None:
    """Add the options of `filters`."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".png, .svg or .pdf (default: by the name)"
    )
    add_top(parser, "the first N kernels only")
    parser.add_argument("--per-kernel", action="store_true", help="stretch each kernel's colours")
    parser.add_argument("--image", metavar="FILE", help="image to which kernels respond")
    parser.add_argument(
        "--range", metavar="LOW:HIGH", type=_range, default=(0.0, 1.0),
        help="what black and white pixels become (default 0:1)",
    )  # fmt: skip
    parser.add_argument("--bias", metavar="NAME", help="variable to add per kernel")
    parser.add_argument("--stride", metavar="N", type=positive, default=1, help="of the layer")
    parser.add_argument(
        "--padding", metavar="HOW", type=OneOf(("same", "valid")), default="same",
        help="same or valid",
    )  # fmt: skip
    parser.add_argument("--relu", action="store_true", help="negative responses become 0")
    add_picture_settings(parser)


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
        variable = find_named(checkpoint, arguments.name)
        target = arguments.output
        if target is None and not arguments.show:
            target = f"{variable.name.replace('/', '-')}.png"
        if target is not None:
            check_target(target, force=arguments.force)
        figure, words = _draw(checkpoint, variable, arguments)
    if target is not None:
        save([figure], target, palette_of(arguments), force=arguments.force)
        output.wrote(target, words)
    if output.is_json:
        document = {"file": target, "variables": [variable.name], "left_out": []}
        output.json("filters", document)
    if arguments.show:
        show([figure])
    return 0


def _draw(
    checkpoint: Checkpoint, variable: Variable, arguments: argparse.Namespace
) -> tuple[Any, str]:
    from ckread.analysis.filters import filters_of, kernel_kind, read_kernel
    from ckread.views.figures.filters import plot_filters
    from ckread.views.terminal.words import float_text, plural, shape_text

    kind = kernel_kind(variable.name, variable.shape)
    kernel = read_kernel(variable)
    limit = _MAX_TILES_BY_KIND.get(kind, _MAX_TILES)
    limit = _MAX_RESPONSES if arguments.image else limit
    filters = filters_of(variable.name, kernel, top=arguments.top or limit)
    evidence = evidence_of(checkpoint)
    if arguments.image:
        return _draw_responses(checkpoint, filters, kernel, evidence, arguments)
    figure = plot_filters(
        filters,
        evidence=evidence,
        palette=palette_of(arguments),
        is_per_kernel=arguments.per_kernel,
    )
    size = shape_text(filters.shape[:3] if filters.n_slices > 1 else filters.tiles.shape[1:3])
    n = plural(len(filters.tiles), "kernel") if filters.kind != "dense" else "the matrix"
    return figure, f"{n} of {filters.name}, {size}, scale ±{float_text(filters.scale)}"


def _draw_responses(
    checkpoint: Checkpoint,
    filters: Filters,
    kernel: Any,
    evidence: list[str],
    arguments: argparse.Namespace,
) -> tuple[Any, str]:
    from ckread.analysis.filters import KernelKind, Padding, response
    from ckread.cli.files import read_image
    from ckread.views.figures.filters import Responses, plot_responses

    if filters.kind not in (KernelKind.CONV2D, KernelKind.DEPTHWISE):
        raise UsageError(f"{filters.name}: a {filters.kind} kernel does not respond to an image")
    n_in = filters.shape[2]
    if n_in not in (1, 3):
        remedy = (
            "An image has 1 or 3 channels. What a deeper layer sees is the output of the layers "
            "before it: run the model for that."
        )
        raise UsageError(f"{filters.name}: takes {n_in} input channels", remedy=remedy)
    image = read_image(arguments.image, n_in, arguments.range)
    vector = find_named(checkpoint, arguments.bias) if arguments.bias else None
    bias = vector.numpy().astype("f8") if vector is not None else None
    maps = response(
        kernel,
        image,
        stride=arguments.stride,
        padding=Padding(arguments.padding),
        bias=bias,
        relu=arguments.relu,
        is_depthwise=filters.kind is KernelKind.DEPTHWISE,
    )
    low, high = arguments.range
    layer = [
        f"stride {arguments.stride}, padding {arguments.padding}",
        f"bias {vector.name}" if vector is not None else "",
        "ReLU" if arguments.relu else "",
    ]
    facts = [
        *evidence,
        ", ".join(word for word in layer if word),
        f"image {image.shape[1]}×{image.shape[0]}, pixels {low:g} to {high:g}",
    ]
    n = len(filters.tiles)
    drawn = Responses(filters, image, maps[:n], arguments.relu)
    figure = plot_responses(drawn, evidence=facts, palette=palette_of(arguments))
    return figure, f"{n} responses of {filters.name} to {arguments.image}"
