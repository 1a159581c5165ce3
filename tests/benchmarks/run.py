"""Everything that ckread is measured by, beside what there is, in one table.

    python -m tests.benchmarks.run                      every comparison, an hour
    python -m tests.benchmarks.run --only listing diff  some of them
    python -m tests.benchmarks.run --runs 1             each once: on a busy machine
    python -m tests.benchmarks.run --quick              small sizes, once each: does it run
    python -m tests.benchmarks.run --page               and put the rows into docs/benchmarks.md,
                                                        those that README.md shows there too
    python -m tests.benchmarks.run --since FILE         compare with a file, which the first run
                                                        writes, and not with docs/benchmarks.md

Whole processes, start-up included, in turn with the other on the same files, which are
made first: in `--folder` (22 GiB, kept for the next time) or in a temporary one. Last it
says which rows take more CPU beside the other than they took before. The exit code is 1 if
a target is missed or, with `--since`, a row is worse; `--quick` judges none. Run it on a
machine that does nothing else, with bytecode compiled on both sides.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import (
    check,
    containers,
    core,
    diff,
    drift,
    floors,
    indexes,
    scaling,
    statistics,
    tiny,
)
from tests.benchmarks.measuring import (
    HEADER,
    STORY_HEADER,
    comparison_table,
    cpu_ratio_of,
    limit,
    markdown_rows,
    row_of_story,
    rows_of,
    worse_rows,
)
from tests.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.measuring import Comparison

COMPARISONS = {
    "floors": floors.compare,
    "listing": core.compare_listing,
    "many": core.compare_many,
    "slice": core.compare_slice,
    "saved_model": containers.compare_saved_model,
    "keras": containers.compare_keras,
    "stats": statistics.compare,
    "diff": diff.compare,
    "drift": drift.compare,
    "check": check.compare,
    "tiny": tiny.compare,
    "runs": scaling.compare_runs,
    "types": scaling.compare_types,
    "indexes": indexes.compare,
}
README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
BEGINNING, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->\n"
STORY = (
    "info, 43 variables",
    "ls --json, 1,000,000 variables",
    "stats, 2 GiB",
    "diff, 2 × 2 GiB",
    "diff, 100,000 tensors of 16 elements",
    "drift, 200 checkpoints",
)
"""The rows that README.md shows."""


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, once each")
    parser.add_argument("--runs", type=int, help="of each at most, without one to warm up")
    parser.add_argument("--folder", type=Path, help="keeps the checkpoints that are made")
    parser.add_argument("--page", action="store_true", help="put them into docs/benchmarks.md")
    parser.add_argument("--since", type=Path, help="says which rows are worse than in this file")
    arguments = parser.parse_args()
    if arguments.page and arguments.quick:
        parser.error("--page takes full size")
    return arguments


def read_rows(page: Path) -> dict[str, str]:
    """Give the rows between the marks of a page, by their work."""
    _, _, rest = page.read_text(encoding="utf-8").partition(BEGINNING)
    return rows_of(rest.partition(END)[0])


def write_table(page: Path, table: str) -> None:
    """Put a table between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGINNING)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGINNING}{table}{END}{after}", encoding="utf-8")


def write_pages(rows: Mapping[str, str]) -> None:
    """Put rows into docs/benchmarks.md, and those of the story into README.md."""
    write_table(PAGE, HEADER + "".join(rows.values()))
    told = "".join(row_of_story(rows[work]) for work in STORY if work in rows)
    write_table(README, STORY_HEADER + told)


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    arguments = _parsed()
    limit.n = arguments.runs
    since: Path | None = arguments.since
    before = {work: cpu_ratio_of(row) for work, row in read_rows(PAGE).items()}
    if since is not None:
        before = json.loads(since.read_text(encoding="utf-8")) if since.exists() else {}
    measured: list[Comparison] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for name in arguments.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            found = COMPARISONS[name](folder, is_quick=arguments.quick)
            print(comparison_table(found), flush=True)
            measured += found
            if arguments.page:
                write_pages(read_rows(PAGE) | markdown_rows(found))
    worse = worse_rows(measured, before)
    print("\n".join(["worse:", *worse] if worse else ["no row is worse"]))
    if since is not None and not since.exists():
        ratios = {comparison.work: comparison.cpu_ratio for comparison in measured}
        since.write_text(json.dumps(ratios, indent=1), encoding="utf-8")
    is_missed = not arguments.quick and any(each.is_missed for each in measured)
    return int(is_missed or (since is not None and bool(worse)))


if __name__ == "__main__":
    sys.exit(main())
