"""Tables as Markdown and as CSV: read back by a CSV reader, and nothing is markup or a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.views.tables import as_csv, as_markdown
from ckread.views.terminal.page import Page, PipedOnly, Prose, TerminalOnly
from ckread.views.terminal.table import RIGHT, Column, Table
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = str(FIXTURES / "digits_run")


def page(rows: Sequence[tuple[str, str]]) -> Page:
    columns: list[Column[tuple[str, str]]] = [
        Column(title="the name", shown=lambda row: row[0], piped=lambda row: row[0]),
        Column(title="n", piped=lambda row: row[1], justify=RIGHT),
        Column(title="drawn", shown=lambda row: "▇"),
    ]
    table = Table(columns, rows)
    return Page(Prose("A sentence."), [TerminalOnly(Prose("not here")), PipedOnly(table)])


def read_back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_table_as_csv() -> None:
    text = "".join(f"{line}\n" for line in as_csv(page([('a "b", c', "-1.5"), ("=1+1", "-")])))
    assert text == 'the_name,n\r\n"a ""b"", c",-1.5\r\n\'=1+1,\r\n'


def test_a_table_as_markdown() -> None:
    assert list(as_markdown(page([("a|b", "3"), ("*x*_y_", "-")]))) == [
        "A sentence.",
        "",
        "| the_name | n |",
        "| --- | --: |",
        r"| a\|b | 3 |",
        r"| \*x\*\_y\_ |  |",
    ]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_any_words_come_back_and_none_is_a_formula(rows: list[tuple[str, str]]) -> None:
    text = "".join(f"{line}\n" for line in as_csv(page(rows)))
    found = read_back(text)
    assert len(found) == 1 + len(rows)
    for line in found[1:]:
        assert len(line) == 2
        for word in filter(None, line):
            assert word[0] not in "=@\t\r"
            assert word[0] not in "+-" or word[1:2].isdigit() or word[1:4].lower() in ("inf", "nan")
    assert all("\n" not in line for line in as_markdown(page(rows)))


@pytest.mark.parametrize(
    "words",
    [
        ("info", f"{RUN}/ckpt-10"), ("ls", f"{RUN}/ckpt-10"), ("tree", f"{RUN}/ckpt-10"),
        ("stats", f"{RUN}/ckpt-10", "conv1"), ("check", f"{RUN}/ckpt-10"), ("runs", RUN),
        ("diff", f"{RUN}/ckpt-2", f"{RUN}/ckpt-3"), ("drift", RUN), ("track", RUN, "learning_rate"),
        ("history", f"{RUN}/history.json"), ("optimizer", f"{RUN}/ckpt-10"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_table_of_a_command(call: Any, words: tuple[str, ...]) -> None:
    _, text, _ = call(*words, "--csv")
    tables = [read_back(part) for part in text.replace("\r\n\r\n", "\r\n\0").split("\0")]
    assert tables[0][1:]
    for table in tables:
        assert {len(row) for row in table} == {len(table[0])}
    _, marked, _ = call(*words, "--markdown")
    rows = [line for line in marked.splitlines() if line.startswith("|")]
    assert len(rows) == sum(len(table) + 1 for table in tables)


def test_values_are_no_table(call: Any) -> None:
    code, _, told = call("show", f"{RUN}/ckpt-10", "conv1/bias", "--csv")
    assert code == 2
    assert "ckread export PATH NAME -o FILE.csv" in told
    code, _, told = call("ls", f"{RUN}/ckpt-10", "--csv", "--json")
    assert code == 2
