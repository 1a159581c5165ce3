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
from collections.abc import Sequence
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
    open_series,
)
from ckread.analysis.initial import initials_of
from ckread.analysis.workers import Work
from ckread.model.display import column_of, rows_where
from ckread.model.evidence import Claim, Strength
from ckread.model.role import Role
from ckread.model.run.run import as_run, nothing_left
from ckread.readers.contract import few, no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from ckread.analysis.drift.measuring import Failure
    from ckread.model.run.run import PathLike, Run

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
    work = None if index_only else Work(n_jobs, executor, progress)
    if work is not None and not opened.columns:
        from ckread.analysis.drift.columns import columns_of_alike

        opened.columns = columns_of_alike(opened.opened)
    found = _by_columns(opened, patterns, roles, work) if opened.columns else None
    if found is None:
        opened.columns.clear()
        found = _by_series(run, opened, patterns, roles, work)
    variables, causes, left_out = found
    first = min(_failures(variables), default=-1)
    causes = rows_where(causes, "first_nonfinite", lambda at: at is not None and at <= first)
    seams = find_seams(run)
    return RunDrift(
        run.path,
        tuple(opened.entries),
        variables,
        index_only,
        left_out,
        tuple(causes),
        tuple(opened.notes),
        () if index_only else learning_rate(opened),
        (*run.claims, *(seam.claim for seam in seams), *_initial_claims(variables)),
        seams,
    )


_Drifts = tuple[Sequence[VariableDrift], Sequence[VariableDrift], dict[Role, int]]
"""Of the variables asked for, of those of other roles if one of these is not finite, and how many
of each role are left out."""


def _by_columns(
    opened: OpenRun,
    patterns: str | Sequence[str],
    roles: str | Iterable[str] | None,
    work: Work | None,
) -> _Drifts | None:
    """Measure checkpoints that are alike as columns; None if something cannot be read."""
    from ckread.analysis.drift.columns import DriftColumns, choose_places

    columns, evidence = opened.columns[-1], opened.last.evidence
    places, left_out = choose_places(columns, evidence, patterns, roles)
    variables = DriftColumns(opened.columns, places)
    causes: Sequence[VariableDrift] = ()
    if work is not None:
        if not variables.measure(work):
            return None
        if roles is None and _failures(variables):
            found, _ = choose_places(columns, evidence, patterns, _MAY_FAIL)
            chosen = {*places.tolist()}
            others = found[[place not in chosen for place in found.tolist()]]
            causes = DriftColumns(opened.columns, others)
            if not causes.measure(work):
                return None
        variables.look_at_still()
    return variables, causes, left_out


def _by_series(
    run: Run,
    opened: OpenRun,
    patterns: str | Sequence[str],
    roles: str | Iterable[str] | None,
    work: Work | None,
) -> _Drifts:
    """Measure variable by variable."""
    chosen, left_out = choose_series(opened, patterns, roles)
    if work is None:
        changed = [VariableDrift.of(series, changes(series.cells)) for series in chosen]
        return tuple(changed), (), left_out
    variables = _settled(run, opened, chosen, work)
    causes: list[VariableDrift] = []
    if roles is None and _failures(variables):
        # What may have failed before those chosen: slots, averages, scales.
        chosen_names = {series.name for series in chosen}
        found, _ = choose_series(opened, patterns, _MAY_FAIL)
        others = [series for series in found if series.name not in chosen_names]
        causes = _settled(run, opened, others, work)
        if len(causes) and len(causes[0].present) != len(variables[0].present):
            variables = _settled(run, opened, chosen, work)
    is_still = [set(one.changed[1:]) == {False} and all(one.present) for one in variables]
    told = enumerate(zip(variables, is_still, strict=True))
    still = [i for i, (one, is_so) in told if is_so and one.role is Role.WEIGHT]
    looks = initials_of(opened.series[variables[i].name].last for i in still)
    for i, look in zip(still, looks, strict=True):
        variables[i] = variables[i]._replace(initial=look)
    return tuple(variables), causes, left_out


def _failures(variables: Sequence[VariableDrift]) -> list[int]:
    """Give of each variable that is not finite the first checkpoint in which it is not."""
    return [at for at in column_of(variables, "first_nonfinite") if at is not None]


def _initial_claims(variables: Sequence[VariableDrift]) -> Iterator[Claim]:
    """Yield what is told of values that never moved, a claim for each way they look."""
    alike: dict[str, list[str]] = {}
    for name, initial in zip(
        column_of(variables, "name"), column_of(variables, "initial"), strict=True
    ):
        if initial is not None:
            alike.setdefault(initial, []).append(name)
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
