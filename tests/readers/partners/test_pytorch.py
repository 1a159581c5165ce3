"""PyTorch archives: what they hold without unpickling; programs that would do harm do nothing."""

from __future__ import annotations

import collections
import os
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.model.role import Role
from ckread.readers.partners.pickled import Named, TensorRef, load
from ckread.readers.partners.pytorch import PyTorchArchive
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = FIXTURES / "partners"


def test_a_checkpoint_of_a_training_has_roles_and_owners() -> None:
    with ckread.open(FOLDER / "training.pt") as checkpoint:
        roles = {name: str(one.role) for name, one in checkpoint.items()}
        assert roles["model/0.weight"] == "weight"
        assert roles["model/1.running_mean"] == "statistic"
        assert roles["model/1.num_batches_tracked"] == "counter"
        assert roles["optimizer/state/0/step"] == "counter"
        slot = checkpoint["optimizer/state/4/exp_avg_sq"]
        assert (slot.role, slot.slot, slot.owner) == (Role.SLOT, "exp_avg_sq", "model/3.weight")
        tied = checkpoint["tied/0"]
        assert (tied.role, tied.owner) == (Role.ALIAS, "model/3.weight")


def test_views_of_a_storage_are_the_tensors_they_were() -> None:
    with ckread.open(FOLDER / "training.pt") as checkpoint:
        wanted = np.arange(24.0, dtype="f4").reshape(4, 6).T
        assert np.array_equal(checkpoint["transposed"].numpy(), wanted)
        assert np.array_equal(checkpoint["transposed"][1:3, 2], wanted[1:3, 2])
        assert checkpoint["part"].numpy().tolist() == [3, 4, 5, 6]
        assert checkpoint["repeated"].numpy().tolist() == [[0.0] * 5, [1.0] * 5, [2.0] * 5]


def test_what_else_was_pickled_is_named_and_not_loaded() -> None:
    with PyTorchArchive(str(FOLDER / "training.pt")) as reader:
        assert reader.notes == ("1 object is named, not loaded: __main__.Settings.",)
    with (
        ckread.open(FOLDER / "module.pt") as module,
        ckread.open(FOLDER / "model.safetensors") as plain,
    ):  # a whole module has the names of its state dict
        assert set(module) == set(plain)
        assert all(np.array_equal(module[name], plain[name]) for name in plain)


class Harm:
    """Would make a folder if it were unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_program_that_does_harm_does_nothing(tmp_path: Path, protocol: int) -> None:
    target = str(tmp_path / "made")
    found = load(pickle.dumps([Harm(target), {"a": 1}], protocol)) if protocol > 1 else None
    if found is not None:
        assert isinstance(found[0], Named)
        assert found[0].name.endswith(".mkdir")
        assert found[1] == {"a": 1}
    else:  # texts of the first protocols may have escapes: told, or read without harm
        load(pickle.dumps([Harm(target)], protocol))
    assert not os.path.exists(target)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_are_what_they_were(protocol: int) -> None:
    value = {
        "text": "äö", "number": 1 << 80, "small": -7, "half": 0.5, "none": None,
        "truth": [True, False], "tuple": (1, (2, 3), ()), 5: "five", "long": "x" * 300,
        "ordered": collections.OrderedDict([("a", 1)]),
    }  # fmt: skip
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    "program",
    [
        b"", b".", b"\x80\x02", b"]q", b"h\x00.", b"\x85.", b"t.", b"R.", b"b.", b"N\x81.",
        b"X\xff\xff\xff\xff.", b"\x8b\xff\xff\xff\x7f.", b"Ixyz\n.", b"Q.", b"\xff.", b"ca\n.",
        b"\x8d" + b"\xff" * 8 + b".", b"N" * 10, b"}(K\x01u.", b"]a.", b"\x82\x01.",
        b"K\x01K\x02a.",
    ],
)  # fmt: skip
def test_programs_that_do_not_run(program: bytes) -> None:
    with pytest.raises(CorruptCheckpointError, match="a pickle"):
        load(program)


def test_nested_keys_are_not_hashed() -> None:
    # ((((a, a), …) as a key: hashing it would take 2**60 steps.
    program = b"}K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x02s."
    assert list(load(program)) == ["key 0"]


def archive(path: Path, program: bytes, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", program)
        for name, data in members.items():
            file.writestr(f"x/data/{name}", data)
    return str(path)


def tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], n: int = 4) -> bytes:
    """Give the program of one float32 tensor in storage `s` of `n` elements."""

    def ints(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + struct.pack("<i", one) for one in values) + b"t"

    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00sX\x03\x00\x00\x00cpuJ"
    )
    storage += struct.pack("<i", n) + b"tQ"
    rest = b"J" + struct.pack("<i", offset) + ints(shape) + ints(strides) + b"\x89Nt"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"R."


def test_a_tensor_by_bytes(tmp_path: Path) -> None:
    assert isinstance(load(tensor(0, (4,), (1,))), TensorRef)
    path = archive(tmp_path / "x.pt", tensor(1, (3,), (1,)), s=np.arange(4, dtype="<f4").tobytes())
    with PyTorchArchive(path) as reader:
        assert reader.read("tensor").tolist() == [1.0, 2.0, 3.0]
        assert reader.extents("tensor") is not None


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (tensor(1, (4,), (1,)), "element 4 of a storage of 4"),
        (tensor(-1, (4,), (1,)), "no place in a storage"),
        (tensor(0, (4,), (-1,)), "no place in a storage"),
        (tensor(0, (2, 2), (1,)), "no place in a storage"),
        (tensor(0, (1 << 30,), (0,)), f"{1 << 30} elements from 4"),
        (b"N.", None),
    ],
)
def test_places_that_lead_out(tmp_path: Path, program: bytes, told: str | None) -> None:
    path = archive(tmp_path / "x.pt", program, s=bytes(16))
    if told is None:
        with PyTorchArchive(path) as reader:
            assert not reader.tensors
        return
    with pytest.raises(CorruptCheckpointError, match=told):
        PyTorchArchive(path)


def test_a_storage_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorruptCheckpointError, match="no member"):
        PyTorchArchive(archive(tmp_path / "x.pt", tensor(0, (4,), (1,))))


def test_a_damaged_storage_is_told_and_the_others_are_intact(tmp_path: Path) -> None:
    data = bytearray((FOLDER / "digits.pt").read_bytes())
    with zipfile.ZipFile(FOLDER / "digits.pt") as file:
        largest = max(file.infolist(), key=lambda info: info.file_size)
    data[largest.header_offset + largest.file_size // 2] ^= 4
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    report = ckread.check(path)
    assert report.damaged == {"hidden.weight"}


def test_a_type_without_array_form(tmp_path: Path) -> None:
    program = tensor(0, (4,), (1,)).replace(b"FloatStorage", b"QInt8Storage")
    path = archive(tmp_path / "x.pt", program, s=bytes(16))
    with PyTorchArchive(path) as reader, pytest.raises(UnsupportedFeatureError):
        reader.read("tensor")
