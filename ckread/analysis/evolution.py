"""The same statistics in every checkpoint of a run: how a distribution changed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.gathering import measure_variables
from ckread.analysis.statistics import (
    N_BINS,
    VariableStatistics,
    choose_variables,
    variable_statistics,
)
from ckread.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Executor

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.role import Role
    from ckread.model.run import Run
    from ckread.model.variable import Variable


@dataclass(frozen=True, slots=True)
class Moment:
    """One checkpoint of a run.

    Attributes:
        path: of the checkpoint.
        step: its step; its place in the run, from 1, where steps are not known.
        time: when it was saved, in seconds since 1970; None where that is not known.
        variables: by name, those of them that it has.
    """

    path: str
    step: int
    time: float | None
    variables: dict[str, VariableStatistics]


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Statistics of some variables along a run.

    Attributes:
        path: what names the run.
        names: of the variables, in the order of the last checkpoint.
        moments: the checkpoints, in order of step.
        n_bins: bins of each histogram in `to_dict`.
        notes: what was left out, one sentence each.
    """

    path: str
    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    n_bins: int = N_BINS
    notes: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[VariableStatistics, ...]:
        """What could not be read, in whatever checkpoint."""
        every = (v for moment in self.moments for v in moment.variables.values())
        return tuple(variable for variable in every if variable.error)

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `stats` document of a run."""
        return {
            "path": self.path,
            "checkpoints": [
                {
                    "path": moment.path,
                    "step": moment.step,
                    "time": moment.time,
                    "variables": [
                        variable.to_dict(self.n_bins) for variable in moment.variables.values()
                    ],
                }
                for moment in self.moments
            ],
        }


def statistics_of_run(
    run: Run,
    patterns: Sequence[str],
    *,
    roles: Collection[Role] | None = None,
    n_bins: int = N_BINS,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunStatistics:
    """Measure variables in every checkpoint of a run; arguments as of `statistics`.

    Which variables the patterns mean is decided in the last checkpoint.

    Raises:
        UsageError: none of the checkpoints can be opened.
        CheckpointError: a worker process died.
    """
    with ExitStack() as stack:
        found: list[tuple[int, Checkpoint]] = []
        notes = []
        for index, opened in run.opened():
            if isinstance(opened, CheckpointError):
                notes.append(f"{run.entries[index].path} was left out: {opened.message}.")
            else:
                found.append((index, stack.enter_context(opened)))
        if not found:
            raise UsageError(f"{run.path}: none of the checkpoints can be opened")
        chosen, _ = choose_variables(found[-1][1], patterns, roles)
        names = tuple(variable.name for variable in chosen)
        places = [
            (index, checkpoint[name])
            for index, checkpoint in found
            for name in names
            if name in checkpoint
        ]
        outcomes = measure_variables(
            [variable for _, variable in places],
            n_bins,
            n_jobs=n_jobs,
            executor=executor,
            progress=progress,
        )
        measured = list(map(_measured, places, outcomes))
    moments = tuple(_moment(run, index, measured) for index, _ in found)
    return RunStatistics(run.path, names, moments, n_bins, (*run.notes, *notes))


def _measured(place: tuple[int, Variable], outcome: Any) -> tuple[int, VariableStatistics]:
    return place[0], variable_statistics(place[1], outcome)


def _moment(run: Run, index: int, measured: Sequence[tuple[int, VariableStatistics]]) -> Moment:
    entry = run.entries[index]
    step = index + 1 if entry.step is None else entry.step
    here = {variable.name: variable for at, variable in measured if at == index}
    return Moment(entry.path, step, entry.time, here)
