"""The page of `ckread history`: curves, a row per epoch, the best one and who holds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.run.entries import base_name
from ckread.model.spelling import safe_text, safe_word
from ckread.views.terminal.page import Page, PipedOnly, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Column, Justify, NarrowFooter, Table
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    curve,
    float_text,
    plural,
    value_text,
    value_word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.history import TrainingHistory
    from ckread.views.terminal.page import Block, Line

MAX_ROWS = 30
_SHOWN_AT_ENDS, _SHOWN_AROUND_BEST = 3, 2
_CURVE_CELLS = 12


class _Row(NamedTuple):
    """An epoch by its index, the curves above all, or epochs that are left out."""

    at: int | None = None
    n_hidden: int = 0


def history_page(result: TrainingHistory, *, show_all: bool = False) -> Page:
    """Lay out training curves."""
    everything = [_Row(at) for at in range(len(result.epochs))]
    rows = everything if show_all else shown_rows(result)
    names = paired(list(result.metrics))
    table = Table(_columns(result, names), [_Row(), *rows], row_style=_style(result))
    name = result.logs[0] if len(result.logs) == 1 else f"{len(result.logs)} logs"
    held = f"  {plural(len(result.epochs), result.unit)}, {plural(len(result.metrics), 'metric')}"
    seams = [f"{epoch:,}" for epoch in result.seams]
    joined = f", continued at {', '.join(seams)}" if seams else ""
    title = Prose(Span(safe_text(name), "title"), held + joined)
    head: list[Block] = [TerminalOnly(title), Prose(verdict(result))]
    footer = NarrowFooter(table, _footer(result, is_cut=len(rows) < len(everything)))
    piped = Table(_piped_columns(result, names), everything)
    return Page(head, TerminalOnly(table), footer, PipedOnly(piped))


def paired(names: Sequence[str]) -> list[str]:
    """Put each metric before that of validation, the learning rate last."""
    bases = dict.fromkeys(name.removeprefix("val_") for name in names)
    order = sorted(bases, key=lambda base: base in ("lr", "learning_rate"))
    return [name for base in order for name in (base, f"val_{base}") if name in names]


def shown_rows(result: TrainingHistory) -> list[_Row]:
    """Give the rows of a terminal: of many epochs the first, the last, those around the best."""
    n = len(result.epochs)
    if n <= MAX_ROWS:
        return [_Row(at) for at in range(n)]
    best = result.epochs.index(result.best.epoch) if result.best else 0
    near = range(best - _SHOWN_AROUND_BEST, best + _SHOWN_AROUND_BEST + 1)
    ends = (*range(_SHOWN_AT_ENDS), *range(n - _SHOWN_AT_ENDS, n))
    shown = sorted({at for at in (*near, *ends) if 0 <= at < n})
    rows: list[_Row] = []
    last = -1
    for at in shown:
        if at > last + 1:
            rows.append(_Row(None, at - last - 1))
        rows.append(_Row(at))
        last = at
    return rows


def verdict(result: TrainingHistory) -> str:
    """Say which epoch is the best, which checkpoint holds it, and what is missing."""
    sentences = []
    for first, last in result.gaps[:3]:
        span = f"Epoch {first:,} is" if first == last else f"Epochs {first:,} to {last:,} are"
        sentences.append(f"{span} in no log.")
    last_metric = [values for values in result.metrics.values() if values]
    bad = [e for e, *row in zip(result.epochs, *last_metric, strict=True) if _has_bad(row)]
    if bad:
        sentences.append(f"Not finite from {result.unit} {bad[0]:,} on.")
    return " ".join(filter(None, [_best(result), *sentences]))


def _best(result: TrainingHistory) -> str:
    best = result.best
    if best is None:
        return "No metric has a value."
    text = f"Best {safe_text(best.metric)} {float_text(best.value)} at {result.unit} {best.epoch:,}"
    if best.checkpoint is not None:
        return f"{text}, held by {safe_text(best.checkpoint)}."
    if result.run is None:
        return f"{text}."
    if not result.holders.kept:
        return f"{text}. The checkpoints cannot be matched with {result.unit}s."
    return f"{text}, not kept; nearest: {safe_text(best.nearest or '')}."


def _has_bad(row: Sequence[float | None]) -> bool:
    return any(value is not None and not math.isfinite(value) for value in row)


def _footer(result: TrainingHistory, *, is_cut: bool) -> str:
    sentences = []
    if result.best is not None:
        word = "smallest" if result.best.mode == "min" else "largest"
        sentences.append(f"best: {word} {safe_text(result.best.metric)} (--best METRIC chooses).")
    if result.holders.how:
        sentences.append(f"Checkpoints {result.holders.how}.")
    if is_cut:
        sentences.append("--all shows every row.")
    return " ".join(sentences)


def _columns(result: TrainingHistory, names: Sequence[str]) -> list[Column[_Row]]:
    columns: list[Column[_Row]] = [
        Column(title=result.unit, shown=lambda row: _epoch(result, row), justify=Justify.RIGHT)
    ]
    columns += [_metric_column(result, name, rank) for rank, name in enumerate(names)]
    if result.holders.kept:
        columns.append(Column(title="checkpoint", shown=lambda row: _holder(result, row)))
    columns.append(
        Column(title="", shown=lambda row: (Span("best" if _is_best(result, row) else "", "good"),))
    )
    return columns


def _epoch(result: TrainingHistory, row: _Row) -> str:
    if row.n_hidden:
        return "…"
    return "" if row.at is None else f"{result.epochs[row.at]:,}"


def _metric_column(result: TrainingHistory, name: str, rank: int) -> Column[_Row]:
    values = result.metrics[name]

    def shown(row: _Row) -> Line:
        if row.n_hidden:
            return (Span(""),)
        if row.at is None:
            return (Span(curve(values, _CURVE_CELLS), "spark"),)
        value = values[row.at]
        is_bad = value is not None and not math.isfinite(value)
        return (Span(value_text(value), "bad" if is_bad else ""),)

    return Column(title=safe_text(name), shown=shown, justify=Justify.POINT, rank=rank)


def _holder(result: TrainingHistory, row: _Row) -> str:
    if row.n_hidden:
        return f"… {plural(row.n_hidden, result.unit)}"
    if row.at is None:
        return ""
    path = result.holders.kept.get(result.epochs[row.at])
    return safe_text(base_name(path)) if path else ABSENT


def _is_best(result: TrainingHistory, row: _Row) -> bool:
    is_row = row.at is not None and result.best is not None
    return is_row and result.epochs[row.at or 0] == (result.best and result.best.epoch)


def _style(result: TrainingHistory) -> Callable[[_Row], str]:
    return lambda row: "muted" if row.n_hidden else "title" if _is_best(result, row) else ""


def _piped_columns(result: TrainingHistory, names: Sequence[str]) -> list[Column[_Row]]:
    columns: list[Column[_Row]] = [
        Column(
            title=result.unit,
            piped=lambda row: str(result.epochs[row.at or 0]),
            justify=Justify.RIGHT,
        )
    ]
    columns += [
        Column(title=safe_word(name), piped=_word(result, name), justify=Justify.RIGHT)
        for name in names
    ]
    if result.run is not None:
        columns.append(Column(title="checkpoint", piped=lambda row: _path(result, row)))
    return columns


def _word(result: TrainingHistory, name: str) -> Callable[[_Row], str]:
    return lambda row: value_word(result.metrics[name][row.at or 0])


def _path(result: TrainingHistory, row: _Row) -> str:
    path = result.holders.kept.get(result.epochs[row.at or 0])
    return safe_word(path) if path else ABSENT_WORD
