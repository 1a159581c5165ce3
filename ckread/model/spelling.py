"""How a name from a file is spelled where people read it: printable, and one word in a pipe."""

from __future__ import annotations


def safe_text(text: str) -> str:
    r"""Give a text from a file for display: what is not printable becomes an escape.

    Control and formatting characters cannot reach a terminal, and bytes that are
    not UTF-8 read `\x80`.
    """
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, kept as a surrogate
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def safe_word(text: str) -> str:
    r"""Give a text from a file as one word for a pipe: a space reads `\x20`."""
    text = safe_text(text).replace(" ", "\\x20")
    return f"\\x23{text[1:]}" if text.startswith("#") else text or '""'


def is_spelled(name: str, text: str) -> bool:
    r"""Tell whether a text is how a name is displayed, `a\x20b`, and not the name itself."""
    return "\\" in text and text in (safe_text(name), safe_word(name))
