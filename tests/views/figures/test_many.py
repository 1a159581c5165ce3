"""Pictures of distributions, by their data and their layout."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest

from ckread.cli.files import check_target, save, show
from ckread.errors import UsageError
from ckread.views.figures.many import ROWS, bins_for, plot_distributions
from ckread.views.figures.sheet import WIDTH
from ckread.views.figures.style import DARK, LIGHT, Palette
from tests.views.figures.layout import assert_layout_is_clean, tagged, text_of
from tests.views.figures.samples import NAMES, variable, variables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("n", [1, 2, 6, 40, 49, 190])
def test_texts_lie_on_the_sheet_and_do_not_overlap(n: int, names: str) -> None:
    pages = plot_distributions(
        variables(n, NAMES[names]),
        title=f"Weights of {'a_long_name_' * 20}",
        evidence=["step 12345678", f"{n} weights in the order of the model", "pattern " * 20],
        notes=["2 damaged weights left out."],
        palette=LIGHT if n % 2 else DARK,
    )
    for page in pages:
        assert page.get_size_inches()[0] == WIDTH
        assert_layout_is_clean(page)


@pytest.mark.parametrize("n", [2, 6, 40, 48])
def test_panels_follow_the_order_of_the_model(n: int) -> None:
    rows = variables(n)
    [page] = plot_distributions(rows, title="Weights")
    panels = tagged(page, "ckread:panel:")
    assert [panel.get_gid().removeprefix("ckread:panel:") for panel in panels] == [
        row.name for row in rows
    ]


def test_heights_are_the_counts_scaled_to_the_fullest_bin() -> None:
    rows = [variable("a", np.linspace(-1, 1, 1000) ** 3), variable("b", np.zeros(40))]
    [page] = plot_distributions(rows, title="Weights")
    [outline] = tagged(page, "ckread:histogram")
    counts, edges, _ = outline.get_data()
    distribution = rows[0].distribution
    assert distribution is not None
    histogram = distribution.histogram(bins_for(1000))
    np.testing.assert_allclose(counts * max(histogram.counts), histogram.counts)
    np.testing.assert_array_equal(edges, histogram.edges)
    [said] = tagged(page, "ckread:instead")
    assert said.get_text() == "all 0"


def test_few_elements_are_strokes_at_their_values() -> None:
    array = np.array([0.5, -1.0, 2.0], np.float32)
    [page] = plot_distributions([variable("a", array), variable("b", array)], title="Weights")
    strokes = tagged(page, "ckread:strokes")
    assert [segment[0][0] for segment in strokes[0].get_segments()] == [-1.0, 0.5, 2.0]


def test_nan_is_counted_in_place_of_the_shape() -> None:
    array = np.linspace(0, 1, 100, dtype=np.float32)
    bad = array.copy()
    bad[:3] = np.nan
    [page] = plot_distributions([variable("a", array), variable("b", bad)], title="Weights")
    written = {text.get_text() for text in page.texts}
    assert {"100", "3 NaN"} <= written


def test_a_shared_axis_has_its_labels_in_the_bottom_row_only() -> None:
    rows = [variable(f"v{i}", np.linspace(-i, 1, 99)) for i in range(9)]
    [page] = plot_distributions(rows, title="Weights", is_shared=True)
    panels = tagged(page, "ckread:panel:")
    limits = {tuple(axes.get_xlim()) for axes in panels}
    assert len(limits) == 1
    labelled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels]
    assert labelled == [False] * (len(panels) - 5) + [True] * 5
    assert "one value axis" in text_of(page, "ckread:subtitle")


def test_one_variable_shows_its_numbers() -> None:
    array = np.linspace(-1, 3, 4000, dtype=np.float32)
    [page] = plot_distributions([variable("layer/kernel", array)], title="", evidence=["step 7"])
    assert text_of(page, "ckread:title") == "layer/kernel"
    subtitle = text_of(page, "ckread:subtitle")
    assert subtitle == "step 7  ·  float32  ·  4000  ·  4000 elements"
    [outline] = tagged(page, "ckread:histogram")
    counts, _, _ = outline.get_data()
    assert len(counts) == 60
    assert counts.sum() == 4000
    [median] = tagged(page, "ckread:median")
    assert median.get_segments()[0][0][0] == pytest.approx(1.0)
    [mean] = tagged(page, "ckread:mean")
    assert mean.get_segments()[0][0][0] == pytest.approx(1.0)
    [std] = tagged(page, "ckread:std")
    assert std.get_xdata() == pytest.approx([1 - array.std(), 1 + array.std()], rel=1e-6)
    written = {text.get_text() for text in page.texts}
    assert {"mean", "1.000", "min", "−1.000", "max", "3.000", "L2 norm"} <= written


def test_counts_of_very_different_size_are_drawn_logarithmically() -> None:
    array = np.concatenate([np.zeros(100_000), np.linspace(-1, 1, 100)]).astype(np.float32)
    [page] = plot_distributions([variable("a", array)], title="")
    assert text_of(page, "ckread:y") == "elements per bin (log)"
    assert "log" in {axes.get_yscale() for axes in page.axes}
    [plain] = plot_distributions([variable("a", array)], title="", is_log=False)
    assert text_of(plain, "ckread:y") == "elements per bin"


def test_one_variable_without_a_finite_element() -> None:
    for array, said in ((np.full(9, np.nan), "all NaN"), (np.empty(0), "no elements")):
        [page] = plot_distributions([variable("a", array.astype(np.float32))], title="")
        assert said in {text.get_text() for text in page.texts}
        assert_layout_is_clean(page)


def test_many_variables_are_rows_of_quantiles_on_pages() -> None:
    rows = variables(400)
    pages = plot_distributions(rows, title="Weights", evidence=["400 weights"])
    assert len(pages) == 3
    assert text_of(pages[0], "ckread:subtitle") == "400 weights  ·  page 1 of 3: 1–180"
    notes = [text.get_text() for text in tagged(pages[0], "ckread:note")]
    sentence = "The other 220 are on other pages: a PDF holds all; for PNG and SVG give a PATTERN."
    assert sentence in notes
    lines = tagged(pages[0], "ckread:q01-q99:")
    drawn = {line.get_gid().removeprefix("ckread:q01-q99:"): line for line in lines}
    for row in rows[:180]:
        distribution = row.distribution
        assert distribution is not None
        if not distribution.quantiles:
            assert row.name not in drawn
            continue
        ends = [distribution.quantiles[0].value, distribution.quantiles[-1].value]
        assert list(drawn[row.name].get_xdata()) == ends
    limits = {tuple(axes.get_xlim()) for page in pages for axes in tagged(page, "ckread:rows")}
    assert len(limits) == 1, "pages can be compared"
    assert 2 * ROWS == 180


@pytest.mark.parametrize("names", NAMES)
def test_names_of_rows_are_different_under_their_heading(names: str) -> None:
    [page, *_] = plot_distributions(variables(100, NAMES[names]), title="Weights")
    heading, seen = "", set()
    for text in page.texts:
        gid = text.get_gid() or ""
        if gid == "ckread:heading":
            heading = text.get_text()
        elif gid.startswith("ckread:name:"):
            label = (heading, text.get_text())
            assert label not in seen
            seen.add(label)
    assert len(seen) == 100


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_are_the_same_twice(tmp_path: Path, kind: str) -> None:
    contents = []
    for i in range(2):
        pages = plot_distributions(variables(6), title="Weights")
        path = tmp_path / f"{i}.{kind}"
        assert save(pages, str(path), LIGHT) == 1
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert [child.name for child in tmp_path.iterdir() if child.name.startswith(".")] == []


def test_an_svg_has_every_name_as_text(tmp_path: Path) -> None:
    rows = variables(6)
    path = tmp_path / "x.svg"
    save(plot_distributions(rows, title="Weights"), str(path), LIGHT)
    svg = path.read_text(encoding="utf-8")
    assert all(f">{row.name}</text>" in svg for row in rows)
    assert "'DejaVu Sans', 'Verdana', sans-serif" in svg


def test_a_pdf_holds_all_pages_and_true_type_fonts(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    assert save(plot_distributions(variables(400), title="Weights"), str(path), LIGHT) == 3
    pdf = path.read_bytes()
    assert b"/Count 3" in pdf
    assert b"/Type3" not in pdf


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"mine")
    pages = plot_distributions(variables(1), title="")
    with pytest.raises(UsageError, match=r"x\.png: exists already"):
        save(pages, str(path), LIGHT)
    assert path.read_bytes() == b"mine"
    save(pages, str(path), LIGHT, force=True)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.gif: not a kind of picture"):
        check_target("x.gif", force=True)
    pages = plot_distributions(variables(1), title="")
    with pytest.raises(UsageError, match="no such directory to write to"):
        save(pages, str(tmp_path / "none" / "x.png"), LIGHT)


def _settings() -> dict[str, object]:
    """Give all settings but the backend, which to look at is to choose."""
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_settings_are_as_before(palette: Palette) -> None:
    mpl.rcParams["font.size"] = 31
    before = _settings()
    plot_distributions(variables(3), title="Weights", palette=palette)
    assert _settings() == before
    mpl.rcdefaults()


def test_pyplot_is_not_imported() -> None:
    script = (
        "import sys;from tests.views.figures.samples import variables;"
        "from ckread.views.figures.many import plot_distributions;"
        "plot_distributions(variables(8), title='');print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    mpl.use("agg")
    with pytest.raises(UsageError, match="no display to show a picture on"):
        show(plot_distributions(variables(1), title=""))
