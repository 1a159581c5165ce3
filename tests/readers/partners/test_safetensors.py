"""safetensors: the rules of the format, byte by byte, and the values of its own library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import ckread
from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    MissingShardError,
    UnsupportedFeatureError,
)
from ckread.readers.contract import DataType
from ckread.readers.partners.safetensors import DTYPES, Safetensors
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = FIXTURES / "partners"


def write(path: Path, header: Any, values: bytes = b"") -> str:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)
    return str(path)


def entry(begin: int, end: int, dtype: str = "F32", shape: tuple[int, ...] = (1,)) -> Any:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_values_lie_in_any_order_and_metadata_are_texts(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "b": entry(4, 8), "a": entry(0, 4)}
    path = write(tmp_path / "x", header, np.array([1.5, 2.5], "<f4").tobytes())
    with Safetensors(path) as reader:
        assert list(reader.tensors) == ["a", "b"]
        assert reader.metadata == {"format": "pt"}
        assert reader.read("b").tolist() == [2.5]
        [extent] = reader.extents("a") or ()
        assert (extent.nbytes, extent.crc32c) == (4, None)


@pytest.mark.parametrize(
    ("header", "values", "told"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, 6, "b overlaps a"),
        ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "b leaves a hole after a"),
        ({"a": entry(4, 8)}, 8, "a leaves a hole after the header"),
        ({"a": entry(0, 4)}, 6, "file ends at byte 75, expected 73"),
        ({"a": entry(0, 4)}, 2, "file ends at byte 71, expected 73"),
        ({"a": entry(0, 3)}, 3, "a: 3 bytes, F32 \\[1\\] takes 4"),
        ({"a": entry(0, 4, "F33")}, 4, "a: no dtype F33"),
        ({"a": entry(0, 4, shape=(-1,))}, 4, "a: no shape"),
        ({"a": entry(0, 4, shape=(1 << 63, 0))}, 4, "a: no shape"),
        ({"a": entry(-4, 0)}, 4, "a: 4 bytes|takes"),
        ({"a": [1]}, 4, "a: expected dtype, shape and data_offsets"),
        ({"a": {"dtype": "F32"}}, 4, "a: expected dtype, shape and data_offsets"),
        ({"__metadata__": {"a": 1}}, 0, "__metadata__ is no map of texts"),
        (b'{"a": 1, "a": 2}', 0, "a occurs twice"),
        (b'{"a"', 0, "no JSON"),
        (b"[]", 0, "no JSON object"),
        (b"[" * 100_000, 0, "no JSON"),
        (b"\xff{}", 0, "no JSON"),
    ],
)
def test_what_breaks_a_rule_is_told(tmp_path: Path, header: Any, values: int, told: str) -> None:
    path = write(tmp_path / "x.safetensors", header, bytes(values))
    with pytest.raises(CorruptCheckpointError, match=told):
        Safetensors(path)


def test_a_header_longer_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(CorruptCheckpointError, match=f"a header of {1 << 62} bytes"):
        Safetensors(str(path))


def test_types_without_array_form_are_listed_and_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x", {"a": entry(0, 2, "F4", (4,))}, b"\x12\x34")
    with Safetensors(path) as reader:
        record = reader.tensors["a"]
        assert (record.dtype, record.shape, record.nbytes) == (DataType.UNKNOWN, (4,), 2)
        with pytest.raises(UnsupportedFeatureError):
            reader.read("a")


def test_every_type_of_the_library_is_that_of_the_fixture() -> None:
    with ckread.open(FOLDER / "dtypes.safetensors") as checkpoint:
        assert {one.name: str(one.dtype) for one in checkpoint.values()} == {
            name: "float32" if name in ("scalar", "empty") else name for name in checkpoint
        }
        with ckread.open(FOLDER / "dtypes.pt") as other:
            assert set(other) == set(checkpoint)
            for name in checkpoint:
                ours, theirs = checkpoint[name].numpy(), other[name].numpy()
                assert (ours.shape, ours.tobytes()) == (theirs.shape, theirs.tobytes())


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(
            st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "?"]),
            st.lists(st.integers(0, 4), max_size=3),
        ),
        max_size=6,
    )
)
def test_files_of_the_library_are_read_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, tuple[str, list[int]]]
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("written") / "x.safetensors"
    arrays = {
        name: np.asarray(rng.standard_normal(shape) * 50).astype(dtype)
        for name, (dtype, shape) in wanted.items()
    }
    save_file(arrays, path)
    with Safetensors(str(path)) as reader:
        assert set(reader.tensors) == set(arrays)
        for name, array in load_file(path).items():
            found = reader.read(name)
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            assert found.tobytes() == array.tobytes()


def shards(folder: Path, weight_map: Any) -> Path:
    write(folder / "a.safetensors", {"a": entry(0, 4)}, b"\0\0\x80?")
    write(folder / "b.safetensors", {"b": entry(0, 4)}, b"\0\0\0@")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return path


def test_an_index_joins_files(tmp_path: Path) -> None:
    path = shards(tmp_path, {"b": "b.safetensors", "a": "a.safetensors"})
    with ckread.open(path) as checkpoint:
        assert [(one.name, one.shard, one.numpy().item()) for one in checkpoint.values()] == [
            ("a", 0, 1.0), ("b", 1, 2.0),
        ]  # fmt: skip
        assert len(checkpoint.files()) == 3
    with ckread.open(tmp_path) as checkpoint:  # what the directory stands for
        assert checkpoint.path == str(path)


@pytest.mark.parametrize(
    ("weight_map", "error", "told"),
    [
        ({"a": "a.safetensors", "b": "c.safetensors"}, MissingShardError, "c.safetensors"),
        ({"a": "a.safetensors", "c": "b.safetensors"}, CorruptCheckpointError, "b is not in"),
        ({"a": "../a.safetensors"}, CorruptCheckpointError, "a file called"),
        ({"a": "/etc/passwd"}, CorruptCheckpointError, "a file called"),
        ({"a": "a\0"}, CorruptCheckpointError, "a file called"),
        ({"a": 3}, CorruptCheckpointError, "no weight_map"),
        ([], CorruptCheckpointError, "no weight_map"),
    ],
)
def test_an_index_that_is_wrong(
    tmp_path: Path, weight_map: Any, error: type[CheckpointError], told: str
) -> None:
    with pytest.raises(error, match=told):
        Safetensors(str(shards(tmp_path, weight_map)))


def test_all_their_types_have_a_size() -> None:
    for dtype, n_bits in DTYPES.values():
        assert dtype is DataType.UNKNOWN or dtype.itemsize * 8 == n_bits
