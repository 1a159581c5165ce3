"""Tables: measured columns, headings that are never cut, names that fold, piped words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.model.display import safe_text, safe_word
from ckread.views.terminal.page import Paper, Span, cell_len, plain
from ckread.views.terminal.table import Column, Justify, Table, aligned

Row = tuple[Any, ...]


def shown(table: Table[Row], width: int = 80) -> list[str]:
    return [plain(line) for line in table.lines(Paper(width))]


NAME: Column[Row] = Column(
    title="name",
    shown=lambda row: safe_text(row[0]),
    piped=lambda row: safe_word(row[0]),
    folds=True,
)
SIZE: Column[Row] = Column(
    title="bytes",
    shown=lambda row: str(row[1]),
    piped=lambda row: str(row[1]),
    justify=Justify.RIGHT,
)


def test_columns_are_as_wide_as_their_cells() -> None:
    table = Table([NAME, SIZE], [("conv1/kernel", 576), ("b", 8)])
    assert shown(table) == [
        "name          bytes",
        "conv1/kernel    576",
        "b                 8",
    ]
    assert list(table.piped()) == [
        "# name        bytes",
        "conv1/kernel    576",
        "b                 8",
    ]


def test_numbers_stand_on_their_points() -> None:
    column: Column[Row] = Column(title="max", shown=lambda row: row[0], justify=Justify.POINT)
    rows = [
        ("0.222",),
        ("-12.3",),
        ("0",),
        ("1.00e-4",),
        (">0.9999",),
        ("–",),
        ("all NaN",),
        ("1,234",),
    ]
    assert shown(Table([column], rows))[1:] == [
        "    0.222",
        "  -12.3",
        "    0",
        "    1.00e-4",
        "   >0.9999",
        "          –",
        "    all NaN",
        "1,234",
    ]


def test_the_highest_rank_is_left_out_first() -> None:
    columns: list[Column[Row]] = [
        NAME,
        Column(title="dtype", shown=lambda row: "float32", rank=1),
        Column(title="role", shown=lambda row: "weight", rank=2),
        SIZE,
    ]
    table = Table(columns, [("x" * 30, 100)])
    assert shown(table, 60)[0].split() == ["name", "dtype", "role", "bytes"]
    assert shown(table, 50)[0].split() == ["name", "dtype", "bytes"]
    assert shown(table, 40)[0].split() == ["name", "bytes"]


def test_a_column_waits_for_a_wide_terminal() -> None:
    columns: list[Column[Row]] = [
        NAME,
        Column(title="owner", shown=lambda row: "o", from_width=100),
    ]
    table = Table(columns, [("a", 1)])
    assert shown(table, 99)[0] == "name"
    assert shown(table, 100)[0] == "name  owner"


def test_a_drawing_takes_what_is_left() -> None:
    column: Column[Row] = Column(title="spark", draw=lambda row, cells: "━" * cells, cells=(8, 24))
    assert shown(Table([NAME, column], [("abc", 1)]), 20)[1] == "abc   " + "━" * 14
    assert shown(Table([NAME, column], [("abc", 1)]), 80)[1] == "abc   " + "━" * 24


def test_the_widest_name_folds() -> None:
    columns: list[Column[Row]] = [
        Column(title="a", shown=lambda row: row[0], folds=True),
        Column(title="b", shown=lambda row: row[1], folds=True),
    ]
    lines = shown(Table(columns, [("short", "long/" * 8)]), 30)
    assert lines[1:] == ["short  long/long/long/long/", "         long/long/long/long/"]


def test_a_row_can_have_a_style_of_its_own() -> None:
    table = Table([NAME], [("total", 0)], row_style=lambda row: "muted", has_header=False)
    assert list(table.lines(Paper())) == [(Span("total", "muted"),)]


def test_no_row_is_no_trouble() -> None:
    assert shown(Table([NAME, SIZE], [])) == ["name  bytes"]
    assert list(Table([NAME, SIZE], []).piped()) == ["# name  bytes"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@given(
    st.lists(st.tuples(st.text(st.characters(), max_size=80), st.integers()), max_size=8),
    st.integers(20, 120),
)
def test_any_name_at_any_width(encoding: str, rows: list[Row], width: int) -> None:
    table = Table([NAME, SIZE], rows)
    lines = [plain(line) for line in table.lines(Paper(width, encoding))]
    assert lines[0].split() == ["name", "bytes"]
    assert all(line.isprintable() for line in lines)
    digits = max((len(str(row[1])) for row in rows), default=0)
    assert all(cell_len(line) <= max(width, digits + 12) for line in lines)
    assert all("".join(line).encode(encoding) is not None for line in lines)
    assert all(len(line.split()) == 2 for line in list(table.piped())[1:])


def test_words_that_wait_as_one_text_may_hold_line_ends() -> None:
    """A name with one is no two rows; the output then writes it as what it is."""
    columns: list[Column[Any]] = [Column(title="name", shown=str), Column(title="n", shown=str)]
    blocks = [[["a\nb", "c"], ["1", "2"]], [["", "d"], ["3", "4"]], [["e"], ["5"]]]
    assert list(aligned(columns, blocks)) == [
        "# name  n", "a\nb     1", "c       2", "        3", "d       4", "e       5",
    ]  # fmt: skip
