"""A sheet of paper, in inches from its top left corner.

Widths of panels never depend on the length of a name, so nothing here is laid
out by matplotlib: no tight or constrained layout.
"""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ckread.model.display import by, safe_text
from ckread.views.figures.style import (
    LABEL_SIZE,
    LIGHT,
    LOOK,
    TEXT_SIZE,
    TITLE_SIZE,
    Palette,
    drawing,
)
from ckread.views.figures.text import count, cut, drawable, families_of, text_width, wrap_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes


WIDTH = 7.2
MARGIN = 0.14
SCREEN_DPI = 100
"""Points to an inch on a screen; the PNG itself is finer."""
_SEPARATOR = "  ·  "
NOTE_PITCH = 0.13
_HEAD = 0.44
"""Inches that title and subtitle take."""


class Caption(NamedTuple):
    """What stands around a picture: the answer, parts of the subtitle, and what is left out."""

    title: str
    evidence: Sequence[str]
    palette: Palette
    notes: Sequence[str] = ()

    def but(self, *evidence: str, notes: Sequence[str] = ()) -> Caption:
        """Add evidence, and notes before its own."""
        return self._replace(evidence=[*self.evidence, *evidence], notes=[*notes, *self.notes])


@contextmanager
def new_sheet(height: float, caption: Caption, reading: Sequence[str] = ()) -> Iterator[Sheet]:
    """Give a sheet so many inches high without the notes, which are written at the end.

    The first is how to read it; sentences of it that are empty are left out.
    """
    title, evidence, palette, notes = caption
    look = LOOK.get()
    with drawing(palette):
        width = WIDTH - 2 * MARGIN
        said = [" ".join(filter(None, reading)), *notes] if look.has_notes else []
        lines = [line for note in said if note for line in wrap_text(note, width, size=TEXT_SIZE)]
        sheet = Sheet(height + NOTE_PITCH * len(lines), palette, lines)
        if look.title == "":
            sheet.figure.cropped = _HEAD / sheet.height
        else:
            sheet.title(look.title or title, evidence)
        yield sheet
        sheet.write_notes()
        if look.size is not None:
            sheet.figure.resize(look.size[0], look.size[1] / (1 - sheet.figure.cropped))


def page_words(i: int, pages: Sequence[Sequence[int]], noun: str = "") -> tuple[str, list[str]]:
    """Say which of several pages one is, and where the others are; nothing of an only page.

    Returns:
        A part of the subtitle, and notes.
    """
    if len(pages) < 2:
        return "", []
    page = pages[i]
    rest = count(sum(map(len, pages)) - len(page))
    what = f"{rest} {noun}" if noun else rest
    where = by("a PDF holds all; for PNG and SVG give a PATTERN", "page=2 and so on")
    return (
        f"page {i + 1} of {len(pages)}: {page[0] + 1}–{page[-1] + 1}",
        [f"The other {what} are on other pages: {where}."],
    )


