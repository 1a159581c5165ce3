"""Statistics and distribution of every variable of a checkpoint, in one pass over its bytes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.statistics.distribution import PROBABILITIES
from ckread.analysis.statistics.measuring import measure_variables
from ckread.analysis.workers import Work
from ckread.errors import CheckpointError
from ckread.model.display import Field, Kind, columns_of, data_frame, document
from ckread.model.opening import opened
from ckread.model.records import Records
from ckread.model.selection import choose, model_order
from ckread.readers.contract import CHECKSUMMED

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.statistics.distribution import Distribution, Quantile
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.evidence import Claim
    from ckread.model.role import Role
    from ckread.model.run.run import PathLike, Run
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType


def choose_variables(
    checkpoint: Checkpoint, patterns: str | Sequence[str], roles: str | Iterable[str] | None
) -> tuple[list[Variable], dict[Role, int]]:
    """Choose among the variables of a checkpoint; they come in the order of its model."""
    chosen, left_out = choose(checkpoint.values(), patterns, roles)
    if len(chosen) == len(checkpoint):
        return checkpoint.in_order(), left_out
    return model_order(chosen, checkpoint.evidence), left_out


N_BINS = 64
"""Bins of the histogram of each variable, unless another number is asked for."""


class VariableStatistics(NamedTuple):
    """The statistics of one variable.

    Example:
        >>> one = ckread.statistics("fixtures/digits_run", "conv1/kernel")["conv1/kernel"]
        >>> one.name, str(one.role), str(one.dtype), one.shape, one.key[-9:], one.error
        ('conv1/kernel', 'weight', 'float32', (3, 3, 1, 16), 'BLE_VALUE', None)
        >>> one.elements, one.zeros, one.nan, one.infinite
        (144, 0, 0, 0)
        >>> [round(x, 4) for x in (one.min, one.max, one.mean, one.std, one.l1, one.l2)]
        [-0.2557, 0.2407, -0.0056, 0.1315, 16.585, 1.579]
        >>> one.distribution.elements, "0.5" in one.to_row()
        (144, True)
        >>> len(one.to_dict()["histogram"]["counts"])
        64

    Attributes:
        name: its name.
        key: its checkpoint key.
        role: what it is for.
        dtype: element type.
        shape: size of each dimension.
        distribution: what was measured; None where it could not be read.
        error: why not; None where it was.
    """

    name: str
    key: str
    role: Role
    dtype: DataType
    shape: tuple[int, ...]
    distribution: Distribution | None
    error: CheckpointError | None = None

    @property
    def elements(self) -> int | None:
        """How many numbers it holds; None, as all figures, where it could not be read."""
        return self.distribution and self.distribution.elements

    @property
    def min(self) -> float | None:
        """The smallest finite value; None where none is finite."""
        return self.distribution and self.distribution.min

    @property
    def max(self) -> float | None:
        """The largest finite value; None where none is finite."""
        return self.distribution and self.distribution.max

    @property
    def mean(self) -> float | None:
        """Mean of the finite values."""
        return self.distribution and self.distribution.mean

    @property
    def std(self) -> float | None:
        """Standard deviation of the finite values, of all of them, not of a sample."""
        return self.distribution and self.distribution.std

    @property
    def l1(self) -> float | None:
        """Sum of the sizes of the finite values."""
        return self.distribution and self.distribution.l1

    @property
    def l2(self) -> float | None:
        """Norm of the finite values."""
        return self.distribution and self.distribution.l2

    @property
    def zeros(self) -> int | None:
        """How many are 0."""
        return self.distribution and self.distribution.zeros

    @property
    def nan(self) -> int | None:
        """How many are NaN."""
        return self.distribution and self.distribution.nan

    @property
    def infinite(self) -> int | None:
        """How many are infinite."""
        return self.distribution and self.distribution.infinite

    def to_dict(self, n_bins: int = N_BINS) -> dict[str, Any]:
        """Give the fields of a variable in the `stats` document."""
        found = self.distribution
        if found is None:
            return document(STATISTICS_FIELDS[:N_IDENTITY], self)
        quantiles = {str(q.probability): q for q in found.quantiles}
        histogram = found.histogram(n_bins)
        return document(STATISTICS_FIELDS[:N_FIGURES], self) | {
            "quantiles": {p: q.value for p, q in quantiles.items()},
            "quantile_bounds": {p: [q.low, q.high] for p, q in quantiles.items()},
            "histogram": {"edges": list(histogram.edges), "counts": list(histogram.counts)},
        }

    def to_row(self) -> dict[str, Any]:
        """Give the fields of a row in pandas: figures, and a quantile each."""
        fields = document(STATISTICS_FIELDS, self)
        return {**fields, **(fields["quantiles"] or {})}


def _figure(name: str, kind: Kind, attribute: str | None = None) -> Field[VariableStatistics]:
    """Give the field of what was measured; absent where nothing was."""
    return Field(name, kind, lambda v: getattr(v.distribution, attribute or name, None))


def _quantiles(variable: VariableStatistics, give: Callable[[Quantile], Any]) -> Any:
    found = variable.distribution
    return {str(q.probability): give(q) for q in found.quantiles} if found else None


STATISTICS_FIELDS: tuple[Field[VariableStatistics], ...] = (
    Field("name", Kind.TEXT),
    Field("key", Kind.TEXT),
    Field("role", Kind.TEXT),
    Field("dtype", Kind.TEXT),
    Field("shape", Kind.SHAPE),
    _figure("measure", Kind.TEXT),
    _figure("elements", Kind.COUNT),
    _figure("min", Kind.FIGURE),
    _figure("max", Kind.FIGURE),
    _figure("mean", Kind.FIGURE),
    _figure("std", Kind.FIGURE),
    _figure("l1", Kind.FIGURE),
    _figure("l2", Kind.FIGURE),
    _figure("zeros", Kind.COUNT),
    _figure("nan", Kind.COUNT),
    _figure("inf", Kind.COUNT, "infinite"),
    Field("quantiles", Kind.NESTED, lambda v: _quantiles(v, lambda q: q.value)),
    Field("quantile_bounds", Kind.NESTED, lambda v: _quantiles(v, lambda q: [q.low, q.high])),
)
"""What is told of a variable that was measured: JSON, pandas and the pipe of `stats`."""

N_IDENTITY = 5
"""The first so many fields say which variable it is."""
N_FIGURES = 16
"""These and the figures; what is left are quantiles."""

_COLUMNS = {
    **columns_of(STATISTICS_FIELDS),
    **{str(probability): Kind.FIGURE for probability in PROBABILITIES},
}


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointStatistics(Records[VariableStatistics]):
    """The statistics of the variables of a checkpoint that were asked for, by name.

    Attributes:
        path: of the checkpoint.
        variables: in the order of the model, those that could not be read included.
        left_out: how many variables of each role were not asked for.
        n_bins: bins of each histogram in `to_dict`.
        has_checksums: whether the format keeps checksums of values, which were then verified.

    Example:
        >>> found = ckread.statistics("fixtures/digits_run/ckpt-10", "conv1")
        >>> print(found)
        name          min  distribution               max      mean     std  zeros
        conv1/kernel  ...
        >>> found.to_pandas()["std"].round(3).to_dict()
        {'conv1/kernel': 0.131, 'conv1/bias': 0.03}
        >>> [one.name for one in found.measured], found.damaged, len(found.variables)
        (['conv1/kernel', 'conv1/bias'], (), 2)
        >>> {str(role): n for role, n in found.left_out.items()}, found.n_bins, found.has_checksums
        ({'slot': 4}, 64, True)
    """

    path: str
    variables: tuple[VariableStatistics, ...]
    left_out: dict[Role, int]
    n_bins: int = N_BINS
    has_checksums: bool = True

    def __repr__(self) -> str:
        """Show path and number of variables."""
        return f"<ckread.CheckpointStatistics {self.path!r}: {len(self.variables)} variables>"

    @property
    def _records(self) -> tuple[VariableStatistics, ...]:
        return self.variables

    @property
    def measured(self) -> tuple[VariableStatistics, ...]:
        """Those that could be read."""
        return tuple(variable for variable in self.variables if variable.distribution)

    @property
    def damaged(self) -> tuple[VariableStatistics, ...]:
        """Those that could not be read: damaged, or in a shard that is missing."""
        return tuple(variable for variable in self.variables if variable.error)

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `stats` document; damaged variables have no figures in it."""
        return {
            "path": self.path,
            "variables": [variable.to_dict(self.n_bins) for variable in self.measured],
            "damaged": [
                {"name": variable.name, "key": variable.key, "message": str(variable.error)}
                for variable in self.damaged
            ],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per variable that was measured, by name.

        Figures are float64, counts int64; `0.01` to `0.99` are quantiles.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {name: kind for name, kind in _COLUMNS.items() if name != "name"}
        return data_frame(columns, [v.to_row() for v in self.measured], index="name")


def statistics(
    checkpoint: Checkpoint | str | os.PathLike[str],
    patterns: str | Sequence[str] = (),
    *,
    roles: str | Iterable[str] | None = None,
    n_bins: int = N_BINS,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> CheckpointStatistics:
    """Measure the variables of a checkpoint: extremes, moments, quantiles, histograms.

    Every checksum is verified in the same pass. A variable that is damaged, or whose
    shard is missing, has an error in the place of figures.

    Args:
        checkpoint: an open checkpoint, or a path.
        patterns: which variables, one pattern or several; all if empty.
        roles: of which roles, one or several; None for weights and statistics, or, where no such
            variable matches, for all but bookkeeping.
        n_bins: bins of each histogram, from min to max.
        n_jobs: processes to use; None for as many as there are cores where it is
            worth it. See `ckread.analysis.workers` about starting processes.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Raises:
        VariableNotFoundError: a pattern means no variable.
        CheckpointError: the path cannot be opened, or a worker process died.

    Example:
        >>> found = ckread.statistics("fixtures/digits_run/ckpt-10", "conv1")
        >>> found
        <ckread.CheckpointStatistics 'fixtures/digits_run/ckpt-10': 2 variables>
        >>> kernel = found["conv1/kernel"]
        >>> kernel.elements, round(kernel.mean, 5)
        (144, -0.00555)
        >>> round(kernel.distribution.quantile(0.5).value, 5)
        -0.01684
    """
    with opened(checkpoint) as source:
        chosen, left_out = choose_variables(source, patterns, roles)
        outcomes = measure_variables(chosen, n_bins, Work(n_jobs, executor, progress))
        measured = tuple(map(variable_statistics, chosen, outcomes))
        has_checksums = source.format in CHECKSUMMED
        return CheckpointStatistics(source.path, measured, left_out, n_bins, has_checksums)


def variable_statistics(
    variable: Variable, outcome: Distribution | CheckpointError
) -> VariableStatistics:
    """Give the statistics of a variable from what came of measuring it."""
    error = outcome if isinstance(outcome, CheckpointError) else None
    distribution = None if isinstance(outcome, CheckpointError) else outcome
    return VariableStatistics(
        variable.name,
        variable.key,
        variable.role,
        variable.dtype,
        variable.shape,
        distribution,
        error,
    )


# The same statistics in every checkpoint of a run: how a distribution changed.


@dataclass(frozen=True, slots=True)
class Moment:
    """One checkpoint of a run.

    Example:
        >>> moment = ckread.statistics_of_run("fixtures/digits_run", "conv1").moments[2]
        >>> moment.path, moment.step, moment.epoch, moment.numbers
        ('fixtures/digits_run/ckpt-3', 3, None, (3,))
        >>> moment.time, list(moment.variables)
        (1795240231.1890755, ['conv1/kernel', 'conv1/bias'])

    Attributes:
        path: of the checkpoint.
        step: its step; None where it is not known.
        time: when it was saved, in seconds since 1970; None where that is not known.
        variables: by name, those of them that it has.
        epoch: where its name says so; None otherwise.
        numbers: of its name, those that order it in the run.
    """

    path: str
    step: int | None
    time: float | None
    variables: dict[str, VariableStatistics]
    epoch: int | None = None
    numbers: tuple[int, ...] = ()


class VariableOverRun(NamedTuple):
    """One variable along a run.

    Example:
        >>> found = ckread.statistics_of_run("fixtures/digits_run", "conv1/bias")
        >>> [one.zeros for one in found["conv1/bias"].statistics][:3]
        [16, 16, 16]

    Attributes:
        name: its name.
        statistics: of each checkpoint, along `moments`; None where it is not there.
    """

    name: str
    statistics: tuple[VariableStatistics | None, ...]


@dataclass(frozen=True, slots=True, repr=False)
class RunStatistics(Records[VariableOverRun]):
    """Statistics of some variables along a run; its records are the variables, by name.

    Attributes:
        path: what names the run.
        names: of the variables, in the order of the last checkpoint.
        moments: the checkpoints, in order of step.
        n_bins: bins of each histogram in `to_dict`.
        notes: what was left out, one sentence each.
        titles: what orders the moments is called: `step`, `epoch`, or words of the names.
        evidence: what told the steps, and the latest.

    Example:
        >>> found = ckread.statistics_of_run("fixtures/digits_run", "bias")
        >>> frame = found.to_pandas().pivot(index="step", columns="name", values="l2")
        >>> frame.loc[10].round(3).to_dict()["conv2/bias"]
        0.524
        >>> found.names[0], len(found.moments), found.n_bins, found.titles
        ('conv1/bias', 10, 64, ('step',))
        >>> found.damaged, found.notes
        ((), ())
        >>> [claim.claim for claim in found.evidence]
        ['step', 'latest']
    """

    path: str
    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    n_bins: int = N_BINS
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ("step",)
    evidence: tuple[Claim, ...] = ()

    def __repr__(self) -> str:
        """Show path and how much was measured."""
        n = f"{len(self.names)} variables, {len(self.moments)} checkpoints"
        return f"<ckread.RunStatistics {self.path!r}: {n}>"

    @property
    def _records(self) -> tuple[VariableOverRun, ...]:
        moments = [moment.variables for moment in self.moments]
        return tuple(
            VariableOverRun(name, tuple(held.get(name) for held in moments)) for name in self.names
        )

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
                    "epoch": moment.epoch,
                    "numbers": list(moment.numbers),
                    "time": moment.time,
                    "variables": [
                        variable.to_dict(self.n_bins) for variable in moment.variables.values()
                    ],
                }
                for moment in self.moments
            ],
            "evidence": [claim.to_dict() for claim in self.evidence],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per checkpoint and variable measured in it.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        rows = [
            {"checkpoint": moment.path, "step": moment.step, **variable.to_row()}
            for moment in self.moments
            for variable in moment.variables.values()
            if variable.distribution
        ]
        first = {"name": Kind.TEXT, "checkpoint": Kind.TEXT, "step": Kind.NUMBER}
        return data_frame(first | _COLUMNS, rows)


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
        CheckpointNotFoundError: none of the checkpoints can be opened any more.
        CheckpointError: the run cannot be listed, or a worker process died.

    Example:
        >>> found = ckread.statistics_of_run("fixtures/digits_run", "conv1/kernel")
        >>> found
        <ckread.RunStatistics 'fixtures/digits_run': 1 variables, 10 checkpoints>
        >>> [round(one.std, 3) for one in found["conv1/kernel"].statistics][:5]
        [0.119, 0.119, 0.119, 0.128, 0.13]
    """
    from ckread.model.run.run import as_run, nothing_left

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
            raise nothing_left(run)
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
            Work(n_jobs, executor, progress),
        )
        measured: dict[int, dict[str, VariableStatistics]] = {index: {} for index, _ in found}
        for (index, variable), outcome in zip(places, outcomes, strict=True):
            measured[index][variable.name] = variable_statistics(variable, outcome)
    moments = []
    for index, variables in measured.items():
        entry = run.entries[index]
        moments.append(
            Moment(entry.path, entry.step, entry.time, variables, entry.epoch, entry.numbers)
        )
    told = (*run.notes, *notes)
    return RunStatistics(run.path, names, tuple(moments), n_bins, told, run.titles, run.claims)
