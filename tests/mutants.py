"""Mutation testing: small faults put into `readers`, `model` and `analysis`; do tests find them?

    python -m tests.mutants --record                   which fast test runs which line, once
    python -m tests.mutants --sample 3000 --seed 1     a fault after the other, results in a file
    python -m tests.mutants --survivors                those again that none of them found,
                                                       against all tests that reach their line
    python -m tests.mutants --tests tests/model --record    some tests, and what they reach

Needs cosmic-ray (`pip install cosmic-ray`), whose operators make the faults. Tests are
collected once. A fork for each fault changes the code of the functions that are loaded and runs
the tests that reach its line: thirty that reach least else, and where these find nothing, the
rest (up to 150). Where a fault is in what runs at import, the fork runs its module anew, and
what other modules had taken from it stays: such faults are `unshown` where no test finds them.
Annotations and what only a type checker reads are left alone. Results are lines of JSON; a run
goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import ast
import gc
import inspect
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from ckread.readers.hdf5 import process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_ROOT = Path(__file__).resolve().parent.parent
_WINGS = ("readers", "model", "analysis")
_TESTS = ("readers", "model", "analysis", "hazards", "views", "cli")
_FAST = "not slow and not oracle"
_MOST = 150
"""Tests of a fault, those first that reach least else."""
_SECONDS, _WALL_SECONDS = 20, 120
_MEMORY_NBYTES = 6 << 30
_SURVIVED, _KILLED, _TIMEOUT, _UNREACHED = "survived", "killed", "timeout", "unreached"
_IMPOSSIBLE, _UNSHOWN = "impossible", "unshown"


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


def sampled(n_mutants: int, seed: int, modules: Collection[str]) -> list[Mutant]:
    """Choose places of modules by chance, and for each one of the faults that could be put there.

    Of all faults by chance most would be a `+` made one of eleven other operators.
    """
    rng = random.Random(seed)
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant, column in mutants(modules):
        places.setdefault((mutant.module, mutant.line, column), []).append(mutant)
    chosen = rng.sample(sorted(places), min(n_mutants, len(places)))
    return [rng.choice(places[one]) for one in chosen]


def mutants(modules: Collection[str]) -> Iterator[tuple[Mutant, int]]:
    """Give every fault that could be put into modules, and its column."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    operators = [(name, get_operator(name)) for name in sorted(operator_names())]
    for wing in _WINGS:
        for path in sorted((_ROOT / "ckread" / wing).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            unread, module = _not_run(source), str(path.relative_to(_ROOT))
            if module not in modules:
                continue
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


def _changed(mutant: Mutant) -> tuple[str, str] | None:
    """Give the source of a module and what the fault makes of it."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (_ROOT / mutant.module).read_text(encoding="utf-8")
    try:
        changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
        compile(changed, mutant.module, "exec")
    except (AttributeError, SyntaxError):  # `except a.b` and `{**a}` are more than it knows
        return None
    return source, changed


class Loaded:
    """What a fork changes: the functions that are loaded, and what they remember."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self.caches = []
        for one in gc.get_objects():
            if isinstance(one, FunctionType):
                code = one.__code__
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self.functions.setdefault(key, []).append(one)
            elif type(one).__name__ == "_lru_cache_wrapper":
                self.caches.append(one)

    def put_in(self, module: str, source: str, changed: str) -> None:
        """Change a module: its functions where they are, or all of it if it is none of these."""
        for cache_of in self.caches:
            cache_of.cache_clear()
        path = str(_ROOT / module)
        functions = _differing(source, changed)
        for (name, line), code in functions.items():
            for function in self.functions.get((path, name, line), ()):
                function.__code__ = code
        if not functions:
            name = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            exec(compile(changed, path, "exec"), vars(sys.modules[name]))


def _differing(source: str, changed: str) -> dict[tuple[str, int], CodeType]:
    """Give the functions that a fault changes; none where it is in what runs at import."""
    old, new = (_codes(compile(one, "", "exec")) for one in (source, changed))
    return {key: code for key, code in new.items() if key in old and old[key] != code}


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """Give the code of every function of a module, those within functions left to these."""
    found: dict[tuple[str, int], CodeType] = {}
    for one in code.co_consts:
        if isinstance(one, CodeType):
            if one.co_flags & inspect.CO_NEWLOCALS:
                found[one.co_qualname, one.co_firstlineno] = one
            else:  # the body of a class
                found |= _codes(one)
    return found


class Runner:
    """A plugin of pytest: once all is collected, each fault has a fork that runs tests of it."""

    def __init__(self, arguments: argparse.Namespace, coverage: Coverage) -> None:
        self.arguments = arguments
        self.coverage = coverage
        self.code = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the faults in place of the tests; HDF5's library in this process, with its faults."""
        process._PYTHONS = ()
        if self.arguments.record:
            return self._record(session)
        self.code = _run_all(self.arguments, self.coverage, session)
        return True

    def _record(self, session: pytest.Session) -> bool:
        """Run all tests, and note which of them runs which line."""
        import coverage

        measured = coverage.Coverage(
            data_file=self.coverage[0], include=[f"{_ROOT}/ckread/{wing}/*" for wing in _WINGS]
        )
        measured.start()
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            measured.switch_context(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        measured.stop()
        measured.save()
        return True


def run(
    mutant: Mutant,
    loaded: Loaded,
    session: pytest.Session,
    recorded: Coverage,
    most: int,
    *,
    only_functions: bool,
) -> dict[str, Any]:
    """Put a fault into a fork, and run tests there."""
    began, outcome = time.monotonic(), _UNREACHED
    texts = _changed(mutant)
    if texts is None:
        return {**asdict(mutant), "outcome": _IMPOSSIBLE}
    items = {item.nodeid: item for item in session.items}
    tests = [items[one] for one in tests_for(mutant, recorded) if one in items][:most]
    is_at_import = not _differing(*texts)
    if is_at_import and only_functions:
        outcome = _IMPOSSIBLE
    elif is_at_import and _tested(loaded, mutant.module, (texts[0], texts[0]), tests) != _SURVIVED:
        outcome = _IMPOSSIBLE  # to run the module anew is a fault already
    elif tests:
        outcome = _tested(loaded, mutant.module, texts, tests)
        outcome = _UNSHOWN if is_at_import and outcome == _SURVIVED else outcome
    lines = [
        f"- {old.strip()}\n+ {new.strip()}"
        for old, new in zip(texts[0].splitlines(), texts[1].splitlines(), strict=False)
        if old != new
    ]
    return {
        **asdict(mutant), "outcome": outcome, "tests": len(tests),
        "seconds": round(time.monotonic() - began, 1), "change": "\n".join(lines[:3]),
    }  # fmt: skip


_CODES = {0: _SURVIVED, 3: _IMPOSSIBLE}


def _tested(
    loaded: Loaded, module: str, texts: tuple[str, str], tests: Sequence[pytest.Item]
) -> str:
    """Run tests in a fork until one fails."""
    place = tempfile.mkdtemp(prefix="ckread-mutant-")
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_NBYTES, _MEMORY_NBYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
            loaded.put_in(module, *texts)
            code, session = 1, tests[0].session
            vars(session.config)["_tmp_path_factory"]._basetemp = Path(place)
            for item, following in zip(tests, [*tests[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    break
            else:
                code = 0
        finally:
            os._exit(code)
    end, outcome = time.monotonic() + _WALL_SECONDS, _TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            ended = os.waitstatus_to_exitcode(status)
            outcome = _TIMEOUT if ended == -signal.SIGXCPU else _CODES.get(ended, _KILLED)
            break
        time.sleep(0.005)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    shutil.rmtree(place, ignore_errors=True)
    return outcome


def _run_all(arguments: argparse.Namespace, coverage: Coverage, session: pytest.Session) -> int:
    """Put faults in, one after the other; give 1 if tests find fewer than nine of ten."""
    results = Path(arguments.results)
    before = (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )
    alive = (_SURVIVED, _UNREACHED, _UNSHOWN)
    if arguments.survivors:
        chosen = [_of(one) for one in before if one["outcome"] in alive]
        done: set[Mutant] = set()
        results = results.with_suffix(".again.jsonl")
    else:
        measured = set(_recorded(coverage))
        chosen = sampled(arguments.sample, arguments.seed, measured)
        done = {_of(one) for one in before}
    end = time.monotonic() + arguments.minutes * 60
    counts = Counter(one["outcome"] for one in before if not arguments.survivors)
    loaded = Loaded()
    gc.freeze()
    for mutant in chosen:
        if mutant in done or time.monotonic() > end:
            continue
        most = len(session.items) if arguments.survivors else _MOST
        functions = arguments.functions
        found = run(mutant, loaded, session, coverage, most, only_functions=functions)
        counts[found["outcome"]] += 1
        done.add(mutant)
        with results.open("a") as file:
            file.write(f"{json.dumps(found)}\n")
        if found["outcome"] in alive:
            sys.stderr.write(f"{mutant.module}:{mutant.line} {found['change']}\n")
    n_alive = sum(counts[one] for one in alive)
    counts.pop(_IMPOSSIBLE, None)
    sys.stderr.write(f"{counts.total()} faults, {n_alive} alive: {dict(counts)}\n")
    return int(n_alive * 10 > counts.total())


def main() -> int:
    """Collect the tests, and put faults in."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--record", action="store_true", help="note which test runs which line")
    parser.add_argument("--tests", nargs="+", default=[f"tests/{name}" for name in _TESTS])
    parser.add_argument("--sample", type=int, default=3000, help="how many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--survivors", action="store_true", help="only those not found before")
    parser.add_argument("--functions", action="store_true", help="no faults in what is imported")
    parser.add_argument("--results", default=".mutants.jsonl")
    parser.add_argument("--coverage", nargs="+", default=[".mutants.coverage"])
    arguments = parser.parse_args()
    runner = Runner(arguments, tuple(map(os.path.abspath, arguments.coverage)))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:randomly", "-m", _FAST]
    code = int(pytest.main(["-s", *options, *arguments.tests], plugins=[runner]))
    return runner.code or (code if code > 1 else 0)


def _of(found: dict[str, Any]) -> Mutant:
    return Mutant(found["module"], found["operator"], found["occurrence"], found["line"])


if __name__ == "__main__":
    sys.exit(main())
