"""Scalars and single elements over a run: learning rate, iterations, `kernel[0,3]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, UsageError, VariableNotFoundError
from ckread.model.indexing import split_index
from ckread.model.patterns import select
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run import Run
    from ckread.model.run_entries import RunEntry
    from ckread.model.variable import Variable

Number = int | float | None

_RATE_WORDS = ("learning_rate", "lr", "rate")


@dataclass(frozen=True, slots=True)
class TrackedValue:
    """One number over the checkpoints of a run.

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


@dataclass(frozen=True, slots=True)
class RunTrack:
    """Numbers over a run.

    Attributes:
        path: of the run.
        checkpoints: in order of step; values go along them.
        variables: what was asked for, in the order of the patterns.
        notes: what was left out and why, one sentence each.
    """

    path: str
    checkpoints: tuple[RunEntry, ...]
    variables: tuple[TrackedValue, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `track` document."""
        return {
            "path": self.path,
            "checkpoints": [
                {"path": entry.path, "step": entry.step, "time": entry.time}
                for entry in self.checkpoints
            ],
            "variables": [variable.to_dict() for variable in self.variables],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class _Target:
    """A number to follow: a scalar, or the element of a variable at an index."""

    key: str
    label: str
    index: tuple[Any, ...] | None
    role: Role


def track(run: Run, patterns: str | Sequence[str]) -> RunTrack:
    """Follow numbers over a run.

    Args:
        run: its checkpoints.
        patterns: patterns of scalars, or names with the index of one element.

    Raises:
        VariableNotFoundError: a pattern means nothing; for a learning rate the remedy
            says why the checkpoints hold none.
        UsageError: what is meant is not a single number.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    opened: list[tuple[RunEntry, Checkpoint]] = []
    notes = []
    for at, found in run.opened():
        entry = run.entries[at]
        if isinstance(found, CheckpointError):
            notes.append(f"{entry.name} was left out: {found.message}.")
        else:
            opened.append((entry, found))
    candidates = {
        name: variable for _, checkpoint in opened for name, variable in checkpoint.items()
    }
    found_targets = (t for pattern in wanted for t in _targets(pattern, candidates, run))
    targets = list({target.label: target for target in found_targets}.values())
    rows, entries = [], []
    for entry, checkpoint in opened:
        with checkpoint:
            row = [_value(checkpoint, target, notes) for target in targets]
        if run.error_now(run.entries.index(entry)) is None:
            rows.append(row)
            entries.append(entry)
        else:
            notes.append(f"{entry.name} changed while it was read, and was left out.")
    columns = zip(*rows, strict=True) if rows else ((),) * len(targets)
    variables = tuple(
        TrackedValue(target.label, tuple(values), target.role)
        for target, values in zip(targets, columns, strict=True)
    )
    return RunTrack(run.path, tuple(entries), variables, tuple(notes))


def _targets(pattern: str, candidates: dict[str, Variable], run: Run) -> Iterable[_Target]:
    name, index = (pattern, None) if pattern in candidates else split_index(pattern)
    try:
        exact = candidates.get(name)
        found = [exact] if exact is not None else select(candidates.values(), [name])
    except VariableNotFoundError as error:
        raise _no_rate(pattern, candidates, run) or error from None
    if index is not None:
        text = pattern[len(name) :].replace(" ", "")
        return [
            _Target(v.key, v.name + text, index, v.role) for v in found if _is_element(v, index)
        ]
    scalars = [v for v in found if v.elements == 1 and v.dtype.is_plain]
    if not scalars:
        raise _not_a_scalar(found)
    return [_Target(v.key, v.name, None, v.role) for v in scalars]


def _is_element(variable: Variable, index: tuple[Any, ...]) -> bool:
    """Check that an index means one element.

    Raises:
        UsageError: it means several, or does not fit.
    """
    from ckread.model.indexing import resolve_index

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


def _not_a_scalar(found: Sequence[Variable]) -> UsageError:
    variable = found[0]
    shape = "×".join(map(str, variable.shape))
    example = ",".join("0" * len(variable.shape))
    remedy = f"Give an element: {variable.name}[{example}]" if variable.shape else None
    return UsageError(
        f"{variable.name}: {variable.dtype} of shape {shape} is no scalar", remedy=remedy
    )


def _no_rate(
    pattern: str, candidates: dict[str, Variable], run: Run
) -> VariableNotFoundError | None:
    """Say why checkpoints hold no learning rate, if that is what was asked for."""
    if pattern.strip("*/").rpartition("/")[2] not in _RATE_WORDS:
        return None
    message = f"{run.path}: no learning rate in these checkpoints"
    counters = [
        v.name
        for v in candidates.values()
        if v.role is Role.COUNTER and v.name.rpartition("/")[2] in ("iterations", "iter")
    ]
    if counters:
        message += ": a schedule object"
        remedy = (
            "The optimizer computes it from its iterations by a schedule, which is not saved."
            f"\nckread track {run.path} {counters[0]}"
        )
    elif any(v.role is Role.SLOT for v in candidates.values()):
        remedy = "It was part of the program or its graph, as in TensorFlow 1, and was not saved."
    else:
        remedy = "They hold no optimizer at all."
    return VariableNotFoundError(message, path=run.path, remedy=remedy)


def _value(checkpoint: Checkpoint, target: _Target, notes: list[str]) -> Number:
    if target.key not in checkpoint:
        return None
    try:
        return _read(checkpoint[target.key], target.index)
    except UsageError as error:  # another shape in this checkpoint
        notes.append(f"{error.message}, in {checkpoint.path}.")
    except CheckpointError as error:
        notes.append(f"{target.label} of {checkpoint.path} was left out: {error.message}.")
    return None


def _read(variable: Variable, index: tuple[Any, ...] | None) -> Number:
    if index is None:
        try:
            return variable.scalar()
        except UsageError:  # bfloat16 and the like have no format of their own
            if variable.elements != 1:
                raise
    value = (variable.numpy() if index is None else variable.read(index)).reshape(-1)[0]
    number: Number = float(value) if value.dtype.kind not in "iub" else int(value)
    return number
