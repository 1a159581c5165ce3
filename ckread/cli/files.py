"""Files that commands write and read: whole or not at all, and never in place of another unasked.

The file of `--rename-map`, and pictures with the options that commands share.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from ckread.errors import (
    CorruptCheckpointError,
    UsageError,
)
from ckread.readers.contract import few
from ckread.readers.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.views.figures.style import Palette


def check_free(path: str, *, force: bool) -> None:
    """See that a path may be written, before anything is read."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise UsageError("no such directory to write to", path=path, name=directory)
    if os.path.lexists(path):
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError("not a regular file, nothing was written", path=path)
        if not force:
            remedy = "Choose another name, or add --force to replace it."
            raise UsageError("exists already", path=path, remedy=remedy)


@contextmanager
def new_file(path: str, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its name once it is complete; nothing is left on failure."""
    check_free(path, force=force)
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with open(partial, "xb") as file:
            yield file
        if force:
            os.replace(partial, target)
        else:
            # Give a finished file its name, unless another has taken it meanwhile.
            try:
                os.link(partial, target)
            except FileExistsError:
                check_free(target, force=False)
                raise
            except OSError:  # a file system without links
                check_free(target, force=False)
                os.replace(partial, target)
    except OSError as error:
        if error.filename != partial:
            raise
        raise UsageError((error.strerror or "").lower(), path=path) from None
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)


# The file of `--rename-map`: names of the first checkpoint and of the second, as JSON.


_MAX_MAP_NBYTES = 64 << 20
_MAP = 'Give {"old name": "new name", …}, as diff --map writes it.'


class Mapped(NamedTuple):
    """What a variable is in the other file: its name, and where its axes go if they are turned."""

    name: str
    axes: tuple[int, ...] | None = None


def read_map(path: str) -> dict[str, Mapped]:
    """Read names and what they are in the other file: a name, or an object of name and axes."""
    try:
        document = json.loads(read_bounded(path, _MAX_MAP_NBYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        found = f"not a JSON document, {error}"
        raise CorruptCheckpointError(found, path=path, remedy=_MAP) from None
    mapped: dict[str, Mapped] = {}
    for old, new in document.items() if isinstance(document, dict) else [("", None)]:
        match new:
            case str():
                mapped[old] = Mapped(new)
            case {"name": str(name), "axes": list(axes)} if all(type(i) is int for i in axes):
                mapped[old] = Mapped(name, tuple(axes))
            case {"name": str(name), **rest} if "axes" not in rest:
                mapped[old] = Mapped(name)
            case _:
                expected = "an object of old names and new names"
                raise CorruptCheckpointError(
                    "not a rename map", path=path, expected=expected, remedy=_MAP
                )
    check_distinct((one.name for one in mapped.values()), path)
    return mapped


def check_distinct(names: Iterable[str], path: str | None = None) -> None:
    """See that no two variables get one name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"several old names become {twice[0]}", path=path)


def read_rename_map(path: str) -> dict[str, str]:
    """Read old names and their new ones from a JSON object."""
    return {old: mapped.name for old, mapped in read_map(path).items()}


def write_rename_map(
    path: str, renames: Mapping[str, str | dict[str, object]], *, force: bool = False
) -> None:
    """Write old names and new ones into a file, which is new unless `force` is given."""
    text = json.dumps(renames, indent=2, ensure_ascii=True)
    try:
        with new_file(path, force=force) as file:
            file.write(f"{text}\n".encode("ascii"))
    except OSError as error:
        raise UsageError(str(error.strerror), path=path) from None


# What commands that draw share: the options, where a picture goes, what it says it is of.


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
    set_up_drawing(shows=arguments.show)
    _set_look(arguments)


def set_up_drawing(*, shows: bool) -> None:
    """Have matplotlib draw for a file, or for a window, and say nothing."""
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


def check_target(path: str, *, force: bool, others: tuple[str, ...] = ()) -> None:
    """See that a picture can be written, before work is done for it."""
    if os.path.splitext(path)[1].lower() not in (*_SUFFIXES, *others):
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
