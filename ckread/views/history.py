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

    from ckread.analysis.history.history import TrainingHistory
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
    head: list[Block] = [TerminalOnly(_title(result)), Prose(verdict(result))]
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
    best = result.at_best or 0
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
    return " ".join(filter(None, [_best(result), *_joins(result)]))


def _best(result: TrainingHistory) -> str:
    best = result.best
    if best is None:
        has_value = any(v is not None for values in result.metrics.values() for v in values)
        which = "No name of a metric tells what is best (--best METRIC chooses)."
        return which if has_value else "No metric has a value."
    name = safe_text(best.metric)
    if best.value is None or best.mode is None:
        return f"{name}: its name does not tell what is best (--mode min or max)."
    text = f"Best {name} {float_text(best.value)}"
    if best.epoch is None:
        return f"{text}, at which {result.unit} is unknown."
    text += f" at {_where(result, result.epochs.index(best.epoch))}"
    if best.checkpoint is not None:
        return f"{text}, held by {safe_text(best.checkpoint)}."
    if result.run is None:
        return f"{text}."
    if not result.holders.how:
        return f"{text}. Which {result.unit} {_held(result)} is unknown."
    if not result.holders.kept:
        return f"{text}. No checkpoint holds a {result.unit} of the log."
    return f"{text}, not kept; nearest: {safe_text(best.nearest or '')}."


def _where(result: TrainingHistory, at: int) -> str:
    """Say which row: by its epoch, or by all that names it."""
    if result.unit != "row" or not result.counters:
        return f"{result.unit} {result.epochs[at]:,}"
    return ", ".join(
        f"{safe_text(name)} {ABSENT if values[at] is None else f'{values[at]:,}'}"
        for name, values in result.counters.items()
    )


def _held(result: TrainingHistory) -> str:
    """Name a single checkpoint of which it is asked what it holds."""
    paths = list(result.holders.unplaced)
    return f"{safe_text(paths[0])} holds" if len(paths) == 1 else "each checkpoint holds"


def _joins(result: TrainingHistory) -> list[str]:
    sentences = []
    for first, last in result.gaps[:3]:
        span = f"Epoch {first:,} is" if first == last else f"Epochs {first:,} to {last:,} are"
        sentences.append(f"{span} in no log.")
    last_metric = [values for values in result.metrics.values() if values]
    bad = [e for e, *row in zip(result.epochs, *last_metric, strict=True) if _has_bad(row)]
    if bad:
        sentences.append(f"Not finite from {result.unit} {bad[0]:,} on.")
    return sentences


def _has_bad(row: Sequence[float | None]) -> bool:
    return any(value is not None and not math.isfinite(value) for value in row)


def _title(result: TrainingHistory) -> Prose:
    name = result.logs[0] if len(result.logs) == 1 else f"{len(result.logs)} logs"
    n, metrics = len(result.epochs), plural(len(result.metrics), "metric")
    held = f"  {plural(n, result.unit)}, {metrics}"
    if result.unit == "step":  # of which a row may stand for many
        held = (
            f"  {plural(n, 'row')}, steps {result.epochs[0]:,} to {result.epochs[-1]:,}, {metrics}"
        )
    seams = [f"{epoch:,}" for epoch in result.seams]
    joined = f", continued at {', '.join(seams)}" if seams else ""
    return Prose(Span(safe_text(name), "title"), held + joined)


def _footer(result: TrainingHistory, *, is_cut: bool) -> str:
    sentences = []
    best = result.best
    if best is not None and best.mode is not None:
        word = "smallest" if best.mode == "min" else "largest"
        sentences.append(f"best: {word} {safe_text(best.metric)} (--best METRIC chooses).")
        if result.is_best_of_training and len(result.metrics) > 1:
            sentences.append("It was measured in training: no metric is of validation data.")
    if result.holders.how:
        sentences.append(f"Checkpoints {result.holders.how}.")
    elif result.run is not None:
        why = result.holders.why
        sentences.append(f"{why[:1].upper()}{why[1:]}. If you know: --match COLUMN=NUMBER.")
    sentences += map(safe_text, result.notes)
    if is_cut:
        sentences.append("--all shows every row.")
    return " ".join(sentences)


def _columns(result: TrainingHistory, names: Sequence[str]) -> list[Column[_Row]]:
    columns: list[Column[_Row]] = [
        Column(title=result.unit, shown=lambda row: _epoch(result, row), justify=Justify.RIGHT)
    ]
    if result.unit == "row" and result.counters:
        columns = [_counter_column(name, values) for name, values in result.counters.items()]
    # What is best is never pushed off a narrow screen by a long name beside it.
    ranks = sorted(names, key=lambda name: result.best is None or name != result.best.metric)
    columns += [_metric_column(result, name, ranks.index(name)) for name in names]
    if result.holders.kept:
        columns.append(Column(title="checkpoint", shown=lambda row: _holder(result, row)))
    columns.append(Column(title="", shown=lambda row: _best_word(result, row)))
    return columns


def _epoch(result: TrainingHistory, row: _Row) -> str:
    if row.n_hidden:
        return "…"
    return "" if row.at is None else f"{result.epochs[row.at]:,}"


def _counter_column(name: str, values: Sequence[int | None]) -> Column[_Row]:
    def shown(row: _Row) -> str:
        if row.n_hidden:
            return "…"
        number = None if row.at is None else values[row.at]
        return "" if number is None else f"{number:,}"

    return Column(title=safe_text(name), shown=shown, justify=Justify.RIGHT)


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


def _best_word(result: TrainingHistory, row: _Row) -> Line:
    return (Span("best" if _is_best(result, row) else "", "good"),)


def _is_best(result: TrainingHistory, row: _Row) -> bool:
    return row.at is not None and row.at == result.at_best


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
