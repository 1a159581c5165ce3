"""A diff of columns says what a diff of pairs says, variable by variable and as a whole."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckread
from ckread.analysis.diff.columns import DiffColumns
from ckread.analysis.diff.records import DIFF_FIELDS
from ckread.model.display import Columns, column_of, in_order_of
from ckread.readers.contract import DataType
from ckread.views.diff.page import DiffView, diff_page
from tests.builders import BundleBuilder
from tests.model.columns.test_variables import NEVER, columns_above
from tests.places import FIXTURES

OPTIONS: list[dict[str, Any]] = [
    {}, {"index_only": True}, {"ulp": 4.0}, {"atol": 0.5}, {"everything": True},
]  # fmt: skip


def told(a: str | Path, b: str | Path, options: dict[str, Any]) -> list[Any]:
    """Give all that a diff says, in each way."""
    try:
        found = ckread.diff(a, b, **options)
    except ckread.CheckpointError as error:
        return [str(error)]
    page = diff_page(DiffView(found))
    # As columns first, then as records, which are made meanwhile.
    columns = [column_of(found.variables, field.name, field.getter) for field in DIFF_FIELDS]
    texts: list[Any] = [
        list(page.piped()),
        found.identical,
        found.equal,
        found.summary,
        found.evidence,
    ]
    texts.append([found.verified, found.renames, found.rules, found.conversion_map])
    document = repr(found.to_dict())  # NaN is not itself
    assert list(page.piped()) == texts[0]
    return [*texts, repr(columns), document, str(found), repr(list(found.variables))]


def assert_same(a: str | Path, b: str | Path) -> bool:
    """See that both ways say the same; tell whether there were columns."""
    for options in OPTIONS:
        with columns_above(NEVER):
            expected = told(a, b, options)
        with columns_above(-1):
            assert told(a, b, options) == expected
    with columns_above(-1):
        try:
            return isinstance(ckread.diff(a, b).variables, DiffColumns)
        except ckread.CheckpointError:
            return False


NAMES = ["a/kernel", "a/bias", "b/kernel", "b/kernel/Adam", "b/moving_mean", "global_step", "c"]
SHAPES = [(), (1,), (3,), (2, 2), (2, 3), (3, 2), (0,)]
TYPES = [DataType.FLOAT32, DataType.FLOAT64, DataType.INT32, DataType.BFLOAT16, DataType.COMPLEX64]
SPECIAL = [0.0, -0.0, np.nan, np.inf, 1e-45, 3e38]
NUMPY = {DataType.INT32: np.int32, DataType.FLOAT64: np.float64, DataType.COMPLEX64: np.complex64}


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(SHAPES),
            st.sampled_from(TYPES),
            st.sampled_from(["same", "moved", "turned", "next", "special", "large"]),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    st.integers(0, 5),
)
def test_random_bundles(variables: list[Any], seed: int) -> None:
    random = np.random.default_rng(seed)
    sides = BundleBuilder(), BundleBuilder()
    for name, shape, dtype, what in variables:
        before = random.integers(-3, 4, shape).astype(np.float64) + random.integers(0, 2) * 0.37
        after = before.copy()
        if what == "moved":
            after = after + random.standard_normal(shape)
        elif what == "turned":
            after = np.ascontiguousarray(before.T).reshape(shape)
        elif what == "next":
            after = np.nextafter(before.astype(np.float32), np.float32(9)).astype(np.float64)
        elif what == "special" and after.size:
            after.flat[0] = random.choice(SPECIAL)
        elif what == "large" and shape:
            before, after = (np.resize(x if x.size else 1.0, (1200,)) for x in (before, after + 1))
        for side, values in zip(sides, (before, after), strict=True):
            with np.errstate(all="ignore"):
                if dtype is DataType.INT32:
                    values = np.nan_to_num(values, posinf=7, neginf=-7).clip(-9, 9)
                if dtype is DataType.BFLOAT16:
                    array = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
                else:
                    array = values.astype(NUMPY.get(dtype, np.float32))
            side.add(name, array, dtype)
    with TemporaryDirectory() as directory:
        paths = [Path(directory, "ckpt-1"), Path(directory, "ckpt-2")]
        for side, path in zip(sides, paths, strict=True):
            side.write(path)
        assert_same(*paths)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("digits_run/ckpt-2", "digits_run/ckpt-3"),
        ("digits_run/ckpt-3", "digits_run/ckpt-3"),
        ("digits_run/ckpt-9", "digits_run/ckpt-10"),
    ],
)
def test_a_run(a: str, b: str) -> None:
    assert assert_same(FIXTURES / a, FIXTURES / b)


CONTENTS = st.permutations(range(6)) | st.lists(st.integers(0, 7), min_size=6, max_size=6)


@settings(max_examples=30)
@given(contents=CONTENTS, shape=st.sampled_from([(2, 2), (4,), (3,)]), has_slots=st.booleans())
def test_contents_that_moved(
    contents: list[int], shape: tuple[int, ...], *, has_slots: bool
) -> None:
    """Shifted along a chain, exchanged in a circle, or the same in several by chance."""
    sides = BundleBuilder(), BundleBuilder()
    for at, content in enumerate(contents):
        name = f"layer_{at}/kernel" + ("/Adam" if has_slots and at > 3 else "")
        name = name.replace("_4", "_0").replace("_5", "_1") if has_slots else name
        for side, number in zip(sides, (at, content), strict=True):
            values = np.full(shape, number, np.float32) + np.arange(np.prod(shape)).reshape(shape)
            side.add(name, values.astype(np.float32), DataType.FLOAT32)
    with TemporaryDirectory() as directory:
        paths = [Path(directory, "ckpt-1"), Path(directory, "ckpt-2")]
        for side, path in zip(sides, paths, strict=True):
            side.write(path)
        assert_same(*paths)


def test_a_chain_is_told_by_its_names_and_a_circle_is_not(tmp_path: Path) -> None:
    contents = {"before": [0, 1, 2, 3], "chain": [1, 2, 3, 4], "circle": [1, 2, 0, 3]}
    for called, numbers in contents.items():
        builder = BundleBuilder()
        for at, number in enumerate(numbers):
            values = np.arange(4, dtype=np.float32) + number
            builder.add(f"layer_{at}/kernel", values, DataType.FLOAT32)
        builder.write(tmp_path / called)
    assert assert_same(tmp_path / "before", tmp_path / "chain")
    assert not assert_same(tmp_path / "before", tmp_path / "circle")


def test_other_structures_are_left_to_pairs() -> None:
    assert not assert_same(FIXTURES / "digits_run/ckpt-3", FIXTURES / "digits_v1/ckpt")


def test_some_rows_of_columns() -> None:
    with columns_above(-1):
        rows = ckread.diff(FIXTURES / "digits_run/ckpt-2", FIXTURES / "digits_run/ckpt-3").variables
    assert isinstance(rows, Columns)
    some = in_order_of(rows, [3, 1])
    assert isinstance(some, Columns)
    assert (len(some), some.column("name")) == (2, [rows[3].name, rows[1].name])
    assert list(some) == [rows[3], rows[1]] == [some[0], *some[1:]]
    assert in_order_of(rows, []) == []
    assert in_order_of(rows, list(range(len(rows)))) is rows
    assert rows.column("permutation") is None
