"""Pictures of a run: data on the axes, kinds of cells, texts that lie clear of each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.drift import drift
from ckread.analysis.drift_records import RunDrift, VariableDrift
from ckread.analysis.history import history
from ckread.analysis.track import track
from ckread.errors import UsageError
from ckread.model.role import Role
from ckread.model.run import open_run
from ckread.model.run_entries import RunEntry
from ckread.readers.dtypes import DataType
from ckread.views.figures.brackets import brackets
from ckread.views.figures.drift import plot_drift
from ckread.views.figures.drift_cells import Kind, cells_of, limits
from ckread.views.figures.history import plot_history
from ckread.views.figures.steps import even_ticks, pushed_apart
from ckread.views.figures.style import DARK
from ckread.views.figures.track import plot_track
from tests.views.figures.layout import assert_layout_is_clean, tagged, text_of

if TYPE_CHECKING:
    from pathlib import Path


def _variable(name: str, n: int, *, seed: int, bad_from: int | None = None) -> VariableDrift:
    random = np.random.default_rng(seed)
    moves = 10 ** random.uniform(-4, 0, n)
    bad = [bad_from is not None and i >= bad_from for i in range(n)]
    distances = [math.nan if b else float(m) for b, m in zip(bad, moves, strict=True)]
    return VariableDrift(
        name=name,
        role=Role.WEIGHT,
        dtype=DataType.FLOAT32,
        shape=(4,),
        elements=4,
        present=(True,) * n,
        changed=(None, *([i % 7 != 3 for i in range(1, n)])),
        l2=(1.0,) * n,
        from_first=(0.0, *distances[1:]),
        from_previous=(None, *distances[1:]),
        cosine_to_first=(1.0,) * n,
        nan=tuple(4 if b else 0 for b in bad),
        infinite=(0,) * n,
        first_nonfinite=bad_from,
    )


def _drift(
    n_variables: int, n_steps: int, *, names: str = "layer_{}/kernel", big: int = 1
) -> RunDrift:
    entries = tuple(RunEntry(f"run/ckpt-{i}", (i + 1) * big) for i in range(n_steps))
    variables = tuple(
        _variable(names.format(i), n_steps, seed=i, bad_from=n_steps - 1 if i == 0 else None)
        for i in range(n_variables)
    )
    rate = tuple(0.1 / (i + 1) for i in range(n_steps))
    return RunDrift("run", entries, variables, False, {}, learning_rate=rate)


@pytest.mark.parametrize("n_variables", [1, 5, 6, 7, 40, 75, 76, 400])
@pytest.mark.parametrize("n_steps", [2, 10, 200])
def test_texts_of_a_drift_lie_clear(n_variables: int, n_steps: int) -> None:
    for page in plot_drift(_drift(n_variables, n_steps)):
        assert_layout_is_clean(page)


@pytest.mark.parametrize(
    "names", ["x{}/" + "long_" * 24 + "name", "größe_{}/ядро", "a/b/c/d/$x_{}$/kernel"]
)
@pytest.mark.parametrize("n_variables", [5, 40])
def test_odd_names_lie_clear(names: str, n_variables: int) -> None:
    result = _drift(n_variables, 10, names=names, big=1_000_003)
    for page in plot_drift(result, palette=DARK):
        assert_layout_is_clean(page)
        texts = [*tagged(page, "ckread:heading"), *tagged(page, "ckread:name")]
        heading, labels = "", []
        for text in sorted(texts, key=lambda text: -text.get_position()[1]):
            if text.get_gid() == "ckread:heading":
                heading = text.get_text()
            else:
                labels.append((heading, text.get_text()))
        assert len(set(labels)) == len(labels), "within a heading labels are different"


def test_lines_hold_the_distances() -> None:
    result = _drift(3, 8)
    [figure] = plot_drift(result)
    for variable in result.variables:
        [line] = tagged(figure, f"ckread:line:{variable.name}")
        np.testing.assert_array_equal(line.get_xdata(), range(1, 9))
        np.testing.assert_array_equal(line.get_ydata(), variable.from_first)
        same = tagged(figure, f"ckread:same:{variable.name}")[0]
        assert list(same.get_xdata()) == [4]
    [cross] = tagged(figure, f"ckread:bad:{result.variables[0].name}")
    assert list(cross.get_xdata()) == [8]
    assert text_of(figure, "ckread:y").startswith("distance from the first checkpoint")


def test_a_map_holds_every_kind_of_cell() -> None:
    result = _drift(7, 9)
    cells = cells_of(result.variables)
    assert cells.first == 1
    assert cells.kinds[0, -1] == Kind.BAD
    assert cells.kinds[1, 2] == Kind.SAME
    assert cells.distances[1, 0] == result.variables[1].from_previous[1]
    [figure] = plot_drift(result)
    images = tagged(figure, "ckread:cells")
    drawn = np.concatenate([np.ma.filled(image.get_array(), np.nan) for image in images])
    expected = np.where(cells.kinds == Kind.MOVED, cells.distances, np.nan)
    np.testing.assert_array_equal(drawn, expected)
    assert len(tagged(figure, "ckread:bad")) == 1
    assert len(tagged(figure, "ckread:bar:")) == 7


def test_absent_cells_and_starts() -> None:
    variable = VariableDrift(
        "w", Role.WEIGHT, DataType.FLOAT32, (4,), 4,
        present=(False, True, True), changed=(None, None, True), l2=(None, 1.0, 2.0),
        from_first=(None, 0.0, 1.0), from_previous=(None, None, 1.0),
        cosine_to_first=(None, 1.0, 1.0), nan=(0, 0, 0), infinite=(0, 0, 0),
    )  # fmt: skip
    cells = cells_of([variable])
    assert cells.kinds.tolist() == [[Kind.START, Kind.MOVED]]


def test_limits_are_decades_and_six_at_most() -> None:
    assert limits(np.full((2, 3), 0.002)) == (1e-3, 1e-2)
    assert limits(np.array([[0.002] * 50 + [0.5] * 50])) == (1e-3, 1.0)
    low, high = limits(np.geomspace(1e-12, 1, 1000).reshape(1, -1))
    assert high / low == pytest.approx(1e6)
    assert limits(np.full((1, 3), np.nan)) == (1e-3, 1.0)


def test_more_than_a_page() -> None:
    result = _drift(460, 3)
    pages = plot_drift(result)
    assert len(pages) == 2
    assert "page 1 of 2: 1–450" in text_of(pages[0], "ckread:subtitle")
    assert "The other 10 are on other pages" in text_of(pages[0], "ckread:note")


def test_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="one checkpoint, nothing to draw"):
        plot_drift(_drift(3, 1))


def test_by_checksum(fixtures_dir: Path) -> None:
    [figure] = plot_drift(drift(open_run(fixtures_dir / "digits_run"), index_only=True))
    assert_layout_is_clean(figure)
    assert not tagged(figure, "ckread:bar:")


def test_brackets_split_until_they_are_too_low() -> None:
    names = [f"net/block_{i}/{leaf}" for i in range(3) for leaf in ("a", "b", "c", "d")]
    assert [bracket.label for bracket in brackets(names, 0.05)] == ["0", "1", "2"]
    [(start, stop, _)] = brackets(names, 0.01)
    assert (start, stop) == (0, 12)
    found = brackets(names, 0.2)
    assert [b.start for b in found] == list(range(12))


def test_ticks_of_steps_are_checkpoints() -> None:
    entries = [RunEntry(f"c-{i}", i * 50) for i in range(1, 41)]
    at = even_ticks(entries, 4.0)
    assert all((entries[i].step or 1) % 200 == 0 for i in at)
    assert even_ticks(entries[:2], 4.0) == [0, 1]
    assert even_ticks(entries[:2], 0.1) == [1]


def test_labels_are_pushed_apart() -> None:
    placed = pushed_apart([1.0, 1.01, 0.2], 0.15, 0.0, 1.0)
    assert placed == pytest.approx([0.85, 1.0, 0.2])


@pytest.mark.parametrize("n", [1, 4, 12])
def test_tracked_values(fixtures_dir: Path, n: int) -> None:
    elements = [f"logits/bias[{i}]" for i in range(10)]
    patterns = ["learning_rate", "iterations", *elements][:n]
    result = track(open_run(fixtures_dir / "digits_run"), patterns)
    figure = plot_track(result)
    assert_layout_is_clean(figure)
    for variable in result.variables:
        [line] = tagged(figure, f"ckread:line:{variable.name}")
        np.testing.assert_array_equal(line.get_ydata(), np.array(variable.values, np.float64))
        assert line.get_drawstyle() == "steps-post"
    assert len(tagged(figure, "ckread:strip:")) == n


def test_too_many_values(fixtures_dir: Path) -> None:
    patterns = [f"conv1/bias[{i}]" for i in range(13)]
    with pytest.raises(UsageError, match="13 values do not fit one picture"):
        plot_track(track(open_run(fixtures_dir / "digits_run"), patterns))


def test_a_history_and_its_checkpoints(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "digits_run"
    result = history(folder / "history.json", open_run(folder))
    figure = plot_history(result)
    assert_layout_is_clean(figure)
    assert text_of(figure, "ckread:title") == "Best val_loss 0.0353 at epoch 8, held by ckpt-8"
    for name, values in result.metrics.items():
        [curve] = tagged(figure, f"ckread:curve:{name}")
        np.testing.assert_array_equal(curve.get_ydata(), values)
    [ring] = tagged(figure, "ckread:best:loss")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (8, 0.035304)
    kept = tagged(figure, "ckread:kept")[0]
    assert sorted(kept.get_xdata()) == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert text_of(figure, "ckread:holder") == "ckpt-8"


def test_a_history_with_a_gap_breaks_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss\n0,5\n1,4\n")
    (tmp_path / "b.csv").write_text("epoch,loss\n4,3\n5,2\n")
    figure = plot_history(history([tmp_path / "a.csv", tmp_path / "b.csv"]), palette=DARK)
    assert_layout_is_clean(figure)
    [curve] = tagged(figure, "ckread:curve:loss")
    np.testing.assert_array_equal(curve.get_ydata(), [5, 4, np.nan, 3, 2])
    assert "Dashed line: where training was resumed." in text_of(figure, "ckread:note")
