"""`ckread.diff` on whole files: every fixture, every real checkpoint, six ways, one flipped bit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError
from tests.builders import BundleBuilder
from tests.places import FIXTURES, NO_REAL, REAL, frozen, real, real_index_only

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PARAMETERS = {"weight", "statistic"}
SIX_WAYS = (
    "name", "object", "saved_model", "tiny.keras", "tiny.h5", "tiny.weights.h5",
    "sharded/tiny.weights.json",
)  # fmt: skip


@pytest.mark.parametrize("prefix", sorted(frozen()))
@pytest.mark.parametrize("index_only", [False, True])
def test_every_fixture_is_identical_with_itself(prefix: str, index_only: bool) -> None:
    path = str(FIXTURES / prefix)
    result = ckread.diff(path, path, index_only=index_only, everything=True)
    assert result.identical is (None if _has_no_checksums(result) and index_only else True)


def _has_no_checksums(result: Any) -> bool:
    return {variable.status for variable in result.variables} == {None}


@pytest.mark.parametrize("path", real("bundle", "saved_model", "hdf5", "keras") or [None])
def test_every_real_checkpoint_is_identical_with_itself(path: str | None) -> None:
    if path is None:
        pytest.skip(NO_REAL)
    checkpoint = ckread.open(str(REAL / path))
    assert ckread.diff(checkpoint, ckread.open(str(REAL / path)), everything=True).identical is True


@pytest.mark.parametrize("prefix", real_index_only() or [None])
def test_an_index_without_its_shards_is_compared(prefix: str | None) -> None:
    if prefix is None:
        pytest.skip(NO_REAL)
    path = str(REAL / prefix)
    assert ckread.diff(path, path, index_only=True).identical is True


@pytest.mark.parametrize("model", ["functional", "sequential"])
@pytest.mark.parametrize("pair", list(itertools.permutations(SIX_WAYS, 2)), ids=str)
def test_one_model_saved_in_many_ways_differs_in_nothing(
    model: str, pair: tuple[str, str]
) -> None:
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


def test_all_steps_of_a_directory_of_five_architectures_diff_pairwise() -> None:
    directory = REAL / "pulkitgo__deeponet" / "model@44c0d048"
    if not directory.exists():
        pytest.skip(NO_REAL)
    prefixes = sorted(str(path.with_suffix("")) for path in directory.glob("*.index"))
    checkpoints = [ckread.open(prefix) for prefix in prefixes]
    assert len(checkpoints) == 48
    for a, b in itertools.combinations(checkpoints, 2):
        result = ckread.diff(a, b, jobs=1)
        assert result.identical is False
        assert sum(result.summary.values()) == len(result.variables)
        names = {v.b.name for v in result.variables if v.b} | set(_keys(b, "bookkeeping"))
        assert names == set(b)
        by_index = ckread.diff(a, b, index_only=True)
        assert by_index.summary == result.summary


def _keys(checkpoint: ckread.Checkpoint, role: str) -> list[str]:
    return [name for name, variable in checkpoint.items() if variable.role == role]


def saved(directory: Path, name: str, arrays: dict[str, NDArray[Any]]) -> str:
    """Save arrays as a bundle, with our own writer."""
    builder = BundleBuilder()
    for key, array in arrays.items():
        builder.add(key, array)
    return str(builder.write(directory / name))


def test_one_flipped_bit_is_found_by_the_index_and_located_by_the_values(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {
        f"layer_{i}/kernel": random.normal(size=(40, 30)).astype(np.float32) for i in range(20)
    }
    before = saved(tmp_path, "before", arrays)
    for bit in (0, 17, 31):
        flipped = {key: array.copy() for key, array in arrays.items()}
        flipped["layer_7/kernel"].view(np.uint32)[23, 11] ^= np.uint32(1 << bit)
        after = saved(tmp_path, f"after_{bit}", flipped)
        by_index = ckread.diff(before, after, index_only=True)
        assert [v.name for v in by_index.variables if v.status == "changed"] == ["layer_7/kernel"]
        result = ckread.diff(before, after)
        (found,) = (v for v in result.variables if v.status != "identical")
        assert found.metrics is not None
        assert found.metrics.changed_elements == 1
        assert found.metrics.first_changed == (23, 11)
        assert result.verified is True


def test_partitioned_and_whole_are_compared_by_value_and_by_checksum() -> None:
    folder = FIXTURES / "sharded"
    for whole, partitioned in itertools.combinations(sorted(folder.iterdir()), 2):
        if whole.is_dir() and partitioned.is_dir():
            result = ckread.diff(str(whole), str(partitioned))
            assert sum(result.summary.values()) == len(result.variables)


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
