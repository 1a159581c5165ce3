"""HDF5 files that Keras would not write: by h5py, with its odd allocations, filters and types.

A mutant is either such a file or a real one, and then bytes of it are changed; where that hits
an object header or superblock of version 2, their checksums (Jenkins's lookup3) are made right
again, or the library would look no further.
"""

from __future__ import annotations

import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.fuzz.mutation import EDGES, mutated
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_SMALL = ("six_ways/functional", "six_ways/sequential", "keras_compiled", "tf23_keras2")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MASK = 0xFFFFFFFF
_TYPES = (
    "<f4", "<f4", "<f4", ">f4", "<f2", "<f8", "<i4", "<i8", "<u1", "|b1", "<c8", "S5", "<i2", ">u4",
)  # fmt: skip
_NAMES = (
    "kernel", "bias", "vars", "0", "1", "layers", "optimizer", "a\nb", "\x1b[2J", "ü", "x" * 255,
    "model_weights", "optimizer_weights", "_layer_checkpoint_dependencies", "iteration", "..",
)  # fmt: skip


@cache
def seeds() -> tuple[bytes, ...]:
    """Give the small real files."""
    paths = [path for one in _SMALL for path in sorted((FIXTURES / one).glob("*.h5"))]
    return tuple(path.read_bytes() for path in paths if path.stat().st_size < 40_000)


