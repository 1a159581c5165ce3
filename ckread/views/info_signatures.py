"""The signatures of a SavedModel: what it takes and what it gives."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from ckread.views.columns import Column, Table
from ckread.views.page import PipedOnly, TerminalOnly
from ckread.views.quantities import safe_text, safe_word, shape_text, shape_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.readers.signatures import Signature, TensorInfo
    from ckread.views.page import Block

MAX_TENSORS = 12
"""Inputs, or outputs, of one signature that a terminal shows."""

_ShownRow = tuple[str, str, str]
_PipedRow = tuple[str, str, "TensorInfo"]


def signature_blocks(signatures: Sequence[Signature]) -> list[Block]:
    """Give a table of signatures; nothing if there are none."""
    if not signatures:
        return []
    shown = [row for signature in signatures for row in _shown_rows(signature)]
    piped = [row for signature in signatures for row in _piped_rows(signature)]
    return [TerminalOnly(Table(_SHOWN_COLUMNS, shown)), PipedOnly(Table(_PIPED_COLUMNS, piped))]


def _shown_rows(signature: Signature) -> Iterator[_ShownRow]:
    name = safe_text(signature.name)
    pairs = zip_longest(_texts(signature.inputs), _texts(signature.outputs), fillvalue="")
    for given, made in list(pairs) or [("", "")]:
        yield name, given, made
        name = ""


def _texts(tensors: Sequence[TensorInfo]) -> Iterator[str]:
    for tensor in tensors[:MAX_TENSORS]:
        kind = " sparse" if tensor.is_sparse else ""
        yield f"{safe_text(tensor.name)} {tensor.dtype} {shape_text(tensor.shape)}{kind}"
    if len(tensors) > MAX_TENSORS:
        yield f"… {len(tensors) - MAX_TENSORS} more (--json)"


def _piped_rows(signature: Signature) -> Iterator[_PipedRow]:
    for tensor in signature.inputs:
        yield signature.name, "input", tensor
    for tensor in signature.outputs:
        yield signature.name, "output", tensor


_SHOWN_COLUMNS: list[Column[_ShownRow]] = [
    Column(title="signature", shown=lambda row: row[0], folds=True),
    Column(title="input", shown=lambda row: row[1], folds=True),
    Column(title="output", shown=lambda row: row[2], folds=True),
]
_PIPED_COLUMNS: list[Column[_PipedRow]] = [
    Column(title="signature", piped=lambda row: safe_word(row[0])),
    Column(title="direction", piped=lambda row: row[1]),
    Column(title="name", piped=lambda row: safe_word(row[2].name)),
    Column(title="dtype", piped=lambda row: row[2].dtype),
    Column(title="shape", piped=lambda row: shape_word(row[2].shape)),
]
