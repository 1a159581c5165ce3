"""What marshalled code is made of: item by item, in the forms of every Python."""

from __future__ import annotations

import base64
import marshal
import struct
from typing import Any

import pytest

from ckread.analysis.loading.bytecode import Code, MarshalError, describe, is_code_text, parse


def short(text: str) -> bytes:
    return b"z" + bytes([len(text)]) + text.encode("latin-1")


def raw(data: bytes = b"") -> bytes:
    return b"s" + struct.pack("<i", len(data)) + data


def items(*encoded: bytes) -> bytes:
    return b")" + bytes([len(encoded)]) + b"".join(encoded)


def code(
    *constants: bytes,
    names: bytes = items(short("len"), short("os")),
    table: bytes = raw(b"\1"),
    bytecode: bytes = raw(b"\2\3"),
    version: int = 11,
) -> bytes:
    """Encode a function `f` of a file `file.py`, as Python 3.7, 3.10 or 3.11 does."""
    data = b"c" + bytes(4 * (6 if version == 10 else 5))
    data += bytecode + items(*constants) + names + items()
    if version == 11:
        return data + raw() + short("file.py") + short("f") + short("f") + bytes(4) + table + raw()
    return data + items() + items() + short("file.py") + short("f") + bytes(4) + table


@pytest.mark.parametrize("version", [7, 10, 11])
def test_a_function_of_every_python(version: int) -> None:
    found = parse(code(short("HOME"), b"i" + struct.pack("<i", 7), version=version))
    assert found == Code("f", ("len", "os"), ("HOME", 7), ())
    text = base64.b64encode(code(short("HOME"), version=version)).decode()
    nbytes = len(code(short("HOME"), version=version))
    expected = f"bytecode, {nbytes} bytes, one function; names it uses: len, os; constants: 'HOME'"
    assert describe(text) == expected
    assert describe(f" {text[:20]}\n{text[20:]}\n") == expected
    assert is_code_text(text)


INT = b"i" + struct.pack("<i", -7)
ITEMS: list[tuple[bytes, Any]] = [
    (INT, -7),
    (b"g" + struct.pack("<d", 2.5), 2.5),
    (b"l" + struct.pack("<iHH", 2, 5, 1), 5 + (1 << 15)),
    (b"l" + struct.pack("<iHH", -2, 5, 1), -5 - (1 << 15)),
    (b"l" + struct.pack("<i", 0), 0),
    (b"l" + struct.pack("<i65H", 65, *[0] * 63, 1, 1), 1 << 15 * 63),  # no more of it
    (short("\xfc"), "\xfc"),
    (b"Z" + short("inner")[1:], "inner"),
    (b"a" + struct.pack("<i", 2) + b"ab", "ab"),
    (b"A" + struct.pack("<i", 2) + b"ab", "ab"),
    (b"u" + struct.pack("<i", 2) + "ü".encode(), "ü"),
    (b"t" + struct.pack("<i", 3) + b"\xed\xa0\x80", "\ud800"),
]


@pytest.mark.parametrize(("encoded", "value"), ITEMS)
def test_an_item_of_each_kind(encoded: bytes, value: Any) -> None:
    [found] = parse(code(encoded)).constants
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("kind", [b"(", b"[", b"<", b">"])
def test_items_that_hold_others(kind: bytes) -> None:
    assert parse(code(kind + struct.pack("<i", 2) + INT + short("x"))).constants == (-7, "x")


@pytest.mark.parametrize("kind", [b"N", b"T", b"F", b".", b"S", raw(b"x"), b"y" + bytes(16)])
def test_what_is_no_text_and_no_number_is_not_told(kind: bytes) -> None:
    assert parse(code(kind, INT)).constants == (-7,)


def test_what_is_referred_to() -> None:
    """The high bit of a type gives it the next number, before what is in it has its own."""
    marked = bytes([short("x")[0] | 0x80]) + short("x")[1:]
    pair = bytes([ord(")") | 0x80, 2]) + marked + b"r" + struct.pack("<i", 1)
    again = b"r" + struct.pack("<i", 0)
    assert parse(code(pair, again)).constants == ("x", "x", "x", "x")
    with pytest.raises(MarshalError):
        parse(code(b"r" + struct.pack("<i", 5)))


def test_functions_in_functions() -> None:
    inner = code(short("a"), names=items(short("eval")))
    found = parse(code(inner, items(inner, short("b"))))
    assert found.constants == ("b",)
    assert found.inner == (Code("f", ("eval",), ("a",), ()),) * 2
    text = base64.b64encode(code(inner, items(inner, short("b")), names=items())).decode()
    assert describe(text).endswith("bytes, 3 functions; names it uses: eval; constants: 'b', 'a'")
    plain = base64.b64encode(code(names=items())).decode()
    assert describe(plain).endswith("bytes, one function; it uses no names")


@pytest.mark.parametrize(
    "data",
    [
        code() + b"N", code()[:-1], code(b"?"), code(names=short("len")), code(names=raw(b"len")),
        code(names=items(INT)), code(table=b"N"), code(bytecode=b"N"), code(version=10)[:-1],
        code(b"s" + struct.pack("<i", -1)), code(b"(" + struct.pack("<i", 1 << 30)),
        code(short("x"))[:30], b"i" + bytes(4), b"",
        code(b"u" + struct.pack("<i", 2) + b"\xff\xff"),
    ],
)  # fmt: skip
def test_what_is_not_code(data: bytes) -> None:
    with pytest.raises(MarshalError):
        parse(data)
    text = base64.b64encode(data).decode()
    assert describe(text) == f"bytecode, {len(data)} bytes, of a form that is not known"
    assert not is_code_text(text)


def test_constants_have_to_be_a_tuple() -> None:
    whole = code(INT)
    assert parse(whole).constants == (-7,)
    with pytest.raises(MarshalError):
        parse(whole.replace(items(INT), INT))


def test_what_is_not_base64() -> None:
    text = base64.b64encode(code()).decode()
    assert is_code_text(text)
    assert not is_code_text(f"{text[:8]}!{text[8:]}")
    assert describe("4w!!") == "code of 4 characters that are not base64"


@pytest.mark.parametrize(("depth", "is_read"), [(98, True), (99, False)])
def test_how_deep_it_goes(depth: int, is_read: bool) -> None:
    """A hundred levels: the code, its constants, these tuples, and what is in the last."""
    data = code(items() if not depth else b")\1" * depth + b"N")
    if is_read:
        assert parse(data).constants == ()
    else:
        with pytest.raises(MarshalError):
            parse(data)


@pytest.mark.parametrize(("n", "is_read"), [(99_989, True), (99_990, False)])
def test_how_much_of_it_is_read(n: int, is_read: bool) -> None:
    """A hundred thousand items: beside these the code and ten of its own."""
    data = code(names=items()).replace(items(), b"(" + struct.pack("<i", n) + b"N" * n, 1)
    if is_read:
        assert parse(data) == Code("f", (), (), ())
    else:
        with pytest.raises(MarshalError):
            parse(data)


def test_it_is_what_python_says() -> None:
    program = compile("def f(x):\n return [x for _ in y], print('a', 3)", "<made>", "exec")
    [function] = [one for one in program.co_consts if hasattr(one, "co_code")]
    found = parse(marshal.dumps(function))
    assert (found.name, found.names) == (function.co_qualname, function.co_names)
