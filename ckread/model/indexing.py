"""Numpy-style indices: from text, and checked against a shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError

if TYPE_CHECKING:
    from types import EllipsisType

    from ckread.readers.contract import Index

_SLICED_NAME = re.compile(r"(?P<name>.+?)\[(?P<index>[-+\d:,.\s]*)\]", re.DOTALL)
_REMEDY = "Give integers, ranges as 2:10 or ::2, and ... separated by commas."


def split_index(text: str) -> tuple[str, tuple[Any, ...] | None]:
    """Split `name[1:3, ..., 0]` into name and index; the index is None without brackets.

    Raises:
        UsageError: brackets at the end hold something else than an index.
    """
    match = _SLICED_NAME.fullmatch(text)
    if match is None:
        return text, None
    body = match["index"].strip()
    items = [item.strip() for item in body.split(",")] if body else []
    if items and not items[-1]:
        items.pop()
    return match["name"], tuple(_parse_item(item, text) for item in items)


def _parse_item(item: str, text: str) -> int | slice | EllipsisType:
    if item == "...":
        return ...
    try:
        if ":" not in item:
            return int(item)
        bounds = [int(part) if part.strip() else None for part in item.split(":")]
        return slice(*bounds)
    except (ValueError, TypeError):
        raise UsageError(f"{text}: {item!r} is not an index", remedy=_REMEDY) from None


def no_index(name: str, brackets: str) -> UsageError:
    """Give the error for what follows a name in brackets and cannot be an index."""
    return UsageError(f"{name}: {brackets} is not an index", remedy=_REMEDY)


def resolve_index(index: Any, shape: tuple[int, ...], name: str) -> Index:
    """Give one non-negative integer or slice with step ≥ 1 per dimension.

    Raises:
        UsageError: too many indices, an integer out of range, a step below 1, or
            an item that is neither an integer, a slice nor an ellipsis.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    n_given = sum(item is not ... for item in items)
    if n_given > len(shape) or len(items) - n_given > 1:
        raise _too_many(n_given, shape, name)
    fill = [slice(None)] * (len(shape) - n_given)
    at = next((i for i, item in enumerate(items) if item is ...), len(items))
    full = items[:at] + fill + items[at + 1 :]
    return tuple(_resolve_item(item, shape, axis, name) for axis, item in enumerate(full))


def _too_many(n_given: int, shape: tuple[int, ...], name: str) -> UsageError:
    if not shape:
        return UsageError(f"{name} is a scalar: it takes no index")
    dimensions = "dimension" if len(shape) == 1 else "dimensions"
    indices = "more than one ..." if n_given <= len(shape) else f"{n_given} indices"
    return UsageError(f"{name} has shape {shape}: {indices} for {len(shape)} {dimensions}")


def _resolve_item(item: Any, shape: tuple[int, ...], axis: int, name: str) -> int | slice:
    size = shape[axis]
    try:
        if isinstance(item, slice):
            return _resolve_slice(item, size, axis, name)
        # To numpy a bool is a mask, not a place.
        position = None if isinstance(item, bool) else int(item.__index__())
    except (AttributeError, TypeError):
        position = None
    if position is None:
        raise UsageError(f"{name}: {item!r} in dimension {axis} is not an index")
    if not -size <= position < size:
        range_of = f"which goes from {-size} to {size - 1}" if size else "which is empty"
        raise UsageError(
            f"{name} has shape {shape}: index {position} is outside dimension {axis}, {range_of}"
        )
    return position % size


def _resolve_slice(item: slice, size: int, axis: int, name: str) -> slice:
    start, stop, step = item.indices(size) if item.step != 0 else (0, 0, 0)
    if step < 1:
        message = f"{name}: step {item.step} in dimension {axis}, expected 1 or more"
        raise UsageError(message)
    return slice(start, max(start, stop), step)
