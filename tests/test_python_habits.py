"""Answers as sequences and mappings, variables as numbers, types as numpy's: what hands expect."""

from __future__ import annotations

import operator
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointNotFoundError, UsageError, VariableNotFoundError
from ckread.model.records import Records
from ckread.readers.contract import DataType
from tests.builders import write_bundle
from tests.places import ROOT
from tests.test_notebook import ANSWERS

if TYPE_CHECKING:
    from pathlib import Path

RUN = "fixtures/digits_run"
KEPT = {kind: make for kind, make in ANSWERS.items() if kind not in ("Checkpoint", "Run")}
"""Answers of records; a checkpoint is a mapping of its own, a run a sequence of its own."""
each = pytest.mark.parametrize("kind", KEPT)


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where short paths are enough."""
    monkeypatch.chdir(ROOT)


@each
def test_an_answer_is_a_sequence_of_its_records_and_a_mapping_by_name(kind: str) -> None:
    answer = KEPT[kind]()
    records = list(answer)
    assert isinstance(answer, Records)
    assert issubclass(type(answer), Sequence)
    assert len(answer) == len(records) > 0
    assert answer[0] == records[0]
    assert answer[-1] == records[-1]
    assert answer[1:3] == tuple(records[1:3])
    assert list(reversed(answer)) == records[::-1]
    assert records[0] in answer
    with pytest.raises(IndexError):
        answer[len(records)]
    names = answer.keys()
    assert names == answer._ipython_key_completions_()
    assert [name for name, _ in answer.items()] == names
    assert len(names) == len(set(names)) > 0
    for name, record in answer.items():
        assert name in answer
        assert answer[name] == answer.get(name) == record
    assert dict(answer) == dict(answer.items())
    assert "no such name" not in answer
    assert answer.get("no such name") is None
    assert answer.get("no such name", 0) == 0
    with pytest.raises(VariableNotFoundError, match="no variable no such name"):
        answer["no such name"]


def test_an_answer_without_records_is_true() -> None:
    report = ckread.CheckReport("x", ())
    assert report
    assert (len(report), list(report), report.keys()) == (0, [], [])


def test_the_gravest_of_several_findings_is_that_of_the_name() -> None:
    report = ckread.check(f"{RUN}/ckpt-10")
    assert report["conv1/kernel"].code == "dead-units"


def test_a_part_of_a_tree_is_found_by_its_path() -> None:
    with ckread.open(RUN) as checkpoint:
        tree = checkpoint.tree()
        assert tree["conv1/kernel"] is tree["conv1"]["kernel"]
        assert tree["conv1"]["kernel"].variable is checkpoint["conv1/kernel"]
        assert "conv1/kernel" in tree
        assert "conv1/kernel/x" not in tree
        assert len(tree["conv1/kernel"]) == 0
        assert tree["conv1/kernel"]


def test_a_checkpoint_of_a_run_is_opened_by_its_name() -> None:
    run: Any = ckread.open_run(RUN)
    for name in ("ckpt-3", f"{RUN}/ckpt-3"):
        assert name in run
        with run[name] as checkpoint:
            assert checkpoint.path == f"{RUN}/ckpt-3"
    assert run._ipython_key_completions_() == [f"ckpt-{n}" for n in range(1, 11)]
    assert "ckpt-11" not in run
    with pytest.raises(CheckpointNotFoundError, match="no ckpt-11 in it") as caught:
        run["ckpt-11"]
    assert "ckpt-1, ckpt-2" in str(caught.value.remedy)


def test_names_are_completed_in_a_checkpoint() -> None:
    with ckread.open(RUN) as checkpoint:
        assert isinstance(checkpoint, Mapping)
        assert "conv1/kernel" in checkpoint._ipython_key_completions_()


def test_statistics_are_attributes() -> None:
    with ckread.open(RUN) as checkpoint:
        found = ckread.statistics(checkpoint)
        for one in found:
            values: Any = checkpoint[one.name].numpy()
            assert (one.elements, one.min, one.max) == (values.size, values.min(), values.max())
            assert one.mean == pytest.approx(values.astype(float).mean())
            assert one.std == pytest.approx(values.astype(float).std())
            assert one.l1 == pytest.approx(np.abs(values.astype(float)).sum())
            assert one.l2 == pytest.approx(np.linalg.norm(values.astype(float)))
            assert (one.zeros, one.nan, one.infinite) == ((values == 0).sum(), 0, 0)
    unread = found[0]._replace(distribution=None)
    assert {unread.mean, unread.std, unread.zeros, unread.infinite} == {None}


def test_a_variable_along_a_run_is_a_record() -> None:
    found = ckread.statistics_of_run(RUN, "conv1/kernel")
    along = found["conv1/kernel"].statistics
    assert along == tuple(moment.variables["conv1/kernel"] for moment in found.moments)
    audit = ckread.optimizer_of_run(RUN, "conv1/kernel")
    ratios = [one and one.update_ratio for one in audit["conv1/kernel"].updates]
    assert tuple(ratios) == audit.ratios()["conv1/kernel"]


# Variables as numpy's arrays are, as far as nothing has to be read for it.


def test_a_variable_has_the_sizes_of_its_array(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((3, 4)), "none": np.zeros((0, 2)), "one": np.array(2.5)}
    with ckread.open(write_bundle(tmp_path / "ckpt", arrays)) as checkpoint:
        for name, array in arrays.items():
            variable = checkpoint[name]
            assert (variable.ndim, variable.size) == (array.ndim, array.size)
            assert variable  # also where it is empty, or 0
        assert (len(checkpoint["a"]), len(checkpoint["none"])) == (3, 0)
        with pytest.raises(TypeError, match="one is a scalar: it has no length"):
            len(checkpoint["one"])


@pytest.mark.parametrize("value", [np.int64(7), np.uint8(7), np.float32(7.5), np.bool_(True)])
def test_a_scalar_is_a_number(tmp_path: Path, value: Any) -> None:
    np.savez(tmp_path / "a.npz", x=value, v=np.ones(3))
    with ckread.open(tmp_path / "a.npz") as checkpoint:
        scalar, vector = checkpoint["x"], checkpoint["v"]
        assert float(scalar) == float(value)
        assert int(scalar) == int(value)
        if isinstance(value, np.floating):
            with pytest.raises(TypeError, match="x: float32, expected a whole number"):
                operator.index(scalar)
        else:
            assert operator.index(scalar) == int(value)
        for convert in (float, int, operator.index):
            with pytest.raises(UsageError, match=r"v: float64 of shape \(3,\) is not a number"):
                convert(vector)


@pytest.mark.parametrize(
    ("dtype", "same", "other"),
    [
        (DataType.FLOAT32, [np.float32, np.dtype("f4"), "float32"], [np.float64, float, "f4", 4]),
        (DataType.FLOAT64, [np.float64, float, np.dtype(float)], [np.float32, int, "float32"]),
        (DataType.INT64, [np.int64, int], [np.uint64, np.int32, bool]),
        (DataType.BOOL, [np.bool_, bool, np.dtype("?")], [np.int8, int, str]),
        (DataType.BFLOAT16, [ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)], [np.float16]),
        (DataType.STRING, [np.dtype(object), "string"], [object, str, np.dtype("S1"), dict]),
        (DataType.RESOURCE, ["resource"], [np.dtype(object), np.float32, None]),
    ],
)
def test_a_type_equals_numpys_and_its_name(
    dtype: DataType, same: list[Any], other: list[Any]
) -> None:
    for one in same:
        assert dtype == one
        assert one == dtype
        assert not operator.ne(dtype, one)
    for one in other:
        assert dtype != one
        assert not operator.eq(dtype, one)
    assert hash(dtype) == hash(dtype.value)
    assert {dtype: 1}[dtype.value] == 1  # type: ignore[index]
    assert pickle.loads(pickle.dumps(dtype)) is dtype


def test_to_compare_a_type_takes_no_numpy() -> None:
    code = (
        "import sys; from ckread.readers.contract import DataType as D;"
        "print(D.INT8 == 3, D.INT8 == 'int8', D.INT8 != int, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False"]


def test_the_facts_of_a_summary_are_a_table() -> None:
    pytest.importorskip("pandas")
    summary = ckread.info(f"{RUN}/ckpt-10")
    frame = summary.to_pandas()
    assert (frame.index.name, list(frame.columns)) == ("name", ["value"])
    assert frame["value"].map(str).to_dict() == {
        name: str(tuple(value) if isinstance(value, list) else value)
        for name, value in summary.to_dict().items()
    }
    assert summary["parameters"].value == summary.parameters == 38474
