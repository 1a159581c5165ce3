"""Names in pictures: measured before they are drawn, shortened so that they stay different."""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import text_to_path

from ckread.views.figures.style import FALLBACK_FONTS, FONTS, TEXT_SIZE, fonts, quiet_fonts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


_POINTS_PER_INCH = 72
_ELLIPSIS = "…"


def drawable(text: str) -> str:
    """Give a text with what no font here has, or what cannot be printed, as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(x if _has_glyph(x) else x.encode("unicode_escape").decode() for x in text)


@lru_cache(maxsize=1 << 12)
def _has_glyph(character: str) -> bool:
    is_shown = character.isprintable() or character in "\u2009\u00a0"
    is_half = 0xD800 <= ord(character) < 0xE000  # of a surrogate pair
    known = (FONTS[0], *_installed())
    return is_shown and not is_half and any(_is_in(character, name) for name in known)


@lru_cache(maxsize=1 << 12)
def _is_in(character: str, family: str) -> bool:
    with quiet_fonts():
        font = get_font(findfont(FontProperties(family=[family])))
    return font.get_char_index(ord(character)) != 0


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Give the fallback fonts that this system has."""
    known = {entry.name for entry in fontManager.ttflist}
    return tuple(name for name in FALLBACK_FONTS if name in known)


@lru_cache(maxsize=1 << 12)
def families_of(text: str) -> list[str] | None:
    """Give the fonts of a text; None for the house's own, which nearly every text needs alone."""
    if text.isascii() or all(_is_in(character, FONTS[0]) for character in text):
        return None
    return [FONTS[0], *_installed()]


_NARROWEST = 0.25
"""Width of the narrowest letter, in parts of the size of the type."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a text in inches, drawn in `size` points."""
    return _width(text, size, bold, fonts()[0])


@lru_cache(maxsize=1 << 16)
def _width(text: str, size: float, bold: bool, font_name: str) -> float:
    shown = drawable(text)
    families = families_of(shown) or [font_name]
    font = FontProperties(family=families, size=size, weight="bold" if bold else "normal")
    with quiet_fonts():
        width, _, _ = text_to_path.get_text_width_height_descent(shown, font, ismath=False)
    return float(width) / _POINTS_PER_INCH


def fits(text: str, width: float, *, size: float, bold: bool = False) -> bool:
    """Tell whether a text fits."""
    return text_width(text, size, bold=bold) <= width


