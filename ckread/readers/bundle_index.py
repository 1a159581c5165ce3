"""The index of a tensor bundle: a table of the header and one entry per tensor.

    ""            BundleHeaderProto
    name          BundleEntryProto: where a tensor lies, or into what it is sliced
    00 ...        BundleEntryProto of one slice, under a key of `tensor_slice`

A partitioned tensor has an entry that names its slices, and every slice has one of
its own, which no listing shows.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.h
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.collector import no_garbage_collection
from ckread.readers.contract import TensorRecord
from ckread.readers.entry_parser import EntryParser, record_of
from ckread.readers.messages import BundleEntry, BundleHeader, TensorSlice, parse_bundle_header
from ckread.readers.regular_file import FileIdentity, RegularFile
from ckread.readers.table import DAMAGED, Table
from ckread.readers.tensor_slice import slice_key

if TYPE_CHECKING:
    from ckread.readers.index_memo import IndexMemo

VERSION = 1
"""Of the format that is read here, the only one there is."""

MAX_SHARDS = 1 << 17


class Part(NamedTuple):
    """One slice of a partitioned tensor, and its own entry where there is one."""

    tensor_slice: TensorSlice
    entry: BundleEntry | None


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """What an index says; one moment of a file that may be written to.

    Attributes:
        path: the `.index` file.
        identity: of the file that was read.
        header: of the bundle.
        tensors: records by key, in the order of the file; slices are not among them.
        parts: slices of partitioned tensors, by key.
        unknown_dtypes: numbers of element types that no release knows, by key.
        n_blocks: data blocks of the table.
    """

    path: str
    identity: FileIdentity
    header: BundleHeader
    tensors: dict[str, TensorRecord]
    parts: dict[str, tuple[Part, ...]]
    unknown_dtypes: dict[str, int]
    n_blocks: int


def read_bundle_index(path: str, memo: IndexMemo | None = None) -> BundleIndex:
    """Read an index, each block of it verified.

    Args:
        path: the file.
        memo: indexes of the same run, which may be alike; this one is added.

    Raises:
        CheckpointNotFoundError: there is none.
        TruncatedFileError: it is shorter than its footer, or a block runs past it.
        NotACheckpointError: it does not end as a table does.
        CorruptCheckpointError: it contradicts the format, or exceeds its bounds.
        UnsupportedFeatureError: it wants another version of the reader.
    """
    with RegularFile(path) as file, no_garbage_collection():
        known = None if memo is None else memo.recall(file)
        if known is not None:
            return known
        table = Table(file)
        items = table.items()
        parser = EntryParser(table.memory)
        try:
            header = _parse_header(*next(items, (None, b"")))
            parser.feed(items)
        except CheckpointError as error:
            raise _located(error, file) from None
        tensors, parts = _join_slices(parser)
        index = BundleIndex(
            path, file.identity, header, tensors, parts, parser.unknown_dtypes, table.n_blocks
        )
        if memo is not None:
            memo.remember(file, index)
        return index


def _located(error: CheckpointError, file: RegularFile) -> CheckpointError:
    """Give an error that names the file; the table's own do already."""
    if error.path is not None:
        return error
    remedy = error.remedy or DAMAGED if isinstance(error, CorruptCheckpointError) else error.remedy
    return type(error)(f"{file.name}: {error.message}", path=file.path, remedy=remedy)


def _parse_header(key: bytes | None, value: bytes) -> BundleHeader:
    if key != b"":
        found = "no entries" if key is None else f"first key {key[:80]!r}"
        raise CorruptCheckpointError(f"header: {found}, expected the empty key")
    header = parse_bundle_header(value)
    if not 1 <= header.num_shards <= MAX_SHARDS:
        found = f"num_shards {header.num_shards}, expected 1 to {MAX_SHARDS}"
        raise CorruptCheckpointError(f"header: {found}")
    if header.producer < 0:
        raise CorruptCheckpointError(f"header: producer {header.producer}, expected 0 or more")
    if header.min_consumer > VERSION:
        wanted = f"min_consumer {header.min_consumer}, this reader is version {VERSION}"
        raise UnsupportedFeatureError(f"header: {wanted}", remedy=_NEWER)
    if VERSION in header.bad_consumers:
        refused = f"bad_consumers has {VERSION}, the version of this reader"
        raise UnsupportedFeatureError(f"header: {refused}", remedy=_NEWER)
    return header


_NEWER = "The writer of this checkpoint wants another version of the reader."


def _join_slices(
    parser: EntryParser,
) -> tuple[dict[str, TensorRecord], dict[str, tuple[Part, ...]]]:
    """Give all tensors and the parts of partitioned ones, slices hidden among them."""
    if not parser.partitioned and not parser.nul_entries:
        return parser.tensors, {}
    parts: dict[str, tuple[Part, ...]] = {}
    hidden: set[bytes] = set()
    for key, entry in parser.partitioned.items():
        stored_key = key.encode("utf-8", "surrogateescape")
        keys = [slice_key(stored_key, piece) for piece in entry.slices]
        hidden.update(keys)
        parts[key] = tuple(
            Part(piece, parser.nul_entries.get(of_slice))
            for piece, of_slice in zip(entry.slices, keys, strict=True)
        )
        parser.tensors[key] = _partitioned_record(key, entry, parts[key])
    ordinary = {
        key: record_of(key, entry)
        for stored_key, entry in parser.nul_entries.items()
        if stored_key not in hidden
        for key in [stored_key.decode("utf-8", "surrogateescape")]
    }
    return {**ordinary, **parser.tensors}, parts


def _partitioned_record(key: str, entry: BundleEntry, parts: tuple[Part, ...]) -> TensorRecord:
    found = [part.entry for part in parts if part.entry is not None]
    shards = {part.shard_id for part in found}
    in_one = len(shards) == 1
    return TensorRecord(
        key,
        entry.dtype,
        entry.shape,
        nbytes=sum(part.size for part in found),
        crc32c=None,
        shard=shards.pop() if in_one else None,
        offset=min(part.offset for part in found) if in_one else None,
    )
