"""Scalars and single elements over a run: learning rate, iterations, `kernel[0,3]`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.audit.seams import find_seams
from ckread.analysis.training import read_training_state
from ckread.errors import CheckpointError, TextLines, UsageError, VariableNotFoundError, by
from ckread.model.display import Kind, data_frame
from ckread.model.records import Records
from ckread.model.role import Role
from ckread.model.run.run import as_run, nothing_left
from ckread.model.selection import Regex, find_variable, nearest_names, select
from ckread.model.variable import Variable, no_index, resolve_index, split_index
from ckread.readers.contract import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.model.evidence import Claim
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Opened, PathLike, Run


Number = int | float | None


@dataclass(frozen=True, slots=True)
class TrackedValue:
    """One number over the checkpoints of a run.

    Example:
        >>> one = ckread.track("fixtures/digits_run", "iterations")[0]
        >>> one.name, one.values[:3], str(one.role), list(one.to_dict())
        ('optimizer/iterations', (90, 180, 270), 'counter', ['name', 'values'])

    Attributes:
        name: of the variable, with the index of the element in brackets.
        values: one per checkpoint; None where it is absent.
        role: of the variable.
    """

    name: str
    values: tuple[Number, ...]
    role: Role

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a variable in the `track` document."""
        return {"name": self.name, "values": list(self.values)}


@dataclass(frozen=True, slots=True, repr=False)
class RunTrack(Records[TrackedValue]):
    """Numbers over a run, by name: of an element with its index in brackets.

    Attributes:
        path: of the run.
        checkpoints: in order of step; values go along them.
        variables: what was asked for, in the order of the patterns.
        notes: what was left out and why, one sentence each.
        evidence: what told the steps, the latest, and the seams.
        seams: where the run did not simply go on.

    Example:
        >>> ckread.track("fixtures/digits_run", "iterations").to_pandas().tail(2)
              optimizer/iterations
        step
        9                      810
        10                     900
        >>> found = ckread.track("fixtures/digits_run", "iterations")
        >>> len(found.variables), len(found.checkpoints), found.notes, found.seams
        (1, 10, (), ())
        >>> len(found.evidence)
        2
    """

    path: str
    checkpoints: tuple[RunEntry, ...]
    variables: tuple[TrackedValue, ...]
    notes: tuple[str, ...] = ()
    evidence: tuple[Claim, ...] = ()
    seams: tuple[Seam, ...] = ()

    def __repr__(self) -> str:
        """Show path and how much was followed."""
        n = f"{len(self.variables)} values, {len(self.checkpoints)} checkpoints"
        return f"<ckread.RunTrack {self.path!r}: {n}>"

    @property
    def _records(self) -> tuple[TrackedValue, ...]:
        return self.variables

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `track` document."""
        return {
            "path": self.path,
            "checkpoints": [entry.to_place() for entry in self.checkpoints],
            "variables": [variable.to_dict() for variable in self.variables],
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.evidence],
            "seams": [seam.to_dict() for seam in self.seams],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per checkpoint, by step, a column per value.

        Columns of whole numbers are Int64, others float64.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {
            tracked.name: Kind.NUMBER
            if all(value is None or isinstance(value, int) for value in tracked.values)
            else Kind.FIGURE
            for tracked in self.variables
        }
        rows = [
            {tracked.name: tracked.values[at] for tracked in self.variables}
            for at in range(len(self.checkpoints))
        ]
        steps = [entry.step for entry in self.checkpoints]
        return data_frame(columns, rows, index="step", labels=steps, dtype=Kind.NUMBER)


def track(run: Run | PathLike | Iterable[PathLike], patterns: str | Sequence[str]) -> RunTrack:
    """Follow numbers over a run.

    Args:
        run: its checkpoints, or what `open_run` takes.
        patterns: patterns of scalars, or names with the index of one element.

    Raises:
        CheckpointNotFoundError: no checkpoint can be opened any more.
        VariableNotFoundError: a pattern means nothing; for a learning rate the remedy
            says why the checkpoints hold none.
        UsageError: what is meant is not a single number.

    Example:
        >>> found = ckread.track("fixtures/digits_run", ["learning_rate", "logits/bias[0]"])
        >>> [round(value, 5) for value in found["optimizer/learning_rate"].values][:4]
        [0.003, 0.00255, 0.00217, 0.00184]
    """
    run = as_run(run)
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    listed = list(run.indexes())
    opened = [(at, found) for at, found in listed if not isinstance(found, CheckpointError)]
    notes = [
        f"{run.entries[at].name} was left out: {found.message}."
        for at, found in listed
        if isinstance(found, CheckpointError)
    ]
    if not opened:
        raise nothing_left(run)
    # The last of each structure tells its names; of a name that several have the last of all.
    last_of = {found.structure.number: found for _, found in opened}
    at_last = {found.structure.number: at for at, found in opened}
    candidates: dict[str, Variable] = {}
    rate = None  # that of a configuration; variables are asked for by name
    for number in sorted(at_last, key=at_last.__getitem__):
        checkpoint = last_of[number].checkpoint()
        candidates.update(checkpoint)
        if checkpoint.evidence.compiled is not None:
            rate = read_training_state(checkpoint).learning_rate
    found_targets = (t for pattern in wanted for t in targets_of(pattern, candidates, run, rate))
    targets = list({target.label: target for target in found_targets}.values())
    rows, entries = [], []
    for at, found in opened:
        entry = run.entries[at]
        path = found.path
        row: list[Number] = []
        with closing(found.reader):
            for target in targets:
                value: Number = None
                try:
                    value = _read(found, target)
                except UsageError as error:  # another shape in this checkpoint
                    notes.append(f"{error.message}, in {path}.")
                except CheckpointError as error:
                    why = f"was left out: {error.message}"
                    notes.append(f"{target.label} of {path} {why}.")
                row.append(value)
        if run.error_now(at) is None:
            rows.append(row)
            entries.append(entry)
        else:
            notes.append(f"{entry.name} changed while it was read, and was left out.")
    columns = zip(*rows, strict=True) if rows else ((),) * len(targets)
    variables = tuple(
        TrackedValue(target.label, tuple(values), target.role)
        for target, values in zip(targets, columns, strict=True)
    )
    seams = find_seams(run)
    claims = (*run.claims, *(seam.claim for seam in seams))
    return RunTrack(run.path, tuple(entries), variables, tuple(notes), claims, seams)


def _read(found: Opened, target: Target) -> Number:
    """Give the number in one checkpoint, None where it holds none; a counter was read already."""
    key = found.structure.keys_by_name.get(target.name, target.key)
    record, index = found.structure.records.get(key), target.index
    if record is None:
        return None
    if index is None and record.crc32c is not None and key in found.numbers:
        return found.numbers[key]
    variable = found.variable(key)
    if index is None:
        variable.readable_extents()  # of an archive, the whole is verified first
        try:
            return variable.scalar()
        except UsageError:  # bfloat16 and the like have no format of their own
            if variable.elements != 1:
                raise
    value = (variable.numpy() if index is None else variable.read(index)).reshape(-1)[0]
    number: Number = float(value) if value.dtype.kind not in "iub" else int(value)
    return number


_RATE_WORDS = ("learning_rate", "lr", "rate")


@dataclass(frozen=True, slots=True)
class Target:
    """A number to follow: a scalar, or the element of a variable at an index.

    Attributes:
        name: of the variable, the same in every format.
        key: its key in the checkpoint in which it was found.
        label: its name, with the index in brackets.
        index: of the element; None for a scalar.
        role: of the variable.
    """

    name: str
    key: str
    label: str
    index: tuple[Any, ...] | None
    role: Role


def targets_of(
    pattern: str, candidates: dict[str, Variable], run: Run, rate: float | None = None
) -> Iterable[Target]:
    """Give what a pattern means among the variables of a run; `rate` is a configuration's."""
    is_whole = pattern in candidates or isinstance(pattern, Regex)
    name, index = (pattern, None) if is_whole else split_index(pattern)
    try:
        exact = candidates.get(name) or find_variable(candidates.values(), name)
        found = [exact] if exact is not None else select(candidates.values(), [name])
    except VariableNotFoundError as error:
        before, bracket, rest = pattern.partition("[")
        if bracket and before in {v.name.rpartition("/")[2] for v in candidates.values()} | set(
            candidates
        ):
            raise no_index(before, bracket + rest) from None
        raise _no_rate(pattern, candidates, run, rate) or error from None
    if index is not None:
        text = pattern[len(name) :].replace(" ", "")
        return [
            Target(v.name, v.key, v.name + text, index, v.role)
            for v in found
            if _is_element(v, index)
        ]
    scalars = [v for v in found if v.elements == 1 and v.dtype.is_plain]
    if not scalars:
        variable = found[0]
        shape = "×".join(map(str, variable.shape))
        example = ",".join("0" * len(variable.shape))
        raise UsageError(
            f"{variable.name}: {variable.dtype} of shape {shape} is no scalar",
            remedy=f"Give an element: {variable.name}[{example}]" if variable.shape else None,
        )
    return [Target(v.name, v.key, v.name, None, v.role) for v in scalars]


