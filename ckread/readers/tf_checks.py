"""What is kept from TensorFlow: files at which it would abort, hang or read out of bounds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.bundle import TensorBundle
from ckread.readers.dtypes import DataType
from ckread.readers.extents import open_shard
from ckread.readers.regular_file import RegularFile
from ckread.readers.table import Table
from ckread.readers.v1_table import V1Table

if TYPE_CHECKING:
    from ckread.readers.contract import TensorRecord


def open_checked(prefix: str, v1_files: tuple[str, ...]) -> TensorBundle | V1Table:
    """Open a checkpoint with our own reader, its whole index verified.

    Raises:
        CheckpointError: it is damaged, or nothing that TensorFlow should see.
    """
    if not v1_files:
        bundle = TensorBundle(prefix)
        _check_slices(bundle)
        return bundle
    for file in v1_files:
        with RegularFile(file) as table:
            for _ in Table(table).items():
                pass
    return V1Table(prefix, v1_files)


def _check_slices(bundle: TensorBundle) -> None:
    """Refuse a slice that is listed twice, at which TensorFlow aborts when it opens."""
    for record in bundle.tensors.values():
        if record.crc32c is None:
            slices = bundle.entries[record.key].slices
            if len(set(slices)) < len(slices):
                name = os.path.basename(bundle.path)
                message = f"{name}.index: {record.key}: the same slice twice, expected once"
                raise CorruptCheckpointError(message, path=f"{bundle.path}.index")


def check_readable(record: TensorRecord, native: TensorBundle | V1Table) -> None:
    """Refuse a tensor of no array type, or one whose bytes are not what its entry says.

    Raises:
        CheckpointError: its values cannot be read.
    """
    key, dtype = record.key, record.dtype
    if not dtype.is_plain and dtype is not DataType.STRING:
        message = f"{os.path.basename(native.path)}: {key}: {dtype} has no array form"
        raise UnsupportedFeatureError(message, path=native.path)
    extents = native.extents(key)
    if extents is None:
        # Lengths of strings and fields of messages, which TensorFlow trusts.
        native.read(key)
        return
    for extent in extents:
        with open_shard(extent.path) as shard:
            shard.check_range(extent.offset, extent.nbytes)
