"""Values as files that numpy, a spreadsheet or PyTorch read: .npy, .npz, .csv, .safetensors.

Element types that numpy does not know become the nearest that it does: bfloat16,
float8 and float4 become float32, int4 and int2 become int8, strings become bytes of
fixed length. All of these hold every value exactly.
"""

from __future__ import annotations

import csv
import io
import math
from typing import IO, TYPE_CHECKING, NamedTuple

from ckread.errors import UsageError, by
from ckread.readers.contract import DataType
from ckread.readers.slices import unravelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    Member = tuple[str, tuple[int, ...], Iterable[NDArray[np.generic]]]
    """Name, shape and values of an array of an archive."""

SUFFIXES = (".npy", ".npz", ".csv", ".safetensors")
MAX_PADDING_NBYTES = 1 << 28
"""Bytes that strings of very different length may be padded by."""

_MANY = 1 << 17
"""Elements of a type of a byte or two, from which on its values are written once each."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def suffix_of(path: str) -> str:
    """Give the suffix that says how values are written."""
    for suffix in SUFFIXES:
        if path.lower().endswith(suffix):
            return suffix
    raise UsageError(
        "no suffix that says how to write it",
        path=path,
        expected=".npy, .npz, .csv or .safetensors",
    )


def storable(chunk: NDArray[np.generic]) -> NDArray[np.generic]:
    """Give values in a type that plain numpy can load."""
    import numpy as np

    if chunk.dtype.hasobject:
        elements: list[bytes] = chunk.ravel().tolist()
        longest = max(map(len, elements), default=0)
        if longest * len(elements) - sum(map(len, elements)) > MAX_PADDING_NBYTES:
            message = f"strings of up to {longest:,} bytes, too uneven for an array of fixed length"
            raise UsageError(message, remedy="Write them as .csv.")
        if any(element.endswith(b"\0") for element in elements):
            message = "strings that end in a NUL byte, which numpy would drop"
            raise UsageError(message, remedy="Write them as .csv.")
        return np.array(elements, dtype=f"S{max(1, longest)}").reshape(chunk.shape)
    if chunk.dtype.isbuiltin == 1:
        return chunk
    if chunk.dtype.kind == "V" or chunk.dtype.isbuiltin == 2:
        name = chunk.dtype.name
        target = "float32" if "float" in name else "uint8" if name.startswith("u") else "int8"
        return chunk.astype(target)
    return np.ascontiguousarray(chunk)


def write_npy(
    file: IO[bytes], shape: tuple[int, ...], chunks: Iterable[NDArray[np.generic]]
) -> np.dtype[np.generic]:
    """Write chunks in C order as one array; give the element type it got.

    The first chunk tells the type: give an empty one where there is no element.
    """
    import numpy as np
    from numpy.lib import format as npy

    dtype: np.dtype[np.generic] | None = None
    for chunk in chunks:
        stored = np.ascontiguousarray(storable(chunk)).reshape(-1)
        if dtype is None:
            dtype = stored.dtype
            descr = npy.dtype_to_descr(dtype)
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
        file.write(stored.view(np.uint8).data)
    if dtype is None:
        raise UsageError("no element to write")
    return dtype


def write_npz(
    file: IO[bytes], name: str, shape: tuple[int, ...], chunks: Iterable[NDArray[np.generic]]
) -> np.dtype[np.generic]:
    """Write one array under its name into an archive that `numpy.load` reads."""
    [dtype] = write_members(file, [(name, shape, chunks)])
    return dtype


def write_members(file: IO[bytes], members: Iterable[Member]) -> list[np.dtype[np.generic]]:
    """Write arrays under their names into an archive that `numpy.load` reads, one at a time.

    Names that would meet in one member are told apart by a number.
    """
    import zipfile

    dtypes = []
    taken: set[str] = set()
    with zipfile.ZipFile(file, "w") as archive:
        for name, shape, chunks in members:
            stem = unique = member_name(name)
            n = 2
            while unique in taken:
                unique, n = f"{stem}_{n}", n + 1
            taken.add(unique)
            with archive.open(f"{unique}.npy", "w", force_zip64=True) as member:
                try:
                    dtypes.append(write_npy(member, shape, chunks))
                except UsageError as error:
                    remedy = "Write it alone, as .csv."
                    raise UsageError(f"{name}: {error.message}", remedy=remedy) from None
    return dtypes


_STORED_AS = {
    DataType.INT4: "I8", DataType.INT2: "I8", DataType.UINT4: "U8", DataType.UINT2: "U8",
    DataType.QINT8: "I8", DataType.QUINT8: "U8", DataType.QINT16: "I16", DataType.QINT32: "I32",
    DataType.FLOAT4_E2M1FN: "F32", DataType.FLOAT8_E4M3B11FNUZ: "F32",
}  # fmt: skip
"""Words of safetensors for types it has none of its own for, that hold every value exactly."""


class Tensor(NamedTuple):
    """A tensor to be written: its name, type and shape, and its values in C order."""

    name: str
    dtype: DataType
    shape: tuple[int, ...]
    chunks: Iterable[NDArray[np.generic]]


def safetensors_header(tensors: list[Tensor]) -> bytes:
    """Give the head of a file of tensors; these are sorted, the widest first: all are aligned.

    Raises:
        UsageError: a type has no place there.

    Reference: github.com/huggingface/safetensors, README, "Format"
    """
    import json

    from ckread.readers.partners.safetensors import DTYPES

    words = {dtype: word for word, (dtype, _) in reversed(DTYPES.items())} | _STORED_AS
    tensors.sort(key=lambda one: -one.dtype.itemsize)
    header: dict[str, object] = {}
    end = 0
    for one in tensors:
        word = words.get(one.dtype) if one.dtype.is_plain else None
        if word is None:
            how = by("--role weight or a PATTERN", "roles='weight' or patterns")
            remedy = f"Leave it out by {how}, or write .npz."
            found = f"{one.dtype} has no place in a safetensors file"
            raise UsageError(found, place=one.name, remedy=remedy)
        start, end = end, end + math.prod(one.shape) * DTYPES[word][1] // 8
        header[one.name] = {"dtype": word, "shape": one.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_safetensors(file: IO[bytes], tensors: Iterable[Tensor], header: bytes) -> None:
    """Write a header, and the tensors one after the other."""
    import numpy as np

    file.write(header)
    for one in tensors:
        for chunk in one.chunks:
            values = storable(chunk) if one.dtype in _STORED_AS else chunk
            file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def member_name(name: str) -> str:
    """Give the name of an archive member: no path that leaves a directory, all printable."""
    parts = [
        "_" if part in ("", ".", "..") else "".join(c if c.isprintable() else "_" for c in part)
        for part in name.replace("\\", "/").split("/")
    ]
    return "/".join(parts)


def write_csv(
    file: IO[bytes], shape: tuple[int, ...], chunks: Iterable[NDArray[np.generic]]
) -> None:
    """Write a row per row of the last dimension; above two dimensions its index first."""
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    n = max(1, shape[-1]) if len(shape) > 1 else 1
    rest: list[str] = []
    at = 0
    for chunk in chunks:
        rest += element_texts(chunk)
        starts = range(0, len(rest) - n + 1, n)
        rows: Iterable[list[str]] = (rest[start : start + n] for start in starts)
        if len(shape) > 2:
            places = (unravelled(row, shape[:-1]) for row in range(at, at + len(starts)))
            rows = ([*map(str, place), *row] for place, row in zip(places, rows, strict=True))
        if chunk.dtype.hasobject:
            writer.writerows(rows)
        else:  # in numbers nothing is quoted
            lines = rest if len(shape) < 2 else map(",".join, rows)
            text.write("".join([f"{line}\n" for line in lines]))
        at += len(starts)
        del rest[: n * len(starts)]
    text.flush()
    text.detach()


def element_texts(chunk: NDArray[np.generic]) -> list[str]:
    """Give every element as the shortest text that reads back to the same value."""
    if chunk.dtype.hasobject:
        texts = [e.decode("utf-8", "backslashreplace") for e in chunk.ravel().tolist()]
        return [f"'{text}" if text.startswith(_FORMULA_STARTS) else text for text in texts]
    import numpy as np

    if chunk.dtype.itemsize < 4 and chunk.dtype.kind not in "biu" and chunk.size >= _MANY:
        codes = chunk.ravel().view(f"u{chunk.dtype.itemsize}")
        present = np.flatnonzero(np.bincount(codes)).astype(codes.dtype)  # 65,536 at most
        known = dict(zip(present.tolist(), _texts(present.view(chunk.dtype)), strict=True))
        return [*map(known.__getitem__, codes.tolist())]
    return _texts(chunk.ravel())


def _texts(values: NDArray[np.generic]) -> list[str]:
    """Give the texts of numbers one after the other."""
    import numpy as np

    flat = storable(values)
    if flat.dtype.kind in "fc" and flat.dtype != np.float64:
        return [*map(str, flat)]
    return repr(flat.tolist())[1:-1].split(", ") if flat.size else []
