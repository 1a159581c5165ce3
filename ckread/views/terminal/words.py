"""Numbers, sizes, shapes, shares and names as text: for a terminal, and as words for a pipe.

A *word* holds no white space, so that `awk` can split what is piped.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ckread.model.display import Kind, are_one, safe_text, safe_word
from ckread.views.terminal.page import Prose, Span, TerminalOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.model.run.entries import RunEntry
    from ckread.views.terminal.page import Block, Line


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
    return f"{value:.6g}" if value == value else "NaN"


def value_text(value: float | bool | None) -> str:
    """Give a number for a terminal: integers and truths exact, three digits of others."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else float_text(value)


def value_word(value: float | None) -> str:
    """Give a number for a pipe: integers exact, six digits of others."""
    if type(value) is float:  # as most are
        return f"{value:.6g}" if value == value else "NaN"
    if value is None:
        return ABSENT_WORD
    if isinstance(value, int):
        return str(value)
    word = f"{value:.6g}"  # as `float_word`, without a call for each of very many
    return "NaN" if word == "nan" else word


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


def share_in_words(share: float) -> str:
    """Give a share for a sentence, two digits: `13 %`, `3.0 %`."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.5 <= percent < 100:
        return ">99 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def moved_text(moved: float | None) -> str:
    """Give how far something moved by its norm: `33.4 %`, `129 ×`, `from 0`, `NaN`, `–`."""
    if not moved:
        return ABSENT
    if math.isnan(moved):
        return "NaN"
    if math.isinf(moved):
        return "from 0"
    return "100.0 %" if moved == 1 else share_text(moved, 1)


def move_in_words(moved: float) -> str:
    """Give the same for a sentence: `13 %`, `3.0 %`, `12.0 times the norm`."""
    return share_in_words(moved) if moved < 9.995 else f"{float_text(moved)} times the norm"


def cosine_text(cosine: float | None) -> str:
    """Give a cosine with four decimals; 1 only where it is."""
    if cosine is None:
        return ABSENT
    if math.isnan(cosine) or abs(cosine) == 1:
        return float_text(cosine).removesuffix(".00")
    return ">0.9999" if cosine >= 0.99995 else f"{max(cosine, -0.9999):.4f}"


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


def word_of(kind: Kind) -> Callable[[Any], str]:
    """Give what writes a value of a kind for a pipe, as one word; `-` for what is absent."""
    return _WRITERS.get(kind, _text_word)


def words_of(kind: Kind, values: Sequence[Any]) -> list[str]:
    """Give the words of very many values of a kind, as `word_of` makes each."""
    if are_one(values):
        return [word_of(kind)(values[0])] * len(values)
    types = {*map(type, values)}
    if kind is Kind.FIGURE and types <= {float, type(None)}:
        return [
            ABSENT_WORD if value is None else f"{value:.6g}" if value == value else "NaN"
            for value in values
        ]
    if kind in NUMERIC and types == {int}:
        return list(map(str, values))
    if kind is Kind.TEXT and types == {str, type(None)}:
        words = iter(words_of(kind, [value for value in values if value is not None]))
        return [ABSENT_WORD if value is None else next(words) for value in values]
    if kind is Kind.TEXT and types == {str}:
        text = "".join(values)
        if text.isprintable() and not (" " in text or "#" in text or "" in values):
            return list(values)
        return list(map(safe_word, values))
    return list(map(word_of(kind), values))


@lru_cache(maxsize=256)
def _text_word(value: object) -> str:
    return ABSENT_WORD if value is None else safe_word(str(value))


def _count_word(value: int | None) -> str:
    return ABSENT_WORD if value is None else str(value)


_WRITERS: dict[Kind, Callable[[Any], str]] = {
    Kind.FIGURE: value_word,
    Kind.COUNT: _count_word,
    Kind.NUMBER: _count_word,
    Kind.TRUTH: {None: ABSENT_WORD, True: "yes", False: "no"}.__getitem__,
    Kind.SHAPE: lru_cache(maxsize=1024)(shape_word),
}


def plural(count: int, noun: str, *, nouns: str | None = None) -> str:
    """Give the count with its noun: `1 variable`, `12 variables`."""
    return f"{count_text(count)} {noun if count == 1 else nouns or noun + 's'}"


UNRELATED = "with cosines near 0, as of two trainings from different starts"
"""What is said of kernels between which `near_zero` holds; why they are so nobody stored."""


def near_zero(kernels: Iterable[tuple[float | None, Sequence[int] | None]]) -> bool:
    """Tell by cosines and shapes whether kernels point nowhere near where they did.

    Only kernels of 1,000 elements or more tell: chance makes a cosine of about 1 / sqrt(n).
    """
    known = [
        (abs(cosine) < 0.1, n)
        for cosine, shape in kernels
        if cosine is not None and shape is not None and len(shape) > 1
        for n in [math.prod(shape)]
        if n >= 1000
    ]
    return sum(n for is_near, n in known if is_near) > 0.9 * sum(n for _, n in known)


def some_of(count: int, total: int, noun: str) -> str:
    """Give how many of all: `2 of 3 variables`, `All 3 variables`, `The only variable`."""
    if count < total:
        return f"{count_text(count)} of {plural(total, noun)}"
    return f"All {plural(total, noun)}" if total > 1 else f"The only {noun}"


def place(entry: RunEntry, among: Sequence[RunEntry] = ()) -> str:
    """Say which checkpoint: its step or epoch, and its name where it has none or shares it."""
    if entry.count is None:
        return safe_text(entry.name)
    alike = [other for other in among if other.count == entry.count]
    if len(alike) < 2:
        return f"{entry.unit} {entry.count:,}"
    is_named = len({other.name for other in alike}) == len(alike)
    return f"{entry.unit} {entry.count:,} ({safe_text(entry.name if is_named else entry.path)})"


def listed(items: Sequence[str]) -> str:
    """Give words as a list in a sentence: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


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


