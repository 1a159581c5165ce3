"""Mutation testing: small faults put into `readers`, `model` and `analysis`; do tests find them?

    python -m tests.mutants --record                   which fast test runs which line, once
    python -m tests.mutants --sample 3000 --seed 1     a fault after the other, results in a file
    python -m tests.mutants --survivors --cpu-seconds 60
                                                       those again that none of them found, more
                                                       of the tests that reach their line
    python -m tests.mutants --tests tests/model --record    some tests, and what they reach
    python -m tests.mutants --of ckread/model ckread/analysis/scan   faults in some modules only

Needs cosmic-ray (`pip install cosmic-ray`), whose operators make the faults. Tests are
collected once, and every module imported. A fork for each fault changes the code of the
functions that are loaded, or the constants, and runs tests that reach its line until one fails:
the fastest first, as many as take two CPU seconds without a fault (`--cpu-seconds`). A test that
fails in a fork without the fault too tells nothing: it is left out. Where a fault is in what
else runs at import, the fork runs its module anew, and gives the classes and functions that other
modules had taken from it what is new of these; enumerations and the rest stay: such faults are
`unshown` where no test finds them. Results are lines of JSON; a run goes on where the last one
ended, and a sample is in an order by chance: its beginning is a sample too.

A fault on a line that no recorded test runs is `unreached`, if those of its module do not find it.

No fault is put into what no test can tell: annotations, what only a type checker reads, prose
of errors, arguments that save memory, `==` for `is`, decorators that cache.

Of survivors these kinds are equivalent, and stay: what only sends a fast way to the slow one that
gives the same (the variable's texts of `object_graph`, columns of `small`, scaling in `moments`,
pairs that `diff.kernels` compares carefully); numbers that only tune (how much at a time, from
which size on, for how many workers); `[0]` made `[-1]` of what has one element, or alike ones
(`scan`, `slots`, columns of a run); `|` made `+` of truth values; a bound that is a little larger
(`pickles`); the other side of a value that never comes (sizes below 0, a step of 0 or -1, the
upper half of an address); `>=` for `is` of the word of an enumeration that sorts last.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import inspect
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from enum import EnumType
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any

import pytest

from ckread.readers.hdf5 import process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_ROOT = Path(__file__).resolve().parent.parent
_WINGS = ("readers", "model", "analysis")
_TESTS = ("readers", "model", "analysis", "hazards", "views", "cli")
_FAST = "not slow and not oracle"
_WALL_SECONDS = 60
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
                if operator.arguments() or name.endswith(_SAME):
                    continue
                places = (place for node in nodes for place in operator().mutation_positions(node))
                for occurrence, (start, _) in enumerate(places):
                    if not any(first <= start < last for first, last in unread):
                        yield Mutant(module, name, occurrence, start[0]), start[1]


_SAME = ("Eq_Is", "Is_Eq", "NotEq_IsNot", "IsNot_NotEq")
"""Equal and identical are one for None, members of enumerations and what Python interns."""
_ONLY_SPEED = {"cache", "lru_cache", "cached_property", "overload", "override", "final"}
_GUARDS = {"strict", "slots", "maxsize", "stacklevel"}
"""Arguments that tell of a fault of the programmer, or save time or memory."""


def _not_run(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Give what no test can tell: annotations, blocks and asserts for a type checker, prose."""
    spans: list[Any] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.If() if ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
                spans.append(node)
            case ast.Assert():
                spans.append(node)
            case ast.Raise():
                spans += [one for one in ast.walk(node) if isinstance(one, ast.JoinedStr)]
            case ast.keyword() if node.arg in _GUARDS:
                spans.append(node)
            case ast.Call() if ast.unparse(node.func) == "cast":
                spans.append(node.args[0])
            case ast.Call(func=ast.Attribute(attr="reshape")):  # any number below 0 is -1 there
                spans += [one for one in node.args if isinstance(one, ast.UnaryOp)]
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                spans += [one for one in node.decorator_list if _named(one) in _ONLY_SPEED]
        spans += [getattr(node, name, None) for name in ("annotation", "returns")]
    return [
        ((one.lineno, one.col_offset - 1), (one.end_lineno, one.end_col_offset))  # with its `@`
        for one in spans
        if one is not None
    ]


