"""A column of a table, as data: its heading, its cells, how it is aligned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckread.views.page import Line

Row = TypeVar("Row")


class Justify(Enum):
    """How the cells of a column are aligned."""

    LEFT = auto()
    RIGHT = auto()
    POINT = auto()
    """Numbers on the decimal point; other words to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a table of rows.

    Attributes:
        title: its heading; in a pipe, white space becomes `_`.
        shown: the cell in a terminal; None leaves the column to pipes.
        piped: the cell in a pipe, one word; None leaves the column to terminals.
        draw: instead of `shown`, a drawing in so many cells.
        cells: fewest and most cells of a drawing.
        justify: alignment, also of the heading.
        style: theme style of cells that are plain text.
        folds: whether the cell is a name, which folds where it does not fit.
        rank: 0 always there; the highest rank is left out first.
        from_width: narrowest terminal in which the column is offered.
    """

    title: str
    shown: Callable[[Row], str | Line] | None = None
    piped: Callable[[Row], str] | None = None
    draw: Callable[[Row, int], str | Line] | None = None
    cells: tuple[int, int] = (8, 24)
    justify: Justify = Justify.LEFT
    style: str = ""
    folds: bool = False
    rank: int = 0
    from_width: int = 0
