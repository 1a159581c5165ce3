"""How every variable moved over a run: norms, distances and angles, step by step.

All checkpoints are read side by side, stretch after stretch, so that each byte is
read once and memory does not grow with the model or the number of checkpoints.
Every checksum is verified in the same pass. Without reading any value, checksums
alone tell where a variable changed and where it did not.

A training may go on meanwhile. A checkpoint that is deleted or overwritten while
it is read is left out, with a note, and nothing that was computed from it stays.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ckread.analysis.audit.seams import find_seams
from ckread.analysis.drift.records import (
    OpenRun,
    RunDrift,
    Series,
    VariableDrift,
    changes,
    choose_series,
    learning_rate,
    nothing_left,
    open_series,
)
from ckread.analysis.initial import initial_of
from ckread.analysis.workers import Work
from ckread.model.evidence import Claim, Strength
from ckread.model.role import Role
from ckread.model.run.run import as_run
from ckread.readers.contract import few, no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.drift.measuring import Failure
    from ckread.model.run.run import PathLike, Run

_MAX_INITIAL_NBYTES = 256 << 20
"""Values that never moved, of a run, that are looked at."""
_SETTLING_SECONDS = 0.2
"""A save renames the data first and the index after it: what lies between is no damage."""


_MAY_FAIL = set(Role) - {Role.BOOKKEEPING, Role.ALIAS, Role.TABLE, Role.ITERATOR, Role.RANDOM}


def drift(
    run: Run | PathLike | Iterable[PathLike],
    patterns: str | Sequence[str] = (),
    *,
    roles: str | Iterable[str] | None = None,
    index_only: bool = False,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunDrift:
    """Measure how the variables of a run moved.

    Args:
        run: its checkpoints, or what `open_run` takes.
        patterns: which variables, one pattern or several; all if empty.
        roles: of which roles, one or several; None for weights and statistics, or, where no such
            variable matches, for all but bookkeeping. If one of these is not finite,
            the others are measured too, for what failed first.
        index_only: compare checksums alone, and read no value.
        n_jobs: processes to use; None for as many as there are cores where it is
            worth it. See `ckread.analysis.workers` about starting processes.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        VariableNotFoundError: a pattern means no variable of the run.
        CheckpointNotFoundError: no checkpoint is left.
        MissingShardError: of all checkpoints only the indexes are here.
        CheckpointError: a worker process died.

    Example:
        >>> found = ckread.drift("fixtures/digits_run", "conv1")
        >>> kernel = found["conv1/kernel"]
        >>> found.checkpoints[kernel.first_change].step, round(kernel.moved, 3)
        (4, 0.219)
    """
    run = as_run(run)
    opened = open_series(run, needs_values=not index_only)
    chosen, left_out = choose_series(opened, patterns, roles)
    if index_only:
        variables = [VariableDrift.of(series, changes(series.cells)) for series in chosen]
        return _result(run, opened, variables, left_out, index_only=True)
    work = Work(n_jobs, executor, progress)
    variables = _settled(run, opened, chosen, work)
    causes: list[VariableDrift] = []
    failures = [v.first_nonfinite for v in variables if v.first_nonfinite is not None]
    if roles is None and failures:
        # What may have failed before those chosen: slots, averages, scales.
        chosen_names = {series.name for series in chosen}
        found, _ = choose_series(opened, patterns, _MAY_FAIL)
        others = [series for series in found if series.name not in chosen_names]
        causes = _settled(run, opened, others, work)
        if len(causes) and len(causes[0].present) != len(variables[0].present):
            variables = _settled(run, opened, chosen, work)
            failures = [v.first_nonfinite for v in variables if v.first_nonfinite is not None]
    variables = list(_with_initial(variables, opened))
    first = min(failures, default=-1)
    causes = [v for v in causes if v.first_nonfinite is not None and v.first_nonfinite <= first]
    return _result(run, opened, variables, left_out, causes=causes)


def _with_initial(variables: Iterable[VariableDrift], opened: OpenRun) -> Iterator[VariableDrift]:
    """Tell what values look like that no checkpoint has otherwise; they are read once more."""
    left = _MAX_INITIAL_NBYTES
    for variable in variables:
        is_still = set(variable.changed[1:]) == {False} and all(variable.present)
        last = opened.series[variable.name].last
        if is_still and variable.role is Role.WEIGHT and last.nbytes <= left:
            left -= last.nbytes
            yield variable._replace(initial=initial_of(last))
        else:
            yield variable


def _result(
    run: Run,
    opened: OpenRun,
    variables: Sequence[VariableDrift],
    left_out: dict[Role, int],
    *,
    index_only: bool = False,
    causes: Sequence[VariableDrift] = (),
) -> RunDrift:
    seams = find_seams(run)
    return RunDrift(
        run.path,
        tuple(opened.entries),
        tuple(variables),
        index_only,
        left_out,
        tuple(causes),
        tuple(opened.notes),
        () if index_only else learning_rate(opened),
        (*run.claims, *(seam.claim for seam in seams), *_initial_claims(variables)),
        seams,
    )


def _initial_claims(variables: Sequence[VariableDrift]) -> Iterator[Claim]:
    """Yield what is told of values that never moved, a claim for each way they look."""
    alike: dict[str, list[str]] = {}
    for variable in variables:
        if variable.initial is not None:
            alike.setdefault(variable.initial, []).append(variable.name)
    for initial, names in alike.items():
        strength = Strength.STORED if initial.startswith("all ") else Strength.DERIVED
        yield Claim("initial", initial, strength, f"no checkpoint differs in {few(names, 3)}")


def _settled(
    run: Run, opened: OpenRun, chosen: Sequence[Series], work: Work
) -> list[VariableDrift]:
    """Measure, and again without what changed meanwhile, until nothing is amiss.

    A checkpoint that was deleted or overwritten is taken out altogether. A variable
    whose bytes are damaged in one that stays is absent there.
    """
    from ckread.analysis.drift.measuring import measure_series

    done: dict[str, VariableDrift] = {}
    suspects: set[tuple[str, str]] = set()
    todo = list(chosen)
    while todo:
        with no_garbage_collection():
            measured, failures = measure_series(todo, work)
        done.update((variable.name, variable) for variable in measured)
        todo = []
        if not failures:
            break
        time.sleep(_SETTLING_SECONDS)
        gone = {
            failure.checkpoint
            for failure in failures
            if run.error_now(run.entries.index(opened.entries[failure.checkpoint])) is not None
        }
        if gone:
            for index in sorted(gone, reverse=True):
                name = opened.entries[index].name
                opened.notes.append(f"{name} changed while it was read, and was left out.")
                opened.without(index)
            if not opened.entries:
                raise nothing_left(run)
            todo = [series for series in chosen if series.name in opened.series]
            done.clear()
            continue
        todo = _without_damaged(opened, failures, suspects)
    return [done[series.name] for series in chosen if series.name in done]


def _without_damaged(
    opened: OpenRun, failures: Sequence[Failure], suspects: set[tuple[str, str]]
) -> list[Series]:
    """Give what to measure again; what failed twice is absent from then on."""
    again = {}
    for failure in failures:
        series = opened.series[failure.name]
        entry = opened.entries[failure.checkpoint]
        if (failure.name, entry.path) in suspects:
            series.cells[failure.checkpoint] = None
            opened.notes.append(
                f"{failure.name} of {entry.name} was left out: {failure.error.message}."
            )
        suspects.add((failure.name, entry.path))
        again[failure.name] = series
    for name, series in list(again.items()):
        if not any(series.cells):  # damaged wherever it is
            del again[name], opened.series[name]
    return list(again.values())
