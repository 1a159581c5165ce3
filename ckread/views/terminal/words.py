"""Numbers, sizes, shapes, shares and names as text: for a terminal, and as words for a pipe.

A *word* holds no white space, so that `awk` can split what is piped.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeVar

from ckread.model.fields import Kind
from ckread.model.spelling import safe_word
from ckread.views.terminal.page import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.model.fields import Field
    from ckread.views.terminal.page import Line


Row = TypeVar("Row")

ABSENT = "–"
"""What is absent or undefined, in a terminal."""
ABSENT_WORD = "-"
"""What is absent or undefined, piped."""

_COUNT_UNITS = ("M", "G", "T", "P", "E")
_SIZE_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def count_text(count: int) -> str:
    """Give an exact count with commas to 999,999, then three digits: `12.7M`."""
    if abs(count) < 1_000_000:
        return f"{count:,}"
    value = count / 1e6
    for unit in _COUNT_UNITS:
        if abs(value) < 999.5 or unit == _COUNT_UNITS[-1]:
            break
        value /= 1000
    return f"{_three_digits(value)}{unit}"


def size_text(nbytes: int) -> str:
    """Give bytes in IEC units with three digits: `20 B`, `2.53 KiB`."""
    if nbytes < 1024:
        return f"{nbytes:,} B"
    value = nbytes / 1024
    for unit in _SIZE_UNITS:
        if value < 999.5 or unit == _SIZE_UNITS[-1]:
            break
        value /= 1024
    return f"{_three_digits(value)} {unit}"


def size_cell(nbytes: int) -> str:
    """Give bytes for a column, the unit padded to three characters."""
    text = size_text(nbytes)
    return f"{text}  " if text.endswith(" B") else text


def _three_digits(value: float) -> str:
    size = abs(value)
    if size < 0.9995:
        return f"{value:.3f}"
    decimals = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:,.{decimals}f}"


def float_text(value: float) -> str:
    """Give three significant digits, fixed from 0.001 to 99,999, else `6.95e-4`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    power = int(exponent)
    if power < -3 or abs(value) >= 99_999.5:
        return f"{mantissa}e{power}"
    return f"{value:,.{max(0, 2 - power)}f}"


def float_word(value: float | None) -> str:
    """Give six significant digits for a pipe, `-` for an undefined value."""
    if value is None:
        return ABSENT_WORD
    return "NaN" if math.isnan(value) else f"{value:.6g}"


