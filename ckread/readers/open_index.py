"""Opening the index of a prefix, which a training run may be writing just now.

An index is written in place, after its data: absent, empty or without its footer
beside a data shard, it is being written, or its writer was killed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    NotACheckpointError,
    TruncatedFileError,
)
from ckread.readers.bundle_index import BundleIndex, read_bundle_index
from ckread.readers.regular_file import file_identity
from ckread.readers.shards import present_shards, shard_path

if TYPE_CHECKING:
    from ckread.readers.index_memo import IndexMemo

TORN_REMEDY = (
    "If a training run is still writing here, try again in a moment. If not, go\n"
    "back to the checkpoint before it."
)


def open_index(prefix: str, memo: IndexMemo | None = None) -> BundleIndex:
    """Read the index of `prefix`; once more if it changed while it was read.

    Args:
        prefix: of the checkpoint.
        memo: indexes of the same run, which may be alike.

    Raises:
        CheckpointNotFoundError: there is none, and no data shard either.
        TruncatedFileError: it is absent or short beside a data shard.
        NotACheckpointError: it is no table.
        CorruptCheckpointError: it contradicts the format.
        UnsupportedFeatureError: it wants another version of the reader.
    """
    path = prefix + ".index"
    before = file_identity(path)
    try:
        return read_bundle_index(path, memo)
    except CheckpointError as error:
        if file_identity(path) == before:
            raise _torn(prefix, error) from None
    try:
        return read_bundle_index(path)
    except CheckpointError as error:
        raise _torn(prefix, error) from None


def _torn(prefix: str, error: CheckpointError) -> CheckpointError:
    """Give the error of a torn save, if data shards make it one."""
    kinds = CheckpointNotFoundError, TruncatedFileError, NotACheckpointError
    families = present_shards(prefix) if isinstance(error, kinds) else {}
    if not families:
        return error
    message = error.message
    if isinstance(error, CheckpointNotFoundError):
        num_shards = min(families)
        shard = os.path.basename(shard_path(prefix, min(families[num_shards]), num_shards))
        message = f"{os.path.basename(prefix)}.index: absent beside {shard}"
    message += ", being written or torn"
    return TruncatedFileError(message, path=prefix + ".index", remedy=TORN_REMEDY)
