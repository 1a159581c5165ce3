"""The layers of a Keras file: class, output shape and parameters of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.columns import Column, Justify, Table
from ckread.views.drawn import bar
from ckread.views.folding import Prose
from ckread.views.page import PipedOnly, Span, TerminalOnly
from ckread.views.quantities import (
    ABSENT,
    ABSENT_WORD,
    count_text,
    plural,
    safe_text,
    safe_word,
    shape_text,
    shape_word,
    share_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.info import CheckpointSummary
    from ckread.readers.keras_config import KerasLayer
    from ckread.views.page import Block

BAR_CELLS = 8
MAX_ROWS = 40
"""Layers up to which a terminal shows those without parameters too."""


def layer_blocks(summary: CheckpointSummary) -> list[Block]:
    """Give the layers in model order; of very many, a terminal gets those with parameters."""
    layers = summary.layers
    if len(layers) > MAX_ROWS:
        layers = tuple(layer for layer in layers if layer.parameters)
    left_out = len(summary.layers) - len(layers)
    blocks: list[Block] = [layer_table(summary, layers)]
    if left_out:
        told = f"{plural(left_out, 'layer')} without parameters left out (--json)"
        blocks.append(Prose(Span(told, "muted")))
    return [TerminalOnly(*blocks), PipedOnly(layer_table(summary, summary.layers))]


def layer_table(summary: CheckpointSummary, layers: Sequence[KerasLayer]) -> Table[KerasLayer]:
    """Give a table of layers."""
    whole = summary.parameters

    tells_shapes = 2 * sum(layer.shape is not None for layer in layers) > len(layers)

    def share(layer: KerasLayer) -> str:
        return share_text(layer.parameters, whole) if layer.parameters and whole else ""

    def draw(layer: KerasLayer, cells: int) -> str:
        return bar((layer.parameters or 0) / max(1, whole), cells)

    columns: list[Column[KerasLayer]] = [
        Column(
            title="layer",
            shown=lambda layer: "  " * min(layer.depth, 8) + safe_text(layer.name),
            piped=lambda layer: safe_word(layer.name),
            folds=True,
        ),
        Column(
            title="class",
            shown=lambda layer: safe_text(layer.class_name),
            piped=lambda layer: safe_word(layer.class_name),
        ),
        Column(title="output", shown=_shape if tells_shapes else None, piped=_shape_word, rank=2),
        Column(
            title="parameters",
            shown=_parameters,
            piped=lambda layer: ABSENT_WORD if layer.parameters is None else str(layer.parameters),
            justify=Justify.RIGHT,
        ),
        Column(title="", shown=share, justify=Justify.RIGHT, rank=1),
        Column(title="", draw=draw, cells=(BAR_CELLS, BAR_CELLS), style="bar", rank=3),
    ]
    return Table(columns, layers)


def _parameters(layer: KerasLayer) -> str:
    return count_text(layer.parameters) if layer.parameters else ABSENT


def _shape(layer: KerasLayer) -> str:
    return "" if layer.shape is None else shape_text(layer.shape)


def _shape_word(layer: KerasLayer) -> str:
    return ABSENT_WORD if layer.shape is None else shape_word(layer.shape)