def cut(text: str, width: float, *, size: float, bold: bool = False) -> str:
    """Cut a sentence at a word, or at a letter where a word fills it, and say so with `…`."""
    if fits(text, width, size=size, bold=bold):
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(text[:middle].rstrip() + _ELLIPSIS, width, size=size, bold=bold):
            low = middle
        else:
            high = middle - 1
    head = text[:low].rstrip()
    at_word = head.rpartition(" ")[0]
    return (at_word if len(at_word) > low // 2 else head) + _ELLIPSIS


def wrap_text(text: str, width: float, *, size: float) -> list[str]:
    """Break sentences between words into lines that fit."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and not fits(longer, width, size=size):
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def split_scope(name: str) -> tuple[str, str]:
    """Split a name into its scope, with the slash, and its leaf."""
    scope, slash, leaf = name.rpartition("/")
    return scope + slash, leaf


def wrap_scope(scope: str, width: float, *, size: float, n_lines: int) -> list[str]:
    """Break a scope at its slashes into lines; what is still too long is shortened."""
    lines = [""]
    for part in scope.split("/")[:-1]:
        is_new = lines[-1] and len(lines) < n_lines
        if is_new and not fits(f"{lines[-1]}{part}/", width, size=size):
            lines.append("")
        lines[-1] += f"{part}/"
    return [shorten(line, width, size=size) for line in lines]


def shorten(name: str, width: float, *, size: float) -> str:
    """Take letters from the middle of the longest component until the name fits.

    No component vanishes: where all are down to three letters the name is cut.
    """
    parts = name.split("/")
    most = 3 + int(width * _POINTS_PER_INCH / (_NARROWEST * size))  # more would never fit
    lengths = [min(len(part), most) for part in parts]

    def without(n_letters: int) -> str:
        kept = lengths.copy()
        for _ in range(n_letters):
            kept[kept.index(max(kept))] -= 1
        return "/".join(_elided(part, n) for part, n in zip(parts, kept, strict=True))

    n_spare = sum(max(0, n - 3) for n in lengths)
    fewest = bisect_left(range(n_spare + 1), True, key=lambda n: fits(without(n), width, size=size))
    if fewest > n_spare:
        return cut(without(n_spare), width, size=size)
    return without(fewest)


def _elided(part: str, n_kept: int) -> str:
    if n_kept >= len(part):
        return part
    tail = (n_kept - 1) // 2
    return part[: n_kept - 1 - tail] + _ELLIPSIS + part[len(part) - tail :]


def fit_names(names: list[str], width: float, *, size: float) -> list[str]:
    """Shorten names to a width so that they stay different from each other."""
    shown = [shorten(name, width, size=size) for name in names]
    by_shown: dict[str, list[int]] = {}
    for i, text in enumerate(shown):
        by_shown.setdefault(text, []).append(i)
    for alike in by_shown.values():
        if len(alike) > 1:
            # From the first character in which they differ, a few before it, to the leaf.
            same = os.path.commonprefix([names[i] for i in alike])  # noqa: RUF071 - characters
            start = max(0, len(same) - 4)
            for i in alike:
                text = _ELLIPSIS + names[i][start:]
                # What does not fit is shortened in its middle, the start longer than the end.
                shorter = (_elided(text, n) for n in range(len(text), 2, -1))
                fitting = (one for one in shorter if fits(one, width, size=size))
                shown[i] = next(fitting, _ELLIPSIS)
    return shown


# Numbers and ticks in pictures: three digits, a true minus, steps of 1, 2 and 5.

MINUS = "\u2212"
THIN_SPACE = "\u2009"
_GROUPED = re.compile(r"(?<!\S)\d{1,3}(?:,\d{3})+(?=[ .,;]|$)")
_HYPHEN = re.compile(r"(?<!\S)-(?=\d)|(?<= \d\.\d\de)-(?=\d)")
_GAP = 0.12
"""Inches between two tick labels, at least."""
_TIGHT_GAP = _GAP / 3
"""The same where an axis would else have one label."""


def number(value: float, digits: int = 3) -> str:
    """Give a number with significant digits; an exponent outside 10⁻³ … 10⁵."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else MINUS + "inf"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if not -3 <= power < 5:
        return f"{mantissa}e{power}".replace("-", MINUS)
    return f"{value:.{max(0, digits - 1 - power)}f}".replace("-", MINUS)


def short_number(value: float) -> str:
    """Give a number with up to three significant digits, no useless zeros: 0.001, 5e−4."""
    return _trimmed(number(value))


def count(n: int) -> str:
    """Give an exact count, thousands apart from 10,000 on."""
    return f"{n:,}".replace(",", THIN_SPACE) if abs(n) >= 10_000 else str(n)


def typeset(sentence: str) -> str:
    """Give a sentence of a page with the numbers of a picture: true minus, thin spaces."""
    text = _GROUPED.sub(lambda found: count(int(found[0].replace(",", ""))), sentence)
    return _HYPHEN.sub(MINUS, text)


def column(values: Sequence[float | None], digits: int = 3) -> list[str]:
    """Give numbers with one number of decimals for all, as many as the largest needs."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(finite, default=0.0)
    if largest and not 1e-3 <= largest < 1e5:
        return ["" if value is None else number(value, digits) for value in values]
    power = math.floor(math.log10(largest)) if largest else 0
    decimals = max(0, digits - 1 - min(power, 0)) if power < digits else 0
    decimals = max(0, digits - 1 - power) if power >= 0 else decimals
    return ["" if value is None else fixed(value, decimals) for value in values]


def fixed(value: float, decimals: int) -> str:
    """Give a number with that many decimals; a zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def tick_steps(low: float, high: float, step: float) -> list[float]:
    """Give the multiples of `step` from `low` to `high`."""
    slack = 1e-9 * step
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    return [i * step for i in range(first, last + 1)]


def value_ticks(low: float, high: float, width: float, *, size: float = TEXT_SIZE) -> list[float]:
    """Give round ticks, as many as their labels leave room for, on an axis `width` inches wide."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    for gap in (_GAP, _TIGHT_GAP):
        ticks = _spaced_ticks(low, high, width, gap=gap, size=size)
        if len(ticks) > 1:
            break
    return ticks


def _spaced_ticks(
    low: float,
    high: float,
    width: float,
    *,
    gap: float,
    size: float,
    multiples: Sequence[int] = (1, 2, 5),
    gutter: float | None = None,
) -> list[float]:
    """Give the closest ticks whose labels keep a gap; with a gutter, two of them lie inside."""
    span = high - low
    for step in round_steps(span / 12, multiples):
        ticks = tick_steps(low, high, step)
        labels = tick_labels(ticks)
        widest = max((text_width(t, size) for t in labels), default=0)
        if width * step / span < widest + gap:
            continue
        if gutter is None:
            return ticks
        inside = _inside(ticks, labels, low, high, width, gutter)
        if sum(map(bool, inside)) > 1:
            return ticks
    return [low]


def round_steps(least: float, multiples: Sequence[int] = (1, 2, 5)) -> list[float]:
    """Give round distances from `least` on, the smallest first."""
    power = math.floor(math.log10(least))
    powers = [10.0**p for p in range(power, power + 4)]
    return [m * p for p in powers for m in multiples if m * p >= least]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Give labels without useless zeros; an exponent where the values ask for it."""
    largest = max((abs(tick) for tick in ticks), default=0)
    if largest and not 1e-3 <= largest < 1e5:
        return [_trimmed(number(0 if abs(t) < 1e-9 * largest else t, 3)) for t in ticks]
    apart = min((b - a for a, b in pairwise(ticks)), default=largest or 1)
    decimals = max(0, -math.floor(math.log10(apart) + 1e-9)) if apart > 0 else 0
    return [_trimmed(fixed(tick, decimals)) for tick in ticks]


def _trimmed(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + e + exponent


def set_value_axis(
    axes: Axes, low: float, high: float, width: float, *, gutter: float = 0.16
) -> None:
    """Give the x axis limits and ticks; a label that sticks out too far loses its text.

    One label alone gives no scale: then less round steps do too.
    """
    axes.set_xlim(low, high)
    ticks = value_ticks(low, high, width)
    labels = _inside(ticks, tick_labels(ticks), low, high, width, gutter)
    if sum(map(bool, labels)) < 2 and high > low:
        finer = _spaced_ticks(
            low, high, width,
            gap=_TIGHT_GAP, size=TEXT_SIZE, multiples=range(1, 10), gutter=gutter,
        )  # fmt: skip
        if len(finer) > 1:
            ticks, labels = finer, _inside(finer, tick_labels(finer), low, high, width, gutter)
    axes.set_xticks(ticks, labels, parse_math=False)


def _inside(
    ticks: Sequence[float],
    labels: Sequence[str],
    low: float,
    high: float,
    width: float,
    gutter: float,
) -> list[str]:
    """Give the labels, "" for each that sticks out of the axis by more than half a gutter."""
    inside = []
    for tick, label in zip(ticks, labels, strict=True):
        at = (tick - low) / (high - low) * width if high > low else width / 2
        half = text_width(label, TEXT_SIZE) / 2
        sticks_out = at - half < -gutter / 2 or at + half > width + gutter / 2
        inside.append("" if sticks_out else label)
    return inside


def padded(low: float, high: float, share: float = 0.03) -> tuple[float, float]:
    """Give a range a little wider; around a single value, one that shows it in the middle."""
    span = high - low
    if not span > 0:
        span = abs(low) or 1.0
    return low - share * span, high + share * span
