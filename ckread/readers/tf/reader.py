"""The same contract over TensorFlow's own reader.

`tf.train.list_variables` lists, `tf.train.load_checkpoint` gives values. On a
damaged or hostile file TensorFlow can abort the process or read out of bounds, so
our own reader goes first: the index and the place of every tensor are checked
before TensorFlow sees them. What only our reader knows (checksums, shards and
offsets) comes from there too.

Reference: www.tensorflow.org/api_docs/python/tf/train/load_checkpoint
"""

from __future__ import annotations

import os
import re
import tempfile
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    UnsupportedFeatureError,
    by,
)
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, Format
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.extents import open_shard
from ckread.readers.files import RegularFile, is_address
from ckread.readers.table import Table
from ckread.readers.tf.library import import_tensorflow, our_errors
from ckread.readers.v1.reader import V1Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import StoredFile, TensorRecord


class TensorFlowReader(ExtentReader):
    """A V2 or V1 checkpoint, read by TensorFlow.

    Nothing has extents: whoever chose this reader wants TensorFlow to read the bytes.
    """

    is_tensorflow = True

    def __init__(self, prefix: str, files: tuple[str, ...] = ()) -> None:
        """Check the index, then open it with TensorFlow; no value is read."""
        super().__init__(prefix, Format.V1_TABLE if files else Format.TENSOR_BUNDLE)
        self._native = open_checked(prefix, files)
        self._tensorflow = import_tensorflow(prefix)
        names = files or tuple(file.path for file in self.files() if file.nbytes is not None)
        self._plain = PlainPath(prefix, names)
        with our_errors(prefix):
            self._reader = self._tensorflow.train.load_checkpoint(self._plain.path)

    @cached_property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor that TensorFlow lists; some it cannot list, as a name that is not UTF-8."""
        with our_errors(self.path):
            listed = self._tensorflow.train.list_variables(self._plain.path)
        known = self._native.tensors
        return {key: known[key]._replace(shape=tuple(shape)) for key, shape in listed}

    def files(self) -> tuple[StoredFile, ...]:
        """Give the files of the checkpoint, index first, absent shards included."""
        return self._native.files()

    def close(self) -> None:
        """Let TensorFlow's reader go, and what was made for it."""
        super().close()
        self._reader = None
        self._plain.close()
        self._native.close()

    def _decode(self, key: str) -> NDArray[np.generic]:
        """Read a whole tensor; scalars come bare from TensorFlow, and strings as bytes."""
        import numpy as np

        check_readable(self._record(key), self._native)
        with our_errors(self.path, key):
            value: Any = self._reader.get_tensor(key)
        if isinstance(value, bytes):
            array = np.empty((), object)
            array[()] = value
            return array
        return np.asarray(value)


# What is kept from TensorFlow: files at which it would abort, hang or read out of bounds.


def open_checked(prefix: str, v1_files: tuple[str, ...]) -> TensorBundle | V1Table:
    """Open a checkpoint with our own reader, its whole index verified."""
    if is_address(prefix):
        option = by("--reader tensorflow", "reader='tensorflow'")
        remedy = f"Leave {option} out, or copy the checkpoint to this machine first."
        found = "at an address, where TensorFlow's reader is not used"
        raise UnsupportedFeatureError(found, path=prefix, remedy=remedy)
    if not v1_files:
        bundle = TensorBundle(prefix)
        for record in bundle.tensors.values():
            slices = bundle.entry(record.key).slices if record.crc32c is None else ()
            if len(set(slices)) < len(slices):  # TensorFlow aborts when it opens this
                error = CorruptCheckpointError("the same slice twice", expected="once")
                raise error.within(record.key, path=f"{bundle.path}.index")
        return bundle
    for file in v1_files:
        with RegularFile(file) as table:
            for _ in Table(table).items():
                pass
    return V1Table(prefix, v1_files)


def check_readable(record: TensorRecord, native: TensorBundle | V1Table) -> None:
    """Refuse a tensor of no array type, or one whose bytes are not what its entry says."""
    key, dtype = record.key, record.dtype
    if not dtype.is_plain and dtype is not DataType.STRING:
        raise UnsupportedFeatureError(
            f"{dtype} has no array form",
            path=native.path,
            name=os.path.basename(native.path),
            place=key,
        )
    extents = native.extents(key)
    if extents is None:
        # Lengths of strings and fields of messages, which TensorFlow trusts.
        native.read(key)
        return
    for extent in extents:
        with open_shard(extent.path) as shard:
            shard.check_range(extent.offset, extent.nbytes)


# Paths that TensorFlow takes as they are: it globs them, and knows schemes and directories.

_NOT_PLAIN = re.compile(r"[][*?\\]|://|[\ud800-\udfff]")
_V1_PART = re.compile(r"-\d{5,}(-of-\d{5,})")


class PlainPath:
    """A path under which TensorFlow finds exactly the files of one checkpoint.

    Where it would misread the real one, this is a link in a directory of its own,
    away from the checkpoint, that goes with `close`.

    Attributes:
        path: what to give to TensorFlow.
    """

    def __init__(self, prefix: str, files: tuple[str, ...]) -> None:
        """Find or make it for the files of a prefix."""
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.path: str = prefix
        if not _is_plain(prefix, files):
            try:
                self._directory = tempfile.TemporaryDirectory(prefix="ckread-")
                link = self.path = os.path.join(self._directory.name, "checkpoint")
                for file in files:
                    suffix = file.removeprefix(prefix)
                    os.symlink(os.path.abspath(file), link + suffix)
                    if part := _V1_PART.fullmatch(suffix):
                        self.path = f"{link}-?????{part[1]}"
            except OSError as error:
                self.close()
                raise CheckpointError(
                    f"no plain path for TensorFlow: {error.strerror}", path=prefix
                ) from None

    def close(self) -> None:
        """Remove what was made."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


def _is_plain(prefix: str, files: tuple[str, ...]) -> bool:
    """Tell whether TensorFlow opens this prefix and means these files."""
    if _NOT_PLAIN.search(prefix) or not os.path.basename(prefix) or os.path.isdir(prefix):
        return False
    if files == (prefix,):
        # A V1 file; with an index beside it TensorFlow would take the V2 checkpoint.
        return not os.path.exists(f"{prefix}.index")
    return f"{prefix}.index" in files
