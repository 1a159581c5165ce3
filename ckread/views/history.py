"""The page of `ckread history`: curves, a row per epoch, the best one and who holds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.run.entries import base_name
from ckread.model.spelling import safe_text, safe_word
from ckread.views.terminal.page import Page, PipedOnly, Prose, Span, TerminalOnly, heading
from ckread.views.terminal.table import POINT, RIGHT, Column, NarrowFooter, Table
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
    from ckread.views.terminal.page import Line

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
    best = result.epochs.index(result.best.epoch) if result.best else -1

    def style(row: _Row) -> str:
        return "muted" if row.n_hidden else "title" if row.at == best else ""

    table = Table(_columns(result, names, best), [_Row(), *rows], row_style=style)
    name = result.logs[0] if len(result.logs) == 1 else f"{len(result.logs)} logs"
    held = f"  {plural(len(result.epochs), result.unit)}, {plural(len(result.metrics), 'metric')}"
    seams = ", ".join(f"{epoch:,}" for epoch in result.seams)
    title = heading(name, f"{held}, continued at {seams}" if seams else held)
    meaning = NarrowFooter(table, _meaning(result, is_cut=len(rows) < len(everything)))
    piped = PipedOnly(Table(_piped_columns(result, names), everything))
    return Page([title, Prose(verdict(result))], TerminalOnly(table), meaning, piped)


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
    sentences = [_best(result)]
    for first, last in result.gaps[:3]:
        span = f"Epoch {first:,} is" if first == last else f"Epochs {first:,} to {last:,} are"
        sentences.append(f"{span} in no log.")
    curves = [values for values in result.metrics.values() if values]
    for epoch, *row in zip(result.epochs, *curves, strict=True):
        if any(value is not None and not math.isfinite(value) for value in row):
            sentences.append(f"Not finite from {result.unit} {epoch:,} on.")
            break
    return " ".join(sentences)


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


def _meaning(result: TrainingHistory, *, is_cut: bool) -> str:
    sentences = []
    if result.best is not None:
        word = "smallest" if result.best.mode == "min" else "largest"
        sentences.append(f"best: {word} {safe_text(result.best.metric)} (--best METRIC chooses).")
    if result.holders.how:
        sentences.append(f"Checkpoints {result.holders.how}.")
    if is_cut:
        sentences.append("--all shows every row.")
    return " ".join(sentences)


def _columns(result: TrainingHistory, names: Sequence[str], best: int) -> list[Column[_Row]]:
    def epoch(row: _Row) -> str:
        if row.n_hidden:
            return "…"
        return "" if row.at is None else f"{result.epochs[row.at]:,}"

    def metric(values: Sequence[float | None]) -> Callable[[_Row], Line]:
        def shown(row: _Row) -> Line:
            if row.n_hidden:
                return (Span(""),)
            if row.at is None:
                return (Span(curve(values, _CURVE_CELLS), "spark"),)
            value = values[row.at]
            is_bad = value is not None and not math.isfinite(value)
            return (Span(value_text(value), "bad" if is_bad else ""),)

        return shown

    def holder(row: _Row) -> str:
        if row.n_hidden:
            return f"… {plural(row.n_hidden, result.unit)}"
        path = None if row.at is None else result.holders.kept.get(result.epochs[row.at], ABSENT)
        return safe_text(base_name(path)) if path else ""

    columns: list[Column[_Row]] = [
        Column(title=result.unit, shown=epoch, justify=RIGHT),
        *(
            Column(
                title=safe_text(name), shown=metric(result.metrics[name]), justify=POINT, rank=rank
            )
            for rank, name in enumerate(names)
        ),
    ]
    if result.holders.kept:
        columns.append(Column(title="checkpoint", shown=holder))
    is_best: Column[_Row] = Column(
        title="", shown=lambda row: "best" if row.at == best else "", style="good"
    )
    return [*columns, is_best]


def _piped_columns(result: TrainingHistory, names: Sequence[str]) -> list[Column[_Row]]:
    def word(values: Sequence[float | None]) -> Callable[[_Row], str]:
        return lambda row: value_word(values[row.at or 0])

    def path(row: _Row) -> str:
        found = result.holders.kept.get(result.epochs[row.at or 0])
        return safe_word(found) if found else ABSENT_WORD

    epoch: Column[_Row] = Column(
        title=result.unit, piped=lambda row: str(result.epochs[row.at or 0]), justify=RIGHT
    )
    metrics: list[Column[_Row]] = [
        Column(title=safe_word(name), piped=word(result.metrics[name]), justify=RIGHT)
        for name in names
    ]
    held: list[Column[_Row]] = [Column(title="checkpoint", piped=path)] if result.run else []
    return [epoch, *metrics, *held]
