"""What the commands over a run show: whole pages beside their goldens, and their sentences.

Goldens are written anew with CKREAD_UPDATE_GOLDENS=1 and read as a diff.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.drift.drift import drift
from ckread.analysis.history.history import history
from ckread.analysis.track import track
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType
from ckread.views.drift.page import DEFAULT_TOP, DriftView, drift_page
from ckread.views.drift.rows import subtrees_of, verdict
from ckread.views.history import history_page
from ckread.views.runs import runs_page
from ckread.views.terminal.page import Page, Paper, cell_len, plain
from ckread.views.terminal.words import curve
from ckread.views.track import track_page
from tests.builders import BundleBuilder, write_bundle
from tests.places import FIXTURES
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from pathlib import Path

WIDTHS = (80, 120)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the fixtures by relative paths, and show their times in UTC."""
    monkeypatch.chdir(FIXTURES)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def _shown(page: Page, width: int) -> str:
    lines = [plain(line) for line in page.lines(Paper(width))]
    assert all(cell_len(line) <= width for line in lines)
    return "".join(f"{line}\n" for line in lines)


def _check(name: str, page: Page) -> None:
    for width in WIDTHS:
        check_golden(f"{name}_{width}.txt", _shown(page, width))
    check_golden(f"{name}_piped.txt", "".join(f"{line}\n" for line in page.piped()))


def _waves(n: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Give values that no random generator's version changes."""
    return (((np.arange(n) * 37 * seed) % 101 - 50) / 64).astype(np.float32)


def _blow_up(directory: Path) -> None:
    for step in range(1, 10):
        arrays = {}
        for i, name in enumerate(("pitch/kernel", "pitch/bias", "rnn/cell_6/kernel")):
            value = _waves(100, i + 1) * np.float32(1 + 0.03 * step)
            arrays[name] = np.full(100, np.nan) if step >= 7 and i != 1 else value
            arrays[f"{name}/Adam"] = value * np.float32(0.1)
            second = value * value
            if step >= 6 and i != 1:
                second[: 99 + i] = np.inf
            arrays[f"{name}/Adam_1"] = second
        write_bundle(directory / f"ckpt-{step}", arrays)


def _models(directory: Path) -> None:
    for step in range(1, 10):
        rest = {f"layer_{i}/kernel": _waves(6, i + 1) for i in range(1 + 2 * (step % 3 == 0))}
        write_bundle(directory / f"model.ckpt-{step}000", rest)
    (directory / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-9000"\n')


def test_runs() -> None:
    _check("runs_digits", runs_page(open_run("digits_run")))


def test_runs_of_several_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    _models(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    page = runs_page(open_run("models"))
    for width in WIDTHS:
        check_golden(f"runs_models_{width}.txt", _shown(page, width))


def test_drift() -> None:
    _check("drift_digits", drift_page(DriftView(drift(open_run("digits_run")))))


def test_drift_by_checksum() -> None:
    result = drift(open_run("digits_run"), index_only=True)
    _check("drift_index", drift_page(DriftView(result)))


def test_drift_to_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "music").mkdir()
    _blow_up(tmp_path / "music")
    monkeypatch.chdir(tmp_path)
    result = drift(open_run("music/ckpt-?"))
    _check("drift_nan", drift_page(DriftView(result)))
    everything = _shown(drift_page(DriftView(result, show_all=True)), 80)
    assert "pitch/bias" in everything


def test_track() -> None:
    run = open_run("digits_run")
    _check("track_rate", track_page(track(run, "learning_rate")))
    several = track(run, ["iterations", "learning_rate", "logits/bias[0]", "conv1/bias[0]"])
    _check("track_several", track_page(several))


def test_history() -> None:
    result = history("digits_run/history.json", open_run("digits_run"))
    _check("history_digits", history_page(result))


def test_a_long_history_is_cut_in_the_terminal_only(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = (f"{i},{abs(i - 40) + 1}" for i in range(100))
    log.write_text("epoch,val_loss\n" + "\n".join(rows))
    page = history_page(history(log))
    shown = _shown(page, 80)
    assert len(shown.splitlines()) < 24
    shown_rows = [line for line in shown.splitlines()[4:] if line[:5].strip()]
    epochs = [line.split()[0] for line in shown_rows[1:14]]
    assert epochs == [*"123", "…", "39", "40", "41", "42", "43", "…", "98", "99", "100"]
    assert [line.split()[0] for line in shown.splitlines() if line.endswith("best")] == ["41"]
    assert len(list(page.piped())) == 102
    assert len(_shown(history_page(history(log), show_all=True), 80).splitlines()) > 100


def test_more_variables_than_a_screen_takes(tmp_path: Path) -> None:
    for step in (1, 2):
        arrays = {f"layer_{i}/kernel": _waves(4, i + step) for i in range(DEFAULT_TOP + 5)}
        write_bundle(tmp_path / f"ckpt-{step}", arrays)
    page = drift_page(DriftView(drift(open_run(tmp_path))))
    shown = _shown(page, 80)
    assert "5 that moved less left out (--top 45)." in " ".join(shown.split())
    assert sum(not line.startswith("#") for line in page.piped()) == 2 * (DEFAULT_TOP + 5)
    top = drift_page(DriftView(drift(open_run(tmp_path)), top=2))
    assert sum(not line.startswith("#") for line in top.piped()) == 4


def test_many_steps_share_cells(tmp_path: Path) -> None:
    for step in range(1, 62):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": _waves(4, 1) * np.float32(step)})
    shown = _shown(drift_page(DriftView(drift(open_run(tmp_path)))), 80)
    assert "Each cell: 3 steps." in " ".join(shown.split())


def test_piped_lines_hold_one_word_per_column(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt-1", {"a b": _waves(4, 1), "#c": _waves(4, 2)})
    write_bundle(tmp_path / "ckpt-2", {"a b": _waves(4, 3), "#c": _waves(4, 2)})
    lines = list(drift_page(DriftView(drift(open_run(tmp_path)))).piped())
    records = [line.split() for line in lines if not line.startswith("#")]
    assert len(records) == 4
    assert {len(record) for record in records} == {7}
    assert {record[0] for record in records} == {"a\\x20b", "\\x23c"}


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ([1, 1], "None of 1 variable changed."),
        ([1], "One checkpoint alone: nothing to compare it with."),
        ([1, 2, 2, 2], "w did not change after step 2."),
        ([1, 1, 2], "w did not change before step 3."),
        ([0, 1], "w moved, from 0."),
        ([1, 3], "w moved by 2 times its first norm."),
        ([1, 1.25], "w moved by 25 % of its first norm."),
        ([1, 13.3], "w moved by 12 times its first norm."),
        ([1, 1235], "w moved by 1,200 times its first norm."),
        ([1, 120_001], "w moved by 1.20e5 times its first norm."),
    ],
)
def test_sentences(tmp_path: Path, states: list[float], sentence: str) -> None:
    for step, value in enumerate(states, 1):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.full(3, value)})
    assert sentence in verdict(drift(open_run(tmp_path)))