def mutate(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """Make a file anew, or change one; what follows changes that too."""
    what = rng.random()
    if what < 0.35:
        data = made(rng)
        if rng.random() < 0.5:
            return data
    elif what < 0.5:
        return _edited(rng.choice(seeds()), rng)  # the library may crash on any other
    return resealed(_changed(data, others, rng))


def _changed(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """Change bytes where structures are, mostly: values are most of a file."""
    if rng.random() < 0.3:
        return mutated(data, others, rng)
    result = bytearray(data)
    marks = [
        at for mark in (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"FRHP", b"BTHD", b"OCHK",
                        b"BTLF", b"FADB", b"FAHD", b"EAHD", _SIGNATURE)
        for at in _places(data, mark)
    ]  # fmt: skip
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = (rng.choice(marks) if marks else 0) + rng.randrange(160)
        width = rng.choice((1, 1, 2, 4, 8))
        if at + width <= len(result):
            old = int.from_bytes(result[at : at + width], "little")
            new = rng.choice((old + 1, old - 1, old ^ 1 << rng.randrange(8 * width), *EDGES))
            result[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(result)


def _places(data: bytes, mark: bytes) -> list[int]:
    found: list[int] = []
    at = data.find(mark)
    while at >= 0 and len(found) < 200:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def _edited(data: bytes, rng: Random) -> bytes:
    """Change a sound file through h5py: attributes, datasets, links."""
    import h5py

    buffer = io.BytesIO(data)
    try:
        with h5py.File(buffer, "r+") as file:
            paths: list[str] = []
            file.visit(paths.append)
            for _ in range(rng.choice((1, 2, 3))):
                _edit(file, rng.choice(paths) if paths else "/", rng)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError):
        return data
    return buffer.getvalue()


def _edit(file: Any, path: str, rng: Random) -> None:
    held = file[path]
    what = rng.randrange(5)
    if what == 0 and path != "/":
        del file[path]
    elif what == 1 and path != "/":
        _add_dataset(file, f"{path.rpartition('/')[0]}/{rng.choice(_NAMES)}", rng)
    elif what == 2 and len(held.attrs):
        name = rng.choice(sorted(held.attrs))
        del held.attrs[name]
        if rng.random() < 0.8:
            _add_attribute(held, name, rng)
    elif what == 3:
        _add_attribute(
            held, rng.choice(("layer_names", "weight_names", "name", "model_config")), rng
        )
    else:
        file[f"{path.rpartition('/')[0]}/{rng.choice(_NAMES)}"] = held


def made(rng: Random) -> bytes:
    """Make a file: some groups, datasets, links and attributes, in an old or a new format."""
    import h5py

    buffer = io.BytesIO()
    libver = rng.choice((("earliest", "v108"), "latest", ("v108", "v110"), "earliest"))
    with h5py.File(buffer, "w", libver=libver, track_order=rng.random() < 0.2) as file:
        groups = [file]
        for _ in range(rng.randrange(1, 8)):
            where = rng.choice(groups)
            name = rng.choice(_NAMES)
            try:
                what = rng.random()
                if what < 0.25:
                    groups.append(where.create_group(name))
                elif what < 0.75:
                    _add_dataset(where, name, rng)
                elif what < 0.9:
                    _add_attribute(
                        where, rng.choice(("layer_names", "keras_version", "w", "")), rng
                    )
                else:
                    where[name] = rng.choice((
                        h5py.SoftLink("/"), h5py.SoftLink("/nowhere"), h5py.SoftLink(name),
                        h5py.ExternalLink("/etc/passwd", "/"), h5py.ExternalLink("m.h5", "/"),
                        file["/"], np.dtype("<f4"),
                    ))  # fmt: skip
            except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError):
                continue
    return buffer.getvalue()


def _add_dataset(where: Any, name: str, rng: Random) -> None:
    import h5py

    shape = tuple(rng.choice((0, 1, 2, 3, 5, 8)) for _ in range(rng.randrange(4)))
    what = rng.random()
    if what < 0.1:
        kind = rng.choice((h5py.string_dtype(), h5py.vlen_dtype("<f4"), h5py.ref_dtype))
        where.create_dataset(name, shape, dtype=kind)
        return
    if what < 0.2:
        kinds = (np.dtype([("a", "<f4"), ("b", "<i2")]), h5py.enum_dtype({"A": 1}), "<f4")
        where.create_dataset(name, shape, dtype=rng.choice(kinds))
        return
    options: dict[str, Any] = {}
    kind = rng.choice(_TYPES)
    if rng.random() < 0.15:
        shape = rng.choice(((1 << 40,), (1 << 20, 1 << 20), (1 << 62, 2), (100_000,)))
        options["chunks"] = rng.choice(((1,), (1 << 20,), (64, 64), None))
        if options["chunks"] is None or len(options["chunks"]) != len(shape):
            del options["chunks"]
        where.create_dataset(name, shape, kind, **options)
        return
    if shape and 0 not in shape and rng.random() < 0.5:
        options["chunks"] = tuple(rng.randrange(1, n + 1) for n in shape)
        options |= rng.choice((
            {}, {"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True},
            {"fletcher32": True}, {"compression": "gzip", "shuffle": True, "fletcher32": True},
            {"maxshape": (None, *shape[1:])}, {"maxshape": tuple(None for _ in shape)},
            {"scaleoffset": 2},
        ))  # fmt: skip
    if rng.random() < 0.3:
        options["fillvalue"] = 1
    data = None
    if rng.random() < 0.7 and not kind.startswith("S"):
        data = np.ones(shape, kind)
    found = where.create_dataset(name, shape, kind, data=data, **options)
    if data is None and shape and "chunks" in options and rng.random() < 0.5:
        found[0] = 1  # one chunk of several


def _add_attribute(where: Any, name: str, rng: Random) -> None:
    value = rng.choice((
        np.array([b"dense", b"kernel:0"]), [b""], np.array([], "S1"), "text", 1.5, b"\xff\xfe",
        json.dumps({"class_name": "Sequential", "config": {"layers": []}}), "[" * 2000, "{}",
        "null", "[red]", np.array([["a"]], "S1"), np.array(["kernel:0", "kernel:0"], "S8"),
        np.zeros(3), "3.4.0\n",
        [b"..", b"/"], "2.99999999999.0",
    ))  # fmt: skip
    where.attrs[name] = value


def resealed(data: bytes) -> bytes:
    """Make the checksums of superblock and object headers of version 2 right again."""
    result = bytearray(data)
    if result[:8] == _SIGNATURE and len(result) >= 48 and result[8] in (2, 3):
        result[44:48] = lookup3(bytes(result[:44])).to_bytes(4, "little")
    for at in _places(data, b"OHDR"):
        if at + 6 > len(result):
            continue
        flags = result[at + 5]
        head = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        stop = at + head + width + int.from_bytes(result[at + head : at + head + width], "little")
        if stop + 4 <= len(result) and stop - at < 1 << 14:
            checksum = lookup3(bytes(result[at:stop]))
            result[stop : stop + 4] = checksum.to_bytes(4, "little")
    return bytes(result)


def lookup3(data: bytes) -> int:
    """Give Jenkins's lookup3 of bytes, from 0: the checksum of HDF5's metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    at, left = 0, len(data)
    while left > 12:
        a = a + int.from_bytes(data[at : at + 4], "little") & _MASK
        b = b + int.from_bytes(data[at + 4 : at + 8], "little") & _MASK
        c = c + int.from_bytes(data[at + 8 : at + 12], "little") & _MASK
        a = (a - c & _MASK) ^ _turned(c, 4)
        c = c + b & _MASK
        b = (b - a & _MASK) ^ _turned(a, 6)
        a = a + c & _MASK
        c = (c - b & _MASK) ^ _turned(b, 8)
        b = b + a & _MASK
        a = (a - c & _MASK) ^ _turned(c, 16)
        c = c + b & _MASK
        b = (b - a & _MASK) ^ _turned(a, 19)
        a = a + c & _MASK
        c = (c - b & _MASK) ^ _turned(b, 4)
        b = b + a & _MASK
        at, left = at + 12, left - 12
    if not left:
        return c
    rest = data[at:].ljust(12, b"\0")
    a = a + int.from_bytes(rest[:4], "little") & _MASK
    b = b + int.from_bytes(rest[4:8], "little") & _MASK
    c = c + int.from_bytes(rest[8:], "little") & _MASK
    c = ((c ^ b) - _turned(b, 14)) & _MASK
    a = ((a ^ c) - _turned(c, 11)) & _MASK
    b = ((b ^ a) - _turned(a, 25)) & _MASK
    c = ((c ^ b) - _turned(b, 16)) & _MASK
    a = ((a ^ c) - _turned(c, 4)) & _MASK
    b = ((b ^ a) - _turned(a, 14)) & _MASK
    return ((c ^ b) - _turned(b, 24)) & _MASK


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK
