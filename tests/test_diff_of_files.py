"""`ckread.diff` on whole files: every fixture, every real checkpoint, six ways, one flipped bit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError
from ckread.model.role import Role
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, Format
from tests.builders import BundleBuilder, write_bundle
from tests.places import FIXTURES, NO_REAL, REAL, frozen, real, real_index_only

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = (Role.WEIGHT, Role.STATISTIC)
SIX_WAYS = (
    "name", "object", "saved_model", "tiny.keras", "tiny.h5", "tiny.weights.h5",
    "sharded/tiny.weights.json",
)  # fmt: skip


@pytest.mark.parametrize("prefix", sorted(frozen()))
@pytest.mark.parametrize("index_only", [False, True])
def test_every_fixture_is_identical_with_itself(prefix: str, index_only: bool) -> None:
    path = str(FIXTURES / prefix)
    is_whole = prefix != "sharded/partitioned/model.ckpt"
    if not is_whole and not index_only:
        with pytest.raises(CheckpointError, match="hole/float32: slices hold 32 elements of 40"):
            ckread.diff(path, path, everything=True)
        return
    result = ckread.diff(path, path, index_only=index_only, everything=True)
    keeps_checksums = ckread.open(path).format is not Format.V1_TABLE
    assert result.identical is (True if is_whole and (keeps_checksums or not index_only) else None)


@pytest.mark.parametrize("path", real("V2", "SavedModel", "h5", ".keras") or [None])
def test_every_real_checkpoint_is_identical_with_itself(path: str | None) -> None:
    if path is None:
        pytest.skip(NO_REAL)
    a, b = (ckread.open(str(REAL / path)) for _ in range(2))
    assert ckread.diff(a, b, everything=True).identical is True


@pytest.mark.parametrize("prefix", real_index_only() or [None])
def test_an_index_without_its_shards_is_compared(prefix: str | None) -> None:
    if prefix is None:
        pytest.skip(NO_REAL)
    path = str(REAL / prefix)
    assert ckread.diff(path, path, index_only=True).identical is True


@pytest.mark.parametrize("model", ["functional", "sequential"])
@pytest.mark.parametrize("pair", list(itertools.permutations(SIX_WAYS, 2)), ids=str)
def test_one_model_saved_in_many_ways_differs_in_nothing(model: str, pair: tuple[str, str]) -> None:
    a, b = (str(FIXTURES / "six_ways" / model / way) for way in pair)
    result = ckread.diff(a, b, roles=PARAMETERS)
    assert result.identical is True
    assert len(result.variables) == 8


@pytest.mark.parametrize("way", SIX_WAYS)
def test_functional_and_sequential_differ_in_a_scope_alone(way: str) -> None:
    a, b = (str(FIXTURES / "six_ways" / model / way) for model in ("functional", "sequential"))
    result = ckread.diff(a, b, roles=PARAMETERS)
    assert result.summary["renamed"] == 8
    assert [str(rule) for rule in result.rules] == ["s|^|tiny/|"]


@pytest.mark.slow
def test_all_steps_of_a_directory_of_five_architectures_diff_pairwise() -> None:
    directory = REAL / "pulkitgo__deeponet" / "model@44c0d048"
    if not directory.exists():
        pytest.skip(NO_REAL)
    prefixes = sorted(str(path.with_suffix("")) for path in directory.glob("*.index"))
    checkpoints = [ckread.open(prefix) for prefix in prefixes]
    assert len(checkpoints) == 48
    for a, b in itertools.combinations(checkpoints, 2):
        result = ckread.diff(a, b, n_jobs=1)
        assert result.identical is False
        assert sum(result.summary.values()) == len(result.variables)
        names = {v.b.name for v in result.variables if v.b} | set(_keys(b, "bookkeeping"))
        assert names == set(b)
        by_index = ckread.diff(a, b, index_only=True)
        assert by_index.summary == result.summary


def _keys(checkpoint: ckread.Checkpoint, role: str) -> list[str]:
    return [name for name, variable in checkpoint.items() if variable.role == role]


def test_one_flipped_bit_is_found_by_the_index_and_located_by_the_values(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {
        f"layer_{i}/kernel": random.normal(size=(40, 30)).astype(np.float32) for i in range(20)
    }
    before = write_bundle(tmp_path / "before", arrays)
    for bit in (0, 17, 31):
        flipped = {key: array.copy() for key, array in arrays.items()}
        flipped["layer_7/kernel"].view(np.uint32)[23, 11] ^= np.uint32(1 << bit)
        after = write_bundle(tmp_path / f"after_{bit}", flipped)
        by_index = ckread.diff(before, after, index_only=True)
        assert [v.name for v in by_index.variables if v.status == "changed"] == ["layer_7/kernel"]
        result = ckread.diff(before, after)
        (found,) = (v for v in result.variables if v.status != "identical")
        assert found.metrics is not None
        assert found.metrics.changed_elements == 1
        assert found.metrics.first_changed == (23, 11)
        assert result.verified is True


ROWS = [((0, 3), (0, None)), ((3, 4), (0, None))]
COLUMNS = [((0, None), (0, 2)), ((0, None), (2, 3))]


@pytest.mark.parametrize(("cuts", "known_by_index"), [(ROWS, True), (COLUMNS, False)])
def test_partitioned_and_whole_are_the_same(
    tmp_path: Path, cuts: Any, known_by_index: bool
) -> None:
    array = np.arange(35, dtype=np.float32).reshape(7, 5)
    whole = write_bundle(tmp_path / "whole", {"w": array})
    builder = BundleBuilder(2)
    builder.add_partitioned("w", array, DataType.FLOAT32, cuts)
    sliced = builder.write(tmp_path / "sliced")
    assert ckread.diff(whole, sliced).identical is True
    by_index = ckread.diff(whole, sliced, index_only=True)
    assert by_index.identical is (True if known_by_index else None)
    other = write_bundle(tmp_path / "other", {"w": array + (array == 33)})
    (found,) = ckread.diff(sliced, other).variables
    assert found.metrics is not None
    assert found.metrics.first_changed == (6, 3)
    assert found.metrics.changed_elements == 1


def test_byte_orders_are_compared_by_value(tmp_path: Path) -> None:
    array = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    prefixes = []
    for name, big_endian in (("little", False), ("big", True)):
        builder = BundleBuilder(big_endian=big_endian)
        builder.add("w", array, DataType.FLOAT32)
        prefixes.append(builder.write(tmp_path / name))
    assert ckread.diff(*prefixes).identical is True
    assert ckread.diff(*prefixes, index_only=True).identical is None


def test_figures_are_those_of_tensorflows_values() -> None:
    """The chain of reading, pairing and comparing, beside `numpy` on what it reads."""
    a, b = (ckread.open(str(FIXTURES / "digits_run" / f"ckpt-{step}")) for step in (2, 9))
    for variable in ckread.diff(a, b).variables:
        metrics = variable.metrics
        assert metrics is not None
        x, y = (side[variable.name].numpy().astype(np.float64) for side in (a, b))
        assert metrics.changed_elements == np.count_nonzero(x != y)
        assert metrics.max_abs == pytest.approx(np.abs(y - x).max(), rel=1e-12)
        assert metrics.l2 == pytest.approx(np.linalg.norm(y - x), rel=1e-12)


def test_a_file_that_is_no_checkpoint_is_trouble() -> None:
    with pytest.raises(CheckpointError):
        ckread.diff(str(FIXTURES / "digits_run" / "ckpt-2"), str(FIXTURES / "README.md"))


def test_one_object_graph_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read_strings, reads = TensorBundle.read_strings, []

    def counted(self: TensorBundle, key: str) -> list[bytes]:
        reads.append(key)
        return read_strings(self, key)

    monkeypatch.setattr(TensorBundle, "read_strings", counted)
    two, three = (str(FIXTURES / "digits_run" / f"ckpt-{step}") for step in (2, 3))
    assert ckread.diff(two, three, index_only=True).summary["changed"] > 30
    assert reads == ["_CHECKPOINTABLE_OBJECT_GRAPH"]
    ckread.open(two)
    assert len(reads) == 2, "nothing is kept for later"
