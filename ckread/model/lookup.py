"""`NAME[SLICE]`: which variable a person means, and which part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.errors import VariableNotFoundError
from ckread.model.indexing import no_index, resolve_index, split_index
from ckread.model.patterns import compile_pattern
from ckread.model.role import Role
from ckread.model.spelling import is_spelled

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.contract import Index

MAX_NAMED = 8
"""Candidates that an error lists."""


@dataclass(frozen=True, slots=True)
class Part:
    """A variable, or a part of it.

    Attributes:
        variable: the variable.
        index: one item per dimension; None for the whole.
        text: the index as it was typed, brackets included; empty for the whole.
    """

    variable: Variable
    index: Index | None
    text: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part."""
        if self.index is None:
            return self.variable.shape
        ranges = [item for item in self.index if isinstance(item, slice)]
        return tuple(len(range(item.start, item.stop, item.step)) for item in ranges)


def find_part(checkpoint: Checkpoint, text: str) -> Part:
    """Find what `NAME[SLICE]` means.

    A variable of the whole text comes first, then one of the name before the
    brackets; a name may be a key, or a pattern that means one variable.

    Raises:
        VariableNotFoundError: there is none, or there are several.
        UsageError: the brackets hold no index, or one that does not fit.
    """
    if text in checkpoint:
        return Part(checkpoint[text], None, "")
    name, index = split_index(text)
    try:
        variable = _find(checkpoint, name)
    except VariableNotFoundError:
        _refuse_brackets(checkpoint, text)
        raise
    if index is None:
        return Part(variable, None, "")
    resolved = resolve_index(index, variable.shape, variable.name)
    return Part(variable, resolved, text[len(name) :])


def _refuse_brackets(checkpoint: Checkpoint, text: str) -> None:
    """Raise an error about the brackets where the name before them is that of a variable."""
    name, bracket, rest = text.partition("[")
    if not bracket or not name:
        return
    try:
        variable = _find(checkpoint, name)
    except VariableNotFoundError:
        return
    raise no_index(variable.name, bracket + rest)


def _find(checkpoint: Checkpoint, name: str) -> Variable:
    if name in checkpoint:
        return checkpoint[name]
    spelled = [variable for variable in checkpoint.values() if is_spelled(variable.name, name)]
    if len(spelled) == 1:
        return spelled[0]
    is_match = compile_pattern(name)
    found = [
        variable
        for variable in checkpoint.values()
        if variable.role is not Role.BOOKKEEPING
        and (is_match(variable.name) or is_match(variable.key))
    ]
    if not found:
        return checkpoint[name]  # raises, with the nearest names
    if len(found) > 1:
        lines = [f"  {variable.name}" for variable in found[:MAX_NAMED]]
        if len(found) > MAX_NAMED:
            lines.append(f"  and {len(found) - MAX_NAMED} more")
        message = f"{checkpoint.path}: {len(found)} variables match {name}, expected one"
        raise VariableNotFoundError(
            message, path=checkpoint.path, remedy="\n".join(["They are:", *lines])
        )
    return found[0]
