"""The page: title, sections that each ask, answer and show, and the table of all variables.

Whatever comes from a file is escaped twice over, for a person (`safe_text`) and for HTML. The
policy in its head lets nothing load, and only the script run that is written below.

Reference: W3C, Content Security Policy Level 3
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from ckread.model.display import safe_text
from ckread.views.report.pictures import svgs
from ckread.views.terminal.html import PAPER
from ckread.views.terminal.page import PipedOnly, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Justify, Table
from ckread.views.terminal.words import count_text, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from matplotlib.figure import Figure

    from ckread.model.tree import VariableTree
    from ckread.model.variable import Variable
    from ckread.views.figures.style import Palette
    from ckread.views.terminal.page import Block, Line, Page

MAX_ROWS = 1000
MAX_VARIABLES = 1000
"""Rows of a table that are there; the rest is counted."""

_CLASSES = {
    "title": "t", "label": "l", "muted": "m", "good": "g", "added": "a", "bad": "b", "warning": "w",
    "removed": "r", "spark": "s", "bar": "s", "accent": "s", "renamed": "d",
}  # fmt: skip
"""Styles of a screen, as the style sheet calls them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a section: how it is drawn, and what it shows in words."""

    draw: Callable[[Palette], Figure]
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A question, and the pages and pictures that answer it.

    Attributes:
        anchor: what links call it.
        question: its heading, and its link at the top.
        pages: the first one's first sentence is the answer; more have headings of their own.
        pictures: below the first page.
    """

    anchor: str
    question: str
    pages: Sequence[tuple[str, Page]]
    pictures: Sequence[Picture] = field(default=())


def report_page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    variables: Sequence[Variable],
    tree: VariableTree,
    footer: str,
) -> Iterator[str]:
    """Yield the document, piece by piece."""
    style, script = _read("style.css"), _read("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{_text(title)} – a report by ckread</title><style>{style}</style></head><body>"
        f'<header><h1>{_text(title)}</h1><p class="lead">{_text(lead)}</p></header>'
    )
    links = [(one.anchor, one.question) for one in sections]
    links.append(("variables", "Every variable"))
    items = "".join(f'<li><a href="#{anchor}">{_text(words)}</a></li>' for anchor, words in links)
    yield f'<nav aria-label="sections"><ul>{items}</ul></nav><main>'
    n_pictures = 0
    for section in sections:
        yield f'<section id="{section.anchor}"><h2>{_text(section.question)}</h2>'
        for at, (heading, page) in enumerate(section.pages):
            if at:
                yield f"<h3>{_text(heading)}</h3>"
            yield from _answered(page)
            for picture in section.pictures if not at else ():
                n_pictures += 1
                caption = _text(picture.caption)
                drawn = "".join(svgs(picture.draw, n_pictures, caption))
                yield '<figure><div class="scroll" tabindex="0" role="group" aria-label="picture">'
                yield f"{drawn}</div><figcaption>{caption}</figcaption></figure>"
        yield "</section>"
    yield from _variables(variables, tree)
    yield f"</main><footer>{_text(footer)}</footer><script>{script}</script></body></html>\n"


def _read(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read().strip()


def _text(text: str) -> str:
    return escape(safe_text(text))


def _answered(page: Page) -> Iterator[str]:
    """Write a page of a command: its first sentence as the answer, its title left out."""
    is_first, is_answered = True, False
    for section in page.sections:
        for block in _flat(section):
            if isinstance(block, Prose):
                if is_first and block.line[:1] and block.line[0].style == "title":
                    is_first = False
                    continue
                label, *rest = block.line or (Span(""),)
                if block.indent and label.style == "label":
                    words = _line(tuple(rest)).strip()
                    yield f'<div class="fact"><span class="l">{_text(label.text.strip())}</span>'
                    yield f"<span>{words}</span></div>"
                    continue
                css = "block" if is_answered or block.indent else "answer"
                is_answered = True
                if label.text.startswith(" "):  # a terminal sets it in by cells
                    css += " in"
                yield f'<p class="{css}">{_line(block.line).strip()}</p>'
            elif isinstance(block, Table):
                is_answered = True  # what comes below it explains it
                yield from _table(block)
            else:
                lines = list(block.lines(PAPER))
                if all(span.style == "muted" for line in lines for span in line):
                    text = " ".join(span.text for line in lines for span in line)
                    yield f'<p class="m">{_text(text)}</p>' if text else ""
                    continue
                for line in lines:
                    yield f'<div class="line">{_line(line) or "<br>"}</div>'
            is_first = False


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, TerminalOnly):
            yield from _flat(block.blocks)
        elif not isinstance(block, PipedOnly):
            yield block


