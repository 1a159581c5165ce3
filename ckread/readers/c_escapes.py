r"""C escapes in the strings of protobuf's text format.

    \a \b \f \n \r \t \v \\ \' \" \?    one character
    \ooo \xhh                          one byte, up to three or two digits
    \uhhhh \Uhhhhhhhh                  one code point, as UTF-8

Reference: protobuf.dev/reference/protobuf/textformat-spec
"""

from __future__ import annotations

import re
import sys

_ESCAPE = re.compile(
    rb"\\(?:([0-3]?[0-7]{1,2})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_SIMPLE_ESCAPES = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))


def unescape(literal: bytes) -> bytes:
    """Give what stands between the quotes of a literal; what is no escape stays as it is."""
    return _ESCAPE.sub(_unescaped, literal)


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, simple = match.groups()
    if octal:
        return bytes([int(octal, 8)])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if simple:
        # A path pasted from Windows: what is no escape stays as it is written.
        return bytes([_SIMPLE_ESCAPES[simple[0]]]) if simple[0] in _SIMPLE_ESCAPES else match[0]
    code = int(short or long, 16)
    if code > sys.maxunicode or 0xD800 <= code < 0xE000:
        return match[0]
    return chr(code).encode()
