"""Statistics of checkpoints: every format, any number of workers, damage and all."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.scan import PIECE_NBYTES
from ckread.analysis.statistics.measuring import measure_variables
from ckread.analysis.statistics.statistics import statistics
from ckread.analysis.workers import ALONE, Work
from ckread.errors import (
    CheckpointError,
    ChecksumError,
    MissingDependencyError,
    MissingShardError,
    TruncatedFileError,
    VariableNotFoundError,
)
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.readers.contract import DataType, numpy_dtype
from tests.analysis.numpy_figures import assert_equals_numpy
from tests.builders import BundleBuilder, write_bundle
from tests.corruption import flip, truncate
from tests.places import REAL, ROOT, frozen, real
from tests.strategies import PLAIN_DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.analysis.statistics.distribution import Distribution


def _distribution(prefix: str, name: str, **options: Any) -> Distribution:
    with open_checkpoint(prefix) as checkpoint:
        [outcome] = measure_variables([checkpoint[name]], 50, Work(**options))
    assert not isinstance(outcome, CheckpointError)
    return outcome


def _check_all(path: str) -> int:
    """Compare every plain variable with numpy; give how many there were."""
    n = 0
    with open_checkpoint(path) as checkpoint:
        variables = [v for v in checkpoint.values() if v.dtype.is_plain]
        for variable, outcome in zip(
            variables, measure_variables(variables, 50, ALONE), strict=True
        ):
            if isinstance(outcome, CheckpointError):
                with pytest.raises(type(outcome)):
                    variable.numpy()
                continue
            with np.errstate(all="ignore"):
                assert_equals_numpy(outcome, variable.numpy())
            n += 1
    return n


@pytest.mark.parametrize("path", sorted(frozen()))
def test_every_fixture_equals_numpy(path: str) -> None:
    _check_all(str(ROOT / "fixtures" / path) if not os.path.isabs(path) else path)


@pytest.mark.parametrize("path", real("V2", "SavedModel"))
def test_every_real_checkpoint_equals_numpy(path: str) -> None:
    _check_all(str(REAL / path))


@pytest.mark.parametrize("dtype", PLAIN_DTYPES)
@pytest.mark.parametrize("n", [0, 1, 1000, 150_001])
def test_every_type_and_byte_order(tmp_path: Path, dtype: DataType, n: int) -> None:
    """150,001 elements are more than a chunk of any type but those of one byte."""
    raw = np.random.default_rng(n).integers(0, 256, n * dtype.itemsize, np.uint8)
    raw = raw & 1 if dtype is DataType.BOOL else raw
    array = raw.view(numpy_dtype(dtype))
    builder = BundleBuilder(big_endian=True)
    builder.add("x", array, dtype)
    builder.add_gap(3)
    builder.add("y", array, dtype)
    prefix = builder.write(tmp_path / "ckpt")
    for name in ("x", "y"):
        with np.errstate(all="ignore"):
            assert_equals_numpy(_distribution(prefix, name), array)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray[Any, Any]]:
    """Give a checkpoint with one tensor of several pieces, and a small one."""
    n = 2 * PIECE_NBYTES // 4 + 1001
    array = np.random.default_rng(0).standard_normal(n, np.float32)
    prefix = tmp_path_factory.mktemp("large") / "ckpt"
    return write_bundle(
        prefix, {"big": array, "small": array[:10], "gain": 1 + array * 1e-4}
    ), array


@pytest.mark.slow
def test_a_tensor_of_several_pieces(large: tuple[str, np.ndarray[Any, Any]]) -> None:
    prefix, array = large
    assert_equals_numpy(_distribution(prefix, "big"), array[: array.size])


def test_any_number_of_workers_gives_the_same_bits(large: tuple[str, Any]) -> None:
    prefix, _ = large
    with open_checkpoint(prefix) as checkpoint:
        alone = statistics(checkpoint).to_dict()
        assert statistics(checkpoint, n_jobs=2).to_dict() == alone
        with ThreadPoolExecutor(3) as executor:
            assert statistics(checkpoint, executor=executor).to_dict() == alone


def test_narrow_values_are_read_twice_and_sharp(large: tuple[str, Any]) -> None:
    prefix, array = large
    read: list[int] = []
    found = _distribution(prefix, "gain", progress=read.append)
    assert sum(read) == 2 * array.nbytes
    assert max(q.high - q.low for q in found.quantiles) < 2e-7
    drawn = np.array(found.histogram(50).counts)
    gain = (1 + array * 1e-4).astype(np.float64)
    expected = np.histogram(gain, found.histogram(50).edges)[0]
    assert abs(drawn - expected).sum() < 0.01 * array.size


def test_progress_counts_every_byte_once(large: tuple[str, Any]) -> None:
    prefix, array = large
    read: list[int] = []
    _distribution(prefix, "big", progress=read.append)
    assert sum(read) == array.nbytes


def test_partitioned_tensors(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.float32).reshape(6, 10)
    builder = BundleBuilder(2)
    slices = [[(0, 2), (0, None)], [(2, 4), (0, None)]]
    builder.add_partitioned("x", array, DataType.FLOAT32, slices)
    assert_equals_numpy(_distribution(builder.write(tmp_path / "ckpt"), "x"), array)


def test_strings_are_measured_by_their_length(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_strings("words", [b"", b"ab", b"abcd"], [3])
    found = _distribution(builder.write(tmp_path / "ckpt"), "words")
    assert found.measure == "length"
    assert (found.elements, found.min, found.max, found.mean, found.zeros) == (3, 0, 4, 2.0, 1)


@pytest.mark.oracle
def test_tensorflows_reader_gives_the_same(large: tuple[str, Any]) -> None:
    prefix, _ = large
    with open_checkpoint(prefix) as native, open_checkpoint(prefix, reader="tensorflow") as other:
        ours, theirs = (statistics(checkpoint).to_dict() for checkpoint in (native, other))
    for a, b in zip(ours["variables"], theirs["variables"], strict=True):
        assert a["histogram"] == b["histogram"]
        assert a["quantiles"] == b["quantiles"]
        assert a["std"] == pytest.approx(b["std"], rel=1e-14)


def _three(tmp_path: Path) -> str:
    values = np.random.default_rng(0).standard_normal(300_000)
    return write_bundle(tmp_path / "ckpt", {"a": values[:10], "b": values, "c": values[:20]})


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_damaged_tensor_has_an_error_and_no_figures(tmp_path: Path, n_jobs: int) -> None:
    prefix = _three(tmp_path)
    flip(f"{prefix}.data-00000-of-00001", 40 + 1_000_000)
    with open_checkpoint(prefix) as checkpoint:
        found = statistics(checkpoint, n_jobs=n_jobs)
    assert [variable.name for variable in found.variables] == ["a", "b", "c"]
    assert [variable.name for variable in found.measured] == ["a", "c"]
    [damaged] = found.damaged
    assert isinstance(damaged.error, ChecksumError)
    assert "bytes 40 to 1200040: stored CRC-32C" in str(damaged.error)
    document = found.to_dict()
    assert [variable["name"] for variable in document["variables"]] == ["a", "c"]
    assert document["damaged"][0]["name"] == "b"


def test_a_torn_shard(tmp_path: Path) -> None:
    prefix = _three(tmp_path)
    truncate(f"{prefix}.data-00000-of-00001", 600_000)
    with open_checkpoint(prefix) as checkpoint:
        found = statistics(checkpoint)
    assert [type(variable.error) for variable in found.damaged] == [TruncatedFileError] * 2


def test_a_missing_shard(tmp_path: Path) -> None:
    builder = BundleBuilder(2)
    builder.add("a", np.ones(3, np.float32), DataType.FLOAT32, shard=0)
    builder.add("b", np.ones(3, np.float32), DataType.FLOAT32, shard=1)
    prefix = builder.write(tmp_path / "ckpt")
    os.unlink(f"{prefix}.data-00001-of-00002")
    with open_checkpoint(prefix) as checkpoint:
        found = statistics(checkpoint)
    assert [variable.name for variable in found.measured] == ["a"]
    assert isinstance(found.damaged[0].error, MissingShardError)


def test_weights_only_unless_asked(fixtures_dir: Path) -> None:
    with open_checkpoint(str(fixtures_dir / "digits_run" / "ckpt-10")) as checkpoint:
        found = statistics(checkpoint)
        assert [variable.name for variable in found.variables][:6] == [
            "conv1/kernel",
            "conv1/bias",
            "norm1/gamma",
            "norm1/beta",
            "norm1/moving_mean",
            "norm1/moving_variance",
        ]
        assert found.left_out[Role.SLOT] == 24
        slots = statistics(checkpoint, roles={Role.SLOT})
        assert {variable.role for variable in slots.variables} == {Role.SLOT}
        rate = statistics(checkpoint, ["learning_rate"])
        assert [variable.name for variable in rate.variables] == ["optimizer/learning_rate"]
        with pytest.raises(VariableNotFoundError, match="no variable matches konv"):
            statistics(checkpoint, ["konv"])


def test_the_document(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "ckpt", {"x": np.array([-1.0, 0.0, 1.0, np.nan, np.inf])})
    with open_checkpoint(prefix) as checkpoint:
        [variable] = statistics(checkpoint, n_bins=2).to_dict()["variables"]
    assert variable == {
        "name": "x",
        "key": "x",
        "role": variable["role"],
        "dtype": "float32",
        "shape": [5],
        "measure": "value",
        "elements": 5,
        "min": -1.0,
        "max": 1.0,
        "mean": 0.0,
        "std": pytest.approx((2 / 3) ** 0.5),
        "l1": 2.0,
        "l2": pytest.approx(2**0.5),
        "zeros": 1,
        "nan": 1,
        "inf": 1,
        "quantiles": {
            "0.01": -0.98, "0.05": -0.9, "0.25": -0.5, "0.5": 0.0,
            "0.75": 0.5, "0.95": pytest.approx(0.9), "0.99": pytest.approx(0.98),
        },
        "quantile_bounds": variable["quantile_bounds"],
        "histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [1, 2]},
    }  # fmt: skip
    assert variable["quantile_bounds"].keys() == variable["quantiles"].keys()
    for probability, (low, high) in variable["quantile_bounds"].items():
        assert low <= variable["quantiles"][probability] <= high


def test_a_table_for_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    prefix = write_bundle(tmp_path / "ckpt", {"x": np.arange(5.0), "y": np.ones(2)})
    with open_checkpoint(prefix) as checkpoint:
        table = statistics(checkpoint).to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table.loc["x", "max"] == 4
    assert table.loc["x", "0.5"] == 2


def test_without_pandas_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    prefix = write_bundle(tmp_path / "ckpt", {"x": np.arange(5.0)})
    with open_checkpoint(prefix) as checkpoint:
        found = statistics(checkpoint)
    with pytest.raises(MissingDependencyError, match="pandas is not installed"):
        found.to_pandas()
