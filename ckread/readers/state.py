"""The `checkpoint` state file: which checkpoint of a directory is the latest.

    model_checkpoint_path: "ckpt-10"
    all_model_checkpoint_paths: "ckpt-9"
    all_model_checkpoint_paths: "ckpt-10"
    all_model_checkpoint_timestamps: 1763676000.25
    last_preserved_timestamp: 1763675000.5

A CheckpointState message in protobuf's text format: fields in any order, comments
from `#`, strings in either quote with C escapes, adjacent strings joined. Fields
that are not known are skipped. Strings are UTF-8; other bytes become surrogate
escapes, so that they name the same file again.
References: tensorflow/python/training/checkpoint_state.proto and
protobuf.dev/reference/protobuf/textformat-spec
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ckread.errors import CorruptCheckpointError
from ckread.readers.budget import over
from ckread.readers.files import STATE_FILE_NAME, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MAX_STATE_NBYTES = 1 << 20

_TOKEN = re.compile(
    rb"""
      (?P<blank>   (?:[ \t\r\n\f\v]|\#[^\n]*)+ )
    | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>  [-+]?[0-9.][0-9A-Za-z_.+-]* )
    | (?P<string>  "(?:[^"\\\n]|\\[^\n])*" | '(?:[^'\\\n]|\\[^\n])*' )
    | (?P<sign>    [][{}<>:;,/-] )
    """,
    re.VERBOSE,
)
_FLOAT = re.compile(
    rb"(?i)([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)f?|([-+]?(?:inf(?:inity)?|nan))"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CLOSING = {b"{": b"}", b"<": b">", b"[": b"]"}
_STRINGS = (b"model_checkpoint_path", b"all_model_checkpoint_paths")
_NUMBERS = (b"last_preserved_timestamp", b"all_model_checkpoint_timestamps")

Value = TypeVar("Value", str, float)


class CheckpointState(NamedTuple):
    """What a state file says; paths as written, relative to its directory or absolute.

    Attributes:
        model_checkpoint_path: prefix of the latest checkpoint; empty if not given.
        all_model_checkpoint_paths: prefixes of all that are kept, oldest first.
        all_model_checkpoint_timestamps: when each was written, seconds since 1970.
        last_preserved_timestamp: when the last one was exempted from deletion, likewise.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: tuple[str, ...] = ()
    all_model_checkpoint_timestamps: tuple[float, ...] = ()
    last_preserved_timestamp: float | None = None


def read_state(path: str) -> CheckpointState:
    """Read a state file."""
    with open_regular(path) as file:
        text = file.read(MAX_STATE_NBYTES + 1) or b""
    if len(text) > MAX_STATE_NBYTES:
        raise over(MAX_STATE_NBYTES, "bytes", path=path, expected="a short text")
    try:
        return parse_state(text, path)
    except CorruptCheckpointError as error:
        from ckread.readers.detection import Kind, something_else

        raise something_else(path, "a state file", (Kind.STATE, Kind.TEXT)) or error from None


def known_time(seconds: float | None) -> float | None:
    """Give a time in seconds since 1970 if it can be one that something was saved at, else None.

    What is written in a file or asked of a file system may be anything: a NaN, the year 10**292.
    """
    return seconds if seconds is not None and 0 < seconds < _LAST_SECOND else None


_LAST_SECOND = 1e11
"""In the year 5138."""


def parse_state(text: bytes, path: str = STATE_FILE_NAME) -> CheckpointState:
    """Give the record of the text of a state file, which messages call `path`."""
    return _Parser(text.removeprefix(_BYTE_ORDER_MARK), path).state()


class _Token(NamedTuple):
    kind: str
    text: bytes
    offset: int


