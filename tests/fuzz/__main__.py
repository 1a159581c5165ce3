"""The long run: see the package."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

_SLICE_SECONDS = 100.0
_SLOW_SLICE_SECONDS = 60.0
_QUICK = (
    "table",
    "wire",
    "state",
    "object_graph",
    "loads_k",
    "loads_p",
    "log_",
    "pickle",
    "protobuf",
    "json",
)
"""Words of the names of targets that do hundreds in a second."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> int:
    """Fuzz; give 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--minutes", type=float, help="of all targets together, in turn")
    parser.add_argument("--mutants", type=int, help="of all targets together, in turn")
    parser.add_argument("--seconds", type=float, help="for each target, in this process")
    parser.add_argument("--files", type=int, help="mutants for each target, in this process")
    parser.add_argument("--kept", action="store_true", help="only what once failed")
    parser.add_argument("--again", metavar="FILE", help="only this kept mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--document", action="store_true", help="a report as JSON, and no words")
    parser.add_argument("--known", metavar="FILE", help="ways to fail that are only counted")
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    arguments = parser.parse_args()
    if arguments.engine == "atheris":
        return _atheris(arguments.targets[0], int(arguments.seconds or 60))
    from tests.fuzz.every_target import EVERY_TARGET

    names = arguments.targets or list(EVERY_TARGET)
    if arguments.minutes or arguments.mutants:
        return _in_turn(names, arguments.minutes, arguments.mutants, arguments.seed)
    return _here(names, arguments)


def _here(names: list[str], arguments: argparse.Namespace) -> int:
    """Run targets in this process."""
    from tests.fuzz.every_target import EVERY_TARGET, close
    from tests.fuzz.running import Report, report_lines, run_seeded, try_kept, try_one
    from tests.fuzz.workplace import Workplace

    known: dict[str, list[str]] = {}
    if arguments.known:
        with open(arguments.known, encoding="utf-8") as file:
            known = json.load(file)
    n_failures = total = 0
    for name in names:
        target = EVERY_TARGET[name]
        if arguments.again:
            report, place = Report(), Workplace()
            with open(arguments.again, "rb") as file:
                try_one(target, file.read(), place, report)
            place.close()
        elif arguments.kept:
            report = try_kept(target)
        else:
            seconds = arguments.seconds or (None if arguments.files else 60 / len(names))
            report = run_seeded(
                target, seed=arguments.seed, n_files=arguments.files, seconds=seconds,
                keep=seconds is not None, alone=True, known=known.get(name, ()),
            )  # fmt: skip
        total += report.n_files
        n_failures += len(report.failures)
        if arguments.document:
            sys.stdout.write(f"{report_lines(report)}\n")
        else:
            sys.stdout.write(
                f"{name}: {report.n_files} files, slowest {report.slowest:.2f} s, "
                f"{dict(report.outcomes)}, {len(report.failures)} failures\n"
            )
            for failure in report.failures[:5]:
                sys.stdout.write(f"{failure}\n")
        sys.stdout.flush()
    close()
    if not arguments.document:
        sys.stdout.write(f"{total} files, {n_failures} failures\n")
    return int(n_failures > 0)


def _in_turn(names: list[str], minutes: float | None, n_mutants: int | None, seed: int) -> int:
    """Run targets in turn, each in a process of its own, until there were so many, or so long."""
    end = time.monotonic() + (minutes * 60 if minutes else 1e9)
    counts, ways, turn, spent = Counter[str](), Counter[tuple[str, str]](), 0, 3.0
    slowest: dict[str, float] = dict.fromkeys(names, 0.0)
    while time.monotonic() < end and (n_mutants is None or counts.total() < n_mutants):
        for at, name in enumerate(names):
            began = time.monotonic()
            # Each has its part of what is left, less what a process takes to begin.
            share = (end - began) / (len(names) - at) - spent
            is_quick = any(word in name for word in _QUICK)
            longest = _SLICE_SECONDS if is_quick else _SLOW_SLICE_SECONDS
            seconds = max(0.5, min(share, longest))
            report = _alone(name, seconds, seed + turn, [way for of, way in ways if of == name])
            spent = (spent + time.monotonic() - began - seconds) / 2
            counts[name] += report["n_files"]
            slowest[name] = max(slowest[name], report["slowest"])
            for failure in report["failures"]:
                sys.stdout.write(f"{name}: FAILURE\n{failure}\n")
            for way, count in report["ways"].items():
                ways[name, way] += count
            sys.stdout.write(
                f"{counts.total():>9,} mutants, {len(ways)} ways to fail; turn {turn}, {name}: "
                f"{report['n_files']}\n"
            )
            sys.stdout.flush()
        turn += 1
    for name in names:
        failed = {way: count for (of, way), count in ways.items() if of == name}
        sys.stdout.write(
            f"{counts[name]:>9,} {name:<20} slowest {slowest[name]:.2f} s  {failed or ''}\n"
        )
    sys.stdout.write(f"{counts.total():>9,} mutants, {len(ways)} ways to fail\n")
    return int(bool(ways))


def _alone(name: str, seconds: float, seed: int, known: list[str]) -> dict[str, Any]:
    """Run a target in a process; where that ends before its time, its last mutant is kept."""
    from tests.fuzz.running import command_for, keep_mutant, unread_of

    command = [sys.executable, "-m", "tests.fuzz", name, "--document", "--seed", str(seed),
               "--seconds", str(seconds)]  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({name: known}, file)
        file.flush()
        command += ["--known", file.name]
        run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        way, again, n_files = f"ended with {run.returncode}", "", 0
        if os.path.exists(unread_of(name)):
            with open(f"{unread_of(name)}.count") as count, open(unread_of(name), "rb") as file:
                n_files = int(count.read() or 0)
                path = keep_mutant(name, file.read(), prefix="unread-")
            os.unlink(unread_of(name))
            again = f"Again: {command_for(name, path)}\n"
        failure = f"{run.stderr[-4000:]}\n{again}"
        return {"n_files": n_files, "slowest": 0.0, "ways": {way: 1}, "failures": [failure]}
    return report


def _atheris(name: str, seconds: int) -> int:
    import random

    random.seed(0)
    from tests.fuzz.engine import run_atheris

    run_atheris(name, seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
