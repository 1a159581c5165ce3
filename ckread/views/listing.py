"""The variables of a checkpoint, as a table (`ckread ls`) and as a tree with totals (`tree`)."""

from __future__ import annotations

from operator import attrgetter, itemgetter
from os.path import basename
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.checksums import find_shared
from ckread.model.display import by, named, safe_text, safe_word
from ckread.model.role import Role
from ckread.model.tree import NODE_FIELDS
from ckread.model.variable import VARIABLE_FIELDS
from ckread.views.terminal.page import Page, Span, TerminalOnly, footer
from ckread.views.terminal.table import RIGHT, Column, Table
from ckread.views.terminal.words import (
    ABSENT,
    bar,
    common_prefix,
    count_text,
    listed,
    muted_repeats,
    names_below,
    plural,
    shape_text,
    shape_word,
    size_cell,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.analysis.checksums import Shared
    from ckread.model.tree import VariableTree
    from ckread.model.variable import Variable
    from ckread.views.terminal.page import Block, Line


LONG_NAME = 36
"""Cells of a name from which on columns of one value move to the last line."""


class Listing(NamedTuple):
    """The chosen variables in order, and of how many and how large a whole they were chosen.

    `n_hidden` are bookkeeping entries left out; `by_key` puts raw keys in the place of names.
    `where` puts the places of the bytes in that of roles.
    """

    variables: Sequence[Variable]
    n_all: int
    nbytes_all: int
    n_hidden: int = 0
    by_key: bool = False
    where: bool = False

    def label(self, variable: Variable) -> str:
        """Give the name, or the key, of a variable."""
        return variable.key if self.by_key else variable.name


def listing_page(listing: Listing) -> Page:
    """Lay out a table of variables, with its total in the last line."""
    labels = [safe_text(listing.label(variable)) for variable in listing.variables]
    prefix = common_prefix(labels)
    said_below: dict[str, str] = {}
    if len(labels) > 1 and max(map(len, labels)) >= LONG_NAME:
        dtypes = {str(variable.dtype) for variable in listing.variables}
        roles = {str(variable.role) for variable in listing.variables}
        said = {"dtype": dtypes, "role": roles}
        said_below = {title: words.pop() for title, words in said.items() if len(words) == 1}
    columns = [column for column in _columns(listing) if column.title not in said_below]
    short = muted_repeats(label[len(prefix) :] for label in labels)
    table = Table(columns, list(zip(listing.variables, short, strict=True)))
    n_shown = len(listing.variables)
    nbytes = sum(variable.nbytes for variable in listing.variables)
    if n_shown == listing.n_all:
        text = f"{plural(n_shown, 'variable')}, {size_text(nbytes)}"
    else:
        n_all, nbytes_all = plural(listing.n_all, "variable"), size_text(listing.nbytes_all)
        text = f"{count_text(n_shown)} of {n_all}, {size_text(nbytes)} of {nbytes_all}"
    if listing.n_hidden and n_shown == listing.n_all:
        entries = plural(listing.n_hidden, "bookkeeping entry", nouns="bookkeeping entries")
        text = f"{text}; {entries} left out ({by('--all', '.to_pandas() has all')})"
    if said_below:
        role = said_below.get("role")
        same = " ".join(filter(None, [said_below.get("dtype"), f"{role}s" if role else None]))
        text = f"{text}; all {same}"

    def told() -> Block:
        return footer("; ".join([text, *shared_in_words(find_shared(listing.variables))]))

    return Page([*names_below(prefix), table], TerminalOnly(told))


_FEW_SHARED = 3


def shared_in_words(shared: Shared) -> list[str]:
    """Say which variables stand in several places, and which hold equal values."""
    tied = [f"{name} is {listed(paths)} too" for name, paths in shared.tied.items()]
    equal = [f"{_first(names)} are equal" for names in shared.equal]
    told = []
    for words, what in ((tied, "tied"), (equal, "by checksum")):
        if words:
            more = f" and {count_text(len(words) - _FEW_SHARED)} more"
            some = "; ".join(map(safe_text, words[:_FEW_SHARED]))
            told.append(f"{some}{more if len(words) > _FEW_SHARED else ''} ({what})")
    return told


def _first(names: Sequence[str]) -> str:
    if len(names) <= _FEW_SHARED + 1:
        return listed(names)
    return f"{', '.join(names[:_FEW_SHARED])} and {count_text(len(names) - _FEW_SHARED)} more"


def listing_lines(listing: Listing) -> list[str]:
    """Give the names alone, one word a line."""
    return [safe_word(listing.label(variable)) for variable in listing.variables]


def checksum_lines(variables: Iterable[Variable]) -> list[str]:
    """Give a line per variable for a line-by-line comparison: none changes with its neighbours."""
    return [
        f"{_FIELDS['crc32c'].of(v) or '-':8}  {v.dtype} {shape_word(v.shape)}  {safe_word(v.key)}"
        for v in variables
    ]


_Row = tuple["Variable", "Line"]
_FIELDS = named(VARIABLE_FIELDS)


def _columns(listing: Listing) -> list[Column[_Row]]:
    def of(field: str, **look: Any) -> Column[_Row]:
        return Column.of(_FIELDS[field], itemgetter(0), **look)

    def label(row: _Row) -> Line:
        variable, line = row
        if variable.role is Role.SLOT:
            return tuple(Span(span.text, "muted") for span in line)
        return line

    def role(row: _Row) -> Line:
        found = row[0].role
        return (Span(found, "" if found is Role.WEIGHT else "muted"),)

    what: list[Column[_Row]] = [
        of("key" if listing.by_key else "name", shown=label, folds=True),
        of("dtype", shown=lambda row: row[0].dtype, rank=1),
        Column(title="shape", shown=lambda row: shape_text(row[0].shape), justify=RIGHT),
        of("shape"),
    ]
    if listing.where:
        return [*what, *_places(of)]
    return [
        *what,
        of("elements", shown=lambda row: count_text(row[0].elements), rank=3, from_width=100),
        of("nbytes", title="bytes", shown=lambda row: size_cell(row[0].nbytes)),
        of("role", shown=role, rank=2),
        of("owner", shown=lambda row: safe_text(row[0].owner or ""), style="muted", rank=4,
           from_width=100),
    ]  # fmt: skip


def _places(of: Callable[..., Column[_Row]]) -> list[Column[_Row]]:
    """Give the columns of file, first byte and length; a dash for bytes that lie nowhere plainly.

    Of a partitioned variable the first slice is shown, and how many more there are.
    """

    def file(row: _Row) -> str:
        extents = row[0].extents() or ()
        more = f" and {len(extents) - 1} more" if len(extents) > 1 else ""
        return safe_word(basename(extents[0].path)) + more if extents else "-"

    def offset(row: _Row) -> str:
        extents = row[0].extents()
        return str(extents[0].offset) if extents else "-"

    return [
        Column(title="file", shown=file, piped=lambda row: file(row).replace(" ", "\\x20"), rank=2),
        Column(title="offset", shown=offset, piped=offset, justify=RIGHT),
        of("nbytes", title="bytes", shown=lambda row: str(row[0].nbytes)),
        of("crc32c", shown=lambda row: _FIELDS["crc32c"].of(row[0]) or "–"),
    ]


# The tree.

BAR_CELLS = 12
_NODE_FIELDS = named(NODE_FIELDS)


class _Node(NamedTuple):
    node: VariableTree
    lasts: tuple[bool, ...]


def tree_page(tree: VariableTree, title: str, *, depth: int | None = None) -> Page:
    """Lay out a tree whose root is called `title`, to a depth."""
    nodes = list(tree.walk())
    folds = [node for node, _ in nodes if node.folded]
    notes = []
    if folds:
        folded = [variable for node in folds for variable in node.folded]
        noun = "slot" if all(variable.role is Role.SLOT for variable in folded) else "variable"
        lines = plural(len(folds), "line")
        how = by("--slots", "folds=False")
        notes.append(f"{plural(len(folded), noun)} folded into {lines} ({how} lists them)")
    n_deeper = sum(depth is not None and len(lasts) > depth for _, lasts in nodes)
    if n_deeper:
        notes.append(f"{plural(n_deeper, 'line')} below left out (--depth)")
    if depth is not None:
        nodes = [(node, lasts) for node, lasts in nodes if len(lasts) <= depth]

    def told() -> Block:  # of 100,000 variables none is made for a pipe
        variables = [node.variable for node, _ in nodes if node.variable is not None]
        return footer("; ".join([*notes, *shared_in_words(find_shared(variables))]))

    return Page(tree_table(tree, title, nodes), TerminalOnly(told))


def tree_table(
    tree: VariableTree, title: str, nodes: Iterable[tuple[VariableTree, tuple[bool, ...]]]
) -> Table[_Node]:
    """Give the table of a tree, a row for each of its `nodes`, as `walk` gives them."""
    rows = [_Node(*node) for node in nodes]

    def of(field: str, **look: Any) -> Column[_Node]:
        return Column.of(_NODE_FIELDS[field], attrgetter("node"), **look)

    def name(row: _Node) -> Line:
        style = "title" if row.node.children or not row.lasts else ""
        text = safe_text(row.node.name if row.lasts else title) or '""'
        return Span(guides_of(row.lasts), "muted"), Span(text, style)

    def shape(row: _Node) -> str:
        return "" if row.node.variable is None else shape_text(row.node.variable.shape)

    def parameters(row: _Node) -> Line:
        text = count_text(row.node.parameters) if row.node.parameters else ABSENT
        return (Span(text, "title" if row.node.children else ""),)

    columns: list[Column[_Node]] = [
        Column(title="tree", shown=name, folds=True),
        Column(title="path", piped=lambda row: safe_word(row.node.path) if row.lasts else "."),
        Column(title="shape", shown=shape, justify=RIGHT, rank=1),
        of("variables"),
        of("parameters", shown=parameters),
        of("nbytes", title="bytes", shown=lambda row: size_cell(row.node.nbytes)),
        Column(
            title="share of bytes",
            draw=lambda row, _: bar(row.node.nbytes / max(1, tree.nbytes), BAR_CELLS),
            cells=(BAR_CELLS, BAR_CELLS),
            style="bar",
            rank=2,
        ),
    ]
    return Table(columns, rows)


def guides_of(lasts: tuple[bool, ...]) -> str:
    """Give the lines that lead to a node, three cells a level."""
    if not lasts:
        return ""
    above = "".join("   " if is_last else "│  " for is_last in lasts[:-1])
    return above + ("└─ " if lasts[-1] else "├─ ")
