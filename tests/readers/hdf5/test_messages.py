"""Object headers, their messages and the global heap of HDF5, byte by byte.

Every layout here is that of the HDF5 File Format Specification, version 3.0: III.E the global
heap, IV.A.1 the headers, IV.A.2.b dataspaces, .d datatypes and .m attributes.
"""

from __future__ import annotations

import struct

import pytest

from ckread.errors import TruncatedFileError
from ckread.readers.contract import DataType
from ckread.readers.hdf5 import messages as module
from ckread.readers.hdf5.messages import (
    Blocks,
    DamagedTextError,
    DeclinedError,
    GlobalHeap,
    Space,
    attribute_name,
    attribute_value,
    element_type,
    is_sound_attribute,
    parse_space,
    path_order,
    read_any_messages,
    read_messages,
    text_attributes,
)


class Bytes:
    """A file in memory; `asked` is what was read of it."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes that are there."""
        self.asked.append((offset, nbytes))
        if not 0 <= offset <= offset + nbytes <= len(self.data):
            raise TruncatedFileError("ends")
        return self.data[offset : offset + nbytes]


# Dataspaces.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\1\0\0\0\0\0\0\0", Space(())),
        (struct.pack("<BBBB4xQQ", 1, 2, 0, 0, 3, 4), Space((3, 4))),
        (struct.pack("<BBBB4xQQ", 1, 1, 1, 0, 3, 9), Space((3,))),  # it may grow to 9
        (b"\2\0\0\0", Space(())),
        (struct.pack("<BBBBQQ", 2, 2, 0, 1, 3, 4), Space((3, 4))),
        (b"\2\0\0\2", Space((), is_null=True)),
    ],
)
def test_dataspaces(data: bytes, expected: Space) -> None:
    assert parse_space(data) == expected


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\3\0\0\0", b"\2\0\0\3"])
def test_dataspaces_of_no_known_version_or_kind(data: bytes) -> None:
    with pytest.raises(DeclinedError):
        parse_space(data)


# Datatypes.


def _fixed(nbytes: int, bits: int, *, offset: int = 0, precision: int | None = None) -> bytes:
    precision = 8 * nbytes if precision is None else precision
    return struct.pack("<BBBBIHH", 0x10, bits, 0, 0, nbytes, offset, precision)


_HALF = 2, 15, (0, 16, 10, 5, 0, 10, 15)
_SINGLE = 4, 31, (0, 32, 23, 8, 0, 23, 127)
_DOUBLE = 8, 63, (0, 64, 52, 11, 0, 52, 1023)
_Float = tuple[int, int, tuple[int, ...]]


def _float(what: _Float, bits: int = 0x20) -> bytes:
    nbytes, sign, fields = what
    return struct.pack("<BBBBI", 0x11, bits, sign, 0, nbytes) + struct.pack("<HHBBBBI", *fields)


