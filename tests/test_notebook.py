"""What a notebook shows: the command's page as HTML, whole, escaped, bounded, on any ground."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from rich.console import Console
from rich.live import Live
from rich.style import Style
from rich.table import Table as RichTable

import ckread
from ckread import _PAGES as PAGES
from ckread.analysis.loading.records import LoadFact, What
from ckread.views.terminal.html import CSS
from ckread.views.terminal.page import STYLES
from tests.builders import write_bundle
from tests.places import REAL, ROOT, real

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import RichCast

RUN = "fixtures/digits_run"
FACTS = (
    LoadFact(
        What.RUNS_PYTHON, "load_model", "load", ("config.json", "scale"), "Lambda",
        "Lambda layer scale: bytecode, 223 bytes, one function; names it uses: os, getenv",
    ),
    LoadFact(What.READS_FILES, "signature serve", "signature", ("serve", "Read"), "ReadFile", n=2),
)  # fmt: skip
ANSWERS: dict[str, Callable[[], Any]] = {
    "Checkpoint": lambda: ckread.open(RUN),
    "VariableTree": lambda: ckread.open(RUN).tree("conv*/**"),
    "Run": lambda: ckread.open_run(RUN),
    "CheckpointStatistics": lambda: ckread.statistics(RUN),
    "RunStatistics": lambda: ckread.statistics_of_run(RUN, "conv1"),
    "CheckpointSummary": lambda: ckread.info(f"{RUN}/ckpt-10"),
    "CheckpointDiff": lambda: ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3"),
    "RunDrift": lambda: ckread.drift(RUN),
    "RunTrack": lambda: ckread.track(RUN, ["learning_rate", "iterations"]),
    "TrainingHistory": lambda: ckread.history(f"{RUN}/history.json", RUN),
    "CheckReport": lambda: ckread.check(f"{RUN}/ckpt-10"),
    "RestoreForecast": lambda: ckread.compat(
        "fixtures/restoring/pretrained/ckpt-1", "fixtures/restoring/mine/ckpt-1"
    ),
    "OptimizerAudit": lambda: ckread.optimizer(f"{RUN}/ckpt-10"),
    "RunOptimizerAudit": lambda: ckread.optimizer_of_run(RUN),
    "OnLoading": lambda: ckread.OnLoading("model.keras", "keras", FACTS),
}
each = pytest.mark.parametrize("kind", ANSWERS)


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where short paths are enough."""
    monkeypatch.chdir(ROOT)


_VOID = ("br", "wbr")


