"""What commands that draw share: the options, where a picture goes, what it says it is of."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from ckread.cli.files import check_free, new_file
from ckread.errors import UsageError
from ckread.readers.contract import few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.views.figures.style import Palette


_SUFFIXES = (".png", ".svg", ".pdf")
MAX_INCHES = 40
MAX_DPI = 1200


def add_pictures(parser: Parser) -> None:
    """Add `--plot FILE` and what goes with it."""
    parser.add_argument("--plot", metavar="FILE", help="picture: .png, .svg or .pdf")
    add_picture_settings(parser)


def add_picture_settings(parser: Parser) -> None:
    """Add `--show`, `--dark` and `--force`."""
    parser.add_argument("--show", action="store_true", help="picture in a window")
    parser.add_argument("--dark", action="store_true", help="picture on a dark ground")
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")
    parser.add_argument("--title", metavar="TEXT", help="its title; none for no title")
    parser.add_argument(
        "--note", metavar="none", choices=("none",), help="no words below it on how to read it"
    )
    parser.add_argument("--size", metavar="WxH", type=_inches, help="inches, as 3.5x2.5")
    parser.add_argument("--dpi", metavar="N", type=_dots, help="dots per inch of a .png")
    parser.add_argument("--font", metavar="NAME", help="an installed font")


def _inches(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d{1,2}(?:\.\d{1,3})?)[x×](\d{1,2}(?:\.\d{1,3})?)", text)
    size = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if not 1 <= min(size) <= max(size) <= MAX_INCHES:
        expected = f"inches from 1 to {MAX_INCHES}, as 3.5x2.5"
        raise argparse.ArgumentTypeError(f"{text!r}, expected {expected}")
    return size


def _dots(text: str) -> int:
    if not text.isdecimal() or not 20 <= int(text[:6]) <= MAX_DPI:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 20 to {MAX_DPI}")
    return int(text)


def _set_look(arguments: argparse.Namespace) -> None:
    """Have pictures drawn as the options say; a font that is not there is named."""
    from ckread.views.figures.style import LOOK, Look

    if arguments.font is not None:
        from matplotlib.font_manager import fontManager

        known = sorted({font.name for font in fontManager.ttflist})
        if arguments.font not in known:
            remedy = f"There are {few(known, 8)}."
            raise UsageError(f"--font {arguments.font}: not installed", remedy=remedy)
    title = "" if arguments.title == "none" else arguments.title
    look = Look(title, arguments.note is None, arguments.size, arguments.dpi, arguments.font)
    LOOK.set(look)


def wants_picture(arguments: argparse.Namespace) -> bool:
    """Tell whether a picture is asked for; see first that it can be written."""
    if arguments.plot:
        check_target(arguments.plot, force=arguments.force)
    draws = bool(arguments.plot or arguments.show)
    if draws:
        prepare_drawing(arguments)
    return draws


def prepare_drawing(arguments: argparse.Namespace) -> None:
    """See to it that matplotlib can be imported, whatever is set for windows, and says nothing.

    Pictures then look as the options say.
    """
    _set_up(shows=arguments.show)
    _set_look(arguments)


def _set_up(*, shows: bool) -> None:
    import logging

    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    if not shows:
        os.environ["MPLBACKEND"] = "agg"
        return
    try:
        import matplotlib as mpl  # noqa: F401 - which looks at MPLBACKEND
    except ValueError as error:
        remedy = "Set MPLBACKEND to one of these, or to nothing."
        raise UsageError(f"MPLBACKEND: {error}", remedy=remedy) from None


def check_target(path: str, *, force: bool) -> None:
    """See that a picture can be written, before work is done for it."""
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        remedy = "Give a name that ends in .png, .svg or .pdf."
        raise UsageError("not a kind of picture", path=path, remedy=remedy)
    check_free(path, force=force)


def palette_of(arguments: argparse.Namespace) -> Palette:
    """Give the colours that are asked for."""
    from ckread.views.figures.style import DARK, LIGHT

    return DARK if arguments.dark else LIGHT


def evidence_of(checkpoint: Checkpoint) -> list[str]:
    """Give where a picture of one variable is from: the end of the path, and the step."""
    from ckread.views.figures.many import last_two

    return [last_two(checkpoint.path), *step_of(checkpoint)]


def step_of(checkpoint: Checkpoint) -> list[str]:
    """Give the step in words, nothing where it is not known."""
    from ckread.analysis.training import read_training_state

    step = read_training_state(checkpoint).step
    return [] if step is None else [f"step {step}"]


def hand_over(
    pages: Sequence[Figure], what: str, arguments: argparse.Namespace, output: Output
) -> None:
    """Write pages to the file that is asked for, or show them, and say so."""
    if arguments.plot:
        n_written = save(pages, arguments.plot, palette_of(arguments), force=arguments.force)
        cut = f", page 1 of {len(pages)}; a .pdf holds all" if n_written < len(pages) else ""
        output.wrote(arguments.plot, f"{what}{cut}")
    if arguments.show:
        show(pages)


def save(pages: Sequence[Figure], path: str, palette: Palette, *, force: bool = False) -> int:
    """Write pages by the extension of `path`: a PDF holds all, PNG and SVG the first.

    The same pages give the same bytes.

    Returns:
        How many pages were written.
    """
    from ckread.views.figures.style import drawing

    check_target(path, force=force)
    kind = os.path.splitext(path)[1].lower()
    with new_file(path, force=force) as file, drawing(palette):
        if kind == ".pdf":
            from matplotlib.backends.backend_pdf import PdfPages

            with PdfPages(file, metadata={"CreationDate": None, "Creator": "ckread"}) as pdf:
                for page in pages:
                    pdf.savefig(page)
            return len(pages)
        is_svg = kind == ".svg"
        metadata = {"Date": None, "Creator": "ckread"} if is_svg else {"Software": "ckread"}
        pages[0].savefig(file, format=kind[1:], metadata=metadata)
        return 1


def show(pages: Sequence[Figure]) -> None:
    """Open a window for each page, until they are closed."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    remedy = "Give --plot FILE to write the picture to a file."
    try:
        # The one place where pyplot may be used: windows are what it is for.
        import matplotlib.pyplot as plt

        if mpl.get_backend().lower() == "agg":
            raise UsageError("no display to show a picture on", remedy=remedy)
        for page in pages:
            width, height = page.get_size_inches()
            window = plt.figure(figsize=(width, height), facecolor=page.get_facecolor())
            image = window.add_axes((0, 0, 1, 1))
            image.set_axis_off()
            canvas: Any = FigureCanvasAgg(page)
            canvas.draw()
            image.imshow(canvas.buffer_rgba())
        plt.show()
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"no display to show a picture on: {error}", remedy=remedy) from None