def _line(line: Line, *, breaks: bool = False) -> str:
    html = []
    for text, style, _ in line:
        content = _text(text)
        if breaks:
            content = content.replace("/", "/<wbr>")
        css = _CLASSES.get(style)
        html.append(f'<span class="{css}">{content}</span>' if css else content)
    return "".join(html)


def _table(table: Table[Any]) -> Iterator[str]:
    n_all = len(table.rows)
    table = table.head(MAX_ROWS) if n_all > MAX_ROWS else table
    columns = table.fitted(PAPER)
    if not columns:
        return
    classes = []
    for column in columns:
        names = [] if column.column.justify is Justify.LEFT else ["right"]
        names += ["name"] if column.column.folds else []
        classes.append(f' class="{" ".join(names)}"' if names else "")
    yield '<div class="scroll" tabindex="0" role="group" aria-label="table">'
    yield f"<table{' class=sort' if table.has_header else ''}>"
    if table.has_header:
        heads = zip(columns, classes, strict=True)
        cells = "".join(f'<th scope="col"{css}>{_text(one.title)}</th>' for one, css in heads)
        yield f"<thead><tr>{cells}</tr></thead>"
    yield "<tbody>"
    for at in range(len(table.rows)):
        style = table.style_of(at)
        cells = "".join(
            f"<td{css}>{_line(one.whole(at, style)[0], breaks=one.column.folds)}</td>"
            for one, css in zip(columns, classes, strict=True)
        )
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"
    if n_all > MAX_ROWS:
        yield f"<p>… and {count_text(n_all - MAX_ROWS)} more of {count_text(n_all)}.</p>"


def _variables(variables: Sequence[Variable], tree: VariableTree) -> Iterator[str]:
    """Write the tree, and the table of all variables, each with an anchor of its own."""
    from ckread.views.terminal.words import shape_text, size_text

    nbytes = sum(variable.nbytes for variable in variables)
    yield '<section id="variables"><h2>Every variable</h2>'
    yield f'<p class="answer">{plural(len(variables), "variable")}, {size_text(nbytes)}.</p>'
    yield "<details><summary>as a tree</summary>"
    yield from _tree(tree)
    yield '</details><div class="scroll" tabindex="0" role="group" aria-label="variables">'
    yield '<table class="sort filtered"><thead><tr>'
    heads = ("name", "type", "shape", "elements", "bytes", "role")
    for head in heads:
        css = ' class="right"' if head in ("elements", "bytes") else ""
        yield f'<th scope="col"{css}>{head}</th>'
    yield "</tr></thead><tbody>"
    for at, variable in enumerate(variables[:MAX_VARIABLES]):
        name = _line((Span(variable.name),), breaks=True)
        yield (
            f'<tr id="v{at}"><td class="name">{name}</td><td>{_text(str(variable.dtype))}</td>'
            f"<td>{_text(shape_text(variable.shape))}</td>"
            f'<td class="right">{count_text(variable.elements)}</td>'
            f'<td class="right">{count_text(variable.nbytes)}</td>'
            f"<td>{_text(str(variable.role))}</td></tr>"
        )
    yield "</tbody></table></div>"
    if len(variables) > MAX_VARIABLES:
        rest = variables[MAX_VARIABLES:]
        left = sum(variable.nbytes for variable in rest)
        yield f"<p>… and {plural(len(rest), 'variable')} more, {size_text(left)}.</p>"
    yield "</section>"


_MAX_NODES = 2000


def _tree(tree: VariableTree) -> Iterator[str]:
    """Write scopes as lists that open, without recursion."""
    stack: list[VariableTree | str] = ["</ul>", *reversed(tree.children), "<ul>"]
    n_written = 0
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
            continue
        n_written += 1
        if n_written > _MAX_NODES:
            continue
        words = f"{_text(one.name)} <span class=m>{plural(one.n_variables, 'variable')}"
        words += f", {count_text(one.parameters)} parameters</span>"
        if one.children:
            yield f"<li><details><summary>{words}</summary><ul>"
            stack += ["</ul></details></li>", *reversed(one.children)]
        else:
            yield f"<li>{words}</li>"