def _is_element(variable: Variable, index: tuple[Any, ...]) -> bool:
    """Check that an index means one element."""
    items = resolve_index(index, variable.shape, variable.name)
    sizes = [len(range(*i.indices(n))) if isinstance(i, slice) else 1
             for i, n in zip(items, variable.shape, strict=False)]  # fmt: skip
    sizes += variable.shape[len(items) :]
    if any(size != 1 for size in sizes):
        example = ",".join("0" * len(variable.shape))
        remedy = f"Give one integer per dimension: {variable.name}[{example}]"
        message = f"{variable.name}: the index means several elements, expected one"
        raise UsageError(message, remedy=remedy)
    return True


def _no_rate(
    pattern: str, candidates: dict[str, Variable], run: Run, rate: float | None
) -> VariableNotFoundError | None:
    """Say why checkpoints hold no learning rate, if that is what was asked for."""
    if pattern.strip("*/").rpartition("/")[2] not in _RATE_WORDS:
        return None
    rates = [
        v.name
        for v in candidates.values()
        if v.role is Role.HYPERPARAMETER and v.name.rpartition("/")[2].strip("_") in _RATE_WORDS
    ]
    if rates:
        return VariableNotFoundError(f"no variable matches {pattern}", remedy=nearest_names(rates))
    found = "no learning rate in these checkpoints"
    counters = [
        v.name
        for v in candidates.values()
        if v.role is Role.COUNTER and v.name.rpartition("/")[2] in ("iterations", "iter")
    ]
    settings = [v.name for v in candidates.values() if v.role is Role.HYPERPARAMETER]
    if rate is not None:
        remedy: str = f"What the model was compiled with says {rate:.6g}, and is no variable."
    elif counters:
        remedy = TextLines(
            "With a schedule an optimizer computes it from its iterations, and does not save it.",
            "A log can hold it, per epoch: logs['learning_rate'] = float(optimizer.learning_rate)",
            by(
                f"ckread track {run.path} {counters[0]}",
                f"ckread.track({run.path!r}, {counters[0]!r})",
            ),
        )
    elif any(v.role is Role.SLOT for v in candidates.values()):
        remedy = "They hold slots of an optimizer, and its rate in no tensor."
    elif settings:
        remedy = f"They hold {few(settings, 3)}, and no variable that is known as a rate."
    else:
        remedy = "Nothing in them is known as an optimizer's."
    return VariableNotFoundError(found, path=run.path, remedy=remedy)
