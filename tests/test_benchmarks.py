"""The benchmarks run, judge by their targets, and know where in README.md their table stands."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks import run
from tests.benchmarks.measuring import (
    Comparison,
    Measurement,
    comparison_table,
    markdown_table,
    worse_rows,
)
from tests.places import ROOT

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


def test_the_table_for_the_page() -> None:
    comparison = Comparison("ls --json, 43 variables", OURS, THEIRS, 0, beside="inspect_checkpoint")
    *_, row = markdown_table([comparison]).splitlines()
    assert row == (
        "| `ls --json`, 43 variables | 0.11 s | 17 MiB"
        " | inspect_checkpoint | 3.3 s | 1,234 MiB | 30 |"
    )


def test_the_table_has_its_place_on_the_page(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = run.README.read_text(encoding="utf-8")
    assert page.count(run.BEGINNING) == page.count(run.END) == 1
    copy = tmp_path_factory.mktemp("page") / "README.md"
    copy.write_text(page, encoding="utf-8")
    monkeypatch.setattr(run, "README", copy)
    run.write_table("a table\n")
    before, after = page.split(run.BEGINNING)[0], page.split(run.END)[1]
    assert copy.read_text(encoding="utf-8") == f"{before}{run.BEGINNING}a table\n{run.END}{after}"


@pytest.mark.slow
def test_a_quick_benchmark_runs() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.run", "--quick", "--only", "slice", "keras"]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout
    header, *rows = done.splitlines()
    assert header.startswith("work")
    assert [row.split(",")[0] for row in rows] == ["show", "info"]
