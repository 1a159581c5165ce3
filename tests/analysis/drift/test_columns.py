"""A drift of columns says what a drift of series says, variable by variable and as a whole."""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckread
from ckread.analysis.drift import columns
from ckread.analysis.drift.columns import DriftColumns
from ckread.analysis.drift.records import SERIES, VariableDrift
from ckread.model.display import Columns, column_of
from ckread.readers.contract import DataType
from ckread.views.drift import page
from ckread.views.drift.page import DriftView, drift_page
from tests.builders import BundleBuilder
from tests.model.columns.test_variables import NEVER, columns_above
from tests.places import FIXTURES

OPTIONS: list[dict[str, Any]] = [{}, {"index_only": True}, {"roles": "all"}, {"patterns": "a"}]
NAMED = [*VariableDrift._fields, "moved", "n_changes", "first_change"]


def told(run: Any, options: dict[str, Any]) -> list[Any]:
    """Give all that a drift says, in each way."""
    try:
        found = ckread.drift(run, **options)
    except ckread.CheckpointError as error:
        return [str(error)]
    views = [drift_page(DriftView(found, *how)) for how in ((), (2,), (None, True))]
    # As columns first, then as records, which are made meanwhile.
    cells = [column_of(found.variables, name) for name in NAMED]
    piped = [list(view.piped()) for view in views]
    texts = [view.text() for view in views]
    told_else = found.left_out, found.causes, found.learning_rate, found.evidence, found.seams
    document = repr(found.to_dict())  # NaN is not itself
    assert [list(view.piped()) for view in views] == piped
    assert repr(cells) == repr([[getattr(one, name) for one in found] for name in NAMED])
    return [repr(cells), piped, texts, repr(told_else), document, repr(list(found.variables))]


def assert_same(run: Any, all_options: list[dict[str, Any]] = OPTIONS) -> bool:
    """See that both ways say the same; tell whether there were columns."""
    for options in all_options:
        with columns_above(NEVER):
            expected = told(run, options)
        with columns_above(-1):
            assert told(run, options) == expected
        with columns_above(NEVER), pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "MANY_CELLS", -1)
            assert told(run, options) == expected
    with columns_above(-1):
        return isinstance(ckread.drift(run).variables, DriftColumns)


NAMES = ["a/kernel", "a/bias", "b/kernel", "b/kernel/Adam", "b/moving_mean", "global_step",
         "learning_rate", "b/kernel/Adam_1"]  # fmt: skip
SHAPES = [(), (1,), (3,), (2, 2), (0,)]
TYPES = {DataType.FLOAT32: np.float32, DataType.FLOAT64: np.float64, DataType.INT32: np.int32,
         DataType.COMPLEX64: np.complex64}  # fmt: skip
CHANGES = ["same", "moved", "once", "special", "wide", "large", "zero"]


@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(SHAPES),
            st.sampled_from(list(TYPES)),
            st.sampled_from(CHANGES),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_random_runs(variables: list[Any], n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    builders = [BundleBuilder() for _ in range(n)]
    for name, shape, dtype, what in variables:
        start = random.integers(-3, 4, shape).astype(np.float64) + random.integers(0, 2) * 0.37
        for step, builder in enumerate(builders):
            values = start * (what != "zero")
            if what == "moved" or (what == "once" and step > 1):
                values = values + step
            elif what == "special" and step and values.size:
                values.flat[0] = random.choice([np.nan, np.inf, -0.0, 3e38])
            elif what == "wide" and dtype is DataType.FLOAT64:
                values = values * 1e200 + step
            elif what == "large" and shape:
                values = np.resize(values if values.size else 1.0, (1200,)) + step
            with np.errstate(all="ignore"):
                if dtype is DataType.INT32:
                    values = np.nan_to_num(values, posinf=7, neginf=-7).clip(-9, 9)
                builder.add(name, values.astype(TYPES[dtype]), dtype)
    with TemporaryDirectory() as directory:
        paths = [Path(directory, f"ckpt-{step}") for step in range(1, n + 1)]
        for builder, path in zip(builders, paths, strict=True):
            builder.write(path)
        assert_same(directory)


def test_a_run() -> None:
    assert assert_same(FIXTURES / "digits_run")


def test_an_answer_of_columns_is_compared_and_pickled() -> None:
    two = [FIXTURES / "digits_run/ckpt-3", FIXTURES / "digits_run/ckpt-4"]
    for answer in (ckread.drift, lambda paths: ckread.diff(*paths)):
        expected = answer(two)
        with columns_above(-1):
            found, again = answer(two), answer(two)
        copy = pickle.loads(pickle.dumps(found))
        assert isinstance(found.variables, Columns)
        assert found.variables == again.variables == copy.variables
        assert found.variables == tuple(expected.variables)
        assert found.variables != again.variables[1:]


def test_other_structures_and_damage_are_left_to_series(tmp_path: Path) -> None:
    for step, names in enumerate(("abcdef", "abcdef", "abcdefg"), 1):
        builder = BundleBuilder()
        for name in names:
            builder.add(f"{name}/kernel", np.arange(6, dtype=np.float32) + step, DataType.FLOAT32)
        builder.write(tmp_path / f"ckpt-{step}")
    assert not assert_same(tmp_path)
    two = [tmp_path / "ckpt-1", tmp_path / "ckpt-2"]
    assert assert_same(two)
    shard = tmp_path / "ckpt-2.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[3] ^= 1
    shard.write_bytes(data)
    assert not assert_same(two, [{}])
    shard.unlink()
    assert not assert_same([*two, tmp_path / "ckpt-3"], [{}])


@pytest.mark.slow
def test_figures_of_several_jobs() -> None:
    with columns_above(-1):
        found = ckread.drift(FIXTURES / "digits_run", n_jobs=2)
    with columns_above(NEVER):
        expected = ckread.drift(FIXTURES / "digits_run")
    for field in SERIES:
        assert column_of(found, field.name) == column_of(expected, field.name)


def test_small_checkpoints_of_a_long_run_go_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are alike; another structure among them, or slices, are left to series."""
    monkeypatch.setattr(columns, "MANY_CELLS", -1)
    monkeypatch.setattr(page, "_MANY_ROWS", -1)
    monkeypatch.setattr(page, "_ROWS_AT_ONCE", 20)
    found = ckread.drift(FIXTURES / "digits_run")
    assert isinstance(found.variables, DriftColumns)
    lines = list(drift_page(DriftView(found)).piped())
    monkeypatch.undo()
    assert lines == list(drift_page(DriftView(ckread.drift(FIXTURES / "digits_run"))).piped())
