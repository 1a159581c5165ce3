"""The values of a variable as text: as numpy prints them, in rows for a pipe, as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ckread.errors import SafeText, safe_text
from ckread.readers.slices import unravelled
from ckread.views.array_files import element_texts
from ckread.views.json_document import encode, encode_value, schema
from ckread.views.terminal.page import Block, Page, Prose, Span
from ckread.views.terminal.words import plural, shape_text, shape_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.views.terminal.page import Line, Paper

    Chunks = Iterable[NDArray[np.generic]]
    """Values in C order, some at a time."""

EDGE_ITEMS = 3
"""Elements that stay at either end of a dimension that is abbreviated."""
MAX_SHOWN = 500
"""Elements from which on an array is abbreviated in a terminal."""


@dataclass(frozen=True, slots=True)
class Values:
    """Values to be shown: a variable, the slice as it was typed, its shape, its elements.

    Of an array that is only abbreviated there are only the corners.
    """

    variable: Variable
    index: str
    array: NDArray[np.generic]
    shape: tuple[int, ...]


class _Array(Block):
    """Values as numpy prints them, in the width that there is."""

    def __init__(self, array: NDArray[np.generic], *, abbreviates: bool) -> None:
        self._array = array
        self._threshold = 0 if abbreviates else max(1, array.size)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Print them."""
        import numpy as np

        text = np.array2string(
            self._array, max_line_width=paper.width, threshold=self._threshold, edgeitems=EDGE_ITEMS
        )
        for line in text.split("\n"):
            yield (Span(paper.spell(safe_text(line))),)


def values_page(values: Values, *, full: bool) -> Page:
    """Lay out values under a title."""
    elements = math.prod(values.shape)
    abbreviates = elements > MAX_SHOWN and not full
    title = _title(values.variable, values.index, values.shape)
    blocks: list[Block] = [title, _Array(values.array, abbreviates=abbreviates)]
    if abbreviates:
        shown = math.prod(min(size, 2 * EDGE_ITEMS) for size in values.shape)
        left_out = f"{shown:,} of {plural(elements, 'element')} shown"
        note = f"{left_out}; --full prints all, -o FILE.npy saves them"
        blocks.append(Prose(Span(note, "muted")))
    return Page(blocks)


def _title(
    variable: Variable,
    index: str,
    shape: tuple[int, ...],
    spell: Callable[[tuple[int, ...]], str] = shape_text,
) -> Prose:
    kind = f"  {variable.dtype} {spell(shape)}"
    if index:
        kind = f"{kind}, of {spell(variable.shape)}"
    return Prose(Span(safe_text(variable.name), "title"), Span(index), Span(kind, "label"))


def piped_values(
    variable: Variable, index: str, shape: tuple[int, ...], chunks: Chunks
) -> Iterator[str]:
    """Give a `# ` line that says what it is, and the values in bare rows."""
    yield from _title(variable, index, shape, shape_word).piped()
    yield from piped_rows(shape, chunks)


def piped_rows(shape: tuple[int, ...], chunks: Chunks) -> Iterator[str]:
    """Give a line per row of the last dimension; above two, a `# ` line names each matrix.

    `numpy.loadtxt` reads what has up to two dimensions. Of one, each element is a row.
    """
    texts = chain.from_iterable(map(_words, chunks))
    if len(shape) < 2:
        yield from texts
        return
    for at in range(math.prod(shape[:-1])):
        if len(shape) > 2 and at % shape[-2] == 0:
            matrix = unravelled(at // shape[-2], shape[:-2])
            yield f"# [{', '.join([*map(str, matrix), ':', ':'])}]"
        yield " ".join(islice(texts, shape[-1]))


def _words(chunk: NDArray[np.generic]) -> list[str]:
    texts = element_texts(chunk)
    if chunk.dtype.hasobject:
        return [safe_text(text).replace(" ", "\\x20") or '""' for text in texts]
    return texts


def encode_values(
    variable: Variable,
    index: str,
    shape: tuple[int, ...],
    chunks: Chunks,
    *,
    verified: bool | None,
) -> Iterator[SafeText]:
    """Give the JSON document in pieces, as they are read."""
    head = {"schema": schema("show"), "variable": variable.to_dict(), "slice": index or None}
    yield SafeText(f'{encode({**head, "verified": verified})[:-1]},"values":')
    yield from map(SafeText, _encode_nested(shape, chunks))
    yield SafeText(',"file":null,"vocabulary":null}')


def _encode_nested(shape: tuple[int, ...], chunks: Chunks) -> Iterator[str]:
    """Give nested lists, the brackets put in where a dimension begins or ends."""
    if not math.prod(shape) or not shape:
        [array] = chunks
        yield encode_value(nested(array.reshape(shape)))
        return
    sizes = [math.prod(shape[axis:]) for axis in range(len(shape))]
    at = 0
    for chunk in chunks:
        texts = [encode_value(value) for value in nested(chunk.reshape(-1))]
        done = 0
        while done < len(texts):
            n = min(shape[-1] - at % shape[-1], len(texts) - done)
            begun = sum(at % size == 0 for size in sizes)
            yield "," * bool(at) + "[" * begun + ",".join(texts[done : done + n])
            at, done = at + n, done + n
            yield "]" * sum(at % size == 0 for size in sizes)


def nested(array: NDArray[np.generic]) -> Any:
    """Give values as nested lists of Python's numbers, floats the shortest that read back."""
    import numpy as np

    from ckread.views.array_files import storable

    if array.dtype.hasobject:
        return array.tolist()
    plain = storable(array)
    if plain.dtype.kind == "f" and plain.dtype.itemsize < 8:
        shortest = [float(str(element)) for element in plain.ravel()]
        return np.array(shortest, dtype=np.float64).reshape(plain.shape).tolist()
    return plain.tolist()
