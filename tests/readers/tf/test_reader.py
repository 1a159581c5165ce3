"""The reader over `tf.train`: what it keeps from TensorFlow, and what it makes of its errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    MissingDependencyError,
    MissingShardError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
    UsageError,
    VariableNotFoundError,
)
from ckread.readers.contract import DataType, Format
from ckread.readers.tf.library import import_tensorflow, our_errors
from ckread.readers.tf.reader import TensorFlowReader
from tests.builders import BundleBuilder, entry_bytes, header_bytes, table_bytes, write_bundle
from tests.corruption import flip, truncate
from tests.places import FIXTURES, ROOT

DIGITS = str(FIXTURES / "digits_run" / "ckpt-10")
V1 = str(FIXTURES / "tf012_v1" / "model.ckpt-5")


@pytest.mark.oracle
def test_both_functions_of_tensorflow_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorflow = import_tensorflow(DIGITS)
    calls = []
    for name in ("load_checkpoint", "list_variables"):
        function = getattr(tensorflow.train, name)

        def spy(path: str, name: str = name, function: object = function) -> object:
            calls.append((name, path))
            assert callable(function)
            return function(path)

        monkeypatch.setattr(tensorflow.train, name, spy)
    with TensorFlowReader(DIGITS) as reader:
        assert len(reader.tensors) == len(reader.tensors)
    assert calls == [("load_checkpoint", DIGITS), ("list_variables", DIGITS)]


@pytest.mark.oracle
def test_scalars_and_strings_are_arrays() -> None:
    with TensorFlowReader(str(FIXTURES / "dtypes" / "every")) as reader:
        scalar = reader.read("int32/scalar")
        assert isinstance(scalar, np.ndarray)
        assert (scalar.shape, scalar.dtype) == ((), np.dtype(np.int32))
        assert reader.tensors["qint8/vector"].dtype is DataType.QINT8
        assert reader.read("qint8/vector").dtype == np.dtype(np.int8)
        assert reader.read_slice("int32/vector", (3,)).shape == ()
        assert reader.read_bytes("int32/scalar") == scalar.tobytes()
        with pytest.raises(UsageError):
            reader.read_strings("int32/scalar")
    with TensorFlowReader(str(FIXTURES / "strings" / "plain")) as reader:
        text = reader.read("scalar")
        assert isinstance(text, np.ndarray)
        assert (text.shape, text.dtype) == ((), np.dtype(object))
        assert reader.read_strings("scalar") == [text[()]]
        assert reader.read_slice("scalar", ()).tolist() == text[()]
        with pytest.raises(UsageError):
            reader.read_bytes("scalar")


@pytest.mark.oracle
def test_what_only_the_index_knows_is_filled_in() -> None:
    with TensorFlowReader(DIGITS) as reader:
        record = reader.tensors["optimizer/_learning_rate/.ATTRIBUTES/VARIABLE_VALUE"]
        assert None not in record
        assert reader.format is Format.TENSOR_BUNDLE
        assert [file.is_shard for file in reader.files()] == [False, True]
        assert reader.extents(record.key) is None
        with pytest.raises(VariableNotFoundError) as caught:
            reader.read("absent")
        assert str(caught.value) == f"{DIGITS}: no tensor absent"
    with TensorFlowReader(V1, (V1,)) as reader:
        record = reader.tensors["conv1/weights"]
        assert (record.crc32c, record.shard, record.offset) == (None, None, None)
        assert record.nbytes == reader.read("conv1/weights").nbytes
        assert reader.format is Format.V1_TABLE
        assert [(file.path, file.nbytes) for file in reader.files()] == [(V1, os.stat(V1).st_size)]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["run [1]*", "a?b\\c", "", "dir", "x://y", b"not-\xff"])
def test_paths_that_tensorflow_would_misread(
    name: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"  # of this test alone: others write beside it
    links.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(links))
    prefix = os.path.join(tmp_path, "run", os.fsdecode(name))
    os.makedirs(os.path.dirname(prefix))
    write_bundle(Path(f"{tmp_path}/plain"), {"a": np.arange(3)})
    for file in tmp_path.glob("plain.*"):
        shutil.copy(file, prefix + file.name.removeprefix("plain"))
    if name == "dir":
        os.mkdir(prefix)
    with TensorFlowReader(prefix) as reader:
        assert reader.path == prefix
        assert list(reader.tensors) == ["a"]
        assert reader.read("a").tolist() == [0, 1, 2]
        assert len(os.listdir(links)) <= 1
    assert not os.listdir(links)


@pytest.mark.oracle
def test_a_v1_file_beside_an_index_of_the_same_name(tmp_path: Path) -> None:
    path = str(tmp_path / "model.ckpt")
    write_bundle(tmp_path / "model.ckpt", {"a": np.arange(3)})
    shutil.copy(V1, path)
    with TensorFlowReader(path) as v2, TensorFlowReader(path, (path,)) as v1:
        assert list(v2.tensors) == ["a"]
        assert "conv1/weights" in v1.tensors
        assert v1.read("conv1/weights").shape == (3, 3, 1, 4)


@pytest.mark.oracle
def test_damage_is_told_in_our_words(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "c", {"a": np.arange(8), "b": np.arange(8)})
    data = f"{prefix}.data-00000-of-00001"
    flip(data, 40)
    with TensorFlowReader(prefix) as reader:
        assert reader.read("a").tolist() == list(range(8))
        with pytest.raises(ChecksumError) as damaged:
            reader.read("b")
        assert str(damaged.value).startswith("c: b: TensorFlow says: TensorBundle at ")
        with pytest.raises(ChecksumError):
            reader.read_bytes("b")
    truncate(data, 40)
    with TensorFlowReader(prefix) as reader, pytest.raises(TruncatedFileError) as short:
        reader.read("b")
    assert str(short.value) == (
        "c.data-00000-of-00001: bytes 32 to 64 are wanted, the file ends at byte 40"
    )
    os.remove(data)
    with TensorFlowReader(prefix) as reader, pytest.raises(MissingShardError) as missing:
        reader.read("a")
    assert str(missing.value).startswith("c.data-00000-of-00001: missing data shard (0 of 1)")


def test_a_damaged_index_never_reaches_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("ckread.readers.tf.reader.import_tensorflow", never)
    prefix = write_bundle(tmp_path / "c", {"a": np.arange(8)})
    for offset, kind in ((20, ChecksumError), (-1, NotACheckpointError)):
        flip(f"{prefix}.index", offset)
        with pytest.raises(CorruptCheckpointError if kind is ChecksumError else CheckpointError):
            TensorFlowReader(prefix)
        flip(f"{prefix}.index", offset)
    v1 = tmp_path / "v1"
    shutil.copy(V1, v1)
    flip(v1, 100)
    with pytest.raises(ChecksumError):
        TensorFlowReader(str(v1), (str(v1),))


@pytest.mark.parametrize(
    "entry",
    [
        entry_bytes(1, [-1], size=16),
        entry_bytes(1, [1 << 33, 1 << 33], size=16),
        entry_bytes(1, [1] * 255, size=4),
        b"\xff\xff\xff",
        entry_bytes(1, [4], slices=[[(0, 2)], [(0, 2)]]),
    ],
)
def test_entries_at_which_tensorflow_aborts_are_refused_first(entry: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.index").write_bytes(table_bytes([(b"", header_bytes()), (b"a", entry)]))
    (tmp_path / "c.data-00000-of-00001").write_bytes(bytes(16))
    with pytest.raises(CorruptCheckpointError):
        TensorFlowReader(str(tmp_path / "c"))


@pytest.mark.oracle
def test_values_at_which_tensorflow_dies_are_refused_first(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_strings("a", [b"x", b"y"], [2])
    builder.add("sound", np.ones(4, np.float32), DataType.FLOAT32)
    builder.items[b"far"] = entry_bytes(1, [4], offset=1 << 40, size=16)
    builder.items[b"unknown"] = entry_bytes(99, [4], size=16)
    builder.items[b"many"] = entry_bytes(7, [1 << 28], size=11)
    builder.items[b"variant"] = entry_bytes(21, [1], size=11)
    builder.shards[0][0] = 0xFF  # the length of the first string
    prefix = builder.write(tmp_path / "c")
    with TensorFlowReader(prefix) as reader:
        for key in ("a", "many"):
            with pytest.raises(CorruptCheckpointError):
                reader.read(key)
        with pytest.raises(TruncatedFileError):
            reader.read("far")
        for key in ("unknown", "variant"):
            with pytest.raises(UnsupportedFeatureError):
                reader.read(key)
        assert reader.read("sound").tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("/x/c.data-00000-of-00001; No such file or directory"), MissingShardError),
        (IndexError("Read less bytes than requested"), TruncatedFileError),
        (RuntimeError("Checksum does not match"), ChecksumError),
        (RuntimeError("block checksum mismatch"), ChecksumError),
        (ValueError("not an sstable (bad magic number)"), NotACheckpointError),
        (ValueError("Dtype half not supported."), UnsupportedFeatureError),
        (MemoryError(), CheckpointError),
        (KeyError("anything\nelse"), CheckpointError),
    ],
)
def test_the_text_of_an_error_tells_its_class(
    error: Exception, kind: type[CheckpointError]
) -> None:
    with pytest.raises(CheckpointError) as caught, our_errors("/x/c", "a"):
        raise error
    assert type(caught.value) is kind
    assert str(caught.value).startswith("c: a: ")
    assert "\n" not in str(caught.value)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
@pytest.mark.oracle
def test_not_a_word_of_tensorflow_reaches_the_terminal() -> None:
    code = (
        "import sys, os\n"
        "os.environ.pop('TF_CPP_MIN_LOG_LEVEL', None)  # of another test\n"
        "from ckread.readers.tf.reader import TensorFlowReader\n"
        "with TensorFlowReader(sys.argv[1]) as reader:\n"
        "    print(reader.read_bytes(list(reader.tensors)[-1]))\n"
        "print('ours', file=sys.stderr)\n"
        "print('TF_CPP_MIN_LOG_LEVEL' in os.environ)\n"
    )
    done = run(code, DIGITS)
    assert done.stderr == "ours\n"
    assert done.stdout.splitlines()[-1] == "False"


WITHOUT = (
    "import sys\n"
    "sys.modules['tensorflow'] = None\n"
    "import ckread\n"
    "from ckread.errors import CheckpointError\n"
    "assert len(ckread.open(sys.argv[1])) > 40\n"
    "try:\n"
    "    ckread.open(sys.argv[1], reader='tensorflow')\n"
    "except CheckpointError as error:\n"
    "    print(type(error).__name__, error, error.remedy, sep='\\n')\n"
)


def test_without_tensorflow_the_native_reader_works_and_the_error_says_what_to_install() -> None:
    done = run(WITHOUT, DIGITS)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "MissingDependencyError",
        f"{DIGITS}: TensorFlow is needed to read this, and is not installed",
        "Install it: pip install tensorflow",
    ]


def test_tensorflow_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingDependencyError) as caught:
        import_tensorflow("x")
    assert isinstance(caught.value, ImportError)