def value_text(value: float | bool | None) -> str:
    """Give a number for a terminal: integers and truths exact, three digits of others."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else float_text(value)


def value_word(value: float | None) -> str:
    """Give a number for a pipe: integers exact, six digits of others."""
    if value is None:
        return ABSENT_WORD
    return str(value) if isinstance(value, int) else float_word(value)


def share_text(part: float, whole: float) -> str:
    """Give a share or move with one decimal, `33.4 %`; never a false 0 or 100."""
    if not whole or math.isnan(part / whole):
        return ABSENT
    percent = 100 * part / whole
    if part in (0, whole):
        return "all" if part else "none"
    if abs(percent) < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    if percent >= 1000:
        return f"{_three_digits(percent / 100)} ×"
    return f"{percent:.1f} %"


def share_in_words(part: float, whole: float) -> str:
    """Give a share for a sentence, two digits: `13 %`, `3.0 %`."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.5 <= percent < 100:
        return ">99 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """Give `3×3×16×32`, `scalar`, and `?` for what is unknown."""
    if shape is None:
        return "?"
    return "×".join(map(_dimension, shape)) or "scalar"


def shape_word(shape: tuple[int | None, ...] | None) -> str:
    """Give `3x3x16x32` for a pipe, `-` for a scalar."""
    if shape is None:
        return "?"
    return "x".join(map(_dimension, shape)) or ABSENT_WORD


def _dimension(size: int | None) -> str:
    return "?" if size is None or size < 0 else str(size)


def time_text(seconds: float) -> str:
    """Give local time to the second: `2026-11-20 21:59:33`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def time_word(seconds: float) -> str:
    """Give UTC in ISO 8601 for a pipe: `2026-11-20T21:59:33Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


NUMERIC = (Kind.FIGURE, Kind.COUNT, Kind.NUMBER)
"""Kinds of fields that a pipe sets to the right."""
_TRUTHS = {True: "yes", False: "no"}


def word_of(field: Field[Row]) -> Callable[[Row], str]:
    """Give what writes a field of a row for a pipe, as one word; `-` for what is absent."""
    give = field.give

    def word(row: Row) -> str:
        value = give(row) if give else None
        if value is None:
            return ABSENT_WORD
        if field.kind is Kind.TEXT:
            return safe_word(str(value))
        if field.kind is Kind.FIGURE:
            return value_word(value)
        if field.kind is Kind.TRUTH:
            return _TRUTHS[value]
        return shape_word(value) if field.kind is Kind.SHAPE else str(value)

    return word


def plural(count: int, noun: str, *, nouns: str | None = None) -> str:
    """Give the count with its noun: `1 variable`, `12 variables`."""
    return f"{count_text(count)} {noun if count == 1 else nouns or noun + 's'}"


# Names in a column: what they share is said once, what repeats is muted, nothing is cut.

MIN_SHARED_CELLS = 8
"""A shorter common prefix is not worth a line of its own."""


def common_prefix(names: Sequence[str]) -> str:
    """Give the leading components, `/` included, that all of several names share."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    at = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    prefix = first[: first.rfind("/", 0, at) + 1]
    return prefix if len(prefix) >= MIN_SHARED_CELLS else ""


def muted_repeats(names: Iterable[str]) -> Iterator[Line]:
    """Give names whose leading components, as far as they repeat the row above, are muted."""
    above: list[str] = []
    for name in names:
        parts = name.split("/")
        n_same = 0
        while n_same < min(len(parts), len(above)) - 1 and parts[n_same] == above[n_same]:
            n_same += 1
        at = sum(len(part) + 1 for part in parts[:n_same])
        yield (Span(name[:at], "muted"), Span(name[at:])) if at else (Span(name),)
        above = parts


# Quantities drawn in a line of text, and what stands in the place of a drawing.

_SPARKS = "▁▂▃▄▅▆▇"
_MAX_CELLS = 24
"""Cells of a curve."""


def bar(share: float, cells: int) -> str:
    """Draw a bar of `share` of `cells` in half cells; nothing below half a cell."""
    if not math.isfinite(share):
        return ""
    halves = round(max(0.0, min(share, 1.0)) * cells * 2)
    return "━" * (halves // 2) + "╸" * (halves % 2)


def sparkline(values: Sequence[float]) -> str:
    """Draw one cell per value, to the row's own top; blank only for exactly none."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    return "".join(_spark(value, top) for value in values)


def _spark(value: float, top: float) -> str:
    if not math.isfinite(value):
        return "×"
    if value <= 0 or top <= 0:
        return " "
    return _SPARKS[min(len(_SPARKS) - 1, int(value / top * len(_SPARKS)))]


def curve(values: Sequence[float | None], cells: int = _MAX_CELLS) -> str:
    """Draw a curve in at most so many cells; a cell of several values has their last."""
    group = max(1, math.ceil(len(values) / cells))
    picked = [_last_of(values[i : i + group]) for i in range(0, len(values), group)]
    finite = [value for value in picked if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_level(value, low, high) for value in picked)


def _last_of(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _level(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    if not math.isfinite(value):
        return "×"
    if high == low:
        return _SPARKS[len(_SPARKS) // 2]
    share = (value - low) / (high - low)
    return _SPARKS[min(len(_SPARKS) - 1, int(share * len(_SPARKS)))]


def nothing_finite(distribution: Distribution) -> str:
    """Say why there is nothing to draw; nothing if there is something."""
    if distribution.finite:
        return ""
    if not distribution.elements:
        return "no elements"
    return "all NaN" if distribution.nan == distribution.elements else "nothing finite"