def _opaque(nbytes: int) -> bytes:
    return struct.pack("<BBBBI8s", 0x15, 1, 0, 0, nbytes, b"bfloat16")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_fixed(1, 0), (DataType.UINT8, False)),
        (_fixed(1, 1), (DataType.UINT8, False)),  # of one byte there is no order
        (_fixed(2, 0), (DataType.UINT16, False)),
        (_fixed(2, 1), (DataType.UINT16, True)),
        (_fixed(4, 0), (DataType.UINT32, False)),
        (_fixed(8, 1), (DataType.UINT64, True)),
        (_fixed(1, 8), (DataType.INT8, False)),
        (_fixed(2, 8), (DataType.INT16, False)),
        (_fixed(4, 9), (DataType.INT32, True)),
        (_fixed(8, 8), (DataType.INT64, False)),
        (_float(_HALF), (DataType.FLOAT16, False)),
        (_float(_SINGLE), (DataType.FLOAT32, False)),
        (_float(_SINGLE, 0x21), (DataType.FLOAT32, True)),
        (_float(_DOUBLE), (DataType.FLOAT64, False)),
        (_opaque(2), (DataType.BFLOAT16, False)),
    ],
)
def test_element_types(data: bytes, expected: tuple[DataType, bool]) -> None:
    assert element_type(data, "bfloat16") == expected


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (_fixed(3, 0), None),
        (_fixed(16, 0), None),
        (_fixed(4, 0, offset=1), None),
        (_fixed(4, 0, precision=31), None),
        (_float(_SINGLE, 0x61), None),  # the order of a VAX
        ((b"\x11\x20\x1e" + _float(_SINGLE)[3:]), None),  # its sign is elsewhere
        (_float((4, 31, _HALF[2])), None),
        (_float((2, 15, _SINGLE[2])), None),
        (_float((4, 31, (0, 32, 23, 8, 0, 23, 126))), None),
        (_float((8, 63, _SINGLE[2])), None),
        (_opaque(2), None),
        (_opaque(2), ["bfloat16"]),
        (_opaque(2), "float32"),  # that is no opaque type
        (_opaque(4), "bfloat16"),
        (b"\x12" + _float(_SINGLE)[1:], None),  # a time
        (b"\x14" + _fixed(4, 0)[1:], None),  # a field of bits
    ],
)
def test_element_types_that_h5py_is_to_read(data: bytes, label: str | list[str] | None) -> None:
    with pytest.raises(DeclinedError):
        element_type(data, label)


# Attributes.

_SCALAR, _TWO = b"\1\0\0\0\0\0\0\0", struct.pack("<BBBB4xQ", 1, 1, 0, 0, 2)
_EMPTY = struct.pack("<BBBB4xQ", 1, 1, 0, 0, 0)


def _string(nbytes: int) -> bytes:
    return struct.pack("<BBBBI", 0x13, 0, 0, 0, nbytes)


_TEXT = struct.pack("<BBBBI8s", 0x19, 1, 1, 0, 16, _string(1))
_SEQUENCE = struct.pack("<BBBBI8s", 0x19, 0, 0, 0, 16, _string(1))


