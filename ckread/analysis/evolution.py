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
from ckread.model.displayed import Displayed
from ckread.model.run import as_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.distribution import Distribution
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run import PathLike, Run
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


@dataclass(frozen=True, slots=True, repr=False)
class RunStatistics(Displayed):
    """Statistics of some variables along a run.

    Attributes:
        path: what names the run.
        names: of the variables, in the order of the last checkpoint.
        moments: the checkpoints, in order of step.
        n_bins: bins of each histogram in `to_dict`.
        notes: what was left out, one sentence each.

    Example:
        >>> found = ckread.statistics_of_run("fixtures/digits_run", "bias")
        >>> frame = found.to_pandas().pivot(index="step", columns="name", values="l2")
        >>> frame.loc[10].round(3).to_dict()["conv2/bias"]
        0.524
    """

    path: str
    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    n_bins: int = N_BINS
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show path and how much was measured."""
        n = f"{len(self.names)} variables, {len(self.moments)} checkpoints"
        return f"<ckread.RunStatistics {self.path!r}: {n}>"

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

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per checkpoint and variable measured in it.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        from ckread.analysis.frames import run_statistics_frame

        return run_statistics_frame(self)


def statistics_of_run(
    run: Run | PathLike | Iterable[PathLike],
    patterns: str | Sequence[str] = (),
    *,
    roles: str | Iterable[str] | None = None,
    n_bins: int = N_BINS,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunStatistics:
    """Measure variables in every checkpoint of a run, each as `statistics` does.

    Which variables the patterns mean is decided in the last checkpoint.

    Args:
        run: a run, or what `open_run` takes.
        patterns: which variables, one pattern or several; all if empty.
        roles: of which roles, one or several; None for weights and statistics, or, where no such
            variable matches, for all but bookkeeping.
        n_bins: bins of each histogram, from min to max.
        n_jobs: processes to use; None for as many as there are cores where it is
            worth it. See `ckread.analysis.workers` about starting processes.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        UsageError: none of the checkpoints can be opened.
        CheckpointError: the run cannot be listed, or a worker process died.

    Example:
        >>> found = ckread.statistics_of_run("fixtures/digits_run", "conv1/kernel")
        >>> found
        <ckread.RunStatistics 'fixtures/digits_run': 1 variables, 10 checkpoints>
        >>> stds = [m.variables["conv1/kernel"].distribution.std for m in found.moments]
        >>> [round(std, 3) for std in stds][:5]
        [0.119, 0.119, 0.119, 0.128, 0.13]
    """
    run = as_run(run)
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


def _measured(
    place: tuple[int, Variable], outcome: Distribution | CheckpointError
) -> tuple[int, VariableStatistics]:
    return place[0], variable_statistics(place[1], outcome)


def _moment(run: Run, index: int, measured: Sequence[tuple[int, VariableStatistics]]) -> Moment:
    entry = run.entries[index]
    step = index + 1 if entry.step is None else entry.step
    here = {variable.name: variable for at, variable in measured if at == index}
    return Moment(entry.path, step, entry.time, here)
