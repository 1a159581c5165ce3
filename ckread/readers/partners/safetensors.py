"""safetensors: a JSON header, then the values one after the other.

    u64 N, little-endian       N bytes of JSON, which begin with `{`, padded by spaces
    header                     {"__metadata__": {text: text},
                                name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    values                     little-endian, C order, without holes and overlaps

Several files share an index `model.safetensors.index.json`: {"weight_map": {name: file}}.
There are no checksums.

Reference: github.com/huggingface/safetensors, README, "Format"
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import (
    CorruptCheckpointError,
    ErrorKind,
    MissingShardError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.contract import (
    DataType,
    Extent,
    Format,
    StoredFile,
    TensorRecord,
    no_garbage_collection,
    shown,
)
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.files import RegularFile, file_identity, is_file, read_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


MAX_HEADER_NBYTES = 100_000_000
"""What the format itself allows; a header of 100,000 tensors has 10 MB."""

MAX_DIMENSIONS = 64
METADATA = "__metadata__"
INDEX_SUFFIX = ".safetensors.index.json"

DTYPES = {
    "F64": (DataType.FLOAT64, 64), "F32": (DataType.FLOAT32, 32), "F16": (DataType.FLOAT16, 16),
    "BF16": (DataType.BFLOAT16, 16), "I64": (DataType.INT64, 64), "I32": (DataType.INT32, 32),
    "I16": (DataType.INT16, 16), "I8": (DataType.INT8, 8), "U64": (DataType.UINT64, 64),
    "U32": (DataType.UINT32, 32), "U16": (DataType.UINT16, 16), "U8": (DataType.UINT8, 8),
    "BOOL": (DataType.BOOL, 8), "C64": (DataType.COMPLEX64, 64),
    "F8_E4M3": (DataType.FLOAT8_E4M3FN, 8), "F8_E5M2": (DataType.FLOAT8_E5M2, 8),
    "F8_E4M3FNUZ": (DataType.FLOAT8_E4M3FNUZ, 8), "F8_E5M2FNUZ": (DataType.FLOAT8_E5M2FNUZ, 8),
    "F8_E8M0": (DataType.UNKNOWN, 8), "F6_E2M3": (DataType.UNKNOWN, 6),
    "F6_E3M2": (DataType.UNKNOWN, 6), "F4": (DataType.UNKNOWN, 4),
}  # fmt: skip
"""Their words, our types, and bits per element; those without a type here are listed, not read."""


_Entry = tuple[str, Extent, tuple[int, ...]]


class Header(NamedTuple):
    """What the head of a file lists: extents by name in order of place, and its metadata."""

    tensors: dict[str, tuple[Extent, tuple[int, ...]]]
    metadata: dict[str, str]


class Safetensors(ExtentReader):
    """The tensors of one safetensors file, or of several that an index joins.

    Attributes:
        metadata: the texts that its writer put beside them.
    """

    def __init__(self, path: str) -> None:
        """Read the headers.

        Raises:
            CorruptCheckpointError: a header breaks the rules of the format.
            MissingShardError: a file that the index names is not there.
        """
        super().__init__(path, Format.SAFETENSORS)
        self.metadata: dict[str, str] = {}
        self._extents: dict[str, Extent] = {}
        self._tensors: dict[str, TensorRecord] = {}
        names = _weight_map(path) if path.endswith(INDEX_SUFFIX) else None
        files = [path] if names is None else _shards(path, names)
        self._files = [StoredFile(path, _size(path), is_shard=names is None)]
        for number, file in enumerate(files):
            header = read_header(file)
            self.metadata |= header.metadata
            if names is not None:
                self._files.append(StoredFile(file, _size(file), is_shard=True))
            self._add(header, number)
        if names is not None and names.keys() != self._extents.keys():
            odd = min(names.keys() ^ self._extents.keys())
            where = "in no file" if odd in names else "not in the index"
            raise CorruptCheckpointError(f"{shown(odd)} is {where}", path=path, name=_base(path))

    def _add(self, header: Header, shard: int) -> None:
        with no_garbage_collection():
            for key, (extent, shape) in header.tensors.items():
                if key in self._extents:
                    found = f"{shown(key)} is in two files"
                    raise CorruptCheckpointError(found, kind=ErrorKind.DUPLICATE, path=extent.path)
                self._extents[key] = extent
                self._tensors[key] = TensorRecord(
                    key, extent.dtype, shape, extent.nbytes, None, shard, extent.offset
                )

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or the index and the files it names."""
        return tuple(self._files)

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a tensor lies; None for types that have no array form."""
        self._record(key)
        extent = self._extents[key]
        return (extent,) if extent.dtype.is_plain else None

    def _decode(self, key: str) -> NDArray[np.generic]:
        found = "a tensor of a type that has no array form"
        raise self._located(UnsupportedFeatureError(found), key)


def _base(path: str) -> str:
    return os.path.basename(path)


def _size(path: str) -> int | None:
    identity = file_identity(path)
    return identity.nbytes if identity else None


def read_header(path: str) -> Header:
    """Read and check the header of one file.

    Raises:
        CorruptCheckpointError: it breaks a rule of the format; the message says which.
    """
    with RegularFile(path) as file:
        stop = 8 + int.from_bytes(file.pread(0, 8), "little")
        if stop - 8 > min(MAX_HEADER_NBYTES, file.nbytes - 8):
            found = f"a header of {stop - 8} bytes in a file of {file.nbytes}"
            raise CorruptCheckpointError(found, path=path, name=file.name)
        document = parse_json(file.pread(8, stop - 8), path, "header")
        metadata = document.pop(METADATA, {})
        try:
            listed = _checked(path, stop, document, file.nbytes)
        except CorruptCheckpointError as error:
            raise error.within("header", path=path, name=file.name) from None
        if not isinstance(metadata, dict) or not all(type(one) is str for one in metadata.values()):
            found = f"{METADATA} is no map of texts"
            raise CorruptCheckpointError(found, path=path, name=file.name, place="header")
    return Header({name: (extent, shape) for name, extent, shape in listed}, metadata)


def _checked(path: str, start: int, document: dict[str, Any], nbytes: int) -> list[_Entry]:
    """Give the entries in order of place, which leave no hole between header and end."""
    with no_garbage_collection():
        listed = [_entry(path, start, name, entry) for name, entry in document.items()]
    listed.sort(key=lambda one: (one[1].offset, one[1].nbytes))
    end, before = start, "the header"
    for name, extent, _ in listed:
        if extent.offset != end:
            what = "overlaps" if extent.offset < end else "leaves a hole after"
            raise CorruptCheckpointError(f"{shown(name)} {what} {before}")
        end, before = extent.offset + extent.nbytes, shown(name)
    if end != nbytes:
        kind = TruncatedFileError if nbytes < end else CorruptCheckpointError
        raise kind(f"the file ends at byte {nbytes}", expected=f"{end}, where the values do")
    return listed


def parse_json(data: bytes, path: str, what: str) -> dict[str, Any]:
    """Decode an object of JSON in which no name occurs twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            name = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise CorruptCheckpointError(f"{shown(name)} occurs twice", kind=ErrorKind.DUPLICATE)
        return found

    try:
        document = json.loads(data.decode(), object_pairs_hook=once)
    except CorruptCheckpointError as error:
        raise error.within(what, path=path, name=_base(path)) from None
    except (ValueError, RecursionError) as error:
        found = f"no JSON ({str(error)[:100]})"
        raise CorruptCheckpointError(found, path=path, name=_base(path), place=what) from None
    if not isinstance(document, dict):
        raise CorruptCheckpointError("no JSON object", path=path, name=_base(path), place=what)
    return document