class Read(HTMLParser):
    """Reads HTML strictly: every element is closed, in order.

    Attributes:
        tags: the elements that were opened.
        attributes: the attributes of all of them.
        rows: the texts of cells, row by row.
        text: all text but the style sheet.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag not in ("span", "b"):
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def read(shown: Any) -> Read:
    html = shown._repr_html_()
    assert html is not None
    return Read(html)


def test_every_kind_that_has_a_page_is_tried() -> None:
    assert set(ANSWERS) == set(PAGES)


@each
def test_the_html_is_whole_and_brings_everything_with_it(kind: str) -> None:
    answer = ANSWERS[kind]()
    assert type(answer).__name__ == kind
    found = read(answer)
    assert set(found.tags) <= {
        "div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "span", "b", "br",
        "wbr", "details", "summary",
    }  # fmt: skip
    assert {name for name, _ in found.attributes} <= {"class", "dir", "scope", "style"}
    assert "table" in found.tags or kind in ("CheckReport", "OnLoading")
    assert len(answer._repr_html_()) < 30_000


@each
def test_html_says_what_a_terminal_says(kind: str) -> None:
    """Word for word; a notebook is wider, so that it has columns that 80 have no room for.

    And in Python: who holds the answer writes `roles='all'`, not `--role all`.
    """
    answer = ANSWERS[kind]()
    assert not re.search(r"(?m)(^|[ (])--[a-z]", f"{read(answer).text}\n{answer}")
    drawn = re.compile(r"^[━╸▁▂▃▄▅▆▇█│├└─·]*$")
    narrow = re.compile(r"and 2 more,? |all \d+ |Left out at this width: \S+")
    said = {word.strip(",.;") for word in narrow.sub("", " ".join(str(answer).split())).split()}
    shown = {word.strip(",.;") for word in read(answer).text.split()}
    assert {word for word in said - shown if not drawn.match(word)} == set()


def test_what_is_left_out_is_told_in_python() -> None:
    with ckread.open(RUN) as checkpoint:
        folded = read(checkpoint.tree(folds=True)).text
    assert "24 slots folded into 2 lines (folds=False lists them)" in folded
    assert "(roles='all')" in read(ckread.statistics(RUN)).text
    assert "(best= chooses)" in str(ckread.history(f"{RUN}/history.json"))
    loose = ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3", atol=1e-3)
    assert "rtol=0, atol=0.001" in " ".join(str(loose).split())
    quick = ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3", index_only=True)
    assert "Leave out index_only to see" in " ".join(str(quick).split())
    figure = ckread.plot_filters(ckread.responses(RUN, None, np.eye(8)), top=3)
    assert any("top=16 shows all" in text.get_text() for text in figure.texts)
    assert len(ckread.statistics(RUN, roles="all")) == 44


@each
def test_a_long_answer_prints_in_eighty_columns_and_has_a_short_repr(kind: str) -> None:
    answer = ANSWERS[kind]()
    assert max(map(len, str(answer).splitlines())) <= 80
    assert re.fullmatch(rf"<ckread\.{kind} .{{1,250}}>", repr(answer))


def test_rows_of_a_table_are_rows() -> None:
    rows = read(ckread.open(RUN).tree("conv1")).rows
    assert [row[0].strip("│├└─ ") for row in rows] == [
        "tree", "all variables", "conv1", "kernel", "bias", "optimizer", "conv1", "kernel",
        "momentum", "velocity", "bias", "momentum", "velocity",
    ]  # fmt: skip
    assert rows[3][1:4] == ["3×3×1×16", "144", "576 B  "]


HOSTILE = (
    "<script>alert(1)</script>/kernel",
    '"><img src=x onerror=alert(1)>/w',
    "a&amp;b/'w'",
    "right\u202eleft/w",
    "esc\x1b[31mred/w",
    "\u05d0\u05d1/w",
    "</div></table></style>/w",
    "zero\u200bwidth/w",
)


def test_names_are_escaped_for_html_and_for_people(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "<b>ckpt", dict.fromkeys(HOSTILE, np.arange(4.0)))
    other = write_bundle(tmp_path / "<i>&", dict.fromkeys(HOSTILE, np.arange(1.0, 5.0)))
    run = ckread.open_run([prefix, other])
    with ckread.open(prefix) as checkpoint:
        answers = [
            checkpoint,
            checkpoint.tree(),
            ckread.statistics(checkpoint),
            ckread.diff(prefix, other),
            ckread.drift(run),
            ckread.track(run, [f"{HOSTILE[0]}[0]", f"{HOSTILE[3]}[1]"]),
            ckread.check(checkpoint),
            run,
        ]
        for answer in answers:
            found = read(answer)
            assert not {"script", "img"} & set(found.tags)
            assert not set("\x1b\u202e\u200b") & set(str(answer._repr_html_()))
    listed = " ".join(read(checkpoint).text.split())
    assert "<script>alert(1)</script>" in listed
    assert "right\\u202eleft" in listed
    assert "a&amp;b" in listed  # as the name has it, not as HTML would read it


def test_a_table_of_many_rows_ends_after_fifty_and_counts_the_rest(tmp_path: Path) -> None:
    arrays = {f"layer_{i}/block/kernel": np.full(2, float(i)) for i in range(3000)}
    with ckread.open(write_bundle(tmp_path / "ckpt", arrays)) as checkpoint:
        for answer in (checkpoint.tree(), ckread.statistics(checkpoint)):
            found = read(answer)
            assert len(found.rows) == 51
            assert re.search(r"… and [\d,]+ more of [\d,]+", found.text)
        shown = read(checkpoint)
        assert "3,000 variables" in shown.text
        assert "50 of 3,000 variables" in shown.text
        assert len(checkpoint._repr_html_() or "") < 40_000


def test_a_table_of_sixty_rows_is_whole(tmp_path: Path) -> None:
    arrays = {f"layer_{i}": np.full(2, float(i)) for i in range(60)}
    assert len(read(ckread.statistics(write_bundle(tmp_path / "ckpt", arrays))).rows) == 61


def test_what_cannot_be_shown_falls_back_on_the_repr(tmp_path: Path) -> None:
    """IPython prints the traceback of a `_repr_html_` that raises."""
    for name in ("ckpt-10.index", "ckpt-10.data-00000-of-00001"):
        shutil.copy(f"{RUN}/{name}", tmp_path / name)
    checkpoint = ckread.open(tmp_path / "ckpt-10")
    for name in ("ckpt-10.index", "ckpt-10.data-00000-of-00001"):
        (tmp_path / name).unlink()
    assert checkpoint._repr_html_() is None or "38,474" in read(checkpoint).text
    assert str(checkpoint)


def test_every_style_of_the_theme_has_its_css() -> None:
    for style in STYLES:
        assert f".ckread .ckread-{style}{{" in CSS
    assert "http" not in CSS
    assert "url(" not in CSS
    assert "<" not in CSS


def _contrast(hue: str, ground: tuple[float, float, float]) -> float:
    def luminance(rgb: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    mine = luminance(tuple(int(hue[i : i + 2], 16) / 255 for i in (1, 3, 5)))
    low, high = sorted((mine, luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [(1.0, 1.0, 1.0), (0.067, 0.067, 0.067)])
def test_colours_are_readable_on_white_and_on_black(ground: tuple[float, float, float]) -> None:
    """Even the plain hues, before they are mixed with the colour of the text."""
    hues = set(re.findall(r"color:(#\w{6})", CSS))
    assert len(hues) == 5
    for hue in hues:
        assert _contrast(hue, ground) >= 3.5, hue


@pytest.mark.parametrize("path", real("V2", "SavedModel", ".keras", "h5")[::4])
def test_real_checkpoints_are_shown(path: str) -> None:
    with ckread.open(REAL / path) as checkpoint:
        assert len(read(checkpoint).rows) > 1


def test_to_show_a_checkpoint_takes_no_numpy() -> None:
    code = (
        "import sys, ckread; c = ckread.open('fixtures/digits_run'); str(c), c._repr_html_();"
        "print({'numpy', 'pandas', 'matplotlib', 'rich.console'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# rich shows the same: its consoles, its exports, its live display and its own tables.


def _console(**settings: Any) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, **settings)


@each
def test_rich_prints_what_print_does(kind: str) -> None:
    answer = ANSWERS[kind]()
    console = _console(color_system=None)
    console.print(answer)
    assert console.file.getvalue() == f"{answer}\n"  # type: ignore[attr-defined]


def test_rich_records_live_and_lays_out_results() -> None:
    found = ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3")
    console = _console(record=True, color_system="256")
    console.print(found)
    with Live(cast("RichCast", found), console=console, auto_refresh=False):
        pass
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("conv2/kernel") >= 2
    assert "\x1b[38;5;31m" in printed
    assert "#0087af" in console.export_svg(title="diff")
    grid = RichTable(box=None, show_header=False, padding=0)
    grid.add_row(cast("RichCast", ckread.open_run(RUN)), "beside")
    wide = Console(file=io.StringIO(), width=200)
    wide.print(grid)
    lines = wide.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].split() == [RUN, "beside"]
    assert lines[0].index("beside") < 90


@pytest.mark.parametrize(("system", "code"), [("256", "38;5;31m"), ("standard", "36m")])
def test_a_terminal_of_sixteen_colours_keeps_its_own(system: Any, code: str) -> None:
    console = _console(color_system=system)
    console.print(ckread.statistics(RUN))
    assert f"\x1b[{code}" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("ground", [(1.0, 1.0, 1.0), (0.122, 0.122, 0.122)])
def test_the_palette_is_readable_on_white_and_on_black(ground: tuple[float, float, float]) -> None:
    for name, style in STYLES.items():
        color = Style.parse(style).color
        if color is not None:
            assert _contrast(color.get_truecolor().hex, ground) >= 3.65, name


def test_what_is_closed_is_its_repr_to_rich(tmp_path: Path) -> None:
    checkpoint = ckread.open(write_bundle(tmp_path / "[bold]ckpt", {"w": np.arange(3.0)}))
    for file in tmp_path.iterdir():
        file.unlink()
    checkpoint.close()
    console = _console(color_system=None)
    console.print(checkpoint)
    assert "[bold]ckpt" in console.file.getvalue()  # type: ignore[attr-defined]