class _Parser:
    """Recursive descent over the tokens of one text, with one token of lookahead."""

    def __init__(self, text: bytes, path: str) -> None:
        self._text = text
        self._path = path
        self._tokens = self._iter_tokens()
        self._next = next(self._tokens)

    def state(self) -> CheckpointState:
        """Read all fields."""
        strings: dict[bytes, list[str]] = {name: [] for name in _STRINGS}
        numbers: dict[bytes, list[float]] = {name: [] for name in _NUMBERS}
        while self._next.kind != "end":
            name = self._next
            if (name.kind, name.text) == ("sign", b"["):  # an extension
                self._skip_brackets()
            elif name.kind in ("name", "number"):
                self._take()
            else:
                raise self._error(name, "the name of a field")
            if name.text in strings:
                self._read_values(name, strings[name.text], self._string)
            elif name.text in numbers:
                self._read_values(name, numbers[name.text], self._number)
            else:
                # Pass over the value of a field that is not known.
                self._accept(b":")
                self._accept(b"-")
                if self._next.text in _CLOSING:
                    self._skip_brackets()
                elif self._next.kind == "string":
                    self._string()
                elif self._next.kind in ("name", "number"):
                    self._take()
                else:
                    raise self._error(self._next, "a value")
            self._accept(b";", b",")
        latest, paths = strings.values()
        preserved, times = numbers.values()
        return CheckpointState(
            latest[0] if latest else "",
            tuple(paths),
            tuple(times),
            preserved[0] if preserved else None,
        )

    def _iter_tokens(self) -> Iterator[_Token]:
        at = 0
        while match := _TOKEN.match(self._text, at):
            at = match.end()
            if match.lastgroup and match.lastgroup != "blank":
                yield _Token(match.lastgroup, match[0], match.start())
        if at < len(self._text):
            yield _Token("stray", self._text[at : at + 1], at)
        while True:
            yield _Token("end", b"", len(self._text))

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens)
        return token

    def _accept(self, *signs: bytes) -> bool:
        if self._next.kind == "sign" and self._next.text in signs:
            self._take()
            return True
        return False

    def _read_values(self, name: _Token, into: list[Value], read: Callable[[], Value]) -> None:
        """Read one value or a list of them; a field that is not repeated stays alone."""
        if not self._accept(b":"):
            raise self._error(self._next, f"':' after {name.text.decode()}")
        if not self._accept(b"["):
            into.append(read())
        elif not self._accept(b"]"):
            into.append(read())
            while self._accept(b","):
                into.append(read())
            if not self._accept(b"]"):
                raise self._error(self._next, "',' or ']' in a list")
        if len(into) > 1 and not name.text.startswith(b"all_"):
            raise self._error(name, "it only once")

    def _string(self) -> str:
        if self._next.kind != "string":
            raise self._error(self._next, "a string in quotes")
        value = b""
        while self._next.kind == "string":
            value += unescape(self._take().text[1:-1])
        return value.decode("utf-8", "surrogateescape")

    def _number(self) -> float:
        sign = -1.0 if self._accept(b"-") else 1.0
        match = _FLOAT.fullmatch(self._next.text)
        if match is None:
            raise self._error(self._next, "a number")
        self._take()
        return sign * float(match[1] or match[2])

    def _skip_brackets(self) -> None:
        closing: list[bytes] = []
        while True:
            token = self._take()
            if token.kind in ("end", "stray"):
                raise self._error(token, f"{closing[-1].decode()!r}")
            if token.text in _CLOSING:
                closing.append(_CLOSING[token.text])
            elif token.text in _CLOSING.values() and token.text != closing.pop():
                raise self._error(token, "the bracket that closes the last one opened")
            if not closing:
                return

    def _error(self, token: _Token, expected: str) -> CorruptCheckpointError:
        line = self._text.count(b"\n", 0, token.offset) + 1
        found = token.text[:40].decode("utf-8", "backslashreplace")
        found = repr(found) if found else "the end of the text"
        return CorruptCheckpointError(
            found,
            path=self._path,
            place=f"line {line}",
            expected=expected,
            offset=token.offset,
        )


# C escapes in the strings of protobuf's text format.
#
#     \a \b \f \n \r \t \v \\ \' \" \?    one character
#     \ooo \xhh                          one byte, up to three or two digits
#     \uhhhh \Uhhhhhhhh                  one code point, as UTF-8
#
# Reference: protobuf.dev/reference/protobuf/textformat-spec

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