def _named(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]


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
def _seconds(paths: Coverage) -> dict[str, float]:
    """Give the CPU seconds of each test that passes where there is no fault."""
    found: dict[str, float] = {}
    for path in paths:
        found |= json.loads(Path(f"{path}.seconds").read_text())
    return found


def tests_for(mutant: Mutant, paths: Coverage, *, is_at_import: bool) -> list[str]:
    """Give the tests that reach a line, the fastest first, those of its wing before others.

    A line that runs at import is reached by whatever reaches its module, not only by the test
    that came first.
    """
    lines, seconds = _recorded(paths).get(mutant.module, {}), _seconds(paths)
    tests = set() if is_at_import else lines.get(mutant.line, set())
    tests = tests or {one for found in lines.values() for one in found}
    wing = "tests/" + mutant.module.split("/")[1]
    slowness = {one: int(math.log2(0.005 + seconds[one])) for one in tests if one in seconds}
    return sorted(slowness, key=lambda one: (slowness[one], not one.startswith(wing), one))


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
        for path in (_ROOT / "ckread").rglob("[!_]*.py"):  # what is imported late would be whole
            importlib.import_module(_name(str(path.relative_to(_ROOT))))
        for one in gc.get_objects():
            if isinstance(one, FunctionType):
                code = one.__code__
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self.functions.setdefault(key, []).append(one)
            elif type(one).__name__ == "_lru_cache_wrapper" and str(
                getattr(one, "__module__", "")
            ).startswith(("ckread", "tests")):
                self.caches.append(one)

    def put_in(self, module: str, source: str, changed: str, *, anew: bool) -> None:
        """Change a module: its functions or constants where they are, or all of it `anew`."""
        for cache_of in self.caches:
            cache_of.cache_clear()
        path, name = str(_ROOT / module), _name(module)
        for (function_name, line), code in _differing(source, changed).items():
            for function in self.functions.get((path, function_name, line), ()):
                function.__code__ = code
        if anew:
            names = vars(importlib.import_module(name))
            before = dict(names)
            exec(compile(changed, path, "exec"), names)
            for key, old in before.items():
                names[key] = _grafted(old, names.get(key), name)
        elif not _differing(source, changed):
            ours = [vars(one) for key, one in sys.modules.items() if key.startswith("ckread")]
            for constant, (old, new) in _constants(module, source, changed).items():
                for names in ours:
                    if repr(names.get(constant)) == repr(old):
                        names[constant] = new


def _grafted(old: Any, new: Any, module: str) -> Any:
    """Give what a module has anew; a class or function of its own as it was, with what is new."""
    if getattr(old, "__module__", None) != module or isinstance(old, EnumType):
        return new
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        old.__code__ = new.__code__
        old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
        return old
    if not (isinstance(old, type) and isinstance(new, type)):
        return new
    mine, theirs = vars(old), vars(new)
    for key in {*mine, *theirs} - _OF_CLASSES:
        if key not in theirs:
            delattr(old, key)
        elif not isinstance(theirs[key], MemberDescriptorType) and (
            key not in mine or _told(mine[key]) != _told(theirs[key])
        ):
            setattr(old, key, theirs[key])
    return old


_OF_CLASSES = {"__dict__", "__weakref__", "__slots__", "__doc__", "__firstlineno__"}


def _told(one: Any) -> Any:
    """Give what two of one class are compared by: codes and defaults of functions, else itself."""
    kind, function = type(one).__name__, getattr(one, "fget", None) or getattr(one, "__func__", one)
    if isinstance(function, FunctionType):
        return kind, _plain(function.__code__), function.__defaults__, function.__kwdefaults__
    return kind, repr(function)


