"""The values of a variable as text: as numpy prints them, in rows for a pipe, as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.model.display import safe_text
from ckread.views.array_files import element_texts
from ckread.views.terminal.page import Block, Page, PipedOnly, Prose, Span, TerminalOnly
from ckread.views.terminal.words import plural, shape_text, shape_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.views.terminal.page import Line, Paper

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
    blocks: list[Block] = [Prose(*_title(values)), _Array(values.array, abbreviates=abbreviates)]
    if abbreviates:
        shown = math.prod(min(size, 2 * EDGE_ITEMS) for size in values.shape)
        left_out = f"{shown:,} of {plural(elements, 'element')} shown"
        note = f"{left_out}; --full prints all, -o FILE.npy saves them"
        blocks.append(Prose(Span(note, "muted")))
    return Page([TerminalOnly(*blocks), PipedOnly(Prose(*_title(values, shape_word)))])


def _title(
    values: Values, spell: Callable[[tuple[int, ...]], str] = shape_text
) -> tuple[Span, ...]:
    variable = values.variable
    kind = f"  {variable.dtype} {spell(values.shape)}"
    if values.index:
        kind = f"{kind}, of {spell(variable.shape)}"
    return Span(safe_text(variable.name), "title"), Span(values.index), Span(kind, "label")


def piped_rows(array: NDArray[np.generic]) -> Iterator[str]:
    """Give a line per row of the last dimension; above two, a `# ` line names each matrix.

    `numpy.loadtxt` reads what has up to two dimensions. Of one, each element is a row.
    """
    texts = element_texts(array)
    if array.dtype.hasobject:
        texts = [safe_text(text).replace(" ", "\\x20") or '""' for text in texts]
    if array.ndim < 2:
        yield from texts
        return
    n_columns, n_lines = array.shape[-1], array.shape[-2]
    for at in range(math.prod(array.shape[:-1])):
        if array.ndim > 2 and at % n_lines == 0:
            yield f"# {_matrix_index(at // n_lines, array.shape[:-2])}"
        yield " ".join(texts[at * n_columns : (at + 1) * n_columns])


def _matrix_index(at: int, shape: tuple[int, ...]) -> str:
    index: list[str] = []
    for size in reversed(shape):
        at, position = divmod(at, size)
        index.append(str(position))
    return f"[{', '.join([*index[::-1], ':', ':'])}]"


def values_document(values: Values, *, verified: bool | None) -> dict[str, Any]:
    """Give the fields of the JSON document."""
    return {
        "variable": values.variable.to_dict(),
        "slice": values.index or None,
        "verified": verified,
        "values": nested(values.array),
        "file": None,
        "vocabulary": None,
    }


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
