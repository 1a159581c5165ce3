"""Pictures of a diff, by their data and their layout: what stands where, and nothing overlaps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.text import Text

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.difference import measure_difference
from ckread.cli.files import save
from ckread.errors import UsageError
from ckread.model.role import Role
from ckread.views.figures.diff import ROWS, dot_rows, plot_diff, plot_difference
from ckread.views.figures.style import DARK, LIGHT, Palette
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from ckread.analysis.diff.records import CheckpointDiff


def grid(*shape: int, seed: int = 1) -> Any:
    n = int(np.prod(shape))
    return (((np.arange(n) * 37 * seed) % 101 - 50) / 64).astype(np.float32).reshape(shape)


def diff_of(before: dict[str, Any], after: dict[str, Any], **options: Any) -> CheckpointDiff:
    return diff_checkpoints(
        checkpoint(before, path="run/a", **options), checkpoint(after, path="run/b", **options)
    )


def by_gid(figure: Figure, gid: str) -> Any:
    (artist,) = figure.findobj(lambda artist: artist.get_gid() == gid)
    return artist


def texts_of(figure: Figure) -> list[Text]:
    found: list[Any] = figure.findobj(Text)
    return found


def texts_with(figure: Figure, gid: str) -> list[str]:
    return [text.get_text() for text in texts_of(figure) if text.get_gid() == gid]


def check_layout(figure: Figure) -> None:
    """Check that all visible texts lie on the sheet, and none on another."""
    figure.canvas.draw()
    renderer: Any = figure.canvas
    sheet = figure.bbox
    boxes = []
    for text in texts_of(figure):
        if not text.get_text() or not text.get_visible():
            continue
        box = text.get_window_extent(renderer.get_renderer())
        axes = text.axes
        if axes is not None and not axes.axison:
            continue
        assert box.x0 >= -1, text
        assert box.x1 <= sheet.x1 + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= sheet.y1 + 1, text
        boxes.append((box, text.get_text()))
    for (one, first), (two, second) in itertools.combinations(boxes, 2):
        across = min(one.x1, two.x1) - max(one.x0, two.x0)
        down = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert across <= 1 or down <= 1, (first, second)


def many(n: int, *, name: str = "block_{}/conv/{}") -> CheckpointDiff:
    names = [name.format(i // 2, "wb"[i % 2]) for i in range(n)]
    before = {name: grid(4, 4, seed=i + 1) for i, name in enumerate(names)}
    after = {
        name: array * np.float32(1 + 10.0 ** -(i % 7)) for i, (name, array) in
        enumerate(before.items())
    }  # fmt: skip
    return diff_of(before, after)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_kind_of_row(palette: Palette) -> None:
    before = {"a/w": grid(5), "a/mean": grid(6), "b/w": grid(7), "c/w": np.zeros(3, np.float32),
              "d/w": grid(8), "e/w": grid(9), "f/w": grid(10), "g/old": grid(11)}  # fmt: skip
    bad = grid(8)
    bad[2] = np.inf
    after = {"a/w": grid(5) * 2, "a/mean": grid(6) * np.float32(1.5), "b/w": grid(7),
             "c/w": grid(3), "d/w": bad, "e/w": grid(3, 3), "f/w": grid(10).astype(np.float64),
             "g/new": grid(11), "h/w": grid(2)}  # fmt: skip
    result = diff_of(before, after, roles={"a/mean": Role.STATISTIC})
    (figure,) = plot_diff(result, palette=palette)
    for name, relative in (("a/w", 1.0), ("a/mean", 0.5)):
        dot = by_gid(figure, f"ckread:dot:{name}")
        assert float(dot.get_xdata()[0]) == pytest.approx(relative, rel=1e-6)
    assert by_gid(figure, "ckread:dot:a/w").get_marker() == "o"
    assert by_gid(figure, "ckread:dot:a/mean").get_marker() == "D"
    assert by_gid(figure, "ckread:from-zero:c/w") is not None
    assert set(texts_with(figure, "ckread:word")) == {
        "identical", "from all zeros", "NaN or Inf on one side", "reshaped 9 → 3×3",
        "retyped float32 → float64, a cast", "renamed", "added",
    }  # fmt: skip
    assert texts_with(figure, "ckread:name:g/old → g/new") == ["g/old → g/new"]
    axes = by_gid(figure, "ckread:dots")
    assert axes.get_xscale() == "log"
    assert "log scale" in texts_with(figure, "ckread:subtitle")[0]
    check_layout(figure)


def test_the_title_is_the_verdict() -> None:
    (figure,) = plot_diff(many(4), palette=LIGHT)
    (title,) = texts_with(figure, "ckread:title")
    assert title.startswith("All 4 variables changed; the weights moved")


@pytest.mark.parametrize("n", [1, 6, ROWS])
@pytest.mark.parametrize(
    "name",
    ["block_{}/conv/{}", "a" * 60 + "/{}/" + "b" * 60 + "/{}", "ünïcode_{}/Größe/{}", "{}{}"],
)
def test_layout(n: int, name: str) -> None:
    (figure,) = plot_diff(many(n, name=name), palette=LIGHT)
    check_layout(figure)
    labels = [
        text.get_text()
        for text in texts_of(figure)
        if (text.get_gid() or "").startswith("ckread:name:")
    ]
    assert len(set(labels)) == len(labels) == n


def test_more_than_a_page_says_so() -> None:
    pages = plot_diff(many(2 * ROWS + 10), palette=LIGHT)
    assert len(pages) == 3
    assert "page 1 of 3: 1–60" in texts_with(pages[0], "ckread:subtitle")[0]
    assert any("The other 70 rows are on other pages" in t for t in
               texts_with(pages[0], "ckread:note"))  # fmt: skip
    limits = {by_gid(page, "ckread:dots").get_xlim() for page in pages}
    assert len(limits) == 1, "pages compare"
    for page in pages:
        check_layout(page)


def test_long_still_layers_are_one_row() -> None:
    before = {f"conv/{i}": grid(4, seed=i + 1) for i in range(9)} | {"head/w": grid(3)}
    rows = dot_rows(diff_of(before, before | {"head/w": grid(3) * 2}).variables)
    assert [(row.name, row.word) for row in rows] == [("conv/**", "9 identical"), ("head/w", "")]


def test_one_variable_before_and_after() -> None:
    before, after = grid(40, 50), grid(40, 50) + np.float32(0.25) * (grid(40, 50, seed=3) > 0)
    a, b = checkpoint({"w": before}), checkpoint({"w": after})
    result = diff_checkpoints(a, b)
    difference = measure_difference(a["w"], b["w"])
    wide = before.astype(np.float64), after.astype(np.float64)
    for counts, values, edges in (
        (difference.before, wide[0], difference.edges),
        (difference.after, wide[1], difference.edges),
    ):
        assert counts == tuple(np.histogram(values, np.array(edges))[0])
        assert sum(counts) == 2000
    distance = (wide[1] - wide[0]).ravel()
    assert difference.unchanged == np.count_nonzero(distance == 0)
    assert sum(difference.moved) == 2000 - difference.unchanged
    assert difference.moved_edges[0] == -difference.moved_edges[-1]
    figure = plot_difference(result, result.variables[0], difference, palette=LIGHT)
    assert tuple(by_gid(figure, "ckread:before").get_data().values) == difference.before
    texts = " ".join(text.get_text() for text in texts_of(figure))
    assert f"{difference.unchanged} unchanged left out" in texts
    assert "elements changed" in texts_with(figure, "ckread:note")[0]
    check_layout(figure)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0, 1.0], [1.0, 1.0]),
        ([np.nan, 1.0], [2.0, np.inf]),
        ([np.nan, np.nan], [np.nan, np.nan]),
        ([1e-30, 2e-30], [3e-30, -1e-30]),
        ([1e30, -1e30], [1e30, 3e30]),
    ],
)
def test_odd_values(before: list[float], after: list[float]) -> None:
    a, b = (checkpoint({"w": np.array(side, np.float32)}) for side in (before, after))
    difference = measure_difference(a["w"], b["w"])
    finite = np.isfinite(before) & np.isfinite(after)
    assert difference.not_finite == 2 - np.count_nonzero(finite)
    assert sum(difference.moved) + difference.unchanged == np.count_nonzero(finite)
    result = diff_checkpoints(a, b)
    check_layout(plot_difference(result, result.variables[0], difference, palette=LIGHT))


def test_what_has_no_distribution() -> None:
    a, b = checkpoint({"w": grid(4), "c": grid(2) * 1j}), checkpoint({"w": grid(5)})
    with pytest.raises(UsageError, match="w: 4 elements before, 5 after"):
        measure_difference(a["w"], b["w"])
    with pytest.raises(UsageError, match="c: no distribution of complex64 values"):
        measure_difference(a["c"], a["c"])


def test_files_are_the_same_every_time_and_hold_text(tmp_path: Path) -> None:
    data = []
    for i in range(2):
        path = tmp_path / f"{i}.svg"
        save(plot_diff(many(5), palette=LIGHT), str(path), LIGHT)
        data.append(path.read_bytes())
    assert data[0] == data[1]
    assert b">block_1/conv/w</text>" in data[0]
