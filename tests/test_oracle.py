"""What we read equals what TensorFlow reads, bit for bit, on every checkpoint we have.

Frozen first: `fixtures/expected` holds what TensorFlow read, so that this needs no
TensorFlow. Then live, in one process: both readers against `tf.train`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.errors import (
    CorruptCheckpointError,
    MissingShardError,
    UnsupportedFeatureError,
)
from ckread.model.paths.location import at_prefix
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import Format, numpy_dtype
from ckread.readers.v1.reader import V1Table
from tests.places import FIXTURES, NO_REAL, REAL, frozen, real, real_index_only

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ckread.model.paths.location import Location
    from ckread.readers.contract import CheckpointReader
    from ckread.readers.tf.reader import TensorFlowReader

FROZEN = frozen()
V1_FOLDERS = ("tf012_v1", "tf221_v1")
BUNDLES = [prefix for prefix in FROZEN if not prefix.startswith(V1_FOLDERS)]
V1_FILES = [prefix for prefix in FROZEN if prefix.startswith(V1_FOLDERS)]
REAL_BUNDLES = real("V2", "SavedModel")
REAL_V1 = real("V1")

NEITHER = {
    ("sharded/partitioned/model.ckpt", "hole/float32"): CorruptCheckpointError,
    ("strings/iterator/ckpt-1", "iterator/.ATTRIBUTES/ITERATOR_STATE"): UnsupportedFeatureError,
}
"""What nobody reads: a variable of which a slice was never saved, and a variant."""

ONLY_NATIVE = {
    ("sharded/partitioned/model.ckpt", "columns/string"),
    ("sharded/partitioned/model.ckpt", "rows/half"),
    ("sharded/partitioned/model.ckpt", "vector/uint16"),
}
"""What we read and TensorFlow does not: it cannot join slices of these types."""

UNREADABLE_V1 = {"emb/table", "halves", "waves", "types/half", "types/complex64"}
"""What TensorFlow lists and does not read in V1: partitioned variables, half, complex."""

UNLISTED = {"odd_names/not_utf8"}
"""What TensorFlow cannot list: names that are not UTF-8."""


def digest(array: NDArray[np.generic]) -> str:
    """Give the sha256 of a tensor as `fixtures/make_expected.py` defines it."""
    sha = hashlib.sha256()
    if array.dtype != object:
        sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()
    for element in array.reshape(-1).tolist():
        sha.update(len(element).to_bytes(8, "little") + element)
    return sha.hexdigest()


def content(array: NDArray[np.generic]) -> tuple[Any, ...]:
    """Give what makes two arrays equal bit for bit."""
    data = array.reshape(-1).tolist() if array.dtype == object else array.tobytes()
    return array.dtype, array.shape, data


def located(path: Path) -> Location:
    """Give the V1 checkpoint at a path."""
    location = at_prefix(str(path))
    assert location is not None
    assert location.format is Format.V1_TABLE
    return location


def opened(path: Path | str) -> TensorFlowReader:
    """Open a checkpoint with TensorFlow, a V1 one with its files."""
    from ckread.readers.tf.reader import TensorFlowReader

    if os.path.exists(f"{path}.index"):
        return TensorFlowReader(str(path))
    location = located(REAL / path)
    return TensorFlowReader(location.path, location.files)


# Frozen: no TensorFlow.


def test_every_fixture_folder_is_frozen() -> None:
    folders = {prefix.partition("/")[0] for prefix in FROZEN}
    found = {path.relative_to(FIXTURES).parts[0] for path in FIXTURES.rglob("*.index")}
    assert found <= folders


@pytest.mark.parametrize("prefix", BUNDLES)
def test_native_equals_what_tensorflow_read(prefix: str) -> None:
    expected = FROZEN[prefix]
    with TensorBundle(str(FIXTURES / prefix) + "/" * prefix.endswith("/")) as bundle:
        records = bundle.tensors
        assert {key: (str(r.dtype), list(r.shape)) for key, r in records.items()} == {
            key: (entry["dtype"], entry["shape"]) for key, entry in expected.items()
        }
        for key, entry in expected.items():
            if (prefix, key) in NEITHER:
                with pytest.raises(NEITHER[prefix, key]):
                    bundle.read(key)
            else:
                array = bundle.read(key)
                assert array.dtype == numpy_dtype(records[key].dtype)
                assert (key, digest(array)) == (key, entry["sha256"])


def test_what_tensorflow_cannot_read_is_all_listed_here() -> None:
    failed = {
        (prefix, key)
        for prefix in BUNDLES
        for key, entry in FROZEN[prefix].items()
        if "error" in entry
    }
    assert failed == ONLY_NATIVE | set(NEITHER)
    failed_v1 = {key for p in V1_FILES for key, entry in FROZEN[p].items() if "error" in entry}
    assert failed_v1 == UNREADABLE_V1


@pytest.mark.parametrize("prefix", V1_FILES)
def test_native_v1_equals_what_tensorflow_read(prefix: str) -> None:
    location = located(FIXTURES / prefix)
    with V1Table(location.path, location.files) as table:
        expected = FROZEN[prefix]
        assert {key: (str(r.dtype), list(r.shape)) for key, r in table.tensors.items()} == {
            key: (entry["dtype"], entry["shape"]) for key, entry in expected.items()
        }
        # What TensorFlow does not read of the old file, it wrote beside it in V2.
        beside = FROZEN["tf012_v2/model.ckpt-5"] if prefix.startswith("tf012") else expected
        for key, entry in expected.items():
            sha256 = entry["sha256"] or beside[key]["sha256"]
            assert sha256 in (digest(table.read(key)), None)


@pytest.mark.parametrize("prefix", real_index_only())
def test_an_index_without_shards_lists_and_names_what_is_missing(prefix: str) -> None:
    with TensorBundle(str(REAL / prefix)) as bundle:
        assert len(bundle.tensors) > 100
        for key, record in bundle.tensors.items():
            with pytest.raises(MissingShardError) as caught:
                bundle.read(key)
            assert f"{os.path.basename(prefix)}.data-{record.shard:05d}-of-" in str(caught.value)


# Live: TensorFlow in this process.


def assert_equal(reader: CheckpointReader, path: str, unreadable: set[str]) -> None:
    """Compare listing and values of a reader with TensorFlow at `path`."""
    import tensorflow as tf

    oracle = tf.train.load_checkpoint(path)
    dtypes = oracle.get_variable_to_dtype_map()
    assert [(key, list(record.shape)) for key, record in reader.tensors.items()] == [
        (key, list(shape)) for key, shape in tf.train.list_variables(path)
    ]
    assert {key: record.dtype for key, record in reader.tensors.items()} == {
        key: dtype.name for key, dtype in dtypes.items()
    }
    for key in reader.tensors:
        if key in unreadable:
            continue
        value = oracle.get_tensor(key)
        truth = np.empty((), object) if isinstance(value, bytes) else np.asarray(value)
        if isinstance(value, bytes):
            truth[()] = value
        assert (key, content(reader.read(key))) == (key, content(truth))


def unreadable_in(prefix: str) -> set[str]:
    """Give the keys of a fixture that TensorFlow does not read."""
    return {key for p, key in ONLY_NATIVE | set(NEITHER) if p == prefix}


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", [prefix for prefix in BUNDLES if prefix not in UNLISTED])
def test_both_readers_equal_tensorflow_on_fixtures(prefix: str, tmp_path: Path) -> None:
    path = str(FIXTURES / prefix) + "/" * prefix.endswith("/")
    plain = path
    if "[" in path or path.endswith("/"):
        # TensorFlow itself does not open these where they are.
        directory, base = os.path.split(path)
        plain = str(tmp_path / "plain")
        for name in os.listdir(directory):
            if name.startswith(f"{base}."):
                shutil.copy(os.path.join(directory, name), plain + name.removeprefix(base))
    with opened(path) as reader:
        assert_equal(reader, plain, unreadable_in(prefix))
    with TensorBundle(path) as bundle:
        assert_equal(bundle, plain, unreadable_in(prefix))


@pytest.mark.oracle
@pytest.mark.skipif(not REAL_BUNDLES, reason=NO_REAL)
@pytest.mark.parametrize("prefix", REAL_BUNDLES)
def test_both_readers_equal_tensorflow_on_real_checkpoints(prefix: str) -> None:
    path = str(REAL / prefix)
    with opened(path) as reader:
        assert_equal(reader, path, set())
    with TensorBundle(path) as bundle:
        assert_equal(bundle, path, set())


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", V1_FILES)
def test_v1_equals_what_tensorflow_read(prefix: str) -> None:
    location = located(FIXTURES / prefix)
    with opened(FIXTURES / prefix) as reader:
        assert reader.path == location.path
        assert_equal(reader, str(FIXTURES / prefix), UNREADABLE_V1)
        for key in UNREADABLE_V1 & set(reader.tensors):
            with pytest.raises(UnsupportedFeatureError):
                reader.read(key)


@pytest.mark.oracle
@pytest.mark.skipif(not REAL_V1, reason=NO_REAL)
@pytest.mark.parametrize("path", REAL_V1)
def test_real_v1_equals_tensorflow(path: str, tmp_path: Path) -> None:
    # One of them shares its prefix with a V2 checkpoint, which TensorFlow would take.
    alone = tmp_path / "v1"
    shutil.copyfile(REAL / path, alone)
    with opened(alone) as reader, V1Table(str(alone)) as table:
        assert_equal(reader, str(alone), set())
        for key in reader.tensors:
            assert content(table.read(key)) == content(reader.read(key))


@pytest.mark.oracle
@pytest.mark.parametrize("pair", sorted(ONLY_NATIVE | set(NEITHER)))
def test_the_tensorflow_reader_says_what_it_cannot_read(pair: tuple[str, str]) -> None:
    prefix, key = pair
    with opened(FIXTURES / prefix) as reader:
        assert key in reader.tensors
        with pytest.raises(NEITHER.get(pair, UnsupportedFeatureError)):
            reader.read(key)


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", sorted(UNLISTED))
def test_the_tensorflow_reader_says_what_it_cannot_list(prefix: str) -> None:
    with opened(FIXTURES / prefix) as reader, pytest.raises(UnsupportedFeatureError, match="utf-8"):
        _ = reader.tensors


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", real_index_only())
def test_the_tensorflow_reader_lists_an_index_without_shards(prefix: str) -> None:
    with opened(REAL / prefix) as reader, TensorBundle(str(REAL / prefix)) as bundle:
        assert dict(reader.tensors) == dict(bundle.tensors)
        for key in reader.tensors:
            with pytest.raises(MissingShardError, match=r"missing data shard"):
                reader.read(key)


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", ["dtypes/every", "strings/plain"])
def test_slices_and_chunks_of_both_readers_are_equal(prefix: str) -> None:
    path = str(FIXTURES / prefix)
    with opened(path) as reader, TensorBundle(path) as bundle:
        for key, record in bundle.tensors.items():
            index = tuple(slice(size // 2, size) for size in record.shape)
            assert content(reader.read_slice(key, index)) == content(bundle.read_slice(key, index))
            ours, theirs = (
                [element for chunk in one.iter_chunks(key, 16) for element in chunk.tolist()]
                for one in (bundle, reader)
            )
            assert repr(ours) == repr(theirs)
