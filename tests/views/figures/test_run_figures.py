"""Pictures of a run: data on the axes, kinds of cells, texts that lie clear of each other."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.figure import Figure

from ckread.analysis.drift.drift import drift
from ckread.analysis.drift.records import RunDrift, VariableDrift
from ckread.analysis.history.history import history
from ckread.analysis.track import track
from ckread.errors import UsageError
from ckread.model.role import Role
from ckread.model.run.entries import RunEntry
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType
from ckread.views.figures import text as names
from ckread.views.figures.axes import (
    axis_word,
    even_ticks,
    labels,
    places,
    pushed_apart,
    set_step_axis,
)
from ckread.views.figures.curves import plot_history, plot_track
from ckread.views.figures.drift import plot_drift
from ckread.views.figures.drift_map import Kind, cells_of, limits
from ckread.views.figures.rows import brackets
from ckread.views.figures.style import DARK
from ckread.views.figures.text import typeset
from tests.builders import write_bundle
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
    notes = " ".join(text.get_text() for text in tagged(pages[0], "ckread:note"))
    assert "The other 10 are on other pages" in notes


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
    assert "Dashed line: where the next log goes on." in text_of(figure, "ckread:note")


def test_two_checkpoints_are_dots_of_how_far_each_moved() -> None:
    for n in (1, 5, 40, 400):
        result = _drift(n, 2)
        [figure] = plot_drift(result)
        assert_layout_is_clean(figure)
        for variable in result.variables[1:]:
            [dot] = tagged(figure, f"ckread:dot:{variable.name}")
            assert dot.get_xdata()[0] == variable.from_first[1]
        assert len(tagged(figure, f"ckread:bad:{result.variables[0].name}")) == 1
        rows = [y for dot in tagged(figure, "ckread:dot:") for y in dot.get_ydata()]
        assert rows == sorted(rows), "rows in the order of the model"
        assert len(tagged(figure, "ckread:number")) == (n if n <= 75 else 0)
    assert "learning rate 0.1 → 0.05" in text_of(figure, "ckread:subtitle")


def test_what_has_no_distance_between_two_checkpoints_has_a_word(tmp_path: Path) -> None:
    w = np.ones((2, 2), np.float32)
    write_bundle(tmp_path / "ckpt-1", {"a": w, "b": 0 * w, "c": w, "d": w, "e": w, "f": w, "g": w})
    after = {"a": w, "b": w, "c": w + 1, "d": np.full((2, 2), np.inf), "e": np.ones(3), "h": w}
    write_bundle(tmp_path / "ckpt-2", {**after, "g": w * np.nan})
    [figure] = plot_drift(drift([tmp_path / "ckpt-1", tmp_path / "ckpt-2"]))
    assert_layout_is_clean(figure)
    names = [text.get_text() for text in tagged(figure, "ckread:name")]
    words = [text.get_text() for text in tagged(figure, "ckread:number")]
    assert dict(zip(names, words, strict=True)) == {
        "a": "identical", "b": "from 0", "c": "1.00", "d": "inf", "e": "reshaped",
        "f": "removed", "g": "NaN", "h": "added",
    }  # fmt: skip


def test_steps_are_where_and_what_the_axis_says() -> None:
    entries = [RunEntry(f"c-{i}", step) for i, step in enumerate((500, 1000, 1500, 2000))]
    axes = Figure(figsize=(5, 2)).add_axes((0, 0, 1, 1))
    set_step_axis(axes, entries, 4.0)
    assert axes.get_xlim() == (500, 2000)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["500", "1000", "1500", "2000"]
    uneven = [RunEntry(f"c-{i}", step) for i, step in enumerate((37, 40, 941, 200_003))]
    set_step_axis(axes, uneven, 4.0)
    assert list(axes.get_xticks()) == [37, 200_003]


def test_equal_steps_keep_their_number_and_stand_apart() -> None:
    entries = [RunEntry(f"c-{i}", step) for i, step in enumerate((100, 200, 200, 300))]
    assert places(entries) == [1, 2, 3, 4]
    assert labels(entries) == ["100", "200", "200", "300"]
    assert axis_word(entries) == "step"
    unknown = [RunEntry("best", None), RunEntry("c-5", 5)]
    assert (labels(unknown), axis_word(unknown)) == (["1", "2"], "checkpoint")


def test_labels_that_are_shifted_inward_do_not_touch() -> None:
    result = _drift(7, 200, big=1000)
    [figure] = plot_drift(result)
    [axes] = [axes for axes in figure.axes if axes.get_gid() == "ckread:map"]
    figure.canvas.draw()
    shown = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in shown]
    assert all(b.x0 - a.x1 > 0.05 * figure.dpi for a, b in pairwise(boxes))
    assert shown[-1].get_text() == "200\u2009000"


def test_a_frozen_and_a_broken_variable_have_words_at_the_end_of_their_line() -> None:
    frozen = _variable("frozen", 5, seed=1)
    frozen = frozen._replace(changed=(None, *[False] * 4), from_first=(0.0,) * 5)
    result = _drift(2, 5)
    result = replace(result, variables=(*result.variables, frozen))
    [figure] = plot_drift(result)
    assert_layout_is_clean(figure)
    words = {text.get_text() for text in figure.texts}
    assert {"unchanged", "NaN", "learning rate", "0.0200"} <= words
    notes = " ".join(text.get_text() for text in tagged(figure, "ckread:note"))
    assert "×: NaN or infinite from there on." in notes


def test_no_marks_are_explained_where_there_are_none() -> None:
    [figure] = plot_drift(_drift(3, 61))
    assert "Marks" not in " ".join(t.get_text() for t in tagged(figure, "ckread:note"))


def test_numbers_of_a_sentence_are_typeset() -> None:
    said = "From 5.00e-5 at step 1,000 down to -1 at step 200,000, a/1,5-2, ckpt-4000."
    assert typeset(said) == (
        "From 5.00e\u22125 at step 1000 down to \u22121 at step 200\u2009000, a/1,5-2, ckpt-4000."
    )


def test_a_tracked_value_that_is_not_finite_is_crossed(tmp_path: Path) -> None:
    for step, value in enumerate((1.0, np.nan, 3.0), 1):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.array([value])})
    figure = plot_track(track(tmp_path, "w[0]"))
    assert_layout_is_clean(figure)
    [crosses] = tagged(figure, "ckread:bad:w[0]")
    assert list(crosses.get_xdata()) == [2]
    assert text_of(figure, "ckread:title") == "w[0]: from 1.00 at step 1 up to 3.00 at step 3"
    assert text_of(figure, "ckread:note").endswith("×: NaN or infinite.")


def test_one_epoch_has_a_dot_and_accuracy_no_log_axis(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss,val_loss\n0,5,6\n")
    figure = plot_history(history(tmp_path / "a.csv"))
    assert_layout_is_clean(figure)
    [axes] = [axes for axes in figure.axes if axes.get_gid() == "ckread:panel:loss"]
    dots = [np.asarray(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    assert {float(y[0]) for y in dots if len(y)} == {5, 6}
    assert text_of(figure, "ckread:subtitle") == "a.csv  ·  1 epoch"
    (tmp_path / "b.csv").write_text("epoch,loss,accuracy\n0,5,0.01\n1,0.1,0.9\n")
    figure = plot_history(history(tmp_path / "b.csv"))
    assert {text.get_text() for text in tagged(figure, "ckread:heading")} == {
        "loss (log)", "accuracy",
    }  # fmt: skip


@pytest.mark.parametrize("is_installed", [True, False])
def test_what_the_font_lacks_comes_from_another_or_is_escaped(
    monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    # STIX comes with matplotlib: here it stands for a font of Chinese, which tests cannot expect.
    monkeypatch.setattr(names, "FALLBACK_FONTS", ("STIXGeneral",) if is_installed else ("None",))
    _forget_fonts()
    try:
        shown = "layer_\u24b6" if is_installed else "layer_\\u24b6"
        assert names.drawable("layer_\u24b6") == shown
        result = _drift(7, 4, names="layer_{}/\u24b6/kernel")
        [figure] = plot_drift(result)
        assert_layout_is_clean(figure)
        written = [text.get_text() for text in tagged(figure, "ckread:name")]
        assert written[0] == f"layer_0/{shown[6:]}/kernel"
        [first, *_] = tagged(figure, "ckread:name")
        expected = ["DejaVu Sans", "STIXGeneral"] if is_installed else ["sans-serif"]
        assert first.get_fontfamily() == expected
    finally:
        _forget_fonts()


def _forget_fonts() -> None:
    for cached in (names._has_glyph, names._installed, names.families_of, names._width):
        cached.cache_clear()
