"""Pictures as files, which appear whole or not at all, or in windows."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg

from ckread.errors import CheckpointError, UsageError
from ckread.views.figures.style import Palette, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg", ".pdf")


def check_target(path: str, *, force: bool) -> None:
    """Check that a picture may be written, before work is done for it.

    Raises:
        UsageError: the extension is none of ours, or the file exists and `force` is not said.
    """
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        remedy = "Give a name that ends in .png, .svg or .pdf."
        raise UsageError(f"{path}: not a kind of picture", path=path, remedy=remedy)
    if os.path.exists(path) and not force:
        remedy = "Give --force to replace it, or another name."
        raise UsageError(f"{path}: exists already", path=path, remedy=remedy)


def save(pages: Sequence[Figure], path: str, palette: Palette, *, force: bool = False) -> int:
    """Write pages by the extension of `path`: a PDF holds all, PNG and SVG the first.

    The file appears whole or not at all; the same pages give the same bytes.

    Returns:
        How many pages were written.

    Raises:
        UsageError: as `check_target`.
        CheckpointError: the system does not let us write there.
    """
    check_target(path, force=force)
    kind = os.path.splitext(path)[1].lower()
    directory, name = os.path.split(path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory or ".")
    except OSError as error:
        raise CheckpointError(f"{path}: {(error.strerror or '').lower()}", path=path) from None
    try:
        with os.fdopen(descriptor, "wb") as file, drawing(palette):
            n_pages = _write(pages, file, kind)
        _publish(temporary, path)
    except OSError as error:
        raise CheckpointError(f"{path}: {(error.strerror or '').lower()}", path=path) from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return n_pages


def _write(pages: Sequence[Figure], file: Any, kind: str) -> int:
    if kind == ".pdf":
        from matplotlib.backends.backend_pdf import PdfPages

        with PdfPages(file, metadata={"CreationDate": None, "Creator": "ckread"}) as pdf:
            for page in pages:
                pdf.savefig(page)
        return len(pages)
    metadata = {"Date": None, "Creator": "ckread"} if kind == ".svg" else {"Software": "ckread"}
    pages[0].savefig(file, format=kind[1:], metadata=metadata)
    return 1


def _publish(temporary: str, path: str) -> None:
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)


def show(pages: Sequence[Figure]) -> None:
    """Open a window for each page, until they are closed.

    Raises:
        UsageError: there is no display.
    """
    import matplotlib as mpl

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
