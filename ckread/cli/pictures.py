"""What commands that draw share: the options, where a picture goes, what it says it is of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.views.figures.style import Palette


def add_pictures(parser: Parser) -> None:
    """Add `--plot FILE`, `--show`, `--dark` and `--force`."""
    parser.add_argument("--plot", metavar="FILE", help="picture: .png, .svg or .pdf")
    parser.add_argument("--show", action="store_true", help="picture in a window")
    parser.add_argument("--dark", action="store_true", help="picture on a dark ground")
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")


def check_picture(arguments: argparse.Namespace) -> None:
    """See that the picture can be written, before work is done for it.

    Raises:
        UsageError: its suffix is none of ours, or it is there already.
    """
    if arguments.plot:
        from ckread.views.figures.sheet import check_target

        check_target(arguments.plot, force=arguments.force)


def palette_of(arguments: argparse.Namespace) -> Palette:
    """Give the colours that are asked for."""
    from ckread.views.figures.style import DARK, LIGHT

    return DARK if arguments.dark else LIGHT


def evidence_of(checkpoint: Checkpoint) -> list[str]:
    """Give where a picture of one variable is from: the end of the path, and the step."""
    end = checkpoint.path.rstrip(os.sep).split(os.sep)[-2:]
    return [os.path.join(*end), *step_of(checkpoint)]


def step_of(checkpoint: Checkpoint) -> list[str]:
    """Give the step in words, nothing where it is not known."""
    from ckread.analysis.training import read_training_state

    step = read_training_state(checkpoint).step
    return [] if step is None else [f"step {step}"]


def hand_over(
    pages: Sequence[Figure], what: str, arguments: argparse.Namespace, output: Output
) -> None:
    """Write pages to the file that is asked for, or show them, and say so."""
    from ckread.views.figures.sheet import save, show

    if arguments.plot:
        palette = palette_of(arguments)
        n_written = save(pages, arguments.plot, palette, force=arguments.force)
        cut = f", page 1 of {len(pages)}; a .pdf holds all" if n_written < len(pages) else ""
        output.wrote(arguments.plot, f"{what}{cut}")
    if arguments.show:
        show(pages)
