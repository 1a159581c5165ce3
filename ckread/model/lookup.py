"""`NAME[SLICE]`: which variable a person means, and which part of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from ckread.errors import TextLines, VariableNotFoundError
from ckread.model.role import Role
from ckread.model.selection import compile_pattern, find_variable, of_first_role
from ckread.model.variable import no_index, resolve_index, split_index
from ckread.readers.contract import numpy_dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    """
    if text in checkpoint:
        return Part(checkpoint[text], None, "")
    name, index = split_index(text)
    try:
        variable = find_named(checkpoint, name)
    except VariableNotFoundError:
        before, bracket, rest = text.partition("[")
        if before and bracket:
            with suppress(VariableNotFoundError):
                raise no_index(find_named(checkpoint, before).name, bracket + rest) from None
        raise
    if index is None:
        return Part(variable, None, "")
    resolved = resolve_index(index, variable.shape, variable.name)
    return Part(variable, resolved, text[len(name) :])


def find_named(checkpoint: Checkpoint, name: str, *, to_draw: bool = False) -> Variable:
    """Find what NAME means: a name or key, the end of a name, or a pattern that means one.

    `to_draw`: of several that it may mean only those count that can be drawn as kernels.
    """
    if name in checkpoint:
        return checkpoint[name]
    variable = find_variable(checkpoint.values(), name)
    if variable is not None:
        return variable
    is_match = compile_pattern(name)
    found = [
        variable
        for variable in checkpoint.values()
        if variable.role is not Role.BOOKKEEPING
        and (is_match(variable.name) or is_match(variable.key))
    ]
    if not found:
        return checkpoint[name]  # raises, with the nearest names
    found = of_first_role(found)
    told, expected = f"{len(found)} variables match {name}", "one"
    if to_draw and len(found) > 1:
        found = list(filter(may_be_kernel, found))
        if not found:
            found = [v for v in checkpoint.of_role(Role.WEIGHT) if may_be_kernel(v)]
            expected = "a kernel of 2 to 5 dimensions"
    if len(found) != 1 or expected != "one":
        lines = [f"  {variable.name}" for variable in found[:MAX_NAMED]]
        if len(found) > MAX_NAMED:
            lines.append(f"  and {len(found) - MAX_NAMED} more")
        raise VariableNotFoundError(
            told,
            path=checkpoint.path,
            expected=expected,
            remedy=TextLines("There are:" if to_draw else "They are:", *lines) if lines else None,
        )
    return found[0]


def find_kernel(checkpoint: Checkpoint, name: str) -> Variable:
    """Find the kernel that NAME means: the name of a layer means its only kernel."""
    try:
        return find_named(checkpoint, name, to_draw=True)
    except VariableNotFoundError:
        kernels = [
            variable
            for variable in checkpoint.values()
            if variable.role is Role.WEIGHT
            and may_be_kernel(variable)
            and f"/{variable.name.rpartition('/')[0]}".endswith(f"/{name}")
        ]
        if len(kernels) != 1:
            raise
        return kernels[0]


def may_be_kernel(variable: Variable) -> bool:
    """Tell whether a variable can be drawn as kernels: by its dimensions and type."""
    is_real = variable.dtype.is_plain and "complex" not in variable.dtype
    return 2 <= len(variable.shape) <= 5 and is_real


# The edges of an array: all that an abbreviated print of it shows.
#
# Of a dimension longer than twice the edge, only the elements at either end are read;
# one filler between them stands for the rest. A tensor of any size takes some bytes.

_Piece = tuple["slice", "slice"]
"""What to read of a dimension, and where it goes in the result."""


def read_edges(variable: Variable, index: Index, edge: int) -> NDArray[np.generic]:
    """Read the first and last `edge` elements in every dimension of a part."""
    import numpy as np

    pieces = [_pieces(item, edge) for item in index if isinstance(item, slice)]
    if not pieces:
        return variable.read(index)
    shape = [dimension[-1][1].stop for dimension in pieces]
    edges = np.zeros(shape, numpy_dtype(variable.dtype))
    for chosen in product(*pieces):
        rest = iter(chosen)
        part = tuple(item if isinstance(item, int) else next(rest)[0] for item in index)
        edges[tuple(place for _, place in chosen)] = variable.read(part)
    return edges


def _pieces(item: slice, edge: int) -> list[_Piece]:
    """Split a dimension in its ends; an end is taken whole if the filler would not pay."""
    positions = range(item.start, item.stop, item.step)
    if len(positions) <= 2 * edge + 1:
        return [(item, slice(0, len(positions)))]
    head, tail = positions[:edge], positions[-edge:]
    return [
        (slice(head.start, head.stop, item.step), slice(0, edge)),
        (slice(tail.start, tail.stop, item.step), slice(edge + 1, 2 * edge + 1)),
    ]
