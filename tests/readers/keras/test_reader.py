"""HDF5: every kind of dataset equals what h5py reads, and nothing leads out of the file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from ckread.errors import (
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingDependencyError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
    UsageError,
    VariableNotFoundError,
)
from ckread.readers.contract import DataType, Format, numpy_dtype
from ckread.readers.hdf5 import process
from ckread.readers.keras.reader import open_hdf5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckread.readers.keras.reader import KerasReader

PLAIN: dict[str, tuple[Any, DataType]] = {
    "float32": (np.array([[1.5, np.nan], [-0.0, np.inf]], "f4"), DataType.FLOAT32),
    "float64": (np.array([1e300, 5e-324]), DataType.FLOAT64),
    "float16": (np.array([1, 2, 3], "f2"), DataType.FLOAT16),
    "big-endian": (np.arange(6, dtype=">f4").reshape(2, 3), DataType.FLOAT32),
    "int64": (np.array(-7, "i8"), DataType.INT64),
    "uint8": (np.arange(5, dtype="u1"), DataType.UINT8),
    "bool": (np.array([True, False, True]), DataType.BOOL),
    "complex64": (np.array([1 + 2j, -3j], "c8"), DataType.COMPLEX64),
    "empty": (np.empty((0, 3), "f4"), DataType.FLOAT32),
}


def _file(path: Path, fill: Callable[[h5py.File], object], **options: Any) -> str:
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return str(path)


def _one(path: Path, value: Any, **options: Any) -> KerasReader:
    return open_hdf5(_file(path, lambda file: file.create_dataset("x", data=value, **options)))


def _same(one: Any, other: Any) -> bool:
    kinds = (one.dtype, one.shape) == (other.dtype, other.shape)
    return bool(kinds and one.tobytes() == other.tobytes())


@pytest.mark.parametrize("name", PLAIN)
def test_a_dataset_reads_as_h5py_reads_it(name: str, tmp_path: Path) -> None:
    value, dtype = PLAIN[name]
    expected = np.asarray(value).astype(numpy_dtype(dtype))
    with _one(tmp_path / "w.h5", value) as reader:
        record = reader.tensors["x"]
        assert (record.dtype, record.shape) == (dtype, value.shape)
        assert _same(reader.read("x"), expected)
        assert _same(reader.read_slice("x", ()), expected)
        assert (
            b"".join(chunk.tobytes() for chunk in reader.iter_chunks("x", 8)) == expected.tobytes()
        )
        assert reader.read_bytes("x") == expected.tobytes()


def test_bfloat16_is_told_by_its_attribute(tmp_path: Path) -> None:
    value = np.array([1, 2.5, np.nan], ml_dtypes.bfloat16)

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=value).attrs["dtype"] = "bfloat16"
        file["unlabelled"] = value

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert reader.tensors["x"].dtype is DataType.BFLOAT16
        assert _same(reader.read("x"), value)
        assert reader.tensors["unlabelled"].dtype is DataType.UNKNOWN
        with pytest.raises(UnsupportedFeatureError) as caught:
            reader.read("unlabelled")
    assert str(caught.value) == "w.h5: 'unlabelled' has a type that no tensor has"


def test_contiguous_bytes_have_a_place(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with _one(path, PLAIN["float32"][0]) as reader:
        [extent] = reader.extents("x") or ()
        raw = path.read_bytes()[extent.offset : extent.offset + extent.nbytes]
        assert raw == PLAIN["float32"][0].tobytes()
        assert extent.region == ((0, 2), (0, 2))


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_slices_of_contiguous_datasets(dtype: str, tmp_path: Path) -> None:
    value = np.arange(210, dtype=dtype).reshape(5, 6, 7)
    expected = value.astype("<f4")
    with _one(tmp_path / "w.h5", value) as reader:
        for index in [(), (3,), (slice(1, 5, 2), 4), (0, slice(2, 2)), (1, 2, 3)]:
            assert _same(reader.read_slice("x", index), np.array(expected[index]))


def test_a_user_block_shifts_the_place(tmp_path: Path) -> None:
    value = np.arange(10.0)
    path = tmp_path / "w.h5"
    _file(path, lambda file: file.create_dataset("x", data=value), userblock_size=512)
    with open_hdf5(str(path)) as reader:
        [extent] = reader.extents("x") or ()
        assert path.read_bytes()[extent.offset :][: extent.nbytes] == value.tobytes()
        assert _same(reader.read("x"), value)


@pytest.mark.parametrize(
    "options", [{"chunks": (3, 2)}, {"compression": "gzip"}, {"shuffle": True}]
)
def test_chunked_datasets_stream_through_hdf5(options: dict[str, Any], tmp_path: Path) -> None:
    value = np.arange(70, dtype="i4").reshape(10, 7)
    with _one(tmp_path / "w.h5", value, **options) as reader:
        assert reader.extents("x") is None
        assert _same(reader.read("x"), value)
        chunks = [chunk.copy() for chunk in reader.iter_chunks("x", 40)]
        assert max(chunk.nbytes for chunk in chunks) <= 40
        assert np.concatenate(chunks).tobytes() == value.tobytes()
        assert _same(reader.read_slice("x", (slice(2, 9, 3), 4)), value[2:9:3, 4])


@pytest.mark.parametrize(
    "value",
    [
        np.array([b"one", b"", b"three"], "S5"),
        np.array([["a", "ü"], ["", "b"]], object),
        np.array("alone", object),
    ],
)
def test_strings_come_as_bytes(value: Any, tmp_path: Path) -> None:
    def as_bytes(text: Any) -> bytes:
        return text if isinstance(text, bytes) else str(text).encode()

    kind = h5py.string_dtype() if value.dtype == object else value.dtype
    with _one(tmp_path / "w.h5", value, dtype=kind) as reader:
        expected = [as_bytes(item) for item in value.reshape(-1).tolist()]
        assert reader.tensors["x"].dtype is DataType.STRING
        assert reader.read_strings("x") == expected
        whole = reader.read("x")
        assert whole.shape == value.shape
        assert whole.reshape(-1).tolist() == expected
        assert [one for chunk in reader.iter_chunks("x") for one in chunk] == expected
        with pytest.raises(UsageError):
            reader.read_bytes("x")


def test_a_hard_link_repeats_a_dataset(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["a/x"] = np.arange(3)
        file["b"] = file["a"]
        file["c"] = file["a/x"]

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert dict(reader.contents.repeats) == {"c": "a/x"}
        assert reader.read("c").tolist() == [0, 1, 2]


def test_a_cycle_of_groups_ends(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["a/x"] = np.arange(3)
        file["a/b/back"] = file["a"]

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert list(reader.tensors) == ["a/x"]


def test_numbers_sort_by_value(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        for i in (10, 2, 1, 0):
            file[f"optimizer/vars/{i}"] = np.float32(i)

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert [key.rpartition("/")[2] for key in reader.tensors] == ["0", "1", "2", "10"]
        assert reader.format is Format.KERAS_WEIGHTS


def _external_link(file: h5py.File) -> None:
    file["a"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft_cycle(file: h5py.File) -> None:
    file["a"] = h5py.SoftLink("/b")
    file["b"] = h5py.SoftLink("/a")


def _external_dataset(file: h5py.File) -> None:
    file.create_dataset("a", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def _virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("a", layout)


def _references(file: h5py.File) -> None:
    file["x"] = np.arange(3)
    file.create_dataset("a", (1,), h5py.ref_dtype)[0] = file["x"].ref


def _huge_chunks(file: h5py.File) -> None:
    file.create_dataset("a", (1 << 29,), "f4", chunks=(1 << 29,))


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (
            _external_link,
            "w.h5: 'a' is an external link, expected a group or dataset of this file",
        ),
        (_soft_cycle, "w.h5: 'a' is a soft link, expected a group or dataset of this file"),
        (
            _external_dataset,
            "w.h5: 'a' is an external dataset, whose values lie in another file",
        ),
        (_virtual_dataset, "w.h5: 'a' is a virtual dataset, whose values lie in other files"),
        (_references, "w.h5: 'a' is a dataset of object references, expected numbers"),
        (_huge_chunks, "w.h5: 'a' has chunks of 2147483648 bytes, expected at most 1073741824"),
    ],
)
def test_what_leads_out_of_the_file_is_refused(
    fill: Callable[[h5py.File], object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedFeatureError) as caught:
        open_hdf5(_file(tmp_path / "w.h5", fill))
    assert str(caught.value) == message


def test_a_filter_bomb_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        bomb = file.create_dataset("a", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")
        bomb[0] = 1

    with pytest.raises(CorruptCheckpointError) as caught:
        open_hdf5(_file(tmp_path / "w.h5", fill))
    message = str(caught.value)
    assert message.startswith("w.h5: 'a' holds 4398046511104 bytes of values in ")
    assert message.endswith(" stored bytes, a decompression bomb")


def test_a_dataset_that_compresses_well_is_no_bomb(tmp_path: Path) -> None:
    with _one(tmp_path / "w.h5", np.zeros(1 << 20, "f4"), compression="gzip") as reader:
        assert reader.tensors["x"].nbytes < 1 << 16
        assert not reader.read("x").any()


def test_a_huge_attribute_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["x"] = np.arange(3)
        file.attrs.create("layer_names", np.zeros(70 << 20, "S1"))

    path = _file(tmp_path / "w.h5", fill, libver="latest")
    with pytest.raises(CorruptCheckpointError) as caught:
        open_hdf5(path)
    found = "73400320 elements in 73400320 bytes, expected at most 1048576 in 67108864"
    assert str(caught.value) == f"w.h5: attribute 'layer_names': {found}"


def test_lists_cut_into_parts_are_joined(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs["layer_names0"] = [b"one"]
        file.attrs["layer_names1"] = [b"two"]
        for layer in ("one", "two"):
            file[f"{layer}/{layer}/w:0"] = np.arange(2.0)
            file[layer].attrs["weight_names0"] = [f"{layer}/w:0".encode()]

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert reader.format is Format.LEGACY_HDF5
        assert [weight.name for weight in reader.contents.weights] == ["one/w:0", "two/w:0"]
        assert list(reader.tensors) == ["one/one/w:0", "two/two/w:0"]


def test_parts_of_a_list_end_where_one_is_absent(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs["layer_names0"] = [b"one"]
        file.attrs["layer_names2"] = [b"two"]
        for layer in ("one", "two"):
            file[f"{layer}/{layer}/w:0"] = np.arange(2.0)
            file[layer].attrs["weight_names"] = [f"{layer}/w:0".encode()]

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert [weight.name for weight in reader.contents.weights] == ["one/w:0"]


def test_a_save_that_broke_off_is_told(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs["layer_names"] = ["a"]
        file["a/w"] = np.arange(2.0)
        file["a"].attrs["weight_names"] = ["w", "w", "b"]

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert reader.notes == (
            "'w' is listed twice and stored once: one of two was lost.",
            "1 listed weights are not stored, the first 'a/b': the save broke off.",
        )


def test_configuration_that_is_not_json(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["x"] = np.arange(2.0)
        file.attrs["model_config"] = "{"

    with pytest.raises(CorruptCheckpointError) as caught:
        open_hdf5(_file(tmp_path / "w.h5", fill))
    assert str(caught.value).startswith("w.h5: model_config: not JSON (")


def test_an_hdf5_file_without_weights(tmp_path: Path) -> None:
    path = _file(tmp_path / "w.h5", lambda file: file.create_group("a"))
    with pytest.raises(NotACheckpointError) as caught:
        open_hdf5(path)
    message = "w.h5: an HDF5 file without datasets, expected weights"
    assert str(caught.value) == message


def test_a_model_without_weights_opens(tmp_path: Path) -> None:
    with open_hdf5(_file(tmp_path / "w.h5", lambda file: file.create_group("vars"))) as reader:
        assert not reader.tensors


def test_other_files_and_none(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with pytest.raises(CheckpointNotFoundError):
        open_hdf5(str(path))
    path.write_bytes(b"not HDF5" * 100)
    with pytest.raises(NotACheckpointError) as caught:
        open_hdf5(str(path))
    assert str(caught.value) == "w.h5: no HDF5 signature"


def test_truncation_and_flips_give_our_errors_or_the_same(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    value = np.arange(100, dtype="f4")
    _one(path, value).close()
    whole = path.read_bytes()
    wrong = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at])
        with pytest.raises((CorruptCheckpointError, NotACheckpointError)):
            open_hdf5(str(path)).read("x")
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
        try:
            with open_hdf5(str(path)) as reader:
                for key in reader.tensors:
                    reader.read(key)
        except (CorruptCheckpointError, NotACheckpointError, UnsupportedFeatureError):
            wrong += 1
    assert wrong


def test_a_shortened_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    _one(path, np.arange(100, dtype="f4")).close()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TruncatedFileError) as caught:
        open_hdf5(str(path))
    nbytes = path.stat().st_size
    message = f"w.h5: superblock: the file ends at byte {nbytes}, HDF5 expects more"
    assert str(caught.value) == message


def test_an_unknown_key(tmp_path: Path) -> None:
    with _one(tmp_path / "w.h5", np.arange(3)) as reader, pytest.raises(VariableNotFoundError):
        reader.read("y")


def test_without_h5py_plain_files_open_and_others_say_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _file(tmp_path / "plain.h5", lambda file: file.create_dataset("x", data=[1.0, 2.0]))
    chunked = _file(
        tmp_path / "chunked.h5", lambda file: file.create_dataset("x", (4,), "f4", chunks=(2,))
    )
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr(process, "_children", {})  # the library runs in this process
    monkeypatch.setattr(sys, "executable", "")
    with open_hdf5(plain) as reader:
        assert reader.read("x").tolist() == [1.0, 2.0]
    with pytest.raises(MissingDependencyError) as caught:
        open_hdf5(chunked)
    assert str(caught.value) == "h5py is not installed, and this is an HDF5 file"
    assert caught.value.remedy == "Install it: pip install h5py"
