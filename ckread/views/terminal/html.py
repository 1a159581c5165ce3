"""A page as HTML for a notebook: the same blocks, with real tables, on any ground.

Nothing is fetched and nothing runs. Whatever comes from a file is escaped twice over: for a
person (`safe_text`), and for HTML. A table ends after its first rows, and says how many there
are. A colour is given twice: as it is, readable on white and on black, for browsers before
2023; then mixed with the colour of the text around, which is readable on any ground.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ckread.model.display import safe_text
from ckread.views.terminal.page import SIXTEEN, Page, Paper, PipedOnly, Prose, TerminalOnly
from ckread.views.terminal.table import HEAD_ROWS, MAX_ROWS, Justify, Table
from ckread.views.terminal.words import count_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.views.terminal.page import Block, Line
    from ckread.views.terminal.table import MeasuredColumn


PAPER = Paper(width=112)
"""What decides on columns and drawings: about as wide as the output of a notebook."""


def html_page(page: Page) -> str:
    """Give a page as one self-contained element; its details open below it."""
    parts = [f'<div class="ckread" dir="ltr"><style>{CSS}</style>', *_sections(page)]
    if page.details is not None:
        heading, more = page.details
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
    elif isinstance(block, Page):
        yield from _sections(block)
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Prose):
        indent = block.indent
        hang = f' style="padding-left:{indent}ch;text-indent:-{indent}ch"' if indent else ""
        yield f'<p class="ckread-prose"{hang}>{_line(block.line)}</p>'
    else:
        for line in block.lines(PAPER):
            yield f'<div class="ckread-line">{_line(line) or "<br>"}</div>'


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
        cells = []
        for column in columns:  # a name may break after a slash
            html = _line(column.whole(at, style)[0], breaks=column.column.folds)
            cells.append(f"<td{_class(column)}>{html}</td>")
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"
    if n_all > len(table.rows):
        rest = f"… and {count_text(n_all - HEAD_ROWS)} more of {count_text(n_all)}"
        yield f'<p class="ckread-prose ckread-muted">{rest}</p>'


def _class(column: MeasuredColumn[Any]) -> str:
    names = [] if column.column.justify is Justify.LEFT else ["ckread-right"]
    names += ["ckread-name"] if column.column.folds else []
    return f' class="{" ".join(names)}"' if names else ""


def _line(line: Line, *, breaks: bool = False) -> str:
    html = []
    for text, style, _ in line:
        *scopes, leaf = text.split("/") if breaks else [text]
        content = "<wbr>".join(map(_text, [*(f"{scope}/" for scope in scopes), leaf]))
        tag = "b" if style in ("title", "bad") else "span"
        html.append(f'<{tag} class="ckread-{style}">{content}</{tag}>' if style else content)
    return "".join(html)


def _text(text: str) -> str:
    return escape(safe_text(text))


_HUES = {
    "cyan": "#0e86a8", "green": "#2b8a3e", "red": "#d03a3a", "yellow": "#a86a00",
    "magenta": "#b04ab0",
}  # fmt: skip
"""A hue for each colour of the theme, between black and white in lightness."""
_SHARE = 72
"""Hundredths of the hue; the rest is the colour of the text around."""


def _declarations(style: str) -> str:
    """Give the CSS of a rich style: `bold red`, `dim`."""
    declared = []
    for word in style.split():
        if word == "bold":
            declared.append("font-weight:bold")
        elif word == "dim":
            declared.append("opacity:.66")
        else:
            hue = _HUES[word]
            declared += [f"color:{hue}", f"color:color-mix(in srgb,{hue} {_SHARE}%,currentColor)"]
    return ";".join(declared)


_LAYOUT = """
.ckread{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
color:inherit;overflow-x:auto;text-align:left}
.ckread .ckread-section{margin:0 0 .9em}
.ckread .ckread-section:last-child{margin-bottom:0}
.ckread p.ckread-prose{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-width:112ch}
.ckread .ckread-line{white-space:pre-wrap}
.ckread span,.ckread b{unicode-bidi:isolate;font-weight:inherit}
.ckread table.ckread-table{border-collapse:collapse;border:0;margin:0;width:auto;font:inherit;
color:inherit;background:none}
.ckread table.ckread-table tr{background:none!important;border:0}
.ckread table.ckread-table th,.ckread table.ckread-table td{border:0;padding:0 2ch 0 0;
text-align:left!important;vertical-align:top;white-space:pre;font-size:inherit;line-height:1.45;
max-width:none;color:inherit;background:none;unicode-bidi:isolate}
.ckread table.ckread-table th{font-weight:normal;opacity:.66}
.ckread table.ckread-table .ckread-right{text-align:right!important}
.ckread table.ckread-table td.ckread-name{white-space:pre-wrap;overflow-wrap:anywhere;
min-width:20ch;padding-left:2ch;text-indent:-2ch}
.ckread table.ckread-table th.ckread-name{padding-left:0}
.ckread details{margin-top:.9em}
.ckread summary{cursor:pointer;opacity:.66;margin-bottom:.4em}
"""

CSS = _LAYOUT.replace("\n", "") + "".join(
    f".ckread .ckread-{name}{{{_declarations(style)}}}" for name, style in SIXTEEN.items()
)
