"""The test that finds real faults in pictures: texts on the sheet, none over another."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from matplotlib.text import Text

SLACK_PIXELS = 1.0


def drawn_texts(figure: Figure) -> list[Any]:
    """Give the texts that are drawn: tick labels beyond the limits of an axis are not."""
    figure.canvas.draw()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += axes.texts
        if axes.axison:
            texts += _tick_labels(axes)
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def _tick_labels(axes: Any) -> Iterator[Text]:
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in axis.get_major_ticks():
            if low - slack <= tick.get_loc() <= high + slack:
                yield from (label for label in (tick.label1, tick.label2) if label.get_visible())


def assert_layout_is_clean(figure: Figure) -> None:
    """Check that every text lies on the sheet, and that no two overlap by more than a pixel."""
    texts = drawn_texts(figure)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        assert box.x0 >= -SLACK_PIXELS, text
        assert box.y0 >= -SLACK_PIXELS, text
        assert box.x1 <= width + SLACK_PIXELS, text
        assert box.y1 <= height + SLACK_PIXELS, text
    for (first, a), (second, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        # A box has room for letters that reach below the line, whether there are any or not.
        room = SLACK_PIXELS + 0.28 * min(a.height, b.height)
        assert across <= SLACK_PIXELS or down <= room, (first, second)


def tagged(figure: Figure, gid: str) -> list[Any]:
    """Give the artists whose tag is `gid`, or begins with it if it ends in a colon."""
    found = []
    for artist in figure.findobj():
        tag = artist.get_gid() or ""
        if tag == gid or (gid.endswith(":") and tag.startswith(gid)):
            found.append(artist)
    return found


def text_of(figure: Figure, gid: str) -> str:
    """Give the only text with a tag."""
    [text] = tagged(figure, gid)
    content: str = text.get_text()
    return content
