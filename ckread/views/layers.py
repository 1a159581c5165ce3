"""The layers of a model: class, output shape, weights and parameters of each.

What `ckread layers` shows; `info` has the same without the weights.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from ckread.model.display import by, safe_text, safe_word
from ckread.model.tree import count_parameters
from ckread.readers.contract import Format
from ckread.readers.keras.config import KerasLayer
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
    count_text,
    plural,
    shape_text,
    shape_word,
    share_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.info import CheckpointSummary
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.views.terminal.page import Block

MAX_LAYERS = 40
"""Layers up to which a terminal shows those without parameters too, in `info`."""
BAR_CELLS = 8
_UNTOLD = "this file has no list of layers"
_BY_NAME = "by name: this file does not tell their order"


def layers_of(checkpoint: Checkpoint) -> tuple[KerasLayer, ...]:
    """Give the layers that the files list, else the scopes of weights in the order of the model."""
    if checkpoint.evidence.layers:
        return checkpoint.evidence.layers
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
    counted = count_parameters(checkpoint.kinds)
    noun = "layer" if checkpoint.evidence.layers else "scope"
    total = f"{plural(len(layers), noun)}, {plural(counted.total, 'parameter')}"
    if counted.trainable is not None:
        rest = count_text(counted.total - counted.trainable)
        total += f": {count_text(counted.trainable)} trainable, {rest} not"
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
        texts += [plural(len(told), "weight"), count_text(len(told))] if texts[0] else []
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
                cells=(9, max(9, longest)),
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
                cells=(BAR_CELLS, BAR_CELLS),
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
