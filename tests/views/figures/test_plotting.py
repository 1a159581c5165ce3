"""`plot_…` of the library: a figure of its own, or the data on axes that the caller made."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import ckread
from ckread.errors import UsageError
from tests.builders import write_bundle
from tests.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

RUN = "fixtures/digits_run"


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where short paths are enough."""
    monkeypatch.chdir(ROOT)


def _filters(**options: Any) -> Figure:
    with ckread.open(RUN) as checkpoint:
        return ckread.plot_filters(checkpoint["conv1/kernel"], **options)


def _history(**options: Any) -> Figure:
    return ckread.plot_history(ckread.history(f"{RUN}/history.json", RUN), **options)


PLOTS: dict[str, Callable[..., Figure]] = {
    "statistics": lambda **o: ckread.plot_statistics(ckread.statistics(RUN, "conv2/kernel"), **o),
    "few_elements": lambda **o: ckread.plot_statistics(ckread.statistics(RUN, "conv1/bias"), **o),
    "over_run": lambda **o: ckread.plot_statistics(
        ckread.statistics_of_run(RUN, "conv2/bias"), **o
    ),
    "filters": _filters,
    "diff": lambda **o: ckread.plot_diff(ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3"), **o),
    "drift": lambda **o: ckread.plot_drift(ckread.drift(RUN, "conv1"), **o),
    "track": lambda **o: ckread.plot_track(ckread.track(RUN, ["learning_rate", "iterations"]), **o),
    "history": _history,
}  # fmt: skip
WHOLE: dict[str, Callable[..., Figure]] = {
    **PLOTS,
    "all": lambda **o: ckread.plot_statistics(ckread.statistics(RUN), **o),
    "optimizer": lambda **o: ckread.plot_optimizer(ckread.optimizer(RUN), **o),
    "optimizers": lambda **o: ckread.plot_optimizer(ckread.optimizer_of_run(RUN), **o),
    "map": lambda **o: ckread.plot_drift(ckread.drift(RUN), **o),
    "difference": lambda **o: ckread.plot_difference(
        f"{RUN}/ckpt-2", f"{RUN}/ckpt-3", "conv2/bias", **o
    ),
}  # fmt: skip


X_LABELS = {
    "over_run": "step", "drift": "step", "track": "step", "history": "epoch", "filters": "",
    "diff": "‖after − before‖ ÷ ‖before‖",
}  # fmt: skip


def test_every_public_plot_is_tried() -> None:
    tried = {"plot_statistics", "plot_filters", "plot_diff", "plot_difference", "plot_drift",
             "plot_track", "plot_history", "plot_optimizer"}  # fmt: skip
    assert {name for name in ckread.__all__ if name.startswith("plot_")} == tried


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dark", [False, True])
def test_a_figure_in_the_house_style_shows_itself(name: str, dark: bool) -> None:
    figure = WHOLE[name](dark=dark)
    assert isinstance(figure, Figure)
    shown: Any = figure
    assert mpl.colors.to_hex(figure.get_facecolor()) == ("#0d1117" if dark else "#ffffff")
    data, metadata = shown._repr_mimebundle_()
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    width = int.from_bytes(png[16:20], "big")
    assert metadata["image/png"]["width"] == 720
    assert width == 1440  # sharp on a screen of twice the points


LOG = f"{RUN}/history.json"
SOURCES: dict[str, Callable[[], list[Figure]]] = {
    "statistics": lambda: [
        ckread.plot_statistics(source, "conv1/bias")
        for source in (RUN, Path(RUN), ckread.open(RUN), ckread.open_run(RUN))
    ],
    "filters": lambda: [
        ckread.plot_filters(RUN),
        ckread.plot_filters(ckread.open(RUN), "conv1/kernel", top=4),
        ckread.plot_filters(ckread.filters(RUN)),
        ckread.plot_filters(ckread.responses(RUN, None, np.eye(8)), top=3),
    ],
    "diff": lambda: [
        ckread.plot_diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3", "conv1"),
        ckread.plot_diff(ckread.open(f"{RUN}/ckpt-2"), ckread.open(f"{RUN}/ckpt-3")),
    ],
    "drift": lambda: [
        ckread.plot_drift(source, "conv1/bias") for source in (RUN, ckread.open_run(RUN))
    ],
    "track": lambda: [
        ckread.plot_track(source, "learning_rate") for source in (RUN, ckread.open_run(RUN))
    ],
    "history": lambda: [
        ckread.plot_history(LOG), ckread.plot_history([LOG], run=ckread.open_run(RUN)),
    ],
    "optimizer": lambda: [
        ckread.plot_optimizer(source, "conv1") for source in (RUN, ckread.open(RUN),
                                                              ckread.open_run(RUN))
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_what_an_answer_is_made_of_is_drawn_as_it(name: str) -> None:
    for figure in SOURCES[name]():
        assert figure.axes


def test_what_cannot_be_drawn_is_refused_with_what_is_wanted() -> None:
    audit, history = ckread.optimizer(RUN), ckread.history(LOG)
    run = ckread.open_run(RUN)
    wrong: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
        (ckread.plot_statistics, (audit,), "a ckread.CheckpointStatistics, a checkpoint or a run"),
        (ckread.plot_filters, (audit,), "kernels, or what holds them"),
        (ckread.plot_diff, (audit, RUN), "a ckread.CheckpointDiff or two checkpoints"),
        (ckread.plot_diff, (RUN,), "two checkpoints, found 'fixtures/digits_run' alone"),
        (ckread.plot_drift, (history,), "a ckread.RunDrift or a run, found <ckread.TrainingHist"),
        (ckread.plot_track, (history, "x"), "a ckread.RunTrack or a run"),
        (ckread.plot_track, (RUN,), "expected patterns beside a run"),
        (ckread.plot_history, (audit,), "a ckread.TrainingHistory or the log of a training"),
        (ckread.plot_history, (run,), "the log of a training, with run=, found <ckread.Run "),
        (ckread.plot_optimizer, (history,), "a ckread.OptimizerAudit, a checkpoint or a run"),
        (ckread.plot_drift, (ckread.open(RUN),), "expected a directory, a glob or paths"),
        (ckread.plot_statistics, (3,), "expected a Checkpoint"),
        (ckread.plot_optimizer, (3,), "expected"),
    ]
    for plot, arguments, said in wrong:
        with pytest.raises(TypeError, match=re.escape(said)):
            plot(*arguments)
    with pytest.raises(UsageError, match="responses take several panels"):
        ckread.plot_filters(ckread.responses(RUN, None, np.eye(8)), ax=Figure().subplots())


CELLS = {
    "import ckread": [],
    "ckread.plot_track(R, 'learning_rate');": ["display_data"],
    "ckread.plot_track(R, 'learning_rate')": ["execute_result"],
    "figure = ckread.plot_track(R, 'learning_rate')": ["display_data"],
    "figure": ["execute_result"],
    "for n in ('conv1/bias', 'conv2/bias'): ckread.plot_statistics(R, n)": ["display_data"] * 2,
    "display(ckread.plot_track(R, 'learning_rate'))": ["display_data"],
    "import matplotlib.pyplot as plt; _, ax = plt.subplots()\n"
    "ckread.plot_track(R, 'learning_rate', ax=ax);": ["display_data"],
    "%matplotlib inline\nckread.plot_filters(R);": ["display_data"],
    "ckread.plot_filters(R, dark=True)": ["execute_result"],
    "1": ["execute_result"],
}
"""A notebook: what is run, and what it shows; never a figure twice, and never none."""

NOTEBOOK = """
import json, sys, nbclient, nbformat
sources = ["R = 'fixtures/digits_run'", *json.load(sys.stdin)]
cells = [nbformat.v4.new_code_cell(one) for one in sources]
book = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
found = [[one.output_type for one in cell.outputs] for cell in cells[1:]]
images = ["image/png" in one.data for cell in cells[2:-1] for one in cell.outputs]
print(json.dumps([found, images]))
"""


@pytest.mark.slow
def test_a_notebook_shows_each_figure_once() -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}  # a command sets it
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NOTEBOOK], cwd=ROOT, env=environment,
        input=json.dumps(list(CELLS)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, images = json.loads(done.stdout)
    assert dict(zip(CELLS, found, strict=True)) == CELLS
    assert all(images)


@pytest.mark.parametrize("name", PLOTS)
def test_on_axes_of_the_caller_only_these_are_drawn_on(name: str) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    before = dict(mpl.rcParams)
    assert PLOTS[name](ax=right) is figure
    assert dict(mpl.rcParams) == before
    assert right.has_data()
    assert not left.has_data()
    assert figure.axes == [left, right]
    figure.savefig(io.BytesIO())
    assert right.get_xlabel() == X_LABELS.get(name, "value")


def test_axes_of_a_subfigure_give_the_whole_figure() -> None:
    figure = Figure()
    inner: Any = figure.subfigures(1, 1)
    assert PLOTS["track"](ax=inner.subplots()) is figure


def test_the_data_is_the_data() -> None:
    axes: Axes = Figure().subplots()
    found = ckread.track(RUN, "learning_rate")
    ckread.plot_track(found, ax=axes)
    assert axes.lines[0].get_ydata() == pytest.approx(found.variables[0].values)
    assert list(axes.lines[0].get_xdata()) == list(range(1, 11))  # type: ignore[arg-type]
    axes = Figure().subplots()
    measured = ckread.statistics(RUN, "hidden/kernel")
    ckread.plot_statistics(measured, ax=axes)
    heights: Any = axes.patches[0]
    assert heights.get_data().values.sum() == measured["hidden/kernel"].distribution.elements  # type: ignore[union-attr]
    axes = Figure().subplots()
    drift = ckread.drift(RUN, "conv2/kernel")
    ckread.plot_drift(drift, ax=axes)
    assert axes.lines[0].get_ydata() == pytest.approx(drift.variables[0].from_first)
    axes = Figure().subplots()
    history = ckread.history(f"{RUN}/history.json")
    ckread.plot_history(history, "accuracy", ax=axes)
    legend: Any = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["accuracy", "val_accuracy"]  # the best epoch is that of val_loss


def test_all_of_them_fit_a_layout_of_the_caller() -> None:
    """A mark that is not clipped would swell the layout until nothing is left of the axes."""
    figure = Figure(figsize=(18, 8), layout="constrained")
    for axes, plot in zip(figure.subplots(2, 4).flat, PLOTS.values(), strict=True):
        plot(ax=axes)
    figure.savefig(io.BytesIO())
    assert min(axes.get_position().width for axes in figure.axes) > 0.1


def test_too_much_for_one_axes_or_no_such_page_is_an_error() -> None:
    axes = Figure().subplots()
    statistics, drift = ckread.statistics(RUN), ckread.drift(RUN)
    with pytest.raises(UsageError, match="16 variables do not fit one picture"):
        ckread.plot_statistics(statistics, ax=axes)
    with pytest.raises(UsageError, match="16 variables do not fit one axes"):
        ckread.plot_drift(drift, ax=axes)
    with pytest.raises(UsageError, match="page 2, expected 1 to 1"):
        ckread.plot_statistics(statistics, page=2)
    with pytest.raises(UsageError, match="no metric wer"):
        _history(metric="wer", ax=axes)
    with pytest.raises(UsageError, match="0 values do not fit"):
        ckread.plot_track(ckread.track(RUN, []))
    index_only = ckread.diff(f"{RUN}/ckpt-2", f"{RUN}/ckpt-3", index_only=True)
    with pytest.raises(UsageError, match="no values were read"):
        ckread.plot_diff(index_only)
    with pytest.raises(UsageError, match="not on both sides"):
        ckread.plot_difference(f"{RUN}/ckpt-1", "fixtures/digits_files/digits.keras",
                               "optimizer/conv1/kernel/momentum")  # fmt: skip


def test_names_are_never_read_as_formulas(tmp_path: Path) -> None:
    """An unfinished formula between dollars would raise when it is drawn."""
    name = r"$\frac$/w"
    a = write_bundle(tmp_path / "ckpt-1", {name: np.arange(40.0)})
    b = write_bundle(tmp_path / "ckpt-2", {name: np.arange(40.0) * 2})
    for plot, answer in (
        (ckread.plot_statistics, ckread.statistics(a)),
        (ckread.plot_statistics, ckread.statistics_of_run([a, b])),
        (ckread.plot_diff, ckread.diff(a, b)),
        (ckread.plot_drift, ckread.drift([a, b])),
        (ckread.plot_track, ckread.track([a, b], f"{name}[1]")),
    ):
        axes = Figure().subplots()
        draw: Any = plot
        draw(answer, ax=axes).savefig(io.BytesIO())
        draw(answer).savefig(io.BytesIO())


def test_neither_import_nor_plot_touches_pyplot() -> None:
    code = (
        "import sys, ckread; ckread.open; early = 'matplotlib' in sys.modules;"
        "ckread.plot_drift(ckread.drift('fixtures/digits_run', 'conv1'))._repr_mimebundle_();"
        "print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
