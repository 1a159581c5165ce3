"""Kernels as a grid of tiles on one symmetric colour scale; a dense layer as one map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ckread.analysis.filters.filters import KernelKind
from ckread.model.display import by
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet
from ckread.views.figures.style import DENSE_SIZE, DIVERGING_MAP, HEADING_SIZE, Palette
from ckread.views.figures.text import MINUS, number
from ckread.views.terminal.words import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.filters.filters import Filters
    from ckread.analysis.filters.responses import Responses

    Floats = NDArray[np.float64]
    Place = tuple[float, float, float, float]  # left, top, width, height in inches

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
    """Draw kernels."""
    facts = [*evidence, _what(filters)]
    if filters.kind is KernelKind.DENSE:
        return _plot_map(filters, facts, palette)
    n, rows, columns = filters.tiles.shape[:3]
    height = min(_MAX_TALL if filters.n_slices == 1 else _MAX_TALL_3D, _TILE * rows / columns)
    height += _SLICE_GAP * (filters.n_slices - 1)
    pitch = height + (_GAP if n >= _MANY else 0.15)
    bottom = _TILES_TOP + -(-n // TILES_PER_ROW) * pitch
    slices = "Slices of depth below each other, the first on top." if filters.n_slices > 1 else ""
    left_out = f"{n} of {filters.n_all} filters; {by('--top ', 'top=')}{filters.n_all} shows all."
    has_bar = not filters.is_colored and not is_per_kernel
    caption = Caption(filters.name, facts, palette, [left_out] if n < filters.n_all else [])
    reading = [slices, _scale_words(filters, is_per_kernel=is_per_kernel)]
    with new_sheet(bottom + (0.5 if has_bar else 0.12), caption, reading) as sheet:
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
            draw_color_bar(sheet, MARGIN + 0.14, bottom + 0.08, filters.scale, quantity)
    return sheet.figure


def _what(filters: Filters) -> str:
    """Say what is drawn of the weights, and how they lie."""
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
    place: Place,
    scale: float,
    palette: Palette,
    *,
    gid: str,
) -> None:
    """Draw one kernel at a place on `sheet_axes`: signed colours, or red, green and blue."""
    limit = scale or 1
    if tile.ndim == 3:
        tile = np.clip(tile / (2 * limit) + 0.5, 0, 1)
    image = axes.imshow(
        tile,
        cmap=DIVERGING_MAP,
        vmin=-limit,
        vmax=limit,
        extent=_extent(place),
        aspect="auto",
        interpolation="nearest",
    )
    image.set_gid(gid)
    draw_border(axes, place, palette)


def _extent(place: Place) -> Place:
    """Give left, right, bottom and top of a place, for an image of it."""
    x, y, width, height = place
    return x, x + width, y + height, y


def draw_border(axes: Axes, place: Place, palette: Palette) -> None:
    """Draw a hairline around a tile, so that white edges hold."""
    from matplotlib.patches import Rectangle

    x, y, width, height = place
    axes.add_patch(Rectangle((x, y), width, height, fill=False, lw=0.5, ec=palette.rule))


def draw_color_bar(
    sheet: Sheet, x: float, y: float, scale: float, quantity: str, *, is_positive: bool = False
) -> None:
    """Draw a horizontal bar from -scale to scale, or grey from 0, with the quantity beside it."""
    low, width, cmap = (0, 1.1, "gray") if is_positive else (-1, 1.4, DIVERGING_MAP)
    axes = sheet.axes(x, y, width, 0.09)
    ramp = np.linspace(low, 1, 256)[np.newaxis]
    axes.imshow(ramp, cmap=cmap, aspect="auto", extent=(low, 1, 0, 1))
    axes.set_yticks([])
    end = number(scale or 0.0, 2)
    if is_positive:
        axes.set_xticks([0, 1], ["0", end], size=DENSE_SIZE)
    else:
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([-1, 0, 1], [MINUS + end, "0", end], size=DENSE_SIZE)
    axes.tick_params(length=0, pad=1.5)
    beside = x + width + (0.2 if is_positive else 0.22)
    sheet.text(beside, y + 0.045, quantity, color=sheet.palette.soft, va="center")


def _scale_words(filters: Filters, *, is_per_kernel: bool) -> str:
    end = number(filters.scale, 2)
    if is_per_kernel:
        return "Each tile is stretched to its own largest weight."
    if filters.is_colored:
        return f"Red, green, blue: input channels; {MINUS}{end} is 0, zero mid-grey, +{end} full."
    if filters.is_clipped:
        largest = number(filters.largest, 2)
        return f"One scale for all, clipped at ±{end} (99.5 %); largest {largest}."
    return "One scale for all, symmetric about 0."


def _plot_map(filters: Filters, facts: Sequence[str], palette: Palette) -> Figure:
    matrix = filters.tiles[0]
    is_turned = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if is_turned else matrix
    shown, block = matrix, 1
    sizes = [math.ceil(n / _MAX_CELLS) for n in matrix.shape]
    if sizes != [1, 1]:
        # A picture has fewer dots than the matrix elements: means of blocks.
        block = sizes[0] * sizes[1]
        rows, columns = (n // size for n, size in zip(matrix.shape, sizes, strict=True))
        cut = matrix[: rows * sizes[0], : columns * sizes[1]]
        shown = cut.reshape(rows, sizes[0], columns, sizes[1]).mean(axis=(1, 3))
    width = WIDTH - 2 * MARGIN
    cell = min(width / matrix.shape[1], 0.3)
    drawn_width = cell * matrix.shape[1]
    height = min(_MAX_MAP_HEIGHT, max(0.12, cell * matrix.shape[0]))
    across, down = ("inputs", "outputs") if is_turned else ("outputs", "inputs")
    averaged = f"Each cell is the mean of {block} weights." if block > 1 else ""
    lie = f"{across} across, {down} down"
    caption = Caption(filters.name, [*facts, lie], palette, [averaged])
    reading = [_scale_words(filters, is_per_kernel=False)]
    with new_sheet(_TILES_TOP + height + 0.66, caption, reading) as sheet:
        place = (MARGIN, _TILES_TOP, drawn_width, height)
        draw_tile(sheet_axes(sheet), shown, place, filters.scale, palette, gid="ckread:tile:0")
        draw_color_bar(sheet, MARGIN + 0.14, _TILES_TOP + height + 0.2, filters.scale, "weight")
    return sheet.figure


# What first-layer kernels see in an image: each kernel above its response.

RESPONSES_PER_ROW = 8
_RESPONSES_TOP = 0.84
_IMAGE = 1.72
_LEFT = 2.16
_PITCH = (WIDTH - MARGIN - _LEFT + 0.07) / RESPONSES_PER_ROW
_RESPONSE = _PITCH - 0.07
_KERNEL = _RESPONSE / 2
_ROW_GAP = 0.16


def plot_responses(responses: Responses, *, evidence: Sequence[str], palette: Palette) -> Figure:
    """Draw the image, the kernels, and the response of each on one scale."""
    n = len(responses.maps)
    rows, columns = responses.maps.shape[1:]
    response_height = min(1.5, _RESPONSE * rows / columns)
    pitch = _KERNEL + 0.05 + response_height + _ROW_GAP
    n_rows = -(-n // RESPONSES_PER_ROW)
    image_height = min(4.0, _IMAGE * responses.image.shape[0] / responses.image.shape[1])
    depth = max(n_rows * pitch, image_height + _ROW_GAP)
    n_all = responses.filters.n_all
    reading = ["One scale for all responses."]
    if n < n_all:
        reading.append(f"{n} of {n_all} kernels; {by('--top ', 'top=')}{n_all} shows all.")
    facts = [*evidence, *_told(responses)]
    caption = Caption(f"{responses.filters.name}: response to one image", facts, palette)
    with new_sheet(_RESPONSES_TOP + depth + 0.5, caption, reading) as sheet:
        words = "kernels, each above its response; number: largest response"
        for x, heading in ((MARGIN, "image"), (_LEFT, words)):
            sheet.text(x, _RESPONSES_TOP - 0.17, heading, size=HEADING_SIZE, weight="bold")
        axes = sheet_axes(sheet)
        place = (MARGIN, _RESPONSES_TOP, _IMAGE, image_height)
        low, high = float(responses.image.min()), float(responses.image.max())
        shown = (responses.image - low) / ((high - low) or 1)
        shown = shown[..., 0] if shown.shape[2] == 1 else shown
        drawn = axes.imshow(
            shown, cmap="gray", vmin=0, vmax=1, extent=_extent(place), aspect="auto"
        )
        drawn.set_gid("ckread:image")
        draw_border(axes, place, palette)
        limit = float(np.abs(responses.maps).max()) or 1.0
        for i in range(n):
            x = _LEFT + (i % RESPONSES_PER_ROW) * _PITCH
            y = _RESPONSES_TOP + (i // RESPONSES_PER_ROW) * pitch
            _draw_pair(sheet, axes, responses, i, (x, y, response_height, limit))
        y = _RESPONSES_TOP + depth + 0.06
        if not responses.filters.is_colored:
            draw_color_bar(sheet, _LEFT, y, responses.filters.scale, "weight")
        draw_color_bar(sheet, _LEFT + 2.3, y, limit, "response", is_positive=responses.is_positive)
    return sheet.figure


def _told(responses: Responses) -> list[str]:
    """Say how the layer was taken, and what of the image."""
    rows, columns = responses.image.shape[:2]
    pixels = responses.pixel_range
    told = "" if pixels is None else f", pixels {pixels[0]:g} to {pixels[1]:g}"
    taken = responses.layer.taken
    is_other = taken is not None and any(
        size not in (None, given) for size, given in zip(taken, (rows, columns), strict=True)
    )
    if taken is not None and is_other:
        size = "×".join("?" if size is None else str(size) for size in reversed(taken))
        told += f", the model takes {size}"
    return [responses.layer.words, f"image {columns}×{rows}{told}"]


def _draw_pair(
    sheet: Sheet,
    axes: Axes,
    responses: Responses,
    i: int,
    where: tuple[float, float, float, float],
) -> None:
    """Draw a kernel with its number and largest response beside it, and the response below."""
    x, y, height, limit = where
    filters, one = responses.filters, responses.maps[i]
    place = (x, y, _KERNEL, _KERNEL)
    palette = sheet.palette
    draw_tile(axes, filters.tiles[i], place, filters.scale, palette, gid=f"ckread:tile:{i}")
    top = y + _KERNEL + 0.05
    below = (x, top, _RESPONSE, height)
    cmap, low = ("gray", 0.0) if responses.is_positive else (DIVERGING_MAP, -limit)
    drawn = axes.imshow(one, cmap=cmap, vmin=low, vmax=limit, extent=_extent(below), aspect="auto")
    drawn.set_gid(f"ckread:response:{i}")
    draw_border(axes, below, palette)
    beside, largest = x + _KERNEL + 0.05, number(float(one.max()), 2)
    sheet.text(beside, y, str(i), size=DENSE_SIZE)
    sheet.text(beside, y + _KERNEL, largest, size=DENSE_SIZE, color=palette.soft, va="bottom")
