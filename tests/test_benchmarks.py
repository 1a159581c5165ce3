"""The benchmarks run, judge by their targets, and know where in README.md their table stands."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import (
    check,
    containers,
    core,
    diff,
    drift,
    floors,
    indexes,
    run,
    scaling,
    statistics,
    tiny,
)
from tests.benchmarks.measuring import (
    HEADER,
    Comparison,
    Measurement,
    comparison_table,
    cpu_ratio_of,
    markdown_rows,
    row_of_story,
    rows_of,
    worse_rows,
)
from tests.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

OURS = Measurement((0.11, 0.10, 0.13), 17.4)
THEIRS = Measurement((3.2, 3.3, 3.6), 1234.5)


def test_a_comparison_is_judged_by_speed_and_by_memory() -> None:
    assert Comparison("info", OURS, THEIRS, 30).ratio == pytest.approx(30)
    assert not Comparison("info", OURS, THEIRS, 29.9).is_missed
    assert Comparison("info", OURS, THEIRS, 30.1).is_missed
    assert Comparison("info", OURS, THEIRS, 1, max_mib=17).is_missed


def test_a_missed_target_is_marked() -> None:
    met = Comparison("info, 43 variables", OURS, THEIRS, 29, beside="inspect_checkpoint")
    missed = Comparison("diff", OURS, THEIRS, 31, max_mib=100)
    header, *rows = comparison_table([met, missed]).splitlines()
    words = "work ours CPU peak beside theirs CPU peak ratio of CPU target"
    assert header.split() == words.split()
    assert rows[0].endswith("30.0x   30.0x  29x")
    assert rows[1].endswith("30.0x   30.0x  31x, 100 MiB !")


def test_a_row_that_takes_more_cpu_than_before_is_told() -> None:
    ours = Measurement((1.0,), 10, (0.5, 0.4))
    row = Comparison("diff", ours, Measurement((2.0,), 10, (4.0, 5.0)), 0)
    assert row.cpu_ratio == pytest.approx(10)
    assert worse_rows([row], {"diff": 11.4, "stats": 99.0}) == []
    assert worse_rows([row], {"diff": 11.6}) == ["diff: 10.00x, 11.60x before"]
    assert ours.times(5).least == pytest.approx(2.0)


def test_a_target_is_met_by_wall_or_by_cpu_time() -> None:
    ours, theirs = Measurement((4.0,), 10, (1.0,)), Measurement((4.0,), 10, (2.0,))
    assert not Comparison("diff", ours, theirs, 2).is_missed
    assert Comparison("diff", ours, theirs, 2.1).is_missed


def test_a_row_of_the_page() -> None:
    ours = Measurement((0.11, 0.10, 0.13), 17.4, (0.12, 0.0996))
    comparison = Comparison("ls --json, 43 variables", ours, THEIRS, 0, beside="inspect_checkpoint")
    rows = markdown_rows([comparison])
    [row] = rows.values()
    assert row == (
        "| `ls --json`, 43 variables | 0.11 s | 0.1 s | 17 MiB"
        " | inspect_checkpoint | 3.3 s | 3.3 s | 1,234 MiB | 30 | 33 |\n"
    )
    assert rows_of(HEADER + row) == rows
    assert cpu_ratio_of(row) == 33
    assert row_of_story(row) == (
        "| `ls --json`, 43 variables | 0.1 s | 17 MiB"
        " | inspect_checkpoint | 3.3 s | 1,234 MiB | 33 |\n"
    )


def test_rows_have_their_place_on_the_pages(tmp_path: Path) -> None:
    for page in (run.README, run.PAGE):
        text = page.read_text(encoding="utf-8")
        assert text.count(run.BEGINNING) == text.count(run.END) == 1
        copy = tmp_path / page.name
        copy.write_text(text, encoding="utf-8")
        run.write_table(copy, f"{HEADER}| `a`, row | 1 |\n")
        before, after = text.split(run.BEGINNING)[0], text.split(run.END)[1]
        assert copy.read_text(encoding="utf-8").startswith(f"{before}{run.BEGINNING}{HEADER}")
        assert copy.read_text(encoding="utf-8").endswith(f"| `a`, row | 1 |\n{run.END}{after}")
        assert run.read_rows(copy) == {"a, row": "| `a`, row | 1 |\n"}


def test_the_pages_show_the_rows_that_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (
        core,
        check,
        containers,
        diff,
        drift,
        floors,
        indexes,
        scaling,
        statistics,
        tiny,
    ):
        monkeypatch.setattr(module, "measure_in_turn", lambda *_, **__: (OURS, THEIRS))
        for maker in ("make", "_make", "make_many", "make_large", "make_run", "make_type"):
            if hasattr(module, maker) and module is not indexes:
                monkeypatch.setattr(module, maker, lambda path, *_, **__: str(path))
    monkeypatch.setattr(indexes, "_make", lambda prefix, *_, **__: str(prefix))
    monkeypatch.setattr(indexes, "make_objects", lambda prefix, *_, **__: str(prefix))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(drift, "write_run", lambda *_: None)
    measured = [row for compare in run.COMPARISONS.values() for row in compare(tmp_path)]
    rows = run.read_rows(run.PAGE)
    assert {*rows, *run.STORY} <= {comparison.work for comparison in measured}
    told = {work: row_of_story(rows[work]) for work in run.STORY if work in rows}
    assert run.read_rows(run.README) == told


@pytest.mark.slow
def test_a_quick_benchmark_runs() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.run", "--quick", "--only", "slice", "keras"]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout
    rows = [line.split(",")[0].split("  ")[0] for line in done.splitlines()]
    assert rows == ["work", "show", "work", "info", "no row is worse"]
