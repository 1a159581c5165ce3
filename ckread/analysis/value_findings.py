"""Findings about values: which are not finite, and where the first of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.model.role import Role

if TYPE_CHECKING:
    from ckread.analysis.segments import Segment
    from ckread.analysis.value_scan import Look
    from ckread.model.variable import Variable

_MUST_BE_FINITE = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE)


def index_in(segment: Segment, first: int, variable: Variable) -> tuple[int, ...]:
    """Give the index of an element of a segment within the whole tensor."""
    flat = segment.start // max(1, variable.dtype.itemsize) + first
    index: list[int] = []
    for start, stop in reversed(segment.extent.region):
        flat, position = divmod(flat, max(1, stop - start))
        index.append(start + position)
    return tuple(reversed(index))


def not_finite(variable: Variable, look: Look, first: tuple[int, ...]) -> Finding:
    """Give the finding for a variable with values that are not finite."""
    is_error = variable.role in _MUST_BE_FINITE
    kinds = [f"{look.nan} NaN"] if look.nan else []
    kinds += [f"{look.infinite} infinite"] if look.infinite else []
    counted = " and ".join(kinds)
    if look.not_finite == look.elements:
        message = f"holds nothing but {'NaN' if not look.infinite else 'NaN and infinities'}"
        if not look.nan:
            message = "holds nothing but infinities"
    else:
        at = ", ".join(map(str, first))
        message = f"{counted} of {look.elements} elements, the first at [{at}]"
    remedy = "Training broke down before this save: find the last good checkpoint of the run."
    level = Level.ERROR if is_error else Level.WARNING
    return Finding(level, Code.NOT_FINITE, variable.name, None, message, remedy)


def unravelled(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the index of an element by its place in C order."""
    index: list[int] = []
    for size in reversed(shape):
        flat, position = divmod(flat, max(1, size))
        index.append(position)
    return tuple(reversed(index))
