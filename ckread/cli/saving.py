"""A variable into a file, streamed: the largest tensor never has to fit into memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.cli.new_file import new_file
from ckread.views.array_files import suffix_of, write_csv, write_npy, write_npz
from ckread.views.quantities import shape_text, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.lookup import Part
    from ckread.model.variable import Variable


def save_part(part: Part, path: str, *, force: bool) -> str:
    """Write the values of a variable or slice; give a sentence that says what was written.

    Raises:
        UsageError: the suffix tells no format, or something is there already.
        CheckpointError: the values cannot be read; nothing is left behind.
    """
    suffix = suffix_of(path)
    name = f"{part.variable.name}{part.text}"
    dtype = str(part.variable.dtype)
    with new_file(path, force=force) as file:
        if suffix == ".csv":
            write_csv(file, part.shape, _chunks(part))
        elif suffix == ".npz":
            dtype = write_npz(file, name, part.shape, _chunks(part)).name
        else:
            dtype = write_npy(file, part.shape, _chunks(part)).name
    size = size_text(os.path.getsize(path))
    widened = "" if dtype in _names(part) else f" (stored as {dtype})"
    kind = f"{part.variable.dtype} {shape_text(part.shape)}{widened}"
    return f"wrote {path}: {kind}, {size}"


def _chunks(part: Part) -> Iterator[NDArray[np.generic]]:
    """Yield the values in C order."""
    if part.index is not None:
        yield part.variable.read(part.index)
    else:
        yield from whole_chunks(part.variable)


def whole_chunks(variable: Variable) -> Iterator[NDArray[np.generic]]:
    """Yield all values in C order, verified; one empty chunk where there is no element."""
    if not variable.dtype.is_plain or not variable.elements:
        yield variable.numpy()
    else:
        yield from variable.chunks()


def _names(part: Part) -> tuple[str, ...]:
    """Give the names by which numpy could call the element type without converting it."""
    dtype = part.variable.dtype
    return str(dtype), str(dtype).removeprefix("q"), "bytes" if not dtype.is_plain else ""