def _plain(code: CodeType) -> tuple[Any, ...]:
    """Give what a function does, wherever it stands in its file."""
    constants = [_plain(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, *constants


def _name(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _constants(module: str, source: str, changed: str) -> dict[str, tuple[Any, Any]]:
    """Give the plain values that a fault changes, before and after."""
    name = _name(module)
    own = {"__name__": name, "__package__": importlib.import_module(name).__package__}
    try:
        old, new = own.copy(), own.copy()
        for text, names in ((source, old), (changed, new)):
            exec(compile(text, module, "exec"), names)
    except Exception:
        return {}
    plain = (int, float, str, bytes, tuple, frozenset, set, dict, list, re.Pattern)
    return {
        key: (old[key], value)
        for key, value in new.items()
        if isinstance(value, plain) and key in old and key != "__builtins__"
        and repr(old[key]) != repr(value) and " at 0x" not in repr(value)
    }  # fmt: skip


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
        self.unfit: set[str] = set()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the faults in place of the tests; HDF5's library in this process, with its faults."""
        process._PYTHONS = ()
        if self.arguments.record:
            return self._record(session)
        self.code = _run_all(self.arguments, self.coverage, session)
        return True

    def _record(self, session: pytest.Session) -> bool:
        """Run all tests; note which runs which line, and the CPU seconds of those that pass."""
        import coverage

        measured = coverage.Coverage(
            data_file=self.coverage[0], include=[f"{_ROOT}/ckread/{wing}/*" for wing in _WINGS]
        )
        measured.start()
        end, seconds = time.monotonic() + self.arguments.minutes * 60, {}
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            began = time.process_time()
            measured.switch_context(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = time.process_time() - began
            if time.monotonic() > end:
                break
        measured.stop()
        measured.save()
        passed = {one: seconds[one] for one in seconds if one not in self.unfit}
        Path(f"{self.coverage[0]}.seconds").write_text(json.dumps(passed))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the tests that fail or are skipped without a fault: they tell nothing of one."""
        if not report.passed:
            self.unfit.add(report.nodeid)


class Forks:
    """Puts faults into forks, and runs tests there; knows the tests that fail in a fork anyway."""

    def __init__(self, session: pytest.Session, recorded: Coverage, cpu_seconds: float) -> None:
        self.loaded, self.recorded, self.cpu_seconds = Loaded(), recorded, cpu_seconds
        self.items = {item.nodeid: item for item in session.items}
        self.fit: dict[tuple[str, str], bool] = {}

    def run(self, mutant: Mutant, *, only_functions: bool) -> dict[str, Any]:
        """Put a fault into a fork, and run tests there until one finds it."""
        began = time.monotonic()
        texts = _changed(mutant)
        if texts is None:
            return {**asdict(mutant), "outcome": _IMPOSSIBLE}
        is_at_import = not _differing(*texts)
        anew = is_at_import and not _constants(mutant.module, *texts)
        tests, outcome, by = self._chosen(mutant, is_at_import=is_at_import), _IMPOSSIBLE, ""
        if not (is_at_import and only_functions):
            while tests:
                outcome, by = self._tested(mutant.module, texts, tests, anew=anew)
                if outcome == _SURVIVED or self._is_fit(by, mutant.module, texts, anew=anew):
                    break
                tests = [one for one in tests if one.nodeid != by]  # it tells nothing of the fault
            else:
                outcome, by = _UNREACHED, ""
        if anew and outcome == _SURVIVED:
            outcome = _UNSHOWN
        elif outcome == _SURVIVED and not (is_at_import or self._is_reached(mutant)):
            outcome = _UNREACHED
        lines = [
            f"- {old.strip()}\n+ {new.strip()}"
            for old, new in zip(texts[0].splitlines(), texts[1].splitlines(), strict=False)
            if old != new
        ]
        return {
            **asdict(mutant), "outcome": outcome, "by": by, "tests": len(tests),
            "seconds": round(time.monotonic() - began, 1), "change": "\n".join(lines[:3]),
        }  # fmt: skip

    def _is_reached(self, mutant: Mutant) -> bool:
        return bool(_recorded(self.recorded).get(mutant.module, {}).get(mutant.line))

    def _chosen(self, mutant: Mutant, *, is_at_import: bool) -> list[pytest.Item]:
        """Give the tests of a fault, as many as take so much CPU where there is none."""
        left = self.cpu_seconds
        chosen: list[pytest.Item] = []
        for one in tests_for(mutant, self.recorded, is_at_import=is_at_import):
            left -= _seconds(self.recorded)[one]
            if left < 0 and chosen:
                break
            if one in self.items:
                chosen.append(self.items[one])
        return chosen

    def _is_fit(self, test: str, module: str, texts: tuple[str, str], *, anew: bool) -> bool:
        """Tell whether a test that failed passes in a fork without the fault."""
        key, items = (test, module if anew else ""), [self.items[test]]
        if key not in self.fit:
            same = (texts[0], texts[0])
            self.fit[key] = self._tested(module, same, items, anew=anew)[0] == _SURVIVED
        return self.fit[key]

    def _tested(
        self, module: str, texts: tuple[str, str], tests: Sequence[pytest.Item], *, anew: bool
    ) -> tuple[str, str]:
        """Run tests in a fork until one fails; give the outcome, and which test it was."""
        place = Path(tempfile.mkdtemp(prefix="ckread-mutant-"))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setsid()
                nowhere = os.open(os.devnull, os.O_RDWR)
                for stream in range(3):
                    os.dup2(nowhere, stream)
                seconds = 5 + int(4 * self.cpu_seconds)
                resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_NBYTES, _MEMORY_NBYTES))
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                (place / "test").write_text(tests[0].nodeid)
                self.loaded.put_in(module, *texts, anew=anew)
                session = tests[0].session
                vars(session.config)["_tmp_path_factory"]._basetemp = place
                for item, following in zip(tests, [*tests[1:], None], strict=True):
                    (place / "test").write_text(item.nodeid)
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
                outcome = {0: _SURVIVED, -signal.SIGXCPU: _TIMEOUT}.get(ended, _KILLED)
                break
            time.sleep(0.005)
        else:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        by = (place / "test").read_text() if (place / "test").exists() else tests[0].nodeid
        shutil.rmtree(place, ignore_errors=True)
        return outcome, "" if outcome == _SURVIVED else by


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
        of = tuple(arguments.of)
        measured = {one for one in _recorded(coverage) if one.startswith(of)}
        chosen = sampled(arguments.sample, arguments.seed, measured)
        done = {_of(one) for one in before}
    end = time.monotonic() + arguments.minutes * 60
    counts = Counter(one["outcome"] for one in before if not arguments.survivors)
    forks = Forks(session, coverage, arguments.cpu_seconds)
    gc.freeze()
    for mutant in chosen:
        if mutant in done or time.monotonic() > end:
            continue
        found = forks.run(mutant, only_functions=arguments.functions)
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
    parser.add_argument("--of", nargs="+", default=["ckread/"], help="beginnings of modules' paths")
    parser.add_argument("--sample", type=int, default=3000, help="how many faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu-seconds", type=float, default=2.0, help="of tests of a fault")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--survivors", action="store_true", help="only those not found before")
    parser.add_argument("--functions", action="store_true", help="no faults in what is imported")
    parser.add_argument("--results", default=".mutants.jsonl")
    parser.add_argument("--coverage", nargs="+", default=[".mutants.coverage"])
    arguments = parser.parse_args()
    os.environ.setdefault("HYPOTHESIS_PROFILE", "mutants")
    runner = Runner(arguments, tuple(map(os.path.abspath, arguments.coverage)))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:randomly", "-m", _FAST]
    code = int(pytest.main(["-s", *options, *arguments.tests], plugins=[runner]))
    return runner.code or (code if code > 1 else 0)


def _of(found: dict[str, Any]) -> Mutant:
    return Mutant(found["module"], found["operator"], found["occurrence"], found["line"])


if __name__ == "__main__":
    sys.exit(main())
