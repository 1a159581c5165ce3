"""The variables of a checkpoint as a table (`ls`), a tree with totals (`tree`), by layers."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from os.path import basename
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.checksums import find_shared
from ckread.model.display import (
    Columns,
    Field,
    Kind,
    by,
    column_of,
    named,
    safe_text,
    safe_texts,
    safe_word,
)
from ckread.model.evidence import Strength
from ckread.model.role import Role
from ckread.model.tree import NODE_FIELDS, ROOT_WORD, Placed, count_parameters, rows_of
from ckread.model.variable import VARIABLE_FIELDS
from ckread.readers.contract import Format
from ckread.views.terminal.page import (
    Page,
    PipedOnly,
    Prose,
    Span,
    TerminalOnly,
    cell_len,
    footer,
    heading,
)
from ckread.views.terminal.table import RIGHT, Column, Table
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    bar,
    common_prefix,
    count_text,
    listed,
    muted_repeats,
    names_below,
    plural,
    shape_text,
    shape_word,
    share_text,
    size_cell,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.analysis.checksums import Shared
    from ckread.analysis.info import CheckpointSummary
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.tree import VariableTree
    from ckread.model.variable import Variable
    from ckread.readers.keras.config import KerasLayer
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

    @property
    def names(self) -> list[str]:
        """The names, or the keys."""
        return column_of(self.variables, "key" if self.by_key else "name")


def listing_page(listing: Listing) -> Page:
    """Lay out a table of variables, with its total in the last line."""
    variables, labels = listing.variables, safe_texts(listing.names)
    prefix = common_prefix(labels)
    said_below: dict[str, str] = {}
    if len(labels) > 1 and max(map(len, labels)) >= LONG_NAME:
        said = {field: {*map(str, column_of(variables, field))} for field in ("dtype", "role")}
        said_below = {title: words.pop() for title, words in said.items() if len(words) == 1}

    @cache
    def short() -> dict[str, Line]:
        lines = muted_repeats(label[len(prefix) :] for label in labels)
        return dict(zip((one.key for one in variables), lines, strict=True))

    columns = [column for column in _columns(listing, short) if column.title not in said_below]
    n_shown = len(variables)
    table = Table(columns, variables)
    nbytes = sum(column_of(variables, "nbytes"))
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
        return footer("; ".join([text, *shared_in_words(find_shared(variables))]))

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
    return list(map(safe_word, listing.names))


def checksum_lines(variables: Iterable[Variable]) -> list[str]:
    """Give a line per variable for a line-by-line comparison: none changes with its neighbours."""
    return [
        f"{_FIELDS['crc32c'].of(v) or '-':8}  {v.dtype} {shape_word(v.shape)}  {safe_word(v.key)}"
        for v in variables
    ]


_FIELDS = named(VARIABLE_FIELDS)


def _columns(listing: Listing, short: Callable[[], dict[str, Line]]) -> list[Column[Variable]]:
    """Give the columns; those of a screen alone look at the `short` names, by key."""

    def of(field: str, **look: Any) -> Column[Variable]:
        return Column.of(_FIELDS[field], **look)

    def label(variable: Variable) -> Line:
        line = short()[variable.key]
        if variable.role is Role.SLOT:
            return tuple(Span(span.text, "muted") for span in line)
        return line

    def role(variable: Variable) -> Line:
        return (Span(variable.role, "" if variable.role is Role.WEIGHT else "muted"),)

    what: list[Column[Variable]] = [
        of("key" if listing.by_key else "name", shown=label, folds=True),
        of("dtype", shown=lambda one: one.dtype, rank=1),
        Column(title="shape", shown=lambda one: shape_text(one.shape), justify=RIGHT),
        of("shape"),
    ]
    if listing.where:
        return [*what, *_places(of)]
    return [
        *what,
        of("elements", shown=lambda one: count_text(one.elements), rank=3, from_width=100),
        of("nbytes", title="bytes", shown=lambda one: size_cell(one.nbytes)),
        of("role", shown=role, rank=2),
        of("owner", shown=lambda one: safe_text(one.owner or ""), style="muted", rank=4,
           from_width=100),
    ]  # fmt: skip


def _places(of: Callable[..., Column[Variable]]) -> list[Column[Variable]]:
    """Give the columns of file, first byte and length; a dash for bytes that lie nowhere plainly.

    Of a partitioned variable the first slice is shown, and how many more there are.
    """

    def file(variable: Variable) -> str:
        extents = variable.extents() or ()
        more = f" and {len(extents) - 1} more" if len(extents) > 1 else ""
        return safe_word(basename(extents[0].path)) + more if extents else "-"

    def offset(variable: Variable) -> str:
        extents = variable.extents()
        return str(extents[0].offset) if extents else "-"

    return [
        Column(title="file", shown=file, piped=lambda one: file(one).replace(" ", "\\x20"), rank=2),
        Column(title="offset", shown=offset, piped=offset, justify=RIGHT),
        of("nbytes", title="bytes", shown=lambda one: str(one.nbytes)),
        of("crc32c", shown=lambda one: _FIELDS["crc32c"].of(one) or "–"),
    ]


# The tree.

BAR_CELLS = 12
_NODE_FIELDS = named(NODE_FIELDS)


def tree_page(tree: VariableTree, title: str, *, depth: int | None = None) -> Page:
    """Lay out a tree whose root is called `title`, to a depth."""
    nodes = rows_of(tree)
    folds = [] if isinstance(nodes, Columns) else [node for node, _ in nodes if node.folded]
    notes = []
    if folds:
        folded = [variable for node in folds for variable in node.folded]
        noun = "slot" if all(variable.role is Role.SLOT for variable in folded) else "variable"
        lines = plural(len(folds), "line")
        how = by("--slots", "folds=False")
        notes.append(f"{plural(len(folded), noun)} folded into {lines} ({how} lists them)")
    if depth is not None:
        n_all, nodes = len(nodes), [row for row in nodes if len(row.lasts) <= depth]
        if n_all > len(nodes):
            notes.append(f"{plural(n_all - len(nodes), 'line')} below left out (--depth)")

    def told() -> Block:  # of 100,000 variables none is made for a pipe
        variables = [node.variable for node, _ in nodes if node.variable is not None]
        return footer("; ".join([*notes, *shared_in_words(find_shared(variables))]))

    return Page(tree_table(tree, title, nodes), TerminalOnly(told))


def tree_table(tree: VariableTree, title: str, rows: Sequence[Placed]) -> Table[Placed]:
    """Give the table of a tree, a row for each node."""

    def of(name: str, **look: Any) -> Column[Placed]:
        title, kind, *_ = field = _NODE_FIELDS[name]
        return Column.of(Field(title, kind, lambda row: field.getter(row.node)), **look)

    def name(row: Placed) -> Line:
        style = "title" if row.node.children or not row.lasts else ""
        text = safe_text(row.node.name if row.lasts else title) or '""'
        return Span(guides_of(row.lasts), "muted"), Span(text, style)

    def shape(row: Placed) -> str:
        return "" if row.node.variable is None else shape_text(row.node.variable.shape)

    def parameters(row: Placed) -> Line:
        text = count_text(row.node.parameters) if row.node.parameters else ABSENT
        return (Span(text, "title" if row.node.children else ""),)

    columns: list[Column[Placed]] = [
        Column(title="tree", shown=name, folds=True),
        Column.of(_PATH),
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


_PATH: Field[Placed] = Field(
    "path", Kind.TEXT, lambda row: row.node.path if row.lasts else ROOT_WORD
)


def guides_of(lasts: tuple[bool, ...]) -> str:
    """Give the lines that lead to a node, three cells a level."""
    if not lasts:
        return ""
    above = "".join("   " if is_last else "│  " for is_last in lasts[:-1])
    return above + ("└─ " if lasts[-1] else "├─ ")


# The layers of a model: class, output shape, weights and parameters of each (`ckread layers`);
# `info` has the same without the weights.

MAX_LAYERS = 40
"""Layers up to which a terminal shows those without parameters too, in `info`."""
LAYER_BAR_CELLS = 8
_UNTOLD = "this file has no list of layers"
_BY_NAME = "by name: this file does not tell their order"


def layers_of(checkpoint: Checkpoint) -> tuple[KerasLayer, ...]:
    """Give the layers that the files list, else the scopes of weights in the order of the model."""
    if checkpoint.evidence.layers:
        return checkpoint.evidence.layers
    from ckread.readers.keras.config import KerasLayer

    scopes: dict[str, list[Variable]] = {}
    for variable in checkpoint.in_order():
        if variable.role.is_parameter:
            scopes.setdefault(variable.name.rpartition("/")[0], []).append(variable)
    return tuple(
        KerasLayer(
            scope, "", sum(one.elements for one in held), weights=tuple(one.key for one in held)
        )
        for scope, held in scopes.items()
    )


def layers_page(checkpoint: Checkpoint) -> Page:
    """Lay out all layers of a checkpoint, with the totals that `model.summary()` gives."""
    layers = layers_of(checkpoint)
    from ckread.analysis.parameters import parameter_claims

    counted = count_parameters(checkpoint.kinds)
    noun = "layer" if checkpoint.evidence.layers else "scope"
    total = f"{plural(len(layers), noun)}, {plural(counted.total, 'parameter')}"
    if counted.trainable is not None:
        rest = count_text(counted.total - counted.trainable)
        # Told by slots alone, a weight without any may be trained all the same.
        claims = parameter_claims(checkpoint, counted)
        is_derived = any(
            one.claim == "trainable_parameters" and one.strength is Strength.DERIVED
            for one in claims
        )
        how = "without slots" if is_derived else "not"
        total += f": {count_text(counted.trainable)} trainable, {rest} {how}"
    notes = [total]
    if not checkpoint.evidence.layers:
        notes.append(_UNTOLD)
    elif checkpoint.evidence.model is None and checkpoint.format is not Format.LEGACY_HDF5:
        notes.append(_BY_NAME)
    table = layer_table(layers, counted.total, checkpoint.of_key)
    return Page([heading(checkpoint.path, "")], table, footer("; ".join(notes)))


def layers_document(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the body of the `layers` document."""
    counted = count_parameters(checkpoint.kinds)

    def weights(layer: KerasLayer) -> list[dict[str, Any]]:
        found = (checkpoint.of_key(key) for key in layer.weights)
        return [
            {"name": one.name, "shape": list(one.shape), "dtype": str(one.dtype)}
            for one in found
            if one is not None
        ]

    return {
        "path": checkpoint.path,
        "format": str(checkpoint.format),
        "is_listed": bool(checkpoint.evidence.layers),
        "layers": [
            {
                "name": layer.name,
                "class": layer.class_name or None,
                "depth": layer.depth,
                "shape": None if layer.shape is None else list(layer.shape),
                "parameters": layer.parameters,
                "trainable": layer.trainable,
                "weights": weights(layer),
            }
            for layer in layers_of(checkpoint)
        ],
        "parameters": counted.total,
        "trainable_parameters": counted.trainable,
    }