def _equal_steps(directory: Path) -> None:
    for number, step in enumerate((100, 200, 200, 300), 1):
        builder = BundleBuilder()
        builder.add("global_step", np.array(step, np.int64), DataType.INT64)
        builder.add("w", np.full(4, number, np.float32), DataType.FLOAT32)
        builder.add("x", np.full(4, min(number, 2), np.float32), DataType.FLOAT32)
        builder.write(directory / f"model-{number}")


def test_equal_steps_are_told_by_name(tmp_path: Path) -> None:
    _equal_steps(tmp_path)
    result = drift(tmp_path)
    assert [entry.step for entry in result.checkpoints] == [100, 200, 200, 300]
    assert verdict(result) == (
        "w moved most: 3 times its first norm. x did not change after step 200 (model-2). "
        "All values are finite."
    )
    assert "unchanged since step 200 (model-2)" in _shown(drift_page(DriftView(result)), 120)
    page = track_page(track(tmp_path, "w[0]"))
    assert next(iter(page.piped())) == "# step  checkpoint  w[0]"
    rows = _shown(page, 80).splitlines()[-5:]  # above them, a long path may take two lines
    assert [line.split()[:2] for line in rows] == [
        ["step", "checkpoint"],
        ["100", "model-1"], ["200", "model-2"], ["200", "model-3"], ["300", "model-4"],
    ]  # fmt: skip


def test_equal_steps_and_names_are_told_by_path(tmp_path: Path) -> None:
    for folder, value in (("a", 1), ("b", 2), ("c", 2)):
        (tmp_path / folder).mkdir()
        write_bundle(tmp_path / folder / "ckpt-5", {"w": np.full(3, value)})
    result = drift([tmp_path / folder for folder in "abc"])
    assert f"w did not change after step 5 ({tmp_path}/b/ckpt-5)." in verdict(result)


def test_one_value_over_files_without_a_step() -> None:
    files = sorted((FIXTURES / "digits_files").iterdir())
    lines = list(track_page(track(files, "logits/bias[0]")).piped())
    assert lines[0].split() == ["#", "checkpoint", "logits/bias[0]"]
    assert [line.split()[0] for line in lines[1:]] == [path.name for path in files]
    assert len({line.split()[1] for line in lines[1:]}) == 1


def test_runs_of_one_model_in_several_formats() -> None:
    run = open_run("digits_files")
    for width in (60, *WIDTHS):
        shown = _shown(runs_page(run), width).replace("\n", " ")
        assert "4 checkpoints of one and the same model under 4 names, 728 KiB." in shown
        assert "hold the same model, by names, shapes and types" in shown
    lines = _shown(runs_page(run), 120).splitlines()
    assert [line.split()[:3] for line in lines[4:8]] == [[x, "1", "1"] for x in "ABCD"]


def test_subtrees() -> None:
    names = ["a/x/k", "a/x/b", "a/y/k", "c/k", "d"]
    assert subtrees_of(["a/x/k", "a/x/b"], names) == ["a/x/**"]
    assert subtrees_of(["a/x/k", "a/x/b", "a/y/k"], names) == ["a/**"]
    assert subtrees_of(["a/x/k", "d"], names) == ["a/x/k", "d"]
    assert subtrees_of(["c/k"], names) == ["c/k"]


def test_a_curve_runs_from_its_smallest_to_its_largest_value() -> None:
    assert curve([0, 1, 2, 3, None, float("nan")]) == "▁▃▅▇ ×"
    assert curve([5, 5]) == "▄▄"
    assert len(curve(range(1000), 10)) == 10
