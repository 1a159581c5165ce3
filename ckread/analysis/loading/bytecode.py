"""What a marshalled function is made of, without unmarshalling it by Python.

`marshal.loads` is not for data of strangers, and reads the code of its own version alone.
Here the items are walked: of a code object the names that it uses and its constants.

    c   a code object: five int32 (six in Python 3.8 to 3.10), then items:
        3.11 on   code, consts, names, localsplusnames, localspluskinds, filename, name,
                  qualname, int32 first line, line table, exception table
        to 3.10   code, consts, names, varnames, freevars, cellvars, filename, name,
                  int32 first line, line table

The high bit of an item's type says that `r` may refer to it later.

Reference: Python/marshal.c, Objects/codeobject.c
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Any

_MAX_ITEMS = 100_000
_MAX_DEPTH = 100
_SINGLE = frozenset(b"NTF.0S")
"""Types of what is one byte, and neither text nor number: None, True, an ellipsis …"""
_LAYOUTS = ((5, 8, 2), (6, 8, 1), (5, 8, 1))
"""Of a code object: int32 before its items, items, and items after the first line's int32."""


class MarshalError(ValueError):
    """These bytes are no marshalled code that is known."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code object.

    Attributes:
        name: of the function.
        names: of globals and attributes that it uses.
        constants: texts and numbers in it.
        inner: functions in it.
    """

    name: str
    names: tuple[str, ...]
    constants: tuple[Any, ...]
    inner: tuple[Code, ...]


def describe(text: str) -> str:
    """Say what a Lambda's base64 text is: its size, names and constants."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return f"code of {len(text)} characters that are not base64"
    size = f"bytecode, {len(data)} bytes"
    try:
        code = parse(data)
    except MarshalError:
        return f"{size}, of a form that is not known"
    codes = [code]
    for one in codes:
        codes += one.inner
    names = dict.fromkeys(name for one in codes for name in one.names)
    constants = dict.fromkeys(repr(value) for one in codes for value in one.constants)
    n = "one function" if len(codes) == 1 else f"{len(codes)} functions"
    used = f"; names it uses: {', '.join(names)}" if names else "; it uses no names"
    fixed = f"; constants: {', '.join(constants)}" if constants else ""
    return f"{size}, {n}{used}{fixed}"


def is_code_text(text: str) -> bool:
    """Tell whether a text is base64 of marshalled code."""
    if not text.startswith(("4w", "Yw")):  # of `c`, with or without the bit for references
        return False
    try:
        parse(base64.b64decode("".join(text.split()), validate=True))
    except (MarshalError, binascii.Error, ValueError):
        return False
    return True


def parse(data: bytes) -> Code:
    """Walk marshalled code."""
    for layout in _LAYOUTS:
        try:
            walk = _Walk(data, layout)
            found = walk.item()
        except (MarshalError, IndexError, struct.error, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(found, Code) and walk.is_at_end:
            return found
    raise MarshalError


class _Walk:
    def __init__(self, data: bytes, layout: tuple[int, int, int]) -> None:
        self._data = data
        self._at = 0
        self._layout = layout
        self._refs: list[Any] = []
        self._left = _MAX_ITEMS

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    def item(self, depth: int = 0) -> Any:
        """Read an item and what is in it."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise MarshalError
        kind = self._data[self._at]
        self._at += 1
        slot = None
        if kind & 0x80:
            slot = len(self._refs)
            self._refs.append(None)
        value = self._value(bytes([kind & 0x7F]), depth)
        if slot is not None:
            self._refs[slot] = value
        return value

    def _value(self, kind: bytes, depth: int) -> Any:
        if kind[0] in _SINGLE:
            return None
        if kind == b"r":
            return self._refs[self._int()]
        if kind == b"i":
            return self._int()
        if kind == b"g":
            return struct.unpack("<d", self._take(8))[0]
        if kind == b"y":
            return complex(*struct.unpack("<dd", self._take(16)))
        if kind == b"l":
            n = self._int()
            digits = struct.unpack(f"<{abs(n)}H", self._take(2 * abs(n)))
            value = sum(digit << 15 * i for i, digit in enumerate(digits[:64]))
            return -value if n < 0 else value
        if kind in (b"z", b"Z"):
            return self._take(self._take(1)[0]).decode("latin-1")
        if kind in (b"a", b"A"):
            return self._take(self._int()).decode("latin-1")
        if kind in (b"u", b"t"):
            return self._take(self._int()).decode("utf-8", "surrogatepass")
        if kind == b"s":
            return self._take(self._int())
        if kind in (b")", b"(", b"[", b"<", b">"):
            n = self._take(1)[0] if kind == b")" else self._int()
            return tuple(self.item(depth + 1) for _ in range(n))
        if kind == b"c":
            return self._code(depth)
        raise MarshalError

    def _code(self, depth: int) -> Code:
        n_ints, n_items, n_last = self._layout
        self._take(4 * n_ints)
        items = [self.item(depth + 1) for _ in range(n_items)]
        self._take(4)
        last = [self.item(depth + 1) for _ in range(n_last)]
        code, constants, names = items[:3]
        texts = (isinstance(name, str) for name in names) if isinstance(names, tuple) else (False,)
        has_tables = all(isinstance(table, bytes) for table in (code, *last))
        if not has_tables or not isinstance(constants, tuple) or not all(texts):
            raise MarshalError
        flat = _flat(constants)
        return Code(
            str(items[-1]),
            tuple(names),
            tuple(v for v in flat if isinstance(v, (str, int, float))),
            tuple(v for v in flat if isinstance(v, Code)),
        )

    def _int(self) -> int:
        value: int = struct.unpack("<i", self._take(4))[0]
        return value

    def _take(self, n: int) -> bytes:
        if n < 0:
            raise MarshalError
        self._at += n  # beyond the end too: it is then not at the end
        return self._data[self._at - n : self._at]


def _flat(values: tuple[Any, ...]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += _flat(value) if isinstance(value, tuple) else [value]
    return found
