"""Kernels as a grid of tiles on one symmetric colour scale; a dense layer as one map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckread.analysis.filters import Filters, KernelKind
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import DENSE_SIZE, DIVERGING_MAP, HEADING_SIZE, Palette, drawing
from ckread.views.figures.text import MINUS, number
from ckread.views.terminal.words import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TILES_PER_ROW = 16
_TILES_TOP = 0.72
_GAP = 0.06
_TILE = (WIDTH - 2 * MARGIN - _GAP * (TILES_PER_ROW - 1)) / TILES_PER_ROW
_MANY = 64
_MAX_TALL = 1.4
_MAX_TALL_3D = 3.0
_SLICE_GAP = 0.03
_MAX_MAP_HEIGHT = 5.0
_MAX_CELLS = 1200


def plot_filters(
    filters: Filters,
    *,
    evidence: Sequence[str],
    palette: Palette,
    is_per_kernel: bool = False,
) -> Figure:
    """Draw kernels.

    Args:
        filters: the kernels.
        evidence: where they are from: file, step.
        palette: light or dark.
        is_per_kernel: whether each tile is stretched to its own largest weight.
    """
    facts = [*evidence, _what(filters)]
    with drawing(palette):
        if filters.kind is KernelKind.DENSE:
            return _plot_map(filters, facts, palette)
        return _plot_tiles(filters, facts, palette, is_per_kernel=is_per_kernel)


def _what(filters: Filters) -> str:
    shape = shape_text(filters.shape)
    if filters.kind is KernelKind.CONV1D:
        return f"{shape}: taps across, channels down"
    if filters.kind is KernelKind.DEPTHWISE:
        return f"{shape}, a kernel per channel"
    if filters.is_colored:
        return f"{shape}, drawn in colour"
    if filters.mean_over > 1:
        return f"{shape}, mean over {filters.mean_over} input channels"
    return shape


def _plot_tiles(
    filters: Filters, facts: Sequence[str], palette: Palette, *, is_per_kernel: bool
) -> Figure:
    n, rows, columns = filters.tiles.shape[:3]
    height = min(_MAX_TALL if filters.n_slices == 1 else _MAX_TALL_3D, _TILE * rows / columns)
    height += _SLICE_GAP * (filters.n_slices - 1)
    pitch = height + (_GAP if n >= _MANY else 0.15)
    n_rows = -(-n // TILES_PER_ROW)
    reading = "Slices of depth below each other, the first on top." if filters.n_slices > 1 else ""
    scale_note = _scale_note(filters, is_per_kernel=is_per_kernel)
    lines = note_lines(" ".join(filter(None, (reading, scale_note))), _left_out(filters))
    has_bar = not filters.is_colored and not is_per_kernel
    bar_height = 0.5 if has_bar else 0.12
    sheet = Sheet(_TILES_TOP + n_rows * pitch + bar_height + NOTE_PITCH * len(lines), palette)
    sheet.title(filters.name, facts)
    axes = sheet_axes(sheet)
    for i, tile in enumerate(filters.tiles):
        x = MARGIN + (i % TILES_PER_ROW) * (_TILE + _GAP)
        y = _TILES_TOP + (i // TILES_PER_ROW) * pitch
        scale = float(np.abs(tile).max()) if is_per_kernel else filters.scale
        for at, part in enumerate(np.split(tile, filters.n_slices)):
            slice_height = (height + _SLICE_GAP) / filters.n_slices - _SLICE_GAP
            place = (x, y + at * (slice_height + _SLICE_GAP), _TILE, slice_height)
            draw_tile(axes, part, place, scale, palette, gid=f"ckread:tile:{i}")
        if n < _MANY:
            sheet.text(x + 0.02, y + height + 0.02, str(i), size=DENSE_SIZE)
    if has_bar:
        quantity = "mean weight" if filters.mean_over > 1 else "weight"
        top = _TILES_TOP + n_rows * pitch + 0.08
        draw_color_bar(sheet, MARGIN + 0.14, top, filters.scale, quantity)
    sheet.note(lines)
    return sheet.figure


def sheet_axes(sheet: Sheet) -> Axes:
    """Give axes over the whole sheet, whose coordinates are its inches."""
    axes = sheet.axes(0, 0, WIDTH, sheet.height)
    axes.set(xlim=(0, WIDTH), ylim=(sheet.height, 0))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return axes


def draw_tile(
    axes: Axes,
    tile: Floats,
    place: tuple[float, float, float, float],
    scale: float,
    palette: Palette,
    *,
    gid: str,
) -> None:
    """Draw one kernel at a place on `sheet_axes`: signed colours, or red, green and blue."""
    x, y, width, height = place
    extent = (x, x + width, y + height, y)
    limit = scale or 1
    if tile.ndim == 3:
        tile = np.clip(tile / (2 * limit) + 0.5, 0, 1)
    image = axes.imshow(
        tile,
        cmap=DIVERGING_MAP,
        vmin=-limit,
        vmax=limit,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
    image.set_gid(gid)
    draw_border(axes, place, palette)


def draw_border(axes: Axes, place: tuple[float, float, float, float], palette: Palette) -> None:
    """Draw a hairline around a tile, so that white edges hold."""
    from matplotlib.patches import Rectangle

    x, y, width, height = place
    axes.add_patch(Rectangle((x, y), width, height, fill=False, lw=0.5, ec=palette.rule))


def draw_color_bar(sheet: Sheet, x: float, y: float, scale: float, quantity: str) -> None:
    """Draw a horizontal bar from -scale to scale, with the quantity beside it."""
    axes = sheet.axes(x, y, 1.4, 0.09)
    ramp = np.linspace(-1, 1, 256)[np.newaxis]
    axes.imshow(ramp, cmap=DIVERGING_MAP, aspect="auto", extent=(-1, 1, 0, 1))
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    end = number(scale or 0.0, 2)
    axes.set_xticks([-1, 0, 1], [MINUS + end, "0", end], size=DENSE_SIZE)
    axes.tick_params(length=0, pad=1.5)
    sheet.text(x + 1.62, y + 0.045, quantity, color=sheet.palette.soft, va="center")


def _scale_note(filters: Filters, *, is_per_kernel: bool) -> str:
    end = number(filters.scale, 2)
    if is_per_kernel:
        return "Each tile is stretched to its own largest weight."
    if filters.is_colored:
        return f"Red, green, blue: input channels; {MINUS}{end} is 0, zero mid-grey, +{end} full."
    if filters.is_clipped:
        return (
            f"One scale for all, clipped at ±{end} (99.5 %); largest {number(filters.largest, 2)}."
        )
    return "One scale for all, symmetric about 0."


def _left_out(filters: Filters) -> str:
    n = len(filters.tiles)
    if filters.kind is KernelKind.DENSE or n == filters.n_all:
        return ""
    return f"{n} of {filters.n_all} filters; --top {filters.n_all} shows all."


def _plot_map(filters: Filters, facts: Sequence[str], palette: Palette) -> Figure:
    matrix = filters.tiles[0]
    is_turned = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if is_turned else matrix
    shown, block = _averaged(matrix)
    width = WIDTH - 2 * MARGIN
    cell = min(width / matrix.shape[1], 0.3)
    drawn_width = cell * matrix.shape[1]
    height = min(_MAX_MAP_HEIGHT, max(0.12, cell * matrix.shape[0]))
    across, down = ("inputs", "outputs") if is_turned else ("outputs", "inputs")
    averaged = f"Each cell is the mean of {block} weights." if block > 1 else ""
    lines = note_lines(_scale_note(filters, is_per_kernel=False), averaged)
    sheet = Sheet(_TILES_TOP + height + 0.66 + NOTE_PITCH * len(lines), palette)
    sheet.title(filters.name, [*facts, f"{across} across, {down} down"])
    place = (MARGIN, _TILES_TOP, drawn_width, height)
    draw_tile(sheet_axes(sheet), shown, place, filters.scale, palette, gid="ckread:tile:0")
    draw_color_bar(sheet, MARGIN + 0.14, _TILES_TOP + height + 0.2, filters.scale, "weight")
    sheet.note(lines)
    return sheet.figure


def _averaged(matrix: Floats) -> tuple[Floats, int]:
    """Give the means of blocks where a picture has fewer dots than the matrix elements."""
    sizes = [math.ceil(n / _MAX_CELLS) for n in matrix.shape]
    if sizes == [1, 1]:
        return matrix, 1
    rows, columns = (n // size * size for n, size in zip(matrix.shape, sizes, strict=True))
    cut = matrix[:rows, :columns]
    blocks = cut.reshape(rows // sizes[0], sizes[0], columns // sizes[1], sizes[1])
    return blocks.mean(axis=(1, 3)), sizes[0] * sizes[1]


# What first-layer kernels see in an image: each kernel above its response.

RESPONSES_PER_ROW = 8
_RESPONSES_TOP = 0.84
_IMAGE = 1.72
_LEFT = 2.16
_PITCH = (WIDTH - MARGIN - _LEFT + 0.07) / RESPONSES_PER_ROW
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
    """Draw the image, the kernels, and the response of each on one scale."""
    n = len(responses.maps)
    rows, columns = responses.maps.shape[1:]
    response_height = min(1.5, _RESPONSE * rows / columns)
    pitch = _KERNEL + 0.05 + response_height + _ROW_GAP
    n_rows = -(-n // RESPONSES_PER_ROW)
    image_height = min(4.0, _IMAGE * responses.image.shape[0] / responses.image.shape[1])
    depth = max(n_rows * pitch, image_height + _ROW_GAP)
    lines = note_lines(_reading(responses))
    with drawing(palette):
        sheet = Sheet(_RESPONSES_TOP + depth + 0.5 + NOTE_PITCH * len(lines), palette)
        sheet.title(f"{responses.filters.name}: response to one image", evidence)
        words = "kernels, each above its response; number: largest response"
        for x, heading in ((MARGIN, "image"), (_LEFT, words)):
            sheet.text(x, _RESPONSES_TOP - 0.17, heading, size=HEADING_SIZE, weight="bold")
        axes = sheet_axes(sheet)
        _draw_image(axes, responses.image, (MARGIN, _RESPONSES_TOP, _IMAGE, image_height), palette)
        limit = float(np.abs(responses.maps).max()) or 1.0
        for i, one in enumerate(responses.maps):
            x = _LEFT + (i % RESPONSES_PER_ROW) * _PITCH
            y = _RESPONSES_TOP + (i // RESPONSES_PER_ROW) * pitch
            _draw_pair(sheet, axes, responses, i, (x, y, response_height, limit))
            draw_border(axes, (x, y + _KERNEL + 0.05, _RESPONSE, response_height), palette)
            largest = number(float(one.max()), 2)
            middle = x + _KERNEL + 0.05
            sheet.text(middle, y, str(i), size=DENSE_SIZE)
            bottom = y + _KERNEL
            soft = palette.soft
            sheet.text(middle, bottom, largest, size=DENSE_SIZE, color=soft, va="bottom")
        _draw_bars(sheet, responses, _RESPONSES_TOP + depth + 0.06, limit)
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
