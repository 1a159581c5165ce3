"""What first-layer kernels see in an image: each kernel above its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckread.views.figures.filters import draw_border, draw_color_bar, draw_tile, sheet_axes
from ckread.views.figures.numbers import number
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import DENSE_SIZE, DIVERGING_MAP, HEADING_SIZE, Palette, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.filters import Filters

    Floats = NDArray[np.float64]

PER_ROW = 8
_TOP = 0.84
_IMAGE = 1.72
_LEFT = 2.16
_PITCH = (WIDTH - MARGIN - _LEFT + 0.07) / PER_ROW
_RESPONSE = _PITCH - 0.07
_KERNEL = _RESPONSE / 2
_ROW_GAP = 0.16


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Responses of kernels to one image.

    Attributes:
        filters: the kernels; as many tiles as there are maps.
        image: shape (rows, columns, channels), as it was given to them.
        maps: shape (n, rows, columns).
        relu: whether negative responses were made 0.
    """

    filters: Filters
    image: Floats
    maps: Floats
    relu: bool


def plot_responses(responses: Responses, *, evidence: Sequence[str], palette: Palette) -> Figure:
    """Draw the image, the kernels, and the response of each on one scale.

    Args:
        responses: what was computed.
        evidence: file, stride, padding, bias, activation, size of the image.
        palette: light or dark.
    """
    n = len(responses.maps)
    rows, columns = responses.maps.shape[1:]
    response_height = min(1.5, _RESPONSE * rows / columns)
    pitch = _KERNEL + 0.05 + response_height + _ROW_GAP
    n_rows = -(-n // PER_ROW)
    image_height = min(4.0, _IMAGE * responses.image.shape[0] / responses.image.shape[1])
    depth = max(n_rows * pitch, image_height + _ROW_GAP)
    lines = note_lines(_reading(responses))
    with drawing(palette):
        sheet = Sheet(_TOP + depth + 0.5 + NOTE_PITCH * len(lines), palette)
        sheet.title(f"{responses.filters.name}: response to one image", evidence)
        words = "kernels, each above its response; number: largest response"
        for x, heading in ((MARGIN, "image"), (_LEFT, words)):
            sheet.text(x, _TOP - 0.17, heading, size=HEADING_SIZE, weight="bold")
        axes = sheet_axes(sheet)
        _draw_image(axes, responses.image, (MARGIN, _TOP, _IMAGE, image_height), palette)
        limit = float(np.abs(responses.maps).max()) or 1.0
        for i, one in enumerate(responses.maps):
            x = _LEFT + (i % PER_ROW) * _PITCH
            y = _TOP + (i // PER_ROW) * pitch
            _draw_pair(sheet, axes, responses, i, (x, y, response_height, limit))
            draw_border(axes, (x, y + _KERNEL + 0.05, _RESPONSE, response_height), palette)
            largest = number(float(one.max()), 2)
            middle = x + _KERNEL + 0.05
            sheet.text(middle, y, str(i), size=DENSE_SIZE)
            bottom = y + _KERNEL
            soft = palette.soft
            sheet.text(middle, bottom, largest, size=DENSE_SIZE, color=soft, va="bottom")
        _draw_bars(sheet, responses, _TOP + depth + 0.06, limit)
        sheet.note(lines)
    return sheet.figure


def _draw_image(
    axes: Axes, image: Floats, place: tuple[float, float, float, float], palette: Palette
) -> None:
    x, y, width, height = place
    low, high = float(image.min()), float(image.max())
    shown = (image - low) / ((high - low) or 1)
    shown = shown[..., 0] if shown.shape[2] == 1 else shown
    extent = (x, x + width, y + height, y)
    drawn = axes.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=extent, aspect="auto")
    drawn.set_gid("ckread:image")
    draw_border(axes, place, palette)


def _draw_pair(
    sheet: Sheet,
    axes: Axes,
    responses: Responses,
    i: int,
    where: tuple[float, float, float, float],
) -> None:
    x, y, height, limit = where
    filters = responses.filters
    place = (x, y, _KERNEL, _KERNEL)
    tile = filters.tiles[i]
    draw_tile(axes, tile, place, filters.scale, sheet.palette, gid=f"ckread:tile:{i}")
    top = y + _KERNEL + 0.05
    extent = (x, x + _RESPONSE, top + height, top)
    cmap, low = ("gray", 0.0) if responses.relu else (DIVERGING_MAP, -limit)
    drawn = axes.imshow(
        responses.maps[i], cmap=cmap, vmin=low, vmax=limit, extent=extent, aspect="auto"
    )
    drawn.set_gid(f"ckread:response:{i}")


def _draw_bars(sheet: Sheet, responses: Responses, y: float, limit: float) -> None:
    if not responses.filters.is_colored:
        draw_color_bar(sheet, _LEFT, y, responses.filters.scale, "weight")
    x = _LEFT + 2.3
    if not responses.relu:
        draw_color_bar(sheet, x, y, limit, "response")
        return
    axes = sheet.axes(x, y, 1.1, 0.09)
    ramp = np.linspace(0, 1, 256)[np.newaxis]
    axes.imshow(ramp, cmap="gray", aspect="auto", extent=(0, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, 1], ["0", number(limit, 2)], size=DENSE_SIZE)
    axes.tick_params(length=0, pad=1.5)
    sheet.text(x + 1.3, y + 0.045, "response", color=sheet.palette.soft, va="center")


def _reading(responses: Responses) -> str:
    n, n_all = len(responses.maps), responses.filters.n_all
    cut = f" {n} of {n_all} kernels; --top {n_all} shows all." if n < n_all else ""
    return f"One scale for all responses.{cut}"
