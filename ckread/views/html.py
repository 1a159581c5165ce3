"""A page as HTML for a notebook: the same blocks, with real tables, on any ground.

Nothing is fetched and nothing runs. Colours are mixed with the colour of the text
around, so they are dark on white and light on black without asking which it is.
Whatever comes from a file is escaped twice over: for a person (`safe_text`), and for
HTML. A table ends after its first rows, and says how many there are.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ckread.views.column import Justify
from ckread.views.columns import Table
from ckread.views.folding import Prose
from ckread.views.html_style import CSS
from ckread.views.page import PipedOnly, TerminalOnly
from ckread.views.paper import Paper
from ckread.views.quantities import count_text, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.views.measuring import MeasuredColumn
    from ckread.views.page import Block, Line, Page

MAX_ROWS = 60
"""Rows of a table up to which all are shown."""
HEAD_ROWS = 50
"""Rows that are shown of a longer one."""
PAPER = Paper(width=112)
"""What decides on columns and drawings: about as wide as the output of a notebook."""


def html_page(page: Page, *, details: tuple[str, Page] | None = None) -> str:
    """Give a page as one self-contained element.

    Args:
        page: what is shown.
        details: a heading, and a page that opens below it.
    """
    parts = [f'<div class="ckread" dir="ltr"><style>{CSS}</style>', *_sections(page)]
    if details is not None:
        heading, more = details
        parts += ["<details><summary>", _text(heading), "</summary>", *_sections(more)]
        parts.append("</details>")
    return "".join([*parts, "</div>"])


def _sections(page: Page) -> Iterator[str]:
    for section in page.sections:
        content = "".join(piece for block in section for piece in _block(block))
        if content:
            yield f'<div class="ckread-section">{content}</div>'


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, PipedOnly):
        return
    if isinstance(block, TerminalOnly):
        for inner in block.blocks:
            yield from _block(inner)
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Prose):
        yield _prose(block)
    else:
        for line in block.lines(PAPER):
            yield f'<div class="ckread-line">{_line(line) or "<br>"}</div>'


def _prose(prose: Prose) -> str:
    """Give a paragraph; lines after the first are set in as a terminal does."""
    hang = f' style="padding-left:{prose.indent}ch;text-indent:-{prose.indent}ch"'
    return f'<p class="ckread-prose"{hang if prose.indent else ""}>{_line(prose.line)}</p>'


def _table(table: Table[Any]) -> Iterator[str]:
    n_all = len(table.rows)
    if n_all > MAX_ROWS:
        table = table.head(HEAD_ROWS)
    columns = table.fitted(PAPER)
    yield '<table class="ckread-table">'
    if table.has_header:
        heads = "".join(
            f'<th scope="col"{_class(column)}>{_text(column.title)}</th>' for column in columns
        )
        yield f"<thead><tr>{heads}</tr></thead>"
    yield "<tbody>"
    for at in range(len(table.rows)):
        style = table.style_of(at)
        cells = (f"<td{_class(column)}>{_cell(column, at, style)}</td>" for column in columns)
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"
    if n_all > len(table.rows):
        rest = f"… and {count_text(n_all - HEAD_ROWS)} more of {count_text(n_all)}"
        yield f'<p class="ckread-prose ckread-muted">{rest}</p>'


def _class(column: MeasuredColumn[Any]) -> str:
    names = [] if column.column.justify is Justify.LEFT else ["ckread-right"]
    names += ["ckread-name"] if column.column.folds else []
    return f' class="{" ".join(names)}"' if names else ""


def _cell(column: MeasuredColumn[Any], at: int, style: str) -> str:
    line, _ = column.whole(at, style)
    html = _line(line)
    # Where a name may break: after a slash that is no part of a tag.
    return _line(line, breaks=True) if column.column.folds else html


def _line(line: Line, *, breaks: bool = False) -> str:
    return "".join(_span(text, style, breaks=breaks) for text, style in line if text)


def _span(text: str, style: str, *, breaks: bool) -> str:
    html = "<wbr>".join(map(_text, _pieces(text))) if breaks else _text(text)
    if not style:
        return html
    tag = "b" if style in ("title", "bad") else "span"
    return f'<{tag} class="ckread-{style}">{html}</{tag}>'


def _pieces(text: str) -> Iterable[str]:
    """Cut a name after each slash."""
    *scopes, leaf = text.split("/")
    return [*(f"{scope}/" for scope in scopes), leaf]


def _text(text: str) -> str:
    return escape(safe_text(text))
