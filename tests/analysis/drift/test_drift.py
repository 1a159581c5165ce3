"""Drift: every figure against plain numpy, and what happens to a run that changes underneath."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.drift import measuring
from ckread.analysis.drift.drift import drift
from ckread.analysis.drift.records import changes
from ckread.analysis.scan import Grid
from ckread.errors import VariableNotFoundError
from ckread.model.role import Role
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType, TensorRecord
from tests.builders import BundleBuilder, write_bundle
from tests.corruption import flip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ckread.analysis.drift.records import RunDrift, VariableDrift

EVERY_ROLE = set(Role) - {Role.BOOKKEEPING}
SIZE = 70_001
"""Elements: more than one chunk."""


def _write_run(directory: Path, states: Sequence[dict[str, NDArray[Any]]]) -> None:
    for step, arrays in enumerate(states, 1):
        builder = BundleBuilder()
        for key, array in sorted(arrays.items()):
            builder.add(key, array, DataType[array.dtype.name.upper()])
        builder.write(directory / f"ckpt-{step}")


def _drift(directory: Path, **options: Any) -> RunDrift:
    return drift(open_run(directory), roles=EVERY_ROLE, **options)


def _close(found: float | None, expected: float, tolerance: float = 1e-9) -> bool:
    if found is None:
        return False
    if math.isnan(expected):
        return math.isnan(found)
    return found == expected or math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-12)


def _check(variable: VariableDrift, arrays: Sequence[NDArray[Any]]) -> None:
    """Compare with numpy over whole float64 arrays."""
    wide = [np.asarray(array, np.float64).ravel() for array in arrays]
    first = wide[0]
    for i, x in enumerate(wide):
        norm, norm_first = float(np.linalg.norm(x)), float(np.linalg.norm(first))
        assert _close(variable.l2[i], norm)
        assert _close(variable.from_first[i], _ratio(x - first, norm_first))
        if i:
            before = wide[i - 1]
            distance = _ratio(x - before, float(np.linalg.norm(before)))
            assert _close(variable.from_previous[i], distance)
            same = arrays[i].tobytes() == arrays[i - 1].tobytes()
            assert variable.changed[i] is (not same)
        if norm and norm_first:
            assert _close(variable.cosine_to_first[i], float(x @ first) / norm / norm_first)
        else:
            assert variable.cosine_to_first[i] is None
    assert variable.from_previous[0] is None
    assert variable.changed[0] is None


def _ratio(difference: NDArray[np.float64], norm: float) -> float:
    distance = float(np.linalg.norm(difference))
    return 0.0 if distance == 0 else distance / norm if norm else math.inf


@pytest.mark.parametrize("name", ["digits_run", "schedule_run"])
def test_fixtures_agree_with_numpy(fixtures_dir: Path, name: str) -> None:
    run = open_run(fixtures_dir / name)
    result = drift(run, roles=EVERY_ROLE)
    assert len(result.variables) == len(run[0]) - 1
    for variable in result.variables:
        _check(variable, [checkpoint[variable.name].numpy() for checkpoint in run])


@given(
    st.lists(
        hnp.arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)),
        min_size=1,
        max_size=4,
    )
)
def test_any_values_agree_with_numpy(
    tmp_path_factory: pytest.TempPathFactory, arrays: list[NDArray[Any]]
) -> None:
    directory = tmp_path_factory.mktemp("run")
    _write_run(directory, [{"w": array} for array in arrays])
    wide = [array.astype(np.float64) for array in arrays]
    variable = _drift(directory)["w"]
    for i, x in enumerate(wide):
        assert _close(variable.l2[i], float(np.linalg.norm(x)))
        assert _close(variable.from_first[i], _ratio(x - wide[0], float(np.linalg.norm(wide[0]))))


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "float16", "int64", "uint8", "bool", "complex64", "bfloat16",
     "float8_e4m3fn", "float8_e5m2"],
)  # fmt: skip
def test_every_type(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    states = []
    for _ in range(4):
        values = random.standard_normal(SIZE) * 3
        builder_array = values > 0 if dtype == "bool" else np.abs(values).astype(_numpy(dtype))
        states.append(builder_array)
    states.insert(2, states[1])
    for step, array in enumerate(states, 1):
        builder = BundleBuilder()
        builder.add("w", array, DataType[dtype.upper()])
        builder.write(tmp_path / f"ckpt-{step}")
    variable = _drift(tmp_path)["w"]
    if dtype == "complex64":
        _check_complex(variable, states)
    else:
        _check(variable, states)


def test_narrow_floats_that_are_not_finite(tmp_path: Path) -> None:
    kind = _numpy("float8_e5m2")
    states = [np.full(SIZE, value).astype(kind) for value in (0.5, 0.5, -2.0, 1.0)]
    states[2][[3, 70]], states[2][5] = np.nan, np.inf
    _write_run(tmp_path, [{"w": array} for array in states])
    variable = _drift(tmp_path)["w"]
    assert variable.nan == (0, 0, 2, 0)
    assert variable.infinite == (0, 0, 1, 0)
    _check(variable, states)


def _numpy(dtype: str) -> np.dtype[Any]:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def _check_complex(variable: VariableDrift, arrays: Sequence[NDArray[Any]]) -> None:
    wide = [array.astype(np.complex128) for array in arrays]
    for i, x in enumerate(wide):
        assert _close(variable.l2[i], float(np.linalg.norm(x)))
        ratio = float(np.linalg.norm(x - wide[0]) / np.linalg.norm(wide[0]))
        assert _close(variable.from_first[i], ratio)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1.0])
def test_float64_near_the_ends_of_its_range(tmp_path: Path, scale: float) -> None:
    random = np.random.default_rng(1)
    arrays = [random.standard_normal(50) for _ in range(3)]
    _write_run(tmp_path, [{"w": array * scale} for array in arrays])
    variable = _drift(tmp_path)["w"]
    for i, x in enumerate(arrays):
        assert _close(variable.l2[i], float(np.linalg.norm(x)) * scale)
        ratio = float(np.linalg.norm(x - arrays[0]) / np.linalg.norm(arrays[0]))
        assert _close(variable.from_first[i], ratio)


def test_a_small_angle_keeps_its_digits(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    a = random.standard_normal(SIZE)
    b = a + 1e-7 * random.standard_normal(SIZE)
    _write_run(tmp_path, [{"w": a}, {"w": b}])
    cosine = _drift(tmp_path)["w"].cosine_to_first[1]
    wide_a, wide_b = a.astype(np.longdouble), b.astype(np.longdouble)
    product = np.sqrt((wide_a @ wide_a) * (wide_b @ wide_b))
    expected = float(1 - (wide_a @ wide_b) / product)
    assert cosine is not None
    assert 1 - cosine == pytest.approx(expected, rel=0.05)


def test_what_is_not_finite(tmp_path: Path) -> None:
    x = np.arange(6, dtype=np.float32) + 1
    bad, worse = x.copy(), x.copy()
    bad[2] = np.inf
    worse[:] = np.nan
    _write_run(tmp_path, [{"w": x}, {"w": bad}, {"w": bad}, {"w": worse}, {"w": x}])
    variable = _drift(tmp_path)["w"]
    assert variable.first_nonfinite == 1
    assert variable.infinite == (0, 1, 1, 0, 0)
    assert variable.nan == (0, 0, 0, 6, 0)
    assert variable.changed == (None, True, False, True, True)
    assert variable.l2[1] == math.inf
    assert math.isnan(variable.l2[3] or 0)
    assert variable.from_first[4] == 0
    assert math.isnan(variable.from_previous[4] or 0)


def test_a_variable_may_appear_vanish_and_change_its_shape(tmp_path: Path) -> None:
    a, b = np.ones(4, np.float32), np.full(4, 2, np.float32)
    wide = np.ones(9, np.float32)
    common = {f"c{i}": a for i in range(8)}
    states = [{"w": a}, {"w": b}, {}, {"w": wide}, {"w": wide}, {"w": b[:1]}]
    _write_run(tmp_path, [{**common, **state} for state in states])
    found = drift(open_run(sorted(tmp_path.glob("*.index"))), ["w"]).to_dict()["variables"][0]
    assert found["changed"] == [None, True, None, None, False, True]
    assert found["l2"] == [2, 4, None, 3, 3, 2]
    assert found["from_first"] == [0, 1, None, 0, 0, 0]
    assert found["from_previous"] == [None, 1, None, None, 0, None]
    assert found["shape"] == [1]


def test_a_first_norm_of_zero(tmp_path: Path) -> None:
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    _write_run(tmp_path, [{"w": zero}, {"w": zero}, {"w": one}])
    variable = _drift(tmp_path)["w"]
    found = variable.to_dict()
    assert found["from_first"] == [0, 0, None]
    assert found["from_previous"] == [None, 0, None]
    assert list(variable.from_first) == [0, 0, math.inf]
    assert found["cosine_to_first"] == [None, None, None]
    assert variable.moved == math.inf


EDGES = {
    "from zero": ([0.0, 0.0], [1.0, 0.0]),
    "zero of another sign": ([0.0, 0.0], [-0.0, 0.0]),
    "to zero": ([1.0, 2.0], [0.0, 0.0]),
    "tiny to huge": ([1e-60, 0.0], [1e60, 0.0]),
    "huge to tiny": ([1e60, 0.0], [1e-60, 0.0]),
    "became NaN": ([1.0, 2.0], [np.nan, 2.0]),
    "was NaN": ([np.nan, 2.0], [1.0, 2.0]),
    "zero became infinite": ([0.0, 0.0], [np.inf, 0.0]),
    "became infinite": ([1.0, 2.0], [np.inf, 2.0]),
    "small step": ([1.0, 2.0], [1.0, 2.5]),
}


@pytest.mark.parametrize("case", EDGES)
def test_one_rule_with_diff(tmp_path: Path, case: str) -> None:
    """A distance is told alike by both, at the edges too: null, NaN and infinity."""
    before, after = (np.array(values) for values in EDGES[case])
    _write_run(tmp_path, [{"w": before}, {"w": after}])
    told = _drift(tmp_path)["w"].to_dict()
    first, second = sorted(tmp_path.glob("*.index"))
    [pair] = diff_checkpoints(first, second, ["w"]).to_dict()["variables"]
    for field, figure in (
        ("from_first", "relative_l2"),
        ("from_previous", "relative_l2"),
        ("cosine_to_first", "cosine"),
    ):
        expected = pair[figure]
        if expected is not None:
            expected = pytest.approx(expected, rel=1e-12, nan_ok=True)
        assert told[field][1] == expected, field


def test_checksums_alone_tell_what_changed(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "digits_run")
    values, checksums = drift(run), drift(run, index_only=True)
    assert [v.name for v in values.variables] == [v.name for v in checksums.variables]
    for by_value, by_checksum in zip(values.variables, checksums.variables, strict=True):
        assert by_value.changed == by_checksum.changed
        assert by_checksum.l2 == ()
    assert values["conv1/kernel"].changed[:4] == (None, False, False, True)


def test_partitioned_variables_are_streamed(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    arrays = [random.standard_normal((10, 3)).astype(np.float32) for _ in range(3)]
    arrays.append(arrays[-1])
    for step, array in enumerate(arrays, 1):
        builder = BundleBuilder(2)
        slices = [((0, 4), (0, None)), ((4, 6), (0, None))]
        builder.add_partitioned("w", array, DataType.FLOAT32, slices)
        builder.write(tmp_path / f"ckpt-{step}")
    _check(_drift(tmp_path)["w"], arrays)


def test_big_endian(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    arrays = [random.standard_normal(20) for _ in range(3)]
    for step, array in enumerate(arrays, 1):
        builder = BundleBuilder(big_endian=True)
        builder.add("w", array, DataType.FLOAT64)
        builder.write(tmp_path / f"ckpt-{step}")
    _check(_drift(tmp_path)["w"], arrays)


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    states = [{f"w{i}": random.standard_normal(SIZE) for i in range(4)} for _ in range(3)]
    _write_run(tmp_path, states)
    run = open_run(tmp_path)
    whole = drift(run)
    assert drift(run, n_jobs=2) == whole
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert drift(run, executor=executor) == whole


def test_nothing_tells_of_a_change_where_one_side_keeps_no_checksum() -> None:
    def cell(crc32c: int | None, shape: tuple[int, ...] = (4,)) -> Any:
        record = TensorRecord("w", DataType.FLOAT32, shape, 16, crc32c, 0, 0)
        return Mock(record=record, extents=lambda: None)

    cells = [cell(7), cell(7), cell(8), cell(None), cell(None), cell(8), None, cell(8)]
    assert changes(cells) == [None, False, True, None, None, None, None, None]
    assert changes([cell(None), cell(None, (2, 2)), cell(5)]) == [None, True, True]


def test_pieces_of_a_large_variable_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(6)
    arrays = [random.standard_normal(SIZE) for _ in range(3)]
    _write_run(tmp_path, [{"w": array} for array in arrays])
    monkeypatch.setattr(measuring, "grid_of", lambda _: Grid(1000, 700))
    _check(_drift(tmp_path)["w"], arrays)


def test_damage_is_absent_from_figures_and_noted(tmp_path: Path) -> None:
    one, two = np.ones(8, np.float32), np.full(8, 2, np.float32)
    _write_run(tmp_path, [{"a": one, "b": one}, {"a": two, "b": two}, {"a": one, "b": one}])
    shard = tmp_path / "ckpt-2.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[3] ^= 1  # in a
    shard.write_bytes(bytes(data))
    result = _drift(tmp_path)
    assert len(result.checkpoints) == 3
    assert result["a"].to_dict()["l2"] == [math.sqrt(8), None, math.sqrt(8)]
    assert result["b"].to_dict()["from_previous"] == [None, 1, 0.5]
    [note] = result.notes
    assert note.startswith("a of ckpt-2 was left out: ckpt-2.data-00000-of-00001: a: bytes 0 to 32")


def test_a_checkpoint_that_is_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    arrays = [np.full(8, i, np.float32) for i in (1, 2, 3)]
    _write_run(tmp_path, [{"w": array} for array in arrays])
    run = open_run(tmp_path)
    for path in tmp_path.glob("ckpt-2.*"):
        path.unlink()
    result = drift(run)
    assert [entry.name for entry in result.checkpoints] == ["ckpt-1", "ckpt-3"]
    assert result["w"].to_dict()["from_previous"] == [None, 2]
    assert result.notes == ("ckpt-2 was left out: ckpt-2: deleted since the run was listed.",)


def test_what_is_damaged_in_every_checkpoint_is_left_out_of_the_run(tmp_path: Path) -> None:
    _write_run(tmp_path, [{"v": np.ones(8, np.float32), "w": np.ones(8, np.float32)}] * 2)
    for step in (1, 2):
        flip(tmp_path / f"ckpt-{step}.data-00000-of-00001", 3, 1)
    result = drift(open_run(tmp_path))
    assert [variable.name for variable in result.variables] == ["w"]
    assert [note.partition(" was")[0] for note in result.notes] == ["v of ckpt-1", "v of ckpt-2"]


def test_no_wrong_figure_while_a_training_writes_and_deletes(tmp_path: Path) -> None:
    """A writer keeps three checkpoints, each full of its own step, and overwrites the latest."""
    stop = threading.Event()

    def write() -> None:
        step = 0
        while not stop.is_set():
            step += 1
            array = np.full(2000, step, np.float32)
            for name in (f"ckpt-{step}", "latest-0"):
                write_bundle(tmp_path / f"tmp_{name}", {"global_step": array[:1], "w": array})
                for suffix in (".data-00000-of-00001", ".index"):
                    source = tmp_path / f"tmp_{name}{suffix}"
                    source.replace(tmp_path / f"{name}{suffix}")
            for path in tmp_path.glob(f"ckpt-{step - 3}.*"):
                path.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = _look_on(tmp_path, 25)
    finally:
        stop.set()
        writer.join()
    assert seen > 25


def _look_on(directory: Path, times: int) -> int:
    seen = 0
    while times:
        try:
            result = drift(open_run(directory / "ckpt-*"), ["w"])
        except (FileNotFoundError, VariableNotFoundError):
            continue
        times -= 1
        for entry, norm in zip(result.checkpoints, result["w"].l2, strict=True):
            assert norm is None or norm == pytest.approx((entry.step or 0) * math.sqrt(2000))
            seen += norm is not None
    return seen


def test_after_a_blow_up_the_slots_that_failed_first_are_told(tmp_path: Path) -> None:
    good, bad = np.ones(4, np.float32), np.full(4, np.inf, np.float32)
    nan = np.full(4, np.nan, np.float32)
    states = [(good, good), (good, bad), (nan, bad)]
    _write_run(tmp_path, [{"w": w, "w/Adam": good, "w/Adam_1": v} for w, v in states])
    result = drift(open_run(tmp_path))
    assert [v.name for v in result.variables] == ["w"]
    assert [(v.name, v.first_nonfinite) for v in result.causes] == [("w/Adam_1", 1)]


def test_patterns_that_mean_nothing(fixtures_dir: Path) -> None:
    with pytest.raises(VariableNotFoundError, match="no variable matches conv9"):
        drift(open_run(fixtures_dir / "digits_run"), ["conv9"])


def test_the_document(fixtures_dir: Path) -> None:
    document = drift(open_run(fixtures_dir / "digits_run"), ["conv1/bias"]).to_dict()
    assert [entry["step"] for entry in document["checkpoints"]] == list(range(1, 11))
    [variable] = document["variables"]
    assert variable["changed"][:4] == [None, False, False, True]
    assert variable["from_first"][2:4] == [0, None]  # biases begin at 0
    assert variable["first_nonfinite"] is None
    assert len(variable["l2"]) == 10
