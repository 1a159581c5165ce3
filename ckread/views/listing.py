"""The variables of a checkpoint as a table: what `ckread ls` shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.model.spelling import safe_text, safe_word
from ckread.views.terminal.page import Page, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Column, Justify, Table
from ckread.views.terminal.words import (
    ABSENT_WORD,
    common_prefix,
    count_text,
    muted_repeats,
    plural,
    shape_text,
    shape_word,
    size_cell,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.model.variable import Variable
    from ckread.views.terminal.page import Line

LONG_NAME = 36
"""Cells of a name from which on columns of one value move to the last line."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The chosen variables, and what they were chosen from.

    Attributes:
        variables: what is listed, in order.
        n_all: how many variables there are to choose from.
        nbytes_all: their bytes.
        n_hidden: bookkeeping entries left out.
        by_key: whether raw checkpoint keys stand in place of names.
    """

    variables: Sequence[Variable]
    n_all: int
    nbytes_all: int
    n_hidden: int = 0
    by_key: bool = False

    def label(self, variable: Variable) -> str:
        """Give the name, or the key, of a variable."""
        return variable.key if self.by_key else variable.name


def listing_page(listing: Listing) -> Page:
    """Lay out a table of variables, with its total in the last line."""
    labels = [safe_text(listing.label(variable)) for variable in listing.variables]
    prefix = common_prefix(labels)
    said_below = _uniform_columns(listing, labels)
    columns = [column for column in _columns(listing) if column.title not in said_below]
    short = muted_repeats(label[len(prefix) :] for label in labels)
    rows = list(zip(listing.variables, short, strict=True))
    head = [TerminalOnly(Prose(Span(f"names below {prefix}", "label")))] if prefix else []
    footer = TerminalOnly(Prose(Span(_footer(listing, said_below), "muted")))
    return Page([*head, Table(columns, rows)], footer)


def listing_lines(listing: Listing) -> list[str]:
    """Give the names alone, one word a line."""
    return [safe_word(listing.label(variable)) for variable in listing.variables]


_Row = tuple["Variable", "Line"]


def _columns(listing: Listing) -> list[Column[_Row]]:
    def label_word(row: _Row) -> str:
        return safe_word(listing.label(row[0]))

    return [
        Column(
            title="key" if listing.by_key else "name",
            shown=_label,
            piped=label_word,
            folds=True,
        ),
        Column(title="dtype", shown=lambda row: row[0].dtype, piped=_dtype_word, rank=1),
        Column(title="shape", shown=_shape, justify=Justify.RIGHT),
        Column(title="shape", piped=lambda row: shape_word(row[0].shape)),
        Column(
            title="elements",
            shown=lambda row: count_text(row[0].elements),
            piped=lambda row: str(row[0].elements),
            justify=Justify.RIGHT,
            rank=3,
            from_width=100,
        ),
        Column(
            title="bytes",
            shown=lambda row: size_cell(row[0].nbytes),
            piped=lambda row: str(row[0].nbytes),
            justify=Justify.RIGHT,
        ),
        Column(title="role", shown=_role, piped=lambda row: row[0].role, rank=2),
        Column(title="owner", shown=_owner, piped=_owner_word, rank=4, from_width=100),
    ]


def _label(row: _Row) -> Line:
    variable, line = row
    if variable.role is Role.SLOT:
        return tuple(Span(span.text, "muted") for span in line)
    return line


def _dtype_word(row: _Row) -> str:
    return row[0].dtype


def _shape(row: _Row) -> str:
    return shape_text(row[0].shape)


def _role(row: _Row) -> Line:
    role = row[0].role
    return (Span(role, "" if role is Role.WEIGHT else "muted"),)


def _owner(row: _Row) -> Line:
    return (Span(safe_text(row[0].owner or ""), "muted"),)


def _owner_word(row: _Row) -> str:
    owner = row[0].owner
    return ABSENT_WORD if owner is None else safe_word(owner)


def _uniform_columns(listing: Listing, labels: list[str]) -> dict[str, str]:
    """Give the columns that say the same in every row of a table of long names."""
    if len(labels) < 2 or max(map(len, labels)) < LONG_NAME:
        return {}
    dtypes = Counter(variable.dtype for variable in listing.variables)
    roles = Counter(variable.role for variable in listing.variables)
    said: dict[str, list[str]] = {"dtype": list(map(str, dtypes)), "role": list(map(str, roles))}
    return {title: values[0] for title, values in said.items() if len(values) == 1}


def _footer(listing: Listing, said_below: dict[str, str]) -> str:
    n_shown = len(listing.variables)
    nbytes = sum(variable.nbytes for variable in listing.variables)
    if n_shown == listing.n_all:
        footer = f"{plural(n_shown, 'variable')}, {size_text(nbytes)}"
    else:
        n_all, nbytes_all = plural(listing.n_all, "variable"), size_text(listing.nbytes_all)
        footer = f"{count_text(n_shown)} of {n_all}, {size_text(nbytes)} of {nbytes_all}"
    if listing.n_hidden and n_shown == listing.n_all:
        entries = plural(listing.n_hidden, "bookkeeping entry", nouns="bookkeeping entries")
        footer = f"{footer}; {entries} left out (--all)"
    if said_below:
        role = said_below.get("role")
        same = " ".join(filter(None, [said_below.get("dtype"), f"{role}s" if role else None]))
        footer = f"{footer}; all {same}"
    return footer