class SheetFigure(Figure):
    """A figure that keeps the house style when it is drawn, and shows itself in a notebook.

    It is no part of pyplot's state, so nothing has to be closed.
    """

    palette: Palette = LIGHT
    cropped: float = 0.0
    """How much of its height, from the top, is not shown: the place of a title."""
    is_shown: bool = False
    """Whether a notebook has asked for its picture."""

    def resize(self, width: float, height: float) -> None:
        """Give it another size; where it gets smaller, words and lines do with it."""
        share = min(1.0, width / self.get_figwidth(), height / self.get_figheight())
        self.set_size_inches(width, height)
        if share == 1.0:
            return
        for text in self.findobj(Text):
            text.set_fontsize(float(text.get_fontsize()) * share)
        for line in self.findobj(Line2D):
            line.set_linewidth(line.get_linewidth() * share)
            line.set_markersize(line.get_markersize() * share)
            line.set_markeredgewidth(line.get_markeredgewidth() * share)
        for axes in self.axes:  # after the texts, of which its labels are
            axes.tick_params(labelsize=TEXT_SIZE * share, pad=3 * share)

    def savefig(self, fname: Any, *, transparent: bool | None = None, **options: Any) -> None:
        """Write it to a file, as matplotlib does; names in ids are escaped like all others."""
        for artist in self.findobj():
            gid = artist.get_gid()
            if gid and not gid.isprintable():  # XML takes neither control characters nor surrogates
                artist.set_gid(safe_text(gid))
        look = LOOK.get()
        if self.cropped:
            width, height = self.get_size_inches()
            shown = Bbox([[0, 0], [width, height * (1 - self.cropped)]])
            options.setdefault("bbox_inches", shown)
        if look.dpi is not None:
            options.setdefault("dpi", look.dpi)
        with drawing(self.palette):
            super().savefig(fname, transparent=transparent, **options)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        """Give a PNG to IPython, whether or not pyplot was ever imported, and its size."""
        self.is_shown = True
        image = io.BytesIO()
        self.savefig(image, format="png")
        width, height = self.get_size_inches()
        size = {"width": round(width * SCREEN_DPI), "height": round(height * SCREEN_DPI)}
        png = base64.b64encode(image.getvalue()).decode("ascii")
        return {"image/png": png, "text/plain": repr(self)}, {"image/png": size}


class Sheet:
    """A figure of the house's width.

    Attributes:
        figure: the matplotlib figure.
        palette: its colours.
        height: inches.
    """

    def __init__(self, height: float, palette: Palette, notes: Sequence[str] = ()) -> None:
        self.height = height
        self.palette = palette
        self.figure: SheetFigure = SheetFigure(figsize=(WIDTH, height))
        self.figure.palette = palette
        FigureCanvasAgg(self.figure)
        self._notes = list(notes)

    def text(
        self,
        x: float,
        y: float,
        string: str,
        *,
        size: float = TEXT_SIZE,
        color: str | None = None,
        ha: str = "left",
        va: str = "top",
        weight: str = "normal",
        gid: str | None = None,
    ) -> Text:
        """Write at a place on the sheet; `string` is never read as a formula."""
        shown = drawable(string)
        text = self.figure.text(
            x / WIDTH,
            1 - y / self.height,
            shown,
            family=families_of(shown),
            size=size,
            color=color or self.palette.ink,
            ha=ha,
            va=va,
            weight=weight,
            parse_math=False,
        )
        if gid is not None:
            text.set_gid(gid)
        return text

    def axes(self, x: float, y: float, width: float, height: float, **options: Any) -> Axes:
        """Make axes whose top left corner is at a place on the sheet."""
        bottom = self.height - y - height
        box = (x / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        axes: Axes = self.figure.add_axes(box, **options)
        return axes

    def title(self, title: str, evidence: Sequence[str]) -> None:
        """Write the answer, and under it the evidence; what does not fit goes, from the right."""
        width = WIDTH - 2 * MARGIN
        size = TITLE_SIZE
        while size > TEXT_SIZE and text_width(title, size, bold=True) > width:
            size -= 0.5
        shown = cut(title, width, size=size, bold=True)
        self.text(MARGIN, 0.12, shown, size=size, weight="bold", gid="ckread:title")
        parts = [part for part in evidence if part]
        while len(parts) > 1 and text_width(_SEPARATOR.join(parts), LABEL_SIZE) > width:
            parts.pop()
        subtitle = cut(_SEPARATOR.join(parts), width, size=LABEL_SIZE)
        soft = self.palette.soft
        self.text(MARGIN, 0.32, subtitle, size=LABEL_SIZE, color=soft, gid="ckread:subtitle")

    def note(self, lines: Sequence[str]) -> None:
        """Write lines at the bottom."""
        for i, line in enumerate(lines, 1 - len(lines)):
            y = self.height - 0.09 + NOTE_PITCH * i
            self.text(MARGIN, y, line, color=self.palette.soft, va="bottom", gid="ckread:note")

    def write_notes(self) -> None:
        """Write, once, how to read the picture and what is left out."""
        self.note(self._notes)
        self._notes.clear()
