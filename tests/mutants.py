"""Mutation testing: small faults put into `readers`, `model` and `analysis`; do tests find them?

    python -m tests.mutants --record                   which fast test runs which line, once
    python -m tests.mutants --sample 3000 --seed 1     a fault after the other, results in a file
    python -m tests.mutants --survivors                those again that none of them found,
                                                       against tests with TensorFlow too

Needs cosmic-ray (`pip install cosmic-ray`), whose operators make the faults. Each is put into
a copy of the project, and a fork runs the tests that reach its line: thirty that reach least
else, and where these find nothing, the rest (up to 150). Annotations and what only a type
checker reads are left alone. Results are lines of JSON; a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parent.parent
_WINGS = ("readers", "model", "analysis")
_TESTS = ("readers", "model", "analysis", "hazards")
_FAST = "not slow and not oracle"
_FIRST, _MOST = 30, 150
_SECONDS = 90
_SURVIVED, _KILLED, _TIMEOUT, _UNREACHED = "survived", "killed", "timeout", "unreached"
_IMPOSSIBLE = "impossible"
_HEAVY = (
    "numpy", "h5py", "ml_dtypes", "hypothesis", "rich.console", "google_crc32c", "cramjam",
    "_pytest.assertion.rewrite", "pandas", "google.protobuf",
)  # fmt: skip
"""Imported once: every fork has them already."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: where it is put, and by what.

    Attributes:
        module: path from the root of the project.
        operator: the name that cosmic-ray gives it.
        occurrence: the how manieth place that it could change.
        line: where that is.
    """

    module: str
    operator: str
    occurrence: int
    line: int


def sampled(n_mutants: int, seed: int) -> list[Mutant]:
    """Choose places by chance, and for each one of the faults that could be put there.

    Of all faults by chance most would be a `+` made one of eleven other operators.
    """
    rng = random.Random(seed)
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant, column in mutants():
        places.setdefault((mutant.module, mutant.line, column), []).append(mutant)
    return [rng.choice(places[one]) for one in rng.sample(sorted(places), n_mutants)]


def mutants() -> Iterator[tuple[Mutant, int]]:
    """Give every fault that could be put in, and its column."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    operators = [(name, get_operator(name)) for name in sorted(operator_names())]
    for wing in _WINGS:
        for path in sorted((_ROOT / "ckread" / wing).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            unread, module = _not_run(source), str(path.relative_to(_ROOT))
            nodes = list(ast_nodes(get_ast(source)))
            for name, operator in operators:
                if operator.arguments():
                    continue
                places = (place for node in nodes for place in operator().mutation_positions(node))
                for occurrence, (start, _) in enumerate(places):
                    if not any(first <= start < last for first, last in unread):
                        yield Mutant(module, name, occurrence, start[0]), start[1]


def _not_run(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Give what is never evaluated: annotations, and blocks for a type checker."""
    spans: list[Any] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            spans.append(node)
        spans += [getattr(node, name, None) for name in ("annotation", "returns")]
    return [
        ((one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset))
        for one in spans
        if one is not None
    ]


# Which tests reach a line.


def record(path: str) -> int:
    """Run the fast tests, and note which of them runs which line."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", _FAST,
        *(f"tests/{name}" for name in _TESTS), *(f"--cov=ckread/{wing}" for wing in _WINGS),
        "--cov-context=test", "--cov-report=",
    ]  # fmt: skip
    return subprocess.call(command, cwd=_ROOT, env=os.environ | {"COVERAGE_FILE": path})


Coverage = tuple[str, ...]
"""The files of `record`, of which there may be several."""


@cache
def _recorded(paths: Coverage) -> dict[str, dict[int, set[str]]]:
    from coverage import CoverageData

    found: dict[str, dict[int, set[str]]] = {}
    for path in paths:
        data = CoverageData(path)
        data.read()
        for file in data.measured_files():
            lines = found.setdefault(f"ckread/{file.rpartition('/ckread/')[2]}", {})
            for line, contexts in data.contexts_by_lineno(file).items():
                tests = {one.partition("|")[0] for one in contexts if one}
                lines.setdefault(line, set()).update(tests)
    return found


@cache
def _collected(folder: str) -> frozenset[str]:
    """Give the tests that there are: one that is gone would fail whatever the fault."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
               *(f"tests/{name}" for name in _TESTS)]  # fmt: skip
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return frozenset(found.stdout.splitlines())


@cache
def _reach(paths: Coverage) -> Counter[str]:
    """Count the lines that each test reaches."""
    return Counter(
        test for lines in _recorded(paths).values() for tests in lines.values() for test in tests
    )


def tests_for(mutant: Mutant, paths: Coverage) -> list[str]:
    """Give the tests that reach a line, those first that reach least else.

    A line that runs at import is reached by whatever reaches its module.
    """
    lines = _recorded(paths).get(mutant.module, {})
    tests = lines.get(mutant.line) or sorted({one for found in lines.values() for one in found})
    wing = "tests/" + mutant.module.split("/")[1]
    return sorted(tests, key=lambda one: (not one.startswith(wing), _reach(paths)[one], one))


# Putting a fault in, and running tests.


def _copy(folder: str) -> None:
    for name in ("ckread", "tests", "docs"):
        shutil.copytree(_ROOT / name, f"{folder}/{name}", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("fixtures", "pyproject.toml", "README.md", "CHANGELOG.md"):
        os.symlink(_ROOT / name, f"{folder}/{name}")


def run(mutant: Mutant, folder: str, recorded: Coverage, marks: str = _FAST) -> dict[str, Any]:
    """Put a fault into the copy, run tests, take it out again."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    path = Path(folder, mutant.module)
    source = (_ROOT / mutant.module).read_text(encoding="utf-8")
    tests = [one for one in tests_for(mutant, recorded) if one in _collected(folder)]
    began, outcome = time.monotonic(), _UNREACHED
    try:
        changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    except AttributeError:  # `except a.b` is more than this operator knows
        return {**asdict(mutant), "outcome": _IMPOSSIBLE}
    path.write_text(changed, encoding="utf-8")
    try:
        for chosen in (tests[:_FIRST], tests[_FIRST:_MOST]):
            if chosen:
                outcome = _tested(chosen, folder, marks)
            if outcome not in (_SURVIVED, _UNREACHED):
                break
    finally:
        path.write_text(source, encoding="utf-8")
    lines = [
        f"- {old.strip()}\n+ {new.strip()}"
        for old, new in zip(source.splitlines(), changed.splitlines(), strict=False)
        if old != new
    ]
    return {
        **asdict(mutant), "outcome": outcome, "tests": len(tests),
        "seconds": round(time.monotonic() - began, 1), "change": "\n".join(lines[:3]),
    }  # fmt: skip


def _tested(tests: list[str], folder: str, marks: str) -> str:
    """Run tests in a fork, which has the heavy libraries already."""
    child = os.fork()
    if child == 0:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.chdir(folder)
        sys.path[:] = [folder, *(path for path in sys.path if path not in ("", str(_ROOT)))]
        for name in [one for one in sys.modules if one.partition(".")[0] in ("tests", "ckread")]:
            del sys.modules[name]  # those of the project itself
        sys.dont_write_bytecode = True
        code = 2
        try:
            import pytest

            early = "ignore::pytest.PytestAssertRewriteWarning"  # of hypothesis, imported before
            options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-W", early]
            code = int(pytest.main([*options, "-m", marks, *tests]))
        finally:
            os._exit(code)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return _SURVIVED if status == 0 else _KILLED  # 4: a test cannot be imported
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return _TIMEOUT


def main() -> int:
    """Put faults in, one after the other; give 1 if tests find fewer than nine of ten."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--record", action="store_true", help="note which test runs which line")
    parser.add_argument("--sample", type=int, default=3000, help="how many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--survivors", action="store_true", help="only those not found before")
    parser.add_argument("--results", default=".mutants.jsonl")
    parser.add_argument("--coverage", nargs="+", default=[".mutants.coverage"])
    arguments = parser.parse_args()
    coverage = tuple(map(os.path.abspath, arguments.coverage))
    if arguments.record:
        return record(coverage[0])
    results = Path(arguments.results)
    before = (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )
    if arguments.survivors:
        chosen = [_of(one) for one in before if one["outcome"] in (_SURVIVED, _UNREACHED)]
        done: set[Mutant] = set()
        results = results.with_suffix(".again.jsonl")
    else:
        chosen = sampled(arguments.sample, arguments.seed)
        done = {_of(one) for one in before}
    end = time.monotonic() + arguments.minutes * 60
    counts = Counter(one["outcome"] for one in before if not arguments.survivors)
    for name in _HEAVY:
        __import__(name)
    folder = tempfile.mkdtemp(prefix="ckread-mutants-")
    try:
        _copy(folder)
        for mutant in chosen:
            if mutant in done or time.monotonic() > end:
                continue
            marks = "not slow" if arguments.survivors else _FAST
            found = run(mutant, folder, coverage, marks)
            counts[found["outcome"]] += 1
            with results.open("a") as file:
                file.write(f"{json.dumps(found)}\n")
            if found["outcome"] in (_SURVIVED, _UNREACHED):
                sys.stdout.write(f"{mutant.module}:{mutant.line} {found['change']}\n")
                sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    n_alive = counts[_SURVIVED] + counts[_UNREACHED]
    counts.pop(_IMPOSSIBLE, None)
    sys.stdout.write(f"{counts.total()} faults, {n_alive} alive: {dict(counts)}\n")
    return int(n_alive * 10 > counts.total())


def _of(found: dict[str, Any]) -> Mutant:
    return Mutant(found["module"], found["operator"], found["occurrence"], found["line"])


if __name__ == "__main__":
    sys.exit(main())
