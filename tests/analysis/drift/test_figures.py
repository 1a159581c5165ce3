"""Figures made of sums, records, documents, tables and columns of small runs, whole."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.drift import measuring
from ckread.analysis.drift.drift import drift
from ckread.analysis.drift.measuring import Span, figures_of, spans
from ckread.analysis.drift.records import changes, moved_of
from ckread.analysis.track import track
from ckread.errors import MissingShardError, UsageError, VariableNotFoundError
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import BundleBuilder, write_bundle
from tests.model.columns.test_variables import NEVER, columns_above

if TYPE_CHECKING:
    from pathlib import Path


def test_figures_are_ratios_of_norms() -> None:
    states = np.array([[3.0, 4, 0], [3, 0, 4], [0, 0, 0], [0, 0, 0], [6, 8, 0], [6, 8, 1e-4]])
    sums = np.zeros((1, 6, 6))
    for i, x in enumerate(states):
        first, before = x - states[0], x - states[i - 1]
        sums[0, i] = [x @ x, first @ first, before @ before if i else np.nan, x @ states[0], 0, 0]
    l2, from_first, from_previous, cosine, nan, infinite, finite = figures_of(sums, [3], range(6))
    norms = [math.sqrt(x @ x) for x in states]
    assert l2[0] == pytest.approx([8 * n for n in norms])
    far = [math.sqrt((x - states[0]) @ (x - states[0])) / 5 for x in states]
    assert from_first[0] == pytest.approx(far)
    assert from_previous[0][0] is None
    steps = [math.sqrt(32) / 5, 1, 0, math.inf, 1e-5]
    assert from_previous[0][1:] == pytest.approx(steps)
    assert cosine[0][:2] == pytest.approx((1, 9 / 25))
    assert cosine[0][2:4] == (None, None)
    assert cosine[0][4] == 1
    assert 1 - cosine[0][5] == pytest.approx(5e-11, rel=1e-3)
    assert (nan, infinite, finite) == ([(0,) * 6], [(0,) * 6], [True])


def test_figures_of_several_and_of_gaps() -> None:
    sums = np.ones((3, 4, 6))
    sums[..., 4:] = 0
    sums[1, 2, 4], sums[2, 3, 5] = 7, 9
    *_, previous, _, nan, infinite, finite = figures_of(sums, [0, 0, 0], [0, 1, 4, 5])
    assert [[x is None for x in line] for line in previous] == [[True, False, True, False]] * 3
    assert nan == [(0,) * 4, (0, 0, 7, 0), (0,) * 4]
    assert infinite == [(0,) * 4, (0,) * 4, (0, 0, 0, 9)]
    assert finite == [True, False, False]
    one = figures_of(sums[:1, :1], [0], [2])
    assert one[2] == [(None,)]


def test_runs_are_cut_for_several_workers() -> None:
    assert spans(5, 4) == [Span(range(5))]
    assert spans(18, 4) == [Span(range(18))]
    assert spans(1000, 1) == [Span(range(1000))]
    assert [[*span.which] for span in spans(19, 4)] == [[*range(16)], [0, 15, 16, 17, 18]]
    assert [span.lead for span in spans(40, 2)] == [0, 2, 2]
    for n, workers in ((200, 2), (1000, 2), (1000, 8)):
        cut = spans(n, workers)
        size = {200: 25, 1000: 64 if workers == 2 else 31}[n]
        assert [*cut[0].which] == list(range(size))
        measured = [at for span in cut for at in list(span.which)[span.lead :]]
        assert measured == list(range(n))
        for before, span in pairwise(cut):
            assert list(span.which)[:2] == [0, list(before.which)[-1]]


def test_how_far_a_variable_moved_at_last() -> None:
    assert moved_of(False, (0.0, 3.0)) == 0
    assert moved_of(True, (0.0, 3.0)) == 3
    assert moved_of(True, (0.0, 3.0, math.nan, None)) == 3
    assert moved_of(True, (math.nan, None)) is None
    assert moved_of(True, ()) is None


def test_what_checksums_tell_of_changes() -> None:
    def cell(*values: float, dtype: str = "f4", known: bool = True) -> Any:
        return checkpoint({"w": np.array(values, dtype)}, has_checksums=known)["w"]

    a, b = cell(1, 2), cell(1, 3)
    assert changes([a, a, b, b]) == [None, False, True, False]
    assert changes([a, None, a, b]) == [None, None, None, True]
    assert changes([None, a, a]) == [None, None, False]
    unknown = cell(1, 2, known=False)
    assert changes([a, unknown, unknown, a]) == [None] * 4
    wide = cell(1, 2, 3, known=False)
    assert changes([a, wide, cell(1, 2, dtype="f8", known=False)]) == [None, True, True]


def write(directory: Path, step: int, **tensors: Any) -> None:
    builder = BundleBuilder()
    for key, values in sorted(tensors.items()):
        array = np.asarray(values, np.int64 if key == "global_step" else np.float32)
        builder.add(key.replace("__", "/"), array, DataType[array.dtype.name.upper()])
    builder.write(directory / f"ckpt-{step}")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step, (w, b) in enumerate((([3, 4], [0]), ([3, 4], [2]), ([6, 8], [2])), 1):
        write(tmp_path, step, w=w, b=b, still=[0, 0, 0], global_step=step, learning_rate=0.5 / step)
    return tmp_path


@pytest.mark.parametrize("n_columns", [-1, NEVER])
def test_a_drift_as_document_and_table(run: Path, n_columns: int) -> None:
    with columns_above(n_columns):
        found = drift(run)
        document = found.to_dict()
        by_name = {one.name: one for one in found}
    where = [{"path": str(run / f"ckpt-{i}"), "step": i} for i in (1, 2, 3)]
    assert [{k: place[k] for k in ("path", "step")} for place in document["checkpoints"]] == where
    w, b, still = (next(v for v in document["variables"] if v["name"] == n)
                   for n in ("w", "b", "still"))  # fmt: skip
    assert w == {
        "name": "w", "role": "weight", "dtype": "float32", "shape": [2], "l2": [5, 5, 10],
        "from_first": [0, 0, 1], "from_previous": [None, 0, 1], "cosine_to_first": [1, 1, 1],
        "changed": [None, False, True], "first_nonfinite": None, "initial": None,
    }  # fmt: skip
    assert b == {
        "name": "b", "role": "weight", "dtype": "float32", "shape": [1], "l2": [0, 2, 2],
        "from_first": [0, None, None], "from_previous": [None, None, 0],
        "cosine_to_first": [None] * 3, "changed": [None, True, False],
        "first_nonfinite": None, "initial": None,
    }  # fmt: skip
    assert (still["initial"], still["changed"]) == ("all 0", [None, False, False])
    assert (document["path"], document["index_only"], document["notes"]) == (str(run), False, [])
    assert document["evidence"] == [claim.to_dict() for claim in found.evidence]
    assert found.learning_rate == (0.5, 0.25, float(np.float32(0.5 / 3)))
    assert {str(role): n for role, n in found.left_out.items()} == {
        "counter": 1, "hyperparameter": 1
    }  # fmt: skip
    moved = {name: (one.moved, one.n_changes, one.first_change) for name, one in by_name.items()}
    assert moved == {"w": (1, 1, 2), "b": (math.inf, 1, 1), "still": (0, 0, None)}
    table = found.to_pandas()
    assert list(table.columns) == [
        "name", "role", "checkpoint", "step", "l2", "from_first", "from_previous",
        "cosine_to_first", "changed",
    ]  # fmt: skip
    mine = table[table["name"] == "w"]
    assert list(mine["l2"]) == [5, 5, 10]
    assert list(mine["step"]) == [1, 2, 3]
    assert list(mine["checkpoint"]) == [one["path"] for one in where]
    with columns_above(n_columns):
        bare = drift(run, index_only=True)
        document = bare.to_dict()
    assert (bare.learning_rate, bare.index_only) == ((), True)
    assert next(v for v in document["variables"] if v["name"] == "w") == {
        "name": "w", "role": "weight", "dtype": "float32", "shape": [2], "l2": [None] * 3,
        "from_first": [None] * 3, "from_previous": [None] * 3, "cosine_to_first": [None] * 3,
        "changed": [None, False, True], "first_nonfinite": None, "initial": None,
    }  # fmt: skip


def test_shapes_that_change_begin_anew(tmp_path: Path) -> None:
    for step, w in enumerate(([3, 4], [6, 8], [1, 0, 0], [1, 0, 0], [3, 4]), 1):
        write(tmp_path, step, w=w, b=[step])
    one = drift([tmp_path / f"ckpt-{i}" for i in range(1, 6)])["w"]
    assert list(one.l2) == [5, 10, 1, 1, 5]
    assert list(one.from_first) == [0, 1, 0, 0, 0]
    assert list(one.from_previous) == [None, 1, None, 0, None]
    assert list(one.cosine_to_first) == [1, 1, 1, 1, 1]
    assert one.changed == (None, True, True, False, True)
    assert (one.shape, one.elements, one.nan, one.infinite) == ((2,), 2, (0,) * 5, (0,) * 5)
    write(tmp_path, 6, w=[np.nan, np.inf], b=[6])
    write(tmp_path, 7, b=[7])
    last = drift([tmp_path / f"ckpt-{i}" for i in range(1, 8)])["w"]
    assert (last.nan, last.infinite) == ((0,) * 5 + (1, 0), (0,) * 5 + (1, 0))
    assert (last.first_nonfinite, last.present) == (5, (True,) * 6 + (False,))
    assert [last.is_finite_at(i) for i in (4, 5, 6)] == [True, False, True]
    assert last.l2[6] is None


def test_rates_of_learning(tmp_path: Path) -> None:
    write(tmp_path, 1, a__learning_rate=0.5, w=[1])
    write(tmp_path, 2, a__learning_rate=0, w=[1])
    assert drift(tmp_path).learning_rate == (0.5, 0)
    write(tmp_path, 3, a__learning_rate=0.5, b__learning_rate=0.25, w=[1])
    assert drift(tmp_path).learning_rate == ()


def test_variables_that_failed_before_those_asked_for(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        odd = [np.nan] if step == 3 else [1.0]
        early = [np.nan] if step == 2 else [1.0]
        write(tmp_path, step, w=odd, w__Adam=early, w__Adam_1=[1.0], v=[step])
    for n_columns in (-1, NEVER):
        with columns_above(n_columns):
            found = drift(tmp_path)
            assert [one.name for one in found.causes] == ["w/Adam"]
            assert found["w/Adam"].first_nonfinite == 1
            assert [one["name"] for one in found.to_dict()["variables"]][-1] == "w/Adam"
            assert drift(tmp_path, roles="weight").causes == ()


def test_a_track_as_document_and_table(run: Path) -> None:
    write(run, 4, w=[1, 2], b=[9], learning_rate=0.25)
    found = track(run, ["learning_rate", "w[1]", "global_step"])
    assert repr(found) == f"<ckread.RunTrack {str(run)!r}: 3 values, 4 checkpoints>"
    assert found.to_dict() == {
        "path": str(run),
        "checkpoints": [entry.to_place() for entry in found.checkpoints],
        "variables": [
            {"name": "learning_rate", "values": [0.5, 0.25, float(np.float32(0.5 / 3)), 0.25]},
            {"name": "w[1]", "values": [4, 4, 8, 2]},
            {"name": "global_step", "values": [1, 2, 3, None]},
        ],
        "notes": [],
        "evidence": [claim.to_dict() for claim in found.evidence],
        "seams": [seam.to_dict() for seam in found.seams],
    }
    assert [str(one.role) for one in found] == ["hyperparameter", "weight", "counter"]
    table = found.to_pandas()
    assert (table.index.name, list(table.index)) == ("step", [1, 2, 3, 4])
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "learning_rate": "float64", "w[1]": "float64", "global_step": "Int64",
    }  # fmt: skip
    again = track(run, ["w[1]", "w[ 1 ]", "w[-1]"])
    assert [one.name for one in again] == ["w[1]", "w[-1]"]
    with pytest.raises(UsageError, match="w: the index means several elements") as error:
        track(run, "w[:]")
    assert error.value.remedy == "Give one integer per dimension: w[0]"
    with pytest.raises(UsageError, match="w: float32 of shape 2 is no scalar") as error:
        track(run, "w")
    assert error.value.remedy == "Give an element: w[0]"


def test_what_a_track_leaves_out(run: Path) -> None:
    write(run, 4, w=[7], b=[9], still=[0, 0, 0], global_step=4, learning_rate=0.25)
    write(run, 5, w=[1, 2, 3], b=[9], still=[0, 0, 0], global_step=5, learning_rate=0.25)
    opened = open_run([run / f"ckpt-{i}" for i in range(1, 6)])
    (run / "ckpt-2.index").write_bytes(b"no index")
    found = track(opened, "w[1]")
    assert [entry.step for entry in found.checkpoints] == [1, 3, 4, 5]
    assert found.variables[0].values[1:] == (8, None, 2)
    assert any(note.startswith("ckpt-2 was left out: ") for note in found.notes)
    assert any(note.endswith(f", in {run / 'ckpt-4'}.") for note in found.notes)
    with pytest.raises(VariableNotFoundError):
        track(run, "nothing")


@pytest.mark.parametrize(
    ("arrays", "remedy"),
    [
        ({"w": 1, "opt/iterations": 3}, "ckread.track({run!r}, 'opt/iterations')"),
        ({"w": [1, 2], "w/Adam": [1, 2]}, "They hold slots of an optimizer, and its rate in no te"),
        ({"w": [1, 2]}, "Nothing in them is known as an optimizer's."),
        ({"w": 1, "a/learning_rate": 1}, "Nearest names:\n  a/learning_rate"),
    ],
)
def test_no_learning_rate(tmp_path: Path, arrays: dict[str, Any], remedy: str) -> None:
    write_bundle(tmp_path / "ckpt-1", {k: np.array(x, float) for k, x in arrays.items()})
    words = ("lr", "*/lr", "rate", "x/learning_rate")
    for word in words[: 2 if "a/learning_rate" in arrays else 4]:
        with pytest.raises(VariableNotFoundError) as error:
            track(tmp_path, word)
        assert remedy.format(run=str(tmp_path)) in str(error.value.remedy)
    for word in ("flr", "rates"):
        with pytest.raises(VariableNotFoundError, match=f"no variable matches {word}"):
            track(tmp_path, word)


def test_checkpoints_without_data_and_those_that_vanish(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "ckpt-2.data-00000-of-00001").unlink()
    found = drift(run)
    assert [entry.step for entry in found.checkpoints] == [1, 3]
    assert found.notes == ("1 checkpoint was left out, its data is not here: ckpt-2.",)
    for step in (4, 5, 6, 7, 8):
        write(run, step, w=[1, step], b=[step], still=[0] * 3, global_step=step, learning_rate=1)
        if step != 5:
            (run / f"ckpt-{step}.data-00000-of-00001").unlink()
    assert drift(run).notes == (
        "5 checkpoints were left out, their data is not here: ckpt-2, ckpt-4, ckpt-6, ….",
    )
    assert [entry.step for entry in drift(run, index_only=True).checkpoints] == list(range(1, 9))
    # Two are deleted while they are read.
    opened = open_run([run / f"ckpt-{step}" for step in (1, 3, 5)])
    monkeypatch.setattr("ckread.analysis.drift.drift._SETTLING_SECONDS", 0.0)
    real = measuring.measure_series

    def deleting(*arguments: Any) -> Any:
        for step in (1, 3):
            for path in run.glob(f"ckpt-{step}.*"):
                path.unlink()
        return real(*arguments)

    monkeypatch.setattr(measuring, "measure_series", deleting)
    with columns_above(NEVER):
        left = drift(opened)
    assert [entry.step for entry in left.checkpoints] == [5]
    assert sorted(left.notes) == [
        f"ckpt-{step} changed while it was read, and was left out." for step in (1, 3)
    ]
    for path in run.glob("*.data*"):
        path.unlink()
    with pytest.raises(MissingShardError, match="of 6 checkpoints only the indexes"):
        drift(run)
