"""Names as rows: where they are too long, the scope that neighbours share is written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.views.figures.names import fit_names, fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INDENT = 0.08
_MIN_RUN = 3


class Row(NamedTuple):
    """One row: a name, or the heading of the names after it.

    Attributes:
        text: what to write.
        item: index of the name; None for a heading.
        group: number of the run it is in; rows of a heading share it.
    """

    text: str
    item: int | None
    group: int

    @property
    def is_heading(self) -> bool:
        """Whether it is the heading of the rows after it."""
        return self.item is None


def arrange(names: Sequence[str], width: float, *, size: float) -> list[Row]:
    """Give rows for names in their order, different from each other within a heading.

    Args:
        names: as many as there are.
        width: inches that a name may take.
        size: points.
    """
    if all(fits(name, width, size=size) for name in names):
        return [Row(name, i, group) for i, (name, group) in enumerate(_by_scope(names))]
    rows: list[Row] = []
    for group, (start, stop, scope) in enumerate(_runs(names, width, size)):
        run = range(start, stop)
        room = width - (INDENT if scope else 0)
        texts = fit_names([names[i][len(scope) :] for i in run], room, size=size)
        if scope:
            rows.append(Row(scope, None, group))
        rows += [Row(text, i, group) for i, text in zip(run, texts, strict=True)]
    return rows


def _by_scope(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    group, last = -1, None
    for name in names:
        scope = name.rpartition("/")[0]
        group += scope != last
        last = scope
        yield name, group


def _runs(names: Sequence[str], width: float, size: float) -> Iterator[tuple[int, int, str]]:
    """Yield runs of neighbours with the scope that is written above them, if any.

    The widest scope whose remainders all fit.
    """
    start = 0
    while start < len(names):
        stop, scope = _run_from(names, start, width - INDENT, size)
        yield start, stop, scope
        start = stop


def _run_from(names: Sequence[str], start: int, room: float, size: float) -> tuple[int, str]:
    parts = names[start].split("/")
    best = (start + 1, "")
    # A long name has a heading of its own rather than a letter of each component.
    min_run = _MIN_RUN if fits(names[start], room, size=size) else 1
    for depth in range(1, len(parts)):
        scope = "/".join(parts[:depth]) + "/"
        stop = start + 1
        while stop < len(names) and names[stop].startswith(scope):
            stop += 1
        if stop - start < min_run:
            break
        best = (stop, scope)
        if all(fits(names[i][len(scope) :], room, size=size) for i in range(start, stop)):
            break
    return best


def in_columns(rows: Sequence[Row], n_rows: int) -> list[list[Row]]:
    """Cut rows into columns of at most `n_rows`, a heading repeated where its run goes on."""
    columns: list[list[Row]] = []
    column: list[Row] = []
    heading: Row | None = None
    for row in rows:
        heading = row if row.is_heading else heading
        if heading is not None and heading.group != row.group:
            heading = None
        if len(column) == n_rows or (row.is_heading and len(column) >= n_rows - 1):
            columns.append(column)
            column = [heading] if heading is not None and not row.is_heading else []
        column.append(row)
    return [*columns, column] if column else columns