def names_below(prefix: str) -> list[Block]:
    """Say above a table of a screen what its names have in common."""
    return [TerminalOnly(Prose(Span(f"names below {prefix}", "label")))] if prefix else []


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
    return "".join(_spark(value / top if value > 0 and top else None, value) for value in values)


SEAM = "|"
"""What stands for a seam in a curve or a sparkline."""


def curve(
    values: Sequence[float | None], cells: int = _MAX_CELLS, seams: Collection[int] = ()
) -> str:
    """Draw a curve in at most so many cells; a cell of several values has their last.

    Before the cell of a value at which a seam is there is one more.
    """
    size = max(1, math.ceil(len(values) / cells))
    groups = [values[i : i + size] for i in range(0, len(values), size)]
    picked = [next((v for v in reversed(group) if v is not None), None) for group in groups]
    finite = [value for value in picked if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = high / 2 - low / 2  # of ±1e308 the whole is infinite

    def share(value: float | None) -> float | None:
        return None if value is None else (value / 2 - low / 2) / span if span else 0.5

    drawn = [_spark(share(value), value) for value in picked]
    for at in sorted({at // size for at in seams if at < len(values)}, reverse=True):
        drawn.insert(at, SEAM)
    return "".join(drawn)


def _spark(share: float | None, value: float | None) -> str:
    """Draw a cell: blank where there is no share, `×` for a value that is not finite."""
    if value is not None and not math.isfinite(value):
        return "×"
    return " " if share is None else _SPARKS[min(len(_SPARKS) - 1, int(share * len(_SPARKS)))]


def nothing_finite(distribution: Distribution) -> str:
    """Say why there is nothing to draw; nothing if there is something."""
    if distribution.finite:
        return ""
    if not distribution.elements:
        return "no elements"
    return "all NaN" if distribution.nan == distribution.elements else "nothing finite"
