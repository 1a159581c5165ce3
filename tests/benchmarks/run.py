"""Everything that ckread is measured by, beside what there is, in one table.

    python -m tests.benchmarks.run                      every comparison, ten minutes
    python -m tests.benchmarks.run --only listing diff  some of them
    python -m tests.benchmarks.run --quick              small sizes, once each: does it run
    python -m tests.benchmarks.run --readme             and put the table into README.md
    python -m tests.benchmarks.run --since FILE         which rows a change made worse: the first
                                                        run writes the file, later ones compare

Whole processes, start-up included, in turn with the other on the same files, which are
made first: in `--folder` (14 GiB, kept for the next time) or in a temporary one. The exit
code is 1 if a target is missed; `--quick` judges none. Run it on a machine that does
nothing else, with bytecode compiled on both sides.
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
    indexes,
    scaling,
    statistics,
    tiny,
)
from tests.benchmarks.measuring import comparison_table, markdown_table, worse_rows
from tests.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.measuring import Comparison

COMPARISONS = {
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
README = ROOT / "README.md"
BEGINNING, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->\n"


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, once each")
    parser.add_argument("--folder", type=Path, help="keeps the checkpoints that are made")
    parser.add_argument("--markdown", action="store_true", help="the table of README.md")
    parser.add_argument("--readme", action="store_true", help="put that table into README.md")
    parser.add_argument("--since", type=Path, help="says which rows are worse than in this file")
    arguments = parser.parse_args()
    if arguments.readme and (arguments.quick or len(arguments.only) < len(COMPARISONS)):
        parser.error("--readme takes every comparison, at full size")
    return arguments


def measure(names: Sequence[str], folder: Path, *, is_quick: bool) -> list[Comparison]:
    """Make what is needed and measure, saying on stderr what is being done."""
    measured: list[Comparison] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        measured += COMPARISONS[name](folder, is_quick=is_quick)
    return measured


def write_table(table: str) -> None:
    """Put a table between the marks of README.md."""
    page = README.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGINNING)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGINNING}{table}{END}{after}", encoding="utf-8")


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    arguments = _parsed()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        measured = measure(arguments.only, folder, is_quick=arguments.quick)
    if arguments.readme:
        write_table(markdown_table(measured))
    print(markdown_table(measured) if arguments.markdown else comparison_table(measured))
    if arguments.since is not None and arguments.since.exists():
        worse = worse_rows(measured, json.loads(arguments.since.read_text(encoding="utf-8")))
        print("\n".join(["worse:", *worse] if worse else ["no row is worse"]))
        return int(bool(worse))
    if arguments.since is not None:
        ratios = {comparison.work: comparison.cpu_ratio for comparison in measured}
        arguments.since.write_text(json.dumps(ratios, indent=1), encoding="utf-8")
    return int(not arguments.quick and any(each.is_missed for each in measured))


if __name__ == "__main__":
    sys.exit(main())
