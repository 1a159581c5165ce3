"""Pages, prose, folding, paper: text laid out in a width, and written out for a pipe."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ckread.model.display import safe_text
from ckread.views.terminal.page import (
    STYLES,
    Lines,
    Page,
    Paper,
    PipedOnly,
    Prose,
    Span,
    TerminalOnly,
    cell_len,
    fold,
    plain,
    wrap,
)

PRINTABLE = st.text(st.characters()).map(safe_text)
SPANS = st.lists(st.builds(Span, PRINTABLE, st.sampled_from(["", *STYLES])), max_size=4).map(tuple)


def test_sections_are_one_blank_line_apart() -> None:
    one, two = Lines([(Span("one"),)]), Lines([(Span("two"),)])
    nothing = Lines([])
    page = Page(nothing, [one, nothing, two], [], two)
    assert [plain(line) for line in page.lines(Paper())] == ["one", "two", "", "two"]
    assert list(page.piped()) == ["one", "two", "two"]


def test_some_blocks_are_for_one_kind_of_reader() -> None:
    shown, piped = Lines([(Span("bar ━"),)]), Lines([(Span("1"),)])
    page = Page([TerminalOnly(shown), PipedOnly(piped)])
    assert [plain(line) for line in page.lines(Paper())] == ["bar ━"]
    assert list(page.piped()) == ["1"]


def test_prose_is_wrapped_between_words_whatever_its_styles() -> None:
    prose = Prose(Span("warning", "warning"), ": the shard is missing, values cannot be read.")
    lines = [plain(line) for line in prose.lines(Paper(30))]
    assert lines == ["warning: the shard is missing,", "values cannot be read."]
    assert next(iter(prose.lines(Paper(30))))[0] == Span("warning", "warning")
    assert list(prose.piped()) == ["# warning: the shard is missing, values cannot be read."]


def test_prose_hangs_below_its_label() -> None:
    prose = Prose(
        Span("format      ", "label"), "TensorFlow checkpoint (V2)", indent=12, is_record=True
    )
    assert [plain(line) for line in prose.lines(Paper(24))] == [
        "format      TensorFlow",
        "            checkpoint",
        "            (V2)",
    ]
    assert list(prose.piped()) == ["format      TensorFlow checkpoint (V2)"]


def test_a_name_folds_at_slashes_and_is_never_cut() -> None:
    name = "encoder/block_10/attention/query/kernel"
    lines = [plain(line) for line in fold((Span(name),), 20)]
    assert lines == ["encoder/block_10/", "  attention/query/", "  kernel"]
    assert "".join(line.strip() for line in lines) == name


def test_a_name_in_a_tree_does_not_fold_at_its_guides() -> None:
    line = (Span("│  ├─ ", "muted"), Span("x" * 30))
    assert plain(fold(line, 20)[0]) == "│  ├─ " + "x" * 14


@given(SPANS, st.integers(1, 60))
def test_folding_keeps_every_character_and_the_width(spans: tuple[Span, ...], width: int) -> None:
    folded = fold(spans, width, indent=0)
    assert "".join(text for line in folded for text, *_ in line) == "".join(t for t, *_ in spans)
    widths = [sum(cell_len(text) for text, *_ in line) for line in folded]
    assert all(size <= max(width, 2) for size in widths)


@given(SPANS, st.integers(2, 60), st.integers(0, 20))
def test_wrapping_keeps_every_word_and_the_width(
    spans: tuple[Span, ...], width: int, indent: int
) -> None:
    lines = list(wrap(spans, width, indent=indent))
    letters = "".join(text for line in lines for text, *_ in line).replace(" ", "")
    assert letters == "".join(text for text, *_ in spans).replace(" ", "")
    if width > indent + 2:
        assert all(sum(cell_len(text) for text, *_ in line) <= width for line in lines)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "├─ 3×3 ━╸ – … ☃"),
        ("ascii", "|- 3x3 #- - ... \\u2603"),
        ("latin-1", "|- 3×3 #- - ... \\u2603"),
        ("cp437", "├─ 3x3 #- - ... \\u2603"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(encoding: str, text: str) -> None:
    paper = Paper(80, encoding)
    assert paper.spell("├─ 3×3 ━╸ – … ☃") == text
    assert paper.spell("├─ 3×3 ━╸ – … ☃").encode(encoding)
    assert paper.is_unicode == (encoding == "utf-8")


def test_cells_are_counted_as_a_terminal_does() -> None:
    assert cell_len("├─ conv1 3×3 ▁▂") == 15
    assert cell_len("日本") == 4
    assert cell_len("😀") == 2


def test_a_page_is_a_rich_renderable_and_text_is_never_markup() -> None:
    page = Page(Prose(Span("[bold]name[/bold] :smile:", "title")), Lines([(Span("x", "bad"),)]))
    console = Console(file=io.StringIO(), width=40, record=True, force_terminal=True)
    console.print(page)
    assert "[bold]name[/bold] :smile:" in console.export_text(clear=False)
    assert "<svg" in console.export_svg(title="page")