def layer_blocks(summary: CheckpointSummary) -> list[Block]:
    """Give the layers as `info` has them; of very many, a terminal gets those with parameters."""
    layers = summary.layers
    if len(layers) > MAX_LAYERS:
        layers = tuple(layer for layer in layers if layer.parameters)
    left_out = len(summary.layers) - len(layers)
    blocks: list[Block] = [layer_table(layers, summary.parameters)]
    if left_out:
        where = by("ckread layers", ".layers")
        told = f"{plural(left_out, 'layer')} without parameters left out ({where})"
        blocks.append(Prose(Span(told, "muted")))
    return [TerminalOnly(*blocks), PipedOnly(layer_table(summary.layers, summary.parameters))]


def layer_table(
    layers: Sequence[KerasLayer],
    whole: int | None,
    weight_of: Callable[[str], Variable | None] | None = None,
) -> Table[KerasLayer]:
    """Give a table of layers; with their weights if these are given by their keys."""
    tells_classes = weight_of is None or any(layer.class_name for layer in layers)
    tells_shapes = 2 * sum(layer.shape is not None for layer in layers) > len(layers)
    tells_shapes |= weight_of is not None and any(layer.shape is not None for layer in layers)

    def share(layer: KerasLayer) -> str:
        return share_text(layer.parameters, whole) if layer.parameters and whole else ""

    def shape(layer: KerasLayer) -> str:
        if layer.shape is None:
            return "" if weight_of is None else "unknown"
        return shape_text(layer.shape)

    def weights(layer: KerasLayer) -> list[tuple[str, tuple[int, ...]]]:
        found = (weight_of(key) for key in layer.weights) if weight_of is not None else ()
        name = layer.name.rpartition("/")[2]
        return [
            (one.name.rpartition(f"{name}/")[2] or one.name, one.shape)
            for one in found
            if one is not None
        ]

    def longest_that_fits(layer: KerasLayer, cells: int) -> str:
        told = [(safe_text(name), shape_text(shape)) for name, shape in weights(layer)]
        texts = shapes_in_words(told) if told else [""]
        of_shape = {shape for _, shape in told}
        if len(of_shape) == 1 and len(told) > 2:
            texts.append(f"{told[0][0]}, {told[1][0]}, {len(told) - 2} more of {of_shape.pop()}")
        names = ", ".join(name for name, _ in told[: 3 if len(told) < 4 else 2])
        names += f", {len(told) - 2} more" if len(told) > 3 else ""
        texts += [names, plural(len(told), "weight"), count_text(len(told))] if told else []
        return next((text for text in texts if cell_len(text) <= cells), texts[-1])

    columns: list[Column[KerasLayer]] = [
        Column(
            title="layer" if tells_classes else "scope",
            shown=lambda layer: "  " * min(layer.depth, 8) + safe_text(_own_name(layer) or "."),
            piped=lambda layer: safe_word(layer.name),
            folds=True,
        ),
        Column(
            title="class",
            shown=(lambda layer: safe_text(layer.class_name)) if tells_classes else None,
            piped=lambda layer: safe_word(layer.class_name) if layer.class_name else ABSENT_WORD,
        ),
        Column(
            title="output",
            shown=shape if tells_shapes else None,
            piped=lambda layer: ABSENT_WORD if layer.shape is None else shape_word(layer.shape),
            rank=2,
        ),
    ]
    if weight_of is not None:
        longest = max((len(longest_that_fits(layer, 1000)) for layer in layers), default=0)
        columns.append(
            Column(
                title="weights",
                draw=longest_that_fits,
                cells=(12, max(12, longest)),
                piped=lambda layer: (
                    ",".join(
                        f"{safe_word(name)}:{shape_word(shape)}" for name, shape in weights(layer)
                    )
                    or ABSENT_WORD
                ),
                rank=1,
            )
        )
    columns.append(
        Column(
            title="parameters",
            shown=lambda layer: count_text(layer.parameters) if layer.parameters else ABSENT,
            piped=lambda layer: ABSENT_WORD if layer.parameters is None else str(layer.parameters),
            justify=RIGHT,
        )
    )
    if weight_of is None:
        columns += [
            Column(title="", shown=share, justify=RIGHT, rank=1),
            Column(
                title="",
                draw=lambda layer, cells: bar((layer.parameters or 0) / max(1, whole or 0), cells),
                cells=(LAYER_BAR_CELLS, LAYER_BAR_CELLS),
                style="bar",
                rank=3,
            ),
        ]
    return Table(columns, layers)


def _own_name(layer: KerasLayer) -> str:
    return layer.name.rpartition("/")[2] if layer.depth else layer.name


def shapes_in_words(told: Sequence[tuple[str, str]]) -> list[str]:
    """Say names with their shapes, a shape once for all that follow each other; shorter too."""
    groups = [(shape, [name for name, _ in same]) for shape, same in groupby(told, lambda t: t[1])]
    whole = ", ".join(f"{', '.join(names)} {shape}" for shape, names in groups)
    if len(groups) > 1 or len(told) < 3:
        return [whole]
    shape, (first, second, *rest) = groups[0]
    return [whole, f"{first}, {second} and {len(rest)} more, all {shape}"]