def _entry(path: str, start: int, name: str, entry: Any) -> _Entry:
    """Check one entry of a header; give name, extent and shape."""
    match entry:
        case {"dtype": str(word), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise CorruptCheckpointError(f"{shown(name)}: expected dtype, shape and data_offsets")
    if word not in DTYPES:
        raise CorruptCheckpointError(f"{shown(name)}: no dtype {shown(word[:40])}")
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        raise CorruptCheckpointError(f"{shown(name)}: no shape {str(shape)[:80]}")
    dtype, n_bits = DTYPES[word]
    n_wanted = math.prod(shape) * n_bits
    if begin < 0 or 8 * (end - begin) != n_wanted:
        found = f"{end - begin} bytes, {word} {shape} takes {n_wanted // 8}"
        raise CorruptCheckpointError(f"{shown(name)}: {found}"[:300])
    region = tuple((0, n) for n in shape)
    extent = Extent(path, start + begin, end - begin, dtype, False, None, region)
    return name, extent, tuple(shape)


def _weight_map(path: str) -> dict[str, str]:
    """Read which tensor an index puts into which file."""
    document = parse_json(read_bounded(path, MAX_HEADER_NBYTES), path, "index")
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(file, str) for file in weight_map.values()
    ):
        raise CorruptCheckpointError("no weight_map of texts", path=path, name=_base(path))
    return weight_map


def _shards(path: str, weight_map: Mapping[str, str]) -> list[str]:
    """Give the files of an index in their order; a name may not lead elsewhere."""
    directory = os.path.dirname(path)
    files = sorted(set(weight_map.values()))
    paths = [os.path.join(directory, file) for file in files]
    for file, found in zip(files, paths, strict=True):
        if not file or file != _base(file) or "\\" in file or "\0" in file or file in (".", ".."):
            raise CorruptCheckpointError(
                f"a file called {shown(file)!r:.100}", path=path, name=_base(path)
            )
        if not is_file(found):
            raise MissingShardError("no such file", path=found, name=file)
    return paths
