"""The same contract over TensorFlow's own reader.

`tf.train.list_variables` lists, `tf.train.load_checkpoint` gives values. On a
damaged or hostile file TensorFlow can abort the process or read out of bounds, so
our own reader goes first: the index and the place of every tensor are checked
before TensorFlow sees them. What only our reader knows (checksums, shards and
offsets) comes from there too.

Reference: www.tensorflow.org/api_docs/python/tf/train/load_checkpoint
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError, VariableNotFoundError
from ckread.readers.closing import ClosingReader
from ckread.readers.contract import CHUNK_NBYTES, Extent, Format, StoredFile, TensorRecord
from ckread.readers.dtypes import DataType
from ckread.readers.tf_checks import check_readable, open_checked
from ckread.readers.tf_library import import_tensorflow, our_errors
from ckread.readers.tf_paths import PlainPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Index


class TensorFlowReader(ClosingReader):
    """A V2 or V1 checkpoint, read by TensorFlow; implements `CheckpointReader`.

    Attributes:
        path: the prefix, or the V1 file.
        format: `Format.TENSOR_BUNDLE` or `Format.V1_TABLE`.
    """

    is_tensorflow = True

    def __init__(self, prefix: str, files: tuple[str, ...] = ()) -> None:
        """Check the index, then open it with TensorFlow; no value is read.

        Args:
            prefix: of a V2 checkpoint.
            files: those of a V1 checkpoint; then `prefix` only names it.

        Raises:
            MissingDependencyError: TensorFlow is not installed.
            CheckpointError: the index is damaged, or TensorFlow declines it.
        """
        self.path = prefix
        self.format = Format.V1_TABLE if files else Format.TENSOR_BUNDLE
        self._native = open_checked(prefix, files)
        self._tensorflow = import_tensorflow(prefix)
        names = files or tuple(file.path for file in self.files() if file.nbytes is not None)
        self._plain = PlainPath(prefix, names)
        with our_errors(prefix):
            self._reader = self._tensorflow.train.load_checkpoint(self._plain.path)

    @cached_property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor that TensorFlow lists, by key, in the order of the file.

        Raises:
            CheckpointError: TensorFlow cannot list it, for instance a name that is
                not UTF-8.
        """
        with our_errors(self.path):
            listed = self._tensorflow.train.list_variables(self._plain.path)
        known = self._native.tensors
        return {key: known[key]._replace(shape=tuple(shape)) for key, shape in listed}

    def files(self) -> tuple[StoredFile, ...]:
        """Give the files of the checkpoint, index first, absent shards included."""
        return self._native.files()

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give None: whoever chose this reader wants TensorFlow to read the bytes."""
        self._record(key)
        return None

    def read_bytes(self, key: str) -> bytes:
        """Give the verified bytes of a small plain tensor, C order, little-endian.

        Raises:
            CheckpointError: as for `read`.
            UsageError: it holds strings.
        """
        if self._record(key).dtype is DataType.STRING:
            raise UsageError(f"{self.path}: {key}: strings have no plain bytes")
        array = self.read(key)
        return array.astype(array.dtype.newbyteorder("<")).tobytes()

    def read_strings(self, key: str) -> list[bytes]:
        """Give the verified elements of a string tensor, C order.

        Raises:
            CheckpointError: as for `read`.
            UsageError: it holds no strings.
        """
        if self._record(key).dtype is not DataType.STRING:
            raise UsageError(f"{self.path}: {key}: no tensor of strings")
        return [bytes(element) for element in self.read(key).reshape(-1).tolist()]

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor as TensorFlow reads it, 0-d for a scalar.

        Raises:
            CheckpointError: the bytes are damaged or missing, or TensorFlow does not
                read this type or this partition.
        """
        record = self._record(key)
        check_readable(record, self._native)
        with our_errors(self.path, key):
            value = self._reader.get_tensor(key)
        return _as_array(value)

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, which TensorFlow reads and verifies whole.

        Raises:
            CheckpointError: as for `read`.
        """
        from ckread.readers.whole_array import part_of

        return part_of(self.read(key), index)

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor, which TensorFlow reads whole, as 1-D arrays of at most `nbytes`.

        Raises:
            CheckpointError: as for `read`.
        """
        from ckread.readers.whole_array import chunks_of

        yield from chunks_of(self.read(key), nbytes)

    def close(self) -> None:
        """Let TensorFlow's reader go, and what was made for it."""
        super().close()
        self._reader = None
        self._plain.close()
        self._native.close()

    def _record(self, key: str) -> TensorRecord:
        try:
            return self.tensors[key]
        except KeyError:
            message = f"{self.path}: no tensor {key!r}"
            raise VariableNotFoundError(message, path=self.path) from None


def _as_array(value: Any) -> NDArray[np.generic]:
    """Give what TensorFlow returns as an array: scalars come bare, and strings as bytes."""
    import numpy as np

    if isinstance(value, bytes):
        array = np.empty((), object)
        array[()] = value
        return array
    return np.asarray(value)
