"""Numpy-style indices: from text, and checked against a shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError

if TYPE_CHECKING:
    from types import EllipsisType

    from ckread.readers.contract import Index

_SLICED_NAME = re.compile(r"(?P<name>.+?)\[(?P<index>[-+\d:,.\s]*)\]", re.DOTALL)


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
        message = f"{text}: {item!r} is not an index"
        remedy = "Give integers, ranges as 2:10 or ::2, and ... separated by commas."
        raise UsageError(message, remedy=remedy) from None


def resolve_index(index: Any, shape: tuple[int, ...], name: str) -> Index:
    """Give one non-negative integer or slice with step ≥ 1 per dimension.

    Raises:
        UsageError: too many indices, an integer out of range, a step below 1, or
            an item that is neither an integer, a slice nor an ellipsis.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    n_given = sum(item is not ... for item in items)
    if n_given > len(shape) or len(items) - n_given > 1:
        message = f"{name}: {n_given} indices for {len(shape)} dimensions of shape {shape}"
        raise UsageError(message)
    fill = [slice(None)] * (len(shape) - n_given)
    at = next((i for i, item in enumerate(items) if item is ...), len(items))
    full = items[:at] + fill + items[at + 1 :]
    return tuple(
        _resolve_item(item, size, axis, name)
        for axis, (item, size) in enumerate(zip(full, shape, strict=True))
    )


def _resolve_item(item: Any, size: int, axis: int, name: str) -> int | slice:
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
        message = f"{name}: index {position} in dimension {axis}, which has {size} elements"
        raise UsageError(message)
    return position % size


def _resolve_slice(item: slice, size: int, axis: int, name: str) -> slice:
    start, stop, step = item.indices(size) if item.step != 0 else (0, 0, 0)
    if step < 1:
        message = f"{name}: step {item.step} in dimension {axis}, expected 1 or more"
        raise UsageError(message)
    return slice(start, max(start, stop), step)
