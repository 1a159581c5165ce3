"""What is told of measured variables: every figure, document and table, of one or of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.statistics.statistics import statistics, statistics_of_run
from ckread.errors import CheckpointNotFoundError
from ckread.model.role import Role
from ckread.model.run.run import open_run
from ckread.readers.contract import CHUNK_NBYTES
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import write_bundle
from tests.corruption import flip

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.array([-3.0, 0.0, 1.0, 2.0, 5.0, np.nan, np.inf, -np.inf, np.inf], np.float32)
FIGURES = {
    "measure": "value", "elements": 9, "min": -3.0, "max": 5.0, "mean": 1.0, "std": 6.8**0.5,
    "l1": 11.0, "l2": 39**0.5, "zeros": 1, "nan": 1, "inf": 3,
}  # fmt: skip
QUANTILES = {
    "0.01": -2.88, "0.05": -2.4, "0.25": 0.0, "0.5": 1.0, "0.75": 2.0, "0.95": 4.4, "0.99": 4.88,
}  # fmt: skip


def test_every_figure_and_the_document() -> None:
    found = statistics(checkpoint({"w": VALUES, "x": np.array([2, -3], np.int32)}), n_bins=4)
    w, x = found.variables
    assert (w.elements, w.min, w.max, w.mean, w.l1, w.zeros, w.nan, w.infinite) == (
        9, -3, 5, 1, 11, 1, 1, 3,
    )  # fmt: skip
    assert [w.std, w.l2] == pytest.approx([6.8**0.5, 39**0.5])
    assert w.distribution is not None
    assert (w.distribution.finite, w.distribution.positive_infinite) == (5, 2)
    assert (w.distribution.negative_infinite, str(w.role)) == (1, "weight")
    document = found.to_dict()
    assert document == {
        "path": "model",
        "variables": [
            {
                "name": "w", "key": "w", "role": "weight", "dtype": "float32", "shape": [9],
                **{key: pytest.approx(x) if key != "measure" else x for key, x in FIGURES.items()},
                "quantiles": pytest.approx(QUANTILES),
                "quantile_bounds": {p: pytest.approx([x, x]) for p, x in QUANTILES.items()},
                "histogram": {"edges": [-3, -1, 1, 3, 5], "counts": [1, 1, 2, 1]},
            },
            document["variables"][1],
        ],
        "damaged": [],
    }  # fmt: skip
    assert {type(document["variables"][1][key]) for key in ("min", "max")} == {int}
    assert (x.min, x.max, x.mean, x.std, x.l1) == (-3, 2, -0.5, 2.5, 5)
    assert repr(found) == "<ckread.CheckpointStatistics 'model': 2 variables>"
    assert (found.n_bins, found.has_checksums, found.left_out) == (4, True, {})
    assert len(statistics(checkpoint({"w": VALUES})).to_dict()["variables"][0]["histogram"][
        "counts"]) == 64  # fmt: skip


def test_rows_are_the_document_and_a_column_per_quantile() -> None:
    found = statistics(checkpoint({"w": VALUES, "z": np.zeros((0, 3), np.float32)}))
    row = found["w"].to_row()
    assert [row[p] for p in QUANTILES] == pytest.approx(list(QUANTILES.values()))
    table = found.to_pandas()
    assert list(table.index) == ["w", "z"]
    names = [*FIGURES, *QUANTILES]
    assert list(table.columns) == ["key", "role", "dtype", "shape", *names]
    told = table.loc["w"].to_dict()
    assert told == {
        "key": "w", "role": "weight", "dtype": "float32", "shape": told["shape"],
        **{name: pytest.approx(x) if name != "measure" else x for name, x in FIGURES.items()},
        **{p: pytest.approx(x) for p, x in QUANTILES.items()},
    }  # fmt: skip
    assert all(math.isnan(table.loc["z", p]) for p in (*QUANTILES, "min", "mean", "l2"))
    assert table.loc["z", "elements"] == 0
    assert statistics(checkpoint({})).to_pandas().empty


def damaged(directory: Path, step: int) -> str:
    """Write a checkpoint of which one small variable is damaged."""
    values = {"a": np.ones(4) * step, "b": np.ones(9), "c": np.arange(2.0)}
    prefix = write_bundle(directory / f"ckpt-{step}", values)
    flip(f"{prefix}.data-00000-of-00001", 20)
    return str(prefix)


def test_what_is_damaged_has_an_error_in_the_place_of_figures(tmp_path: Path) -> None:
    found = statistics(damaged(tmp_path, 1))
    assert ([v.name for v in found.measured], [v.name for v in found.damaged]) == (
        ["a", "c"],
        ["b"],
    )
    bad = found["b"]
    figures = bad.elements, bad.min, bad.max, bad.mean, bad.std, bad.l1, bad.l2
    assert {*figures, bad.zeros, bad.nan, bad.infinite, bad.distribution} == {None}
    assert bad.to_dict() == {
        "name": "b", "key": "b", "role": str(bad.role), "dtype": "float32", "shape": [9]
    }  # fmt: skip
    assert found.to_dict()["damaged"] == [{"name": "b", "key": "b", "message": str(bad.error)}]
    assert [one["name"] for one in found.to_dict()["variables"]] == ["a", "c"]
    assert list(found.to_pandas().index) == ["a", "c"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (1, 2, 3):
        values: dict[str, Any] = {"a": np.full(4, step), "c": np.arange(2.0) * step}
        if step > 1:
            values["b"] = np.arange(3.0) + step
        write_bundle(tmp_path / f"ckpt-{step}", values)
    return tmp_path


def test_a_run_is_each_of_its_checkpoints(run: Path) -> None:
    reported: list[int] = []
    found = statistics_of_run(run, n_bins=2, progress=reported.append)
    assert (found.names, found.n_bins, found.titles, found.notes) == (
        ("a", "b", "c"), 2, ("step",), (),
    )  # fmt: skip
    assert repr(found) == f"<ckread.RunStatistics {str(run)!r}: 3 variables, 3 checkpoints>"
    assert sum(reported) == 4 * (3 * 6 + 2 * 3)
    for step, moment in enumerate(found.moments, 1):
        alone = statistics(run / f"ckpt-{step}", n_bins=2)
        assert [v.to_dict() for v in moment.variables.values()] == [v.to_dict() for v in alone]
        assert (moment.path, moment.step, moment.epoch, moment.numbers) == (
            str(run / f"ckpt-{step}"), step, None, (step,),
        )  # fmt: skip
    assert [s and s.mean for s in found["b"].statistics] == [None, 3, 4]
    assert [s and s.mean for s in found["a"].statistics] == [1, 2, 3]
    document = found.to_dict()
    assert document["path"] == str(run)
    assert document["checkpoints"][0] == {
        "path": str(run / "ckpt-1"), "step": 1, "epoch": None, "numbers": [1],
        "time": found.moments[0].time,
        "variables": statistics(run / "ckpt-1", n_bins=2).to_dict()["variables"],
    }  # fmt: skip
    assert document["evidence"] == [claim.to_dict() for claim in found.evidence]
    assert found.damaged == ()
    table = found.to_pandas()
    assert list(table.columns[:4]) == ["name", "checkpoint", "step", "key"]
    assert list(zip(table["name"], table["step"], table["mean"], strict=True)) == [
        ("a", 1, 1), ("c", 1, 0.5), ("a", 2, 2), ("b", 2, 3), ("c", 2, 1),
        ("a", 3, 3), ("b", 3, 4), ("c", 3, 1.5),
    ]  # fmt: skip
    few = statistics_of_run(run, "b", roles=list(Role))
    assert (few.names, [list(m.variables) for m in few.moments]) == (("b",), [[], ["b"], ["b"]])
    assert len(few.moments[1].variables["b"].to_dict(few.n_bins)["histogram"]["counts"]) == 64


def test_what_a_run_has_lost(run: Path) -> None:
    (run / "ckpt-2.index").write_bytes(b"nothing of the kind")
    damaged(run, 3)
    found = statistics_of_run(run)
    assert [moment.step for moment in found.moments] == [1, 3]
    [note] = found.notes
    assert note.startswith(f"{run / 'ckpt-2'} was left out: ")
    assert [one.name for one in found.damaged] == ["b"]
    assert list(found.to_pandas()["name"]) == ["a", "c", "a", "c"]
    opened = open_run(run)
    for one in run.glob("*.index"):
        one.unlink()
    with pytest.raises(CheckpointNotFoundError):
        statistics_of_run(opened)


@pytest.mark.parametrize(("more", "is_exact"), [(0, True), (1, False)])
def test_what_fits_a_chunk_is_exact(tmp_path: Path, more: int, is_exact: bool) -> None:
    values = np.random.default_rng(0).normal(size=CHUNK_NBYTES // 4 + more).astype(np.float32)
    found = statistics(write_bundle(tmp_path / "x", {"w": values}))["w"].distribution
    assert found is not None
    assert all(q.low == q.high for q in found.quantiles) is is_exact
