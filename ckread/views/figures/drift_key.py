"""The key of a drift map: the colour bar, and swatches of the kinds of cell that occur."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from ckread.views.figures.drift_cells import Kind
from ckread.views.figures.names import text_width
from ckread.views.figures.sheet import MARGIN
from ckread.views.figures.style import TEXT_SIZE, sequential_map

if TYPE_CHECKING:
    from collections.abc import Collection

    from matplotlib.axes import Axes

    from ckread.views.figures.sheet import Sheet

_BAR_WIDTH, _BAR_HEIGHT = 1.9, 0.09
_SWATCH = 0.26
_WORDS = {
    Kind.SAME: "bit-identical",
    Kind.BAD: "NaN or Inf",
    Kind.ABSENT: "absent",
    Kind.START: "nothing before",
}


def draw_key(
    sheet: Sheet, kinds: Collection[Kind], scale: tuple[float, float], y: float, *, is_index: bool
) -> None:
    """Draw the key at a height on the sheet."""
    x = MARGIN + 0.1
    if not is_index:
        _draw_scale(sheet, scale, x, y)
        x += _BAR_WIDTH + 0.4
    else:
        x = _draw_swatch(sheet, x, y, "changed", None)
    for kind, word in _WORDS.items():
        if kind in kinds:
            x = _draw_swatch(sheet, x, y, word, kind)


def _draw_scale(sheet: Sheet, scale: tuple[float, float], x: float, y: float) -> None:
    axes = sheet.axes(x, y, _BAR_WIDTH, _BAR_HEIGHT)
    axes.set_gid("ckread:scale")
    ramp = np.geomspace(*scale, 256)[None, :]
    image = axes.imshow(ramp, aspect="auto", extent=(0, 1, 0, 1), norm=LogNorm(*scale))
    image.set_cmap(sequential_map(sheet.palette))
    n_decades = round(math.log10(scale[1] / scale[0]))
    low = round(math.log10(scale[0]))
    step = 2 if n_decades > 4 else 1
    powers = range(low, low + n_decades + 1, step)
    axes.set_yticks([])
    axes.set_xticks(
        [(p - low) / n_decades for p in powers], [_decade(p) for p in powers], parse_math=False
    )
    words = "relative distance from the checkpoint before, ‖Δ‖ ÷ ‖before‖ (log)"
    sheet.text(MARGIN, y + _BAR_HEIGHT + 0.2, words, color=sheet.palette.soft, gid="ckread:x")


def _decade(power: int) -> str:
    if -3 <= power < 5:
        return f"{10.0**power:g}"
    return f"1e{power}".replace("-", "\u2212")


def _draw_swatch(sheet: Sheet, x: float, y: float, word: str, kind: Kind | None) -> float:
    """Draw an example of a kind of cell with its word; give where the next one may begin."""
    axes = sheet.axes(x, y - 0.01, _SWATCH, _BAR_HEIGHT + 0.02)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _fill(axes, sheet, kind)
    soft = sheet.palette.soft
    sheet.text(x + _SWATCH + 0.07, y + _BAR_HEIGHT / 2, word, color=soft, va="center")
    return x + _SWATCH + 0.07 + text_width(word, TEXT_SIZE) + 0.2


def _fill(axes: Axes, sheet: Sheet, kind: Kind | None) -> None:
    palette = sheet.palette
    if kind is Kind.START:
        axes.plot([0.5], [0.5], "o", ms=1.6, color=palette.faint, mec="none")
        return
    face = {Kind.SAME: palette.cell, Kind.BAD: palette.bad, Kind.ABSENT: palette.paper}
    color = palette.sequential[4] if kind is None else face[kind]
    hatch = "xxxx" if kind is Kind.BAD else None
    edge = palette.faint if kind is Kind.ABSENT else palette.paper
    box = Rectangle((0, 0), 1, 1, fc=color, ec=edge, hatch=hatch, lw=0.6)
    axes.add_patch(box)
    if kind is Kind.SAME:
        axes.plot([0, 1], [0.5, 0.5], color=palette.faint, lw=0.8)
