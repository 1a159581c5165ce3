"""A checkpoint as a Mapping of variables."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import VariableNotFoundError
from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence, Identity
from ckread.model.role import Role
from ckread.readers.contract import DataType, Format
from tests.analysis.array_checkpoint import ArrayReader, checkpoint
from tests.builders import BundleBuilder
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

ZERO = np.zeros(1, np.float32)


def made(*names: str) -> Checkpoint:
    """Make a checkpoint of variables whose keys are `key of NAME`."""
    return checkpoint(
        {f"key of {name}": ZERO for name in names},
        names={f"key of {name}": name for name in names},
        path="run/ckpt-1",
    )


def test_it_is_a_mapping_by_name() -> None:
    ours = made("b", "a")
    assert list(ours) == ["b", "a"]
    assert len(ours) == 2
    assert [variable.name for variable in ours.values()] == ["b", "a"]
    assert dict(ours.items())["a"] is ours["a"]
    assert repr(ours) == "<ckread.Checkpoint 'run/ckpt-1': 2 variables>"
    assert ours.format is Format.TENSOR_BUNDLE
    assert (ours.notes, ours.warnings) == ((), ())


def test_keys_find_variables_too_and_names_win() -> None:
    ours = checkpoint({"a": ZERO, "b": ZERO, "c": ZERO}, names={"a": "b", "b": "a"})
    assert "key of a" not in ours
    assert ours["a"].key == "b"
    assert ours["b"].key == "a"
    by_key = made("a")
    assert by_key["key of a"] is by_key["a"]
    assert "key of a" in by_key
    assert list(by_key) == ["a"]


@pytest.mark.parametrize("absent", ["x", "", 3, None, ("a",)])
def test_what_is_not_there(absent: Any) -> None:
    ours = made("layer")
    assert absent not in ours
    assert ours.get(absent) is None
    assert ours.get(absent, 7) == 7
    with pytest.raises(VariableNotFoundError):
        ours[absent]
    with pytest.raises(KeyError):
        ours[absent]


def test_nearest_names_are_proposed() -> None:
    ours = made("conv1/bias", "conv1/kernel", "conv2/kernel", "dense/bias", "z")
    with pytest.raises(VariableNotFoundError) as caught:
        ours["conv1/kernal"]
    assert str(caught.value) == "run/ckpt-1: no variable conv1/kernal"
    assert caught.value.remedy == ("Nearest names:\n  conv1/kernel\n  conv2/kernel\n  conv1/bias")
    with pytest.raises(VariableNotFoundError) as part:
        ours["bias"]
    assert part.value.remedy == "Nearest names:\n  dense/bias\n  conv1/bias"
    with pytest.raises(VariableNotFoundError) as nothing:
        ours["quite another thing"]
    assert nothing.value.remedy == "No name is near it; list(checkpoint) lists those there are."


def test_at_most_five_names_of_many() -> None:
    ours = made(*(f"block_{i}/layer_{i % 7}/kernel" for i in range(5000)))
    with pytest.raises(VariableNotFoundError) as caught:
        ours["block_4321/layer_2/kernal"]
    assert caught.value.remedy is not None
    header, first, *others = caught.value.remedy.splitlines()
    assert (header, first) == ("Nearest names:", "  block_4321/layer_2/kernel")
    assert len(others) == 4
    with pytest.raises(VariableNotFoundError) as part:
        ours["r_3/ker"]
    assert part.value.remedy is not None
    assert len(part.value.remedy.splitlines()) == 6


class Closing(ArrayReader):
    """A reader that remembers that it was closed."""

    n_closed = 0

    def close(self) -> None:
        self.n_closed += 1


def test_leaving_it_closes_the_files() -> None:
    reader = Closing({"a": ZERO}, path="x")
    identities = {"a": Identity("a", Role.WEIGHT)}
    with Checkpoint(reader, identities, path="x", evidence=Evidence()) as ours:
        assert ours.files() == ()
        assert reader.n_closed == 0
    assert reader.n_closed == 1
    ours.close()
    assert reader.n_closed == 2


def test_every_key_of_a_file_is_there_under_one_name() -> None:
    with ckread.open(FIXTURES / "digits_run") as ours:
        keys = set(ours.reader.tensors)
        assert len(ours) == len(keys) == 44
        assert {variable.key for variable in ours.values()} == keys
        assert all(ours[variable.key] is variable for variable in ours.values())
        assert ours["_CHECKPOINTABLE_OBJECT_GRAPH"].role is Role.BOOKKEEPING
        assert [file.is_shard for file in ours.files()] == [False, True]


def test_to_open_many_variables_does_not_wait_for_the_collector(tmp_path: Path) -> None:
    """It would look at all of them again each time a few more are there."""
    builder = BundleBuilder()
    for i in range(20_000):
        builder.add(f"v{i}", ZERO, DataType.FLOAT32)
    path = builder.write(tmp_path / "m")
    begun: list[int] = []

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            begun.append(info["generation"])

    gc.collect()
    gc.callbacks.append(count)
    try:
        with ckread.open(path) as ours:
            assert len(ours) == 20_000
    finally:
        gc.callbacks.remove(count)
    assert len(begun) <= 5
