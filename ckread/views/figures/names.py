"""Names in pictures: measured before they are drawn, shortened so that they stay different."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import text_to_path

from ckread.views.figures.style import FALLBACK_FONTS, FONTS, quiet_fonts

_POINTS_PER_INCH = 72
_ELLIPSIS = "…"


def drawable(text: str) -> str:
    """Give a text with what no font here has, or what cannot be printed, as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(x if _has_glyph(x) else x.encode("unicode_escape").decode() for x in text)


@lru_cache(maxsize=1 << 12)
def _has_glyph(character: str) -> bool:
    if 0xD800 <= ord(character) < 0xE000:
        return False
    is_space = character in "\u2009\u00a0"
    if not (character.isprintable() or is_space):
        return False
    return any(_is_in(character, name) for name in (FONTS[0], *_installed()))


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


@lru_cache(maxsize=1 << 16)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Give the width of a text in inches, drawn in `size` points."""
    shown = drawable(text)
    families = families_of(shown) or FONTS[:1]
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
        kept = _levelled(lengths, n_letters)
        return "/".join(_elided(part, n) for part, n in zip(parts, kept, strict=True))

    n_spare = sum(max(0, n - 3) for n in lengths)
    fewest = bisect_left(range(n_spare + 1), True, key=lambda n: fits(without(n), width, size=size))
    if fewest > n_spare:
        return cut(without(n_spare), width, size=size)
    return without(fewest)


def _levelled(lengths: list[int], n: int) -> list[int]:
    """Take n from the lengths, one at a time from the longest."""
    left = lengths.copy()
    for _ in range(n):
        left[left.index(max(left))] -= 1
    return left


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
            for i, text in zip(alike, _told_apart([names[i] for i in alike]), strict=True):
                shown[i] = text if fits(text, width, size=size) else _by_tail(text, width, size)
    return shown


def _told_apart(names: list[str]) -> list[str]:
    """Keep the characters from the first to the last in which the names differ, and the leaf."""
    shortest = min(map(len, names))
    head = next((i for i in range(shortest) if len({name[i] for name in names}) > 1), shortest)
    tails = [name[head:] for name in names]
    start = max(0, head - 4)
    return [_ELLIPSIS + name[start:head] + tail for name, tail in zip(names, tails, strict=True)]


def _by_tail(text: str, width: float, size: float) -> str:
    """Shorten in the middle of the text as a whole, the start longer than the end."""
    for n_kept in range(len(text) - 1, 2, -1):
        shown = _elided(text, n_kept)
        if fits(shown, width, size=size):
            return shown
    return _ELLIPSIS
