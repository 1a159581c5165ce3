"""What a page is written on: how wide it is, and which glyphs it can take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FALLBACKS = {
    "━": "#", "╸": "-", "├": "|", "─": "-", "└": "`", "│": "|", "┤": "|", "╋": "+",
    "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "#", "█": "#",
    "×": "x", "·": ".", "–": "-", "→": "->", "…": "...", "Δ": "d", "‖": "||", "±": "+-",
    "−": "-", "²": "^2", "³": "^3",
}  # fmt: skip
"""What stands for a glyph where the encoding lacks it."""

_ALL_ONE_CELL = re.compile(r"[\x20-\x7e\xa0-\u02ff\u0370-\u03ff\u2010-\u2027\u2190-\u21ff─-▟]*")


@dataclass(frozen=True, slots=True)
class Paper:
    """The width of the terminal in cells, and the encoding it is written in."""

    width: int = 80
    encoding: str = "utf-8"
    _missing: dict[int, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the glyphs that the encoding lacks."""
        object.__setattr__(self, "_missing", missing_glyphs(self.encoding))

    @property
    def is_unicode(self) -> bool:
        """Whether every character can be written."""
        return not self._missing

    def spell(self, text: str) -> str:
        """Give the text with what the encoding lacks replaced or escaped."""
        if text.isascii() or not self._missing:
            return text
        text = text.translate(self._missing)
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


def missing_glyphs(encoding: str) -> dict[int, str]:
    """Map the glyphs of our screens that an encoding lacks to their replacements."""
    return {
        ord(glyph): instead
        for glyph, instead in _FALLBACKS.items()
        if glyph.encode(encoding, "ignore") == b""
    }


def cell_len(text: str) -> int:
    """Count the terminal cells that a text takes."""
    if text.isascii() or _ALL_ONE_CELL.fullmatch(text):
        return len(text)
    from rich.cells import cell_len as rich_cell_len

    return rich_cell_len(text)
