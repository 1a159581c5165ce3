"""This tree against an older one, command by command, in turn on the same files.

    python -m tests.benchmarks.against OLD --folder DIR    OLD: a checkout of the package

Least CPU and wall seconds of several runs each: on a machine that does other work the least
is what the code needs. Bytecode is compiled on both sides first. `info` and `ls` are run as on
a terminal too. The exit code is 1 if a row needs more CPU than `--worse` times that of OLD.
"""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks import drift
from tests.benchmarks.core import SMALL
from tests.benchmarks.making import make_large, make_many
from tests.places import FIXTURES, ROOT


def _rows(folder: Path, mib: int) -> dict[str, list[str]]:
    many = str(make_many(folder / "many_100000" / "ckpt", 100_000))
    a = str(make_large(folder / f"a_{mib}" / "ckpt", 32, mib // 32))
    b = str(make_large(folder / f"b_{mib}" / "ckpt", 32, mib // 32, seed=1))
    run = folder / "run_200"
    if not run.exists():
        run.mkdir(parents=True)
        drift.write_run(run, 200)
    small, digits = str(SMALL), str(FIXTURES / "digits_run")
    keras = str(FIXTURES / "digits_files" / "digits.keras")
    return {
        "--help": ["--help"],
        "info": ["info", small],
        "info, .keras": ["info", keras],
        "info, SavedModel": ["info", str(FIXTURES / "digits_export")],
        "ls": ["ls", small],
        "tree": ["tree", small],
        "stats": ["stats", small],
        "diff": ["diff", f"{digits}/ckpt-2", f"{digits}/ckpt-3"],
        "check": ["check", small],
        "drift, ten": ["drift", digits],
        "runs, ten": ["runs", digits],
        "info, 100,000": ["info", many],
        "ls --json, 100,000": ["ls", many, "--json"],
        f"stats, {mib} MiB": ["stats", a, "--jobs", "1"],
        f"diff, 2 x {mib} MiB": ["diff", a, b, "--jobs", "1"],
        f"check, {mib} MiB": ["check", a, "--jobs", "1"],
        "drift --index-only, 200": ["drift", str(run), "--index-only"],
        "drift, 200": ["drift", str(run), "--jobs", "1"],
    }


def _run_once(tree: Path, words: list[str], *, is_terminal: bool) -> tuple[float, float]:
    environment = os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "90"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if is_terminal:
        environment["FORCE_COLOR"] = "1"
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "ckread", *words],
        cwd=tree,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{words} exited {process.returncode} in {tree}")
    return usage.ru_utime + usage.ru_stime, wall


def main() -> int:
    """Measure every row; print both, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.against")
    parser.add_argument("old", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="keeps what is made")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose names begin so")
    parser.add_argument("--worse", type=float, default=1.03)
    arguments = parser.parse_args()
    trees = arguments.old.resolve(), ROOT
    for tree in trees:
        compileall.compile_dir(tree / "ckread", quiet=1)
    n_worse = 0
    sys.stdout.write(f"{'least of ' + str(arguments.runs):28} {'CPU old':>9} {'new':>9}  ratio ")
    sys.stdout.write(f"{'wall old':>9} {'new':>9}  ratio\n")
    rows = [(name, words, False) for name, words in _rows(arguments.folder, arguments.mib).items()]
    rows += [(f"{name}, terminal", words, True) for name, words, _ in rows[1:6]]
    for name, words, is_terminal in rows:
        if not name.startswith(tuple(arguments.only)):
            continue
        runs = [
            [_run_once(tree, words, is_terminal=is_terminal) for tree in trees]
            for _ in range(arguments.runs)
        ]
        (old_cpu, new_cpu), (old_wall, new_wall) = (
            [min(run[side][kind] for run in runs) for side in (0, 1)] for kind in (0, 1)
        )
        n_worse += new_cpu > arguments.worse * old_cpu
        sys.stdout.write(
            f"{name:28} {old_cpu:7.3f} s {new_cpu:7.3f} s  {new_cpu / old_cpu:5.2f} "
            f"{old_wall:7.3f} s {new_wall:7.3f} s  {new_wall / old_wall:5.2f}\n"
        )
        sys.stdout.flush()
    return 1 if n_worse else 0


if __name__ == "__main__":
    sys.exit(main())