def _attribute(
    kind: bytes, space: bytes, data: bytes, *, version: int = 1, flags: int = 0, name: str = "ab"
) -> bytes:
    parts: tuple[bytes, ...] = (name.encode() + b"\0", kind, space)
    head = struct.pack("<BBHHH", version, flags, *map(len, parts))
    if version == 3:
        head += b"\1"  # of the letters of its name: UTF-8
    if version == 1:
        parts = tuple(part.ljust(-(-len(part) // 8) * 8, b"\0") for part in parts)
    return head + b"".join(parts) + data


def _collection(*texts: tuple[int, bytes], nbytes: int = 4096) -> bytes:
    found = struct.pack("<4sB3xQ", b"GCOL", 1, nbytes)
    for index, text in texts:
        padded = text.ljust(-(-len(text) // 8) * 8, b"\0")
        found += struct.pack("<HHIQ", index, 1, 0, len(text)) + padded
    return found.ljust(nbytes, b"\0")


def _reference(length: int, index: int, address: int = 0) -> bytes:
    return struct.pack("<IQI", length, address, index)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "space", "data", "expected"),
    [
        (_string(3), _SCALAR, b"xyz", "xyz"),
        (_string(4), _SCALAR, b"xy\0\0", "xy"),
        (_string(3), _TWO, b"xyzu\0\0", ["xyz", "u"]),
        (_string(3), _EMPTY, b"", []),
        (_string(1), _SCALAR, b"\xff", "\udcff"),
        (_TEXT, _SCALAR, _reference(2, 1), "pq"),
        (_TEXT, _TWO, _reference(1, 2) + _reference(2, 1), ["r", "pq"]),
        (_SEQUENCE, _SCALAR, bytes(16), None),
        (_fixed(4, 0), _TWO, bytes(8), None),
        (_fixed(4, 0), _EMPTY, b"", []),
    ],
)
def test_attributes(
    version: int, kind: bytes, space: bytes, data: bytes, expected: str | list[str] | None
) -> None:
    source = Bytes(_collection((1, b"pq"), (2, b"r")))
    attribute = _attribute(kind, space, data, version=version)
    assert attribute_name(attribute) == "ab"
    assert attribute_value(attribute, source) == ("ab", expected)


@pytest.mark.parametrize(
    "data",
    [
        _attribute(_string(3), _SCALAR, b"xyz", version=0),
        _attribute(_string(3), _SCALAR, b"xyz", version=4),
        _attribute(_string(3), _SCALAR, b"xyz", version=2, flags=1),  # its type is shared
        _attribute(_string(3), _SCALAR, b"xyz", version=3, flags=2),  # its dataspace is
        _attribute(_string(3), _SCALAR, b"xy"),
        _attribute(_string(3), _TWO, b"xyzuv"),
        _attribute(_string(3), b"\2\0\0\2", b"xyz"),  # no text at all
        _attribute(_TEXT[:4] + b"\x0c" + _TEXT[5:], _SCALAR, bytes(16)),
        _attribute(_string(0), struct.pack("<BBBB4xQ", 1, 1, 0, 0, (1 << 16) + 1), b""),
    ],
)
def test_attributes_that_h5py_is_to_read(data: bytes) -> None:
    with pytest.raises(DeclinedError):
        attribute_value(data, Bytes())


def test_flags_of_the_first_version_are_reserved() -> None:
    data = _attribute(_string(3), _SCALAR, b"xyz", flags=1)
    assert attribute_value(data, Bytes()) == ("ab", "xyz")


def test_as_many_texts_as_an_attribute_may_have() -> None:
    data = _attribute(_string(0), struct.pack("<BBBB4xQ", 1, 1, 0, 0, 1 << 16), b"")
    assert attribute_value(data, Bytes()) == ("ab", [""] * (1 << 16))


def test_only_texts_are_attributes() -> None:
    found = [
        (0x0C, _attribute(_string(1), _SCALAR, b"x")),
        (0x0D, _attribute(_string(1), _SCALAR, b"y", name="comment")),
        (0x0C, _attribute(_fixed(4, 0), _SCALAR, bytes(4), name="number")),
        (0x0C, _attribute(_string(1), _EMPTY, b"", name="none")),
    ]
    assert text_attributes(found, Bytes()) == {"ab": "x", "none": []}


# The global heap.


def test_texts_of_a_heap() -> None:
    first, second = _collection((1, b"abcdefgh"), (7, b"x\0y")), _collection((2, b"zz"))
    source = Bytes(first + second)
    heap = GlobalHeap(source, 100)
    references = [(3, 1), (8, 1), (3, 7), (0, 9), (2, 2, 4096), (1, 2, 4096)]
    found = heap.texts(b"".join(_reference(*one) for one in references))
    assert found == [b"abc", b"abcdefgh", b"x", b"", b"zz", b"z"]
    assert source.asked == [(0, 16), (0, 4096), (4096, 16), (4096, 4096)]  # each once


def test_free_space_ends_the_objects_of_a_collection() -> None:
    heap = GlobalHeap(Bytes(_collection((1, b"a"), (0, b""), (2, b"b"))), 100)
    assert heap.texts(_reference(1, 1)) == [b"a"]
    with pytest.raises(DamagedTextError):
        heap.texts(_reference(1, 2))


def test_an_object_may_end_where_its_collection_does() -> None:
    data = _collection((1, b"x" * 24), nbytes=56)
    assert GlobalHeap(Bytes(data), 100).texts(_reference(24, 1)) == [b"x" * 24]
    for size in (25, 1 << 63):
        longer = data[:24] + struct.pack("<Q", size) + data[32:]
        with pytest.raises(DeclinedError) as caught:
            GlobalHeap(Bytes(longer), 100).texts(_reference(24, 1))
        assert type(caught.value) is DeclinedError


def test_an_object_needs_room_for_its_head() -> None:
    data = _collection((1, b"a"), nbytes=47) + b"\2" + bytes(7) + b"\1" + bytes(7)
    assert GlobalHeap(Bytes(data), 9).texts(_reference(1, 1)) == [b"a"]


@pytest.mark.parametrize(
    ("length", "index", "found"),
    [
        (3, 1, "a text of 3 bytes in 2"),
        (1, 2, "a text of 1 bytes in 0"),
        (101, 1, "101 bytes of text, expected at most 100"),
    ],
)
def test_a_text_that_is_not_there(length: int, index: int, found: str) -> None:
    heap = GlobalHeap(Bytes(_collection((1, b"ab"))), 100)
    with pytest.raises(DamagedTextError) as caught:
        heap.texts(_reference(length, index))
    assert str(caught.value) == found


def test_all_texts_of_a_heap_together_are_bounded() -> None:
    heap = GlobalHeap(Bytes(_collection((1, b"a" * 50))), 100)
    assert heap.texts(2 * _reference(50, 1)) == 2 * [b"a" * 50]
    with pytest.raises(DamagedTextError) as caught:
        heap.texts(_reference(1, 1))
    assert str(caught.value) == "101 bytes of text, expected at most 100"


def test_all_collections_of_a_heap_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that overlap would be read again and again."""
    monkeypatch.setattr(module, "MAX_COLLECTION_NBYTES", 64)
    source = Bytes(b"".join(_collection((1, b"a"), nbytes=64) for _ in range(5)))
    heap = GlobalHeap(source, 96)
    references = b"".join(_reference(1, 1, 64 * i) for i in range(4))
    assert heap.texts(references) == 4 * [b"a"]  # 256 bytes, two times 96 and 64
    with pytest.raises(DamagedTextError) as caught:
        heap.texts(_reference(1, 1, 256))
    assert str(caught.value) == "texts in 320 bytes of collections"


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<4sB3xQ", b"GCOM", 1, 64),
        struct.pack("<4sB3xQ", b"GCOL", 0, 64),
        struct.pack("<4sB3xQ", b"GCOL", 2, 64),
        struct.pack("<4sB3xQ", b"GCOL", 1, 15),
        struct.pack("<4sB3xQ", b"GCOL", 1, (64 << 20) + 1),
    ],
)
def test_what_is_no_collection(head: bytes) -> None:
    data = head + _collection((1, b"a"))[16:]
    with pytest.raises(DeclinedError) as caught:
        GlobalHeap(Bytes(data), 100).texts(_reference(1, 1))
    assert type(caught.value) is DeclinedError  # neither damage nor an end that comes too early


def test_collections_of_the_least_and_the_greatest_size() -> None:
    least = struct.pack("<4sB3xQ", b"GCOL", 1, 16)
    with pytest.raises(DamagedTextError, match="a text of 1 bytes in 0"):
        GlobalHeap(Bytes(least), 100).texts(_reference(1, 1))
    with pytest.raises(TruncatedFileError):  # it is asked for
        GlobalHeap(Bytes(_collection()[:8] + (64 << 20).to_bytes(8, "little")), 9).texts(
            _reference(1, 1)
        )


# Blocks.


def test_what_lies_close_together_is_read_once() -> None:
    nbytes = module.BLOCK_NBYTES
    data = bytes(i * 7 % 251 for i in range(2 * nbytes + 100))
    source = Bytes(data)
    blocks = Blocks(source.pread, len(data))
    asked = [(5, 3), (nbytes - 4, 4), (nbytes, 8), (2 * nbytes + 90, 10), (2 * nbytes, 1)]
    assert [blocks.pread(*one) for one in asked] == [data[at : at + n] for at, n in asked]
    assert source.asked == [(0, nbytes), (nbytes, nbytes), (2 * nbytes, 100)]
    source.asked.clear()
    across = nbytes - 3, 8
    assert blocks.pread(*across) == data[nbytes - 3 : nbytes + 5]
    assert source.asked == [across]


@pytest.mark.parametrize("place", [(95, 6), (101, 4), (1 << 20, 4), (-5, 3)])
def test_what_no_block_holds_is_asked_of_the_file(place: tuple[int, int]) -> None:
    """It knows what to say of that."""
    source = Bytes(bytes(100))
    with pytest.raises(TruncatedFileError):
        Blocks(source.pread, 100).pread(*place)
    assert source.asked[-1] == place


def test_not_all_blocks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BLOCKS", 2)
    n = module.BLOCK_NBYTES
    source = Bytes(bytes(3 * n))
    blocks = Blocks(source.pread, 3 * n)
    for number in (0, 1, 0, 1, 2, 2, 1):
        blocks.pread(number * n, 4)
    assert [at // n for at, _ in source.asked] == [0, 1, 2, 1]


# Object headers.


def _message(kind: int, data: bytes, flags: int = 0) -> bytes:
    return struct.pack("<HHB3x", kind, len(data), flags) + data


def _header(block: bytes, n_messages: int, *, version: int = 1, nbytes: int | None = None) -> bytes:
    nbytes = len(block) if nbytes is None else nbytes
    return struct.pack("<BBHII4x", version, 0, n_messages, 1, nbytes) + block


def test_messages_of_a_header() -> None:
    block = _message(1, b"abcdefgh") + _message(0x0C, b"") + _message(3, b"x" * 16, flags=0xFD)
    expected = [(1, b"abcdefgh"), (0x0C, b""), (3, b"x" * 16)]
    source = Bytes(b"before" + _header(block + bytes(7), 3))
    assert read_messages(source, 6) == read_any_messages(source, 6) == expected


def test_blocks_of_a_header_follow_one_another() -> None:
    second, third = _message(5, b"in 2"), _message(6, b"in 3")
    first = b"".join(
        _message(0x10, struct.pack("<QQ", *place)) for place in ((200, len(second)), (300, 12))
    ) + _message(4, b"in 1")
    data = _header(first, 5).ljust(200, b"\xee") + second.ljust(100, b"\xee") + third
    kinds = [kind for kind, _ in read_messages(Bytes(data), 0)]
    assert kinds == [0x10, 0x10, 4, 5, 6]


@pytest.mark.parametrize(
    "data",
    [
        _header(_message(1, b"ab"), 1, version=0),
        _header(_message(1, b"ab"), 1, version=2),
        _header(_message(1, b"ab", flags=2), 1),
        _header(_message(1, b"ab"), 0),
        _header(_message(1, b"ab") + _message(1, b"ab"), 1),
        _header(_message(1, b"ab")[:-1], 1),
        _header(b"", 1, nbytes=(16 << 20)),
        _header(_message(0x10, struct.pack("<QQ", 16, 24)), 99),  # a block in a circle
    ],
)
def test_headers_that_h5py_is_to_read(data: bytes) -> None:
    with pytest.raises(DeclinedError):
        read_messages(Bytes(data), 0)


def test_all_blocks_of_a_header_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEADER_NBYTES", 100)
    second = _message(1, bytes(66))  # 74 bytes, and 24 of the first; each block counts one more
    for nbytes in (74, 75):
        head = _header(_message(0x10, struct.pack("<QQ", 40, nbytes)), 2)
        source = Bytes(head + second.ljust(nbytes, b"\0"))
        if nbytes == 74:
            assert read_messages(source, 0)[1:] == [(1, bytes(66))]
        else:
            with pytest.raises(DeclinedError):
                read_messages(source, 0)


_NEW = struct.Struct("<BHB")


def _short(kind: int, data: bytes, flags: int = 0, order: bytes = b"") -> bytes:
    return _NEW.pack(kind, len(data), flags) + order + data


@pytest.mark.parametrize("width", [0, 1, 2, 3])
@pytest.mark.parametrize("times", [0, 0x20])
@pytest.mark.parametrize("limits", [0, 0x10])
@pytest.mark.parametrize("order", [0, 4])
def test_messages_of_a_newer_header(width: int, times: int, limits: int, order: int) -> None:
    number = b"\7\0" if order else b""
    block = _short(1, b"abc", order=number) + _short(0x0C, b"", order=number)
    block += _short(3, b"shared", flags=2, order=number) + _short(3, b"xy", 0xFD, number)
    head = b"OHDR" + bytes([2, width | times | limits | order])
    head += b"\xaa" * (16 * bool(times) + 4 * bool(limits))
    head += len(block).to_bytes(1 << width, "little")
    source = Bytes(b"12345" + head + block + b"\xbb\xbb\xbb\xbb")
    expected = [(1, b"abc"), (0x0C, b""), (-3, b"shared"), (3, b"xy")]
    assert read_any_messages(source, 5) == expected


def test_blocks_of_a_newer_header_have_a_signature_and_a_checksum() -> None:
    second = b"OCHK" + _short(6, b"more") + b"\xcc\xcc\xcc\xcc"
    block = _short(0x10, struct.pack("<QQ", 40, len(second))) + _short(1, b"")
    data = (b"OHDR\2\0" + bytes([len(block)]) + block).ljust(40, b"\xee") + second
    assert [one for one in read_any_messages(Bytes(data), 0) if one[0] != 0x10] == [
        (1, b""),
        (6, b"more"),
    ]


@pytest.mark.parametrize("data", [b"OHDR\1\0\7\1\3\0\0abc", b"OHDR\3\0\7\1\3\0\0abc"])
def test_newer_headers_of_another_version(data: bytes) -> None:
    with pytest.raises(DeclinedError):
        read_any_messages(Bytes(data), 0)


def test_a_message_that_is_longer_than_its_newer_header() -> None:
    with pytest.raises(DeclinedError):
        read_any_messages(Bytes(b"OHDR\2\0\7\1\4\0\0abcd"), 0)


# Texts that are seen before HDF5 is asked for them.


def _object(*attributes: bytes) -> bytes:
    return _header(b"".join(_message(0x0C, one) for one in attributes), len(attributes))


def test_attributes_that_are_where_they_say() -> None:
    heap = _collection((1, b"pq"))
    first = _attribute(_TEXT, _SCALAR, _reference(2, 1), name="first")
    lost = _attribute(_TEXT, _SCALAR, _reference(3, 1), name="lost")
    odd = _attribute(_string(9), _SCALAR, b"", name="odd")
    source = Bytes(heap + _object(first, odd, lost))
    assert is_sound_attribute(source, 4096, "first")
    assert not is_sound_attribute(source, 4096, "odd")
    assert not is_sound_attribute(source, 4096, "none")
    assert not is_sound_attribute(source, 4095, "first")
    assert not is_sound_attribute(source, 1 << 20, "first")
    with pytest.raises(DamagedTextError, match="a text of 3 bytes in 2"):
        is_sound_attribute(source, 4096, "lost")


def test_other_messages_are_no_attributes() -> None:
    text = _attribute(_string(1), _SCALAR, b"x")
    assert not is_sound_attribute(Bytes(_header(_message(0x0D, text), 1)), 0, "ab")


def test_paths_by_their_numbers() -> None:
    paths = ["b", "a/10", "a/2", "a", "10", "9", "a/2/z", "a/x", "1234567890", "123456789", "²"]
    assert sorted(paths, key=path_order) == [
        "9", "10", "123456789", "1234567890", "a", "a/2", "a/2/z", "a/10", "a/x", "b", "²",
    ]  # fmt: skip
