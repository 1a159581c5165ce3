"""The house style of pictures: two palettes, sizes of text, and complete matplotlib settings.

Nothing of a user's matplotlibrc shows, and nothing here outlives `drawing`.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.colors import LinearSegmentedColormap

TITLE_SIZE = 10.0
LABEL_SIZE = 8.0
HEADING_SIZE = 7.5
TEXT_SIZE = 7.0
DENSE_SIZE = 6.0
"""Points; nothing is smaller."""

DPI = 200
FONTS = ["DejaVu Sans", "Verdana"]
"""The first ships with matplotlib; the second has nearly its widths, for an SVG's reader."""
FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "IPAexGothic",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
)
"""For what the first font lacks, Chinese, Japanese and Korean above all: those installed."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by their role.

    Attributes:
        paper: background, and gaps between marks.
        ink: names, numbers, the mean.
        soft: subtitle, ticks, scopes, notes.
        faint: spines, brackets, the zero line; never text.
        rule: borders of tiles.
        grid: grid lines.
        cell: row banding, the band from 5 to 95 %.
        data: weights, "after".
        middle: the bar from 5 to 95 %, between `data` and `fill`.
        fill: under an outline of `data`.
        slot: optimizer slots.
        average: moving averages.
        other: bookkeeping, "before", training.
        mark: the one thing that is pointed at.
        bad: NaN and Inf, and nothing else.
        lines: colours of lines, in their order.
        sequential: from little to much.
    """

    paper: str
    ink: str
    soft: str
    faint: str
    rule: str
    grid: str
    cell: str
    data: str
    middle: str
    fill: str
    slot: str
    average: str
    other: str
    mark: str
    bad: str
    lines: tuple[str, ...]
    sequential: tuple[str, ...]


LIGHT = Palette(
    paper="#FFFFFF",
    ink="#1B1F24",
    soft="#57606A",
    faint="#8C959F",
    rule="#C3CAD1",
    grid="#E3E7EB",
    cell="#F3F5F7",
    data="#0072B2",
    middle="#8FBFDC",
    fill="#BFDCEC",
    slot="#E69F00",
    average="#009E73",
    other="#8C959F",
    mark="#D55E00",
    bad="#D4145A",
    lines=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#1B1F24"),
    sequential=("#EEF3DC", "#BFE0C2", "#7CC4C1", "#3F9CC0", "#2A6BA8", "#233C7E", "#171A45"),
)

DARK = Palette(
    paper="#0D1117",
    ink="#E6EDF3",
    soft="#9DA7B3",
    faint="#6E7681",
    rule="#3A434D",
    grid="#242B34",
    cell="#161B22",
    data="#56B4E9",
    middle="#31709A",
    fill="#1C4A68",
    slot="#F0B429",
    average="#3CC8A0",
    other="#8B949E",
    mark="#FF8C42",
    bad="#FF4D8D",
    lines=("#56B4E9", "#FF8C42", "#3CC8A0", "#E39AC4", "#E6EDF3"),
    sequential=("#1B2440", "#233C7E", "#2A6BA8", "#3F9CC0", "#7CC4C1", "#BFE0C2", "#F4F8E4"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What of a picture its user wants otherwise, for a paper or a page of their own.

    Attributes:
        title: in the place of the answer; empty for no title and no subtitle; None for the house's.
        has_notes: whether it says at the bottom how it is to be read.
        size: width and height in inches; None for the house's.
        dpi: dots to an inch of a PNG.
        font: name of an installed font, before the house's.
    """

    title: str | None = None
    has_notes: bool = True
    size: tuple[float, float] | None = None
    dpi: int | None = None
    font: str | None = None


_HOUSE = Look()
LOOK: ContextVar[Look] = ContextVar("look", default=_HOUSE)
"""What new pictures look like."""


def fonts() -> list[str]:
    """Give the fonts of a text, the wanted one first."""
    font = LOOK.get().font
    return [font, *FONTS] if font else FONTS


MARKERS = ("o", "s", "^", "D", "v")
"""One per line colour: a second sign, for prints in grey and eyes that see few colours."""


@cache
def sequential_map(palette: Palette) -> LinearSegmentedColormap:
    """Give the colour map of quantities that are never negative."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ckread", palette.sequential)


DIVERGING_MAP = "RdBu_r"
"""Of signed weights, always symmetric about 0."""


def _settings(palette: Palette) -> dict[str, Any]:
    return {
        "font.family": "sans-serif",
        "font.sans-serif": fonts(),
        "font.size": TEXT_SIZE,
        "axes.unicode_minus": True,
        "text.parse_math": False,
        "text.color": palette.ink,
        "figure.facecolor": palette.paper,
        "savefig.facecolor": palette.paper,
        "axes.facecolor": "none",
        "axes.edgecolor": palette.faint,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.xmargin": 0,
        "grid.color": palette.grid,
        "grid.linewidth": 0.6,
        "xtick.color": palette.faint,
        "ytick.color": palette.faint,
        "xtick.labelcolor": palette.soft,
        "ytick.labelcolor": palette.soft,
        "xtick.labelsize": TEXT_SIZE,
        "ytick.labelsize": TEXT_SIZE,
        "xtick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 0,
        "xtick.major.pad": 2,
        "ytick.major.pad": 4,
        "xtick.minor.visible": False,
        "ytick.minor.visible": False,
        "hatch.linewidth": 0.6,
        "hatch.color": palette.paper,
        "image.interpolation": "nearest",
        "lines.linewidth": 1.2,
        "svg.fonttype": "none",
        "svg.hashsalt": "ckread",
        "pdf.fonttype": 42,
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
    }


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Keep matplotlib from logging that a fallback font lacks a weight, and another is taken."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def drawing(palette: Palette) -> Iterator[None]:
    """Have matplotlib draw in the house style, whatever the user's settings, and only here."""
    with mpl.rc_context(), quiet_fonts():
        settings: Any = {**mpl.rcParamsDefault, **_settings(palette)}
        settings.pop("backend")
        mpl.rcParams.update(settings)
        yield


def mixed(start: str, stop: str, share: float) -> str:
    """Give the colour that lies `share` of the way from one to another."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (
        a + (b - a) * share for a, b in zip(to_rgb(start), to_rgb(stop), strict=True)
    )
    return to_hex((red, green, blue))
