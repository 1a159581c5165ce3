"""Which numbers a pattern means: scalars, or one element of a variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError, VariableNotFoundError
from ckread.model.indexing import no_index, resolve_index, split_index
from ckread.model.patterns import select
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.run import Run
    from ckread.model.variable import Variable

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


def targets_of(pattern: str, candidates: dict[str, Variable], run: Run) -> Iterable[Target]:
    """Give what a pattern means among the variables of a run.

    Raises:
        VariableNotFoundError: nothing; for a learning rate the remedy says why.
        UsageError: no single number.
    """
    name, index = (pattern, None) if pattern in candidates else split_index(pattern)
    try:
        exact = candidates.get(name)
        found = [exact] if exact is not None else select(candidates.values(), [name])
    except VariableNotFoundError as error:
        before, bracket, rest = pattern.partition("[")
        if bracket and before in {v.name.rpartition("/")[2] for v in candidates.values()} | set(
            candidates
        ):
            raise no_index(before, bracket + rest) from None
        raise _no_rate(pattern, candidates, run) or error from None
    if index is not None:
        text = pattern[len(name) :].replace(" ", "")
        return [
            Target(v.name, v.key, v.name + text, index, v.role)
            for v in found
            if _is_element(v, index)
        ]
    scalars = [v for v in found if v.elements == 1 and v.dtype.is_plain]
    if not scalars:
        raise _not_a_scalar(found)
    return [Target(v.name, v.key, v.name, None, v.role) for v in scalars]


def _is_element(variable: Variable, index: tuple[Any, ...]) -> bool:
    """Check that an index means one element.

    Raises:
        UsageError: it means several, or does not fit.
    """
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
