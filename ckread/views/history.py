"""The page of `ckread history`: curves, a row per epoch, the best one and who holds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.display import by, safe_text, safe_word
from ckread.model.run.entries import base_name
from ckread.views.seams import epoch_sentence, has_lines, mark_line
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

    from ckread.analysis.history.history import TrainingHistory
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
    best = result.at_best

    def style(row: _Row) -> str:
        is_best = row.at is not None and row.at == best
        return "muted" if row.n_hidden else "title" if is_best else ""

    marks = result.marks
    places = {row.at: at + 1 for at, row in enumerate(rows) if row.at is not None}
    lines = {places[at]: mark_line(seam) for at, seam in marks.items() if at in places}
    table = Table(
        _columns(result, names, best),
        [_Row(), *rows],
        row_style=style,
        marks=lines if has_lines(marks) else None,
    )
    name = result.logs[0] if len(result.logs) == 1 else f"{len(result.logs)} logs"
    n, metrics = len(result.epochs), plural(len(result.metrics), "metric")
    held = f"  {plural(n, result.unit)}, {metrics}"
    if result.unit == "step":  # of which a row may stand for many
        span = f"steps {result.epochs[0]:,} to {result.epochs[-1]:,}"
        held = f"  {plural(n, 'row')}, {span}, {metrics}"
    seams = ", ".join(f"{epoch:,}" for epoch in result.seams)
    title = heading(name, f"{held}, continued at {seams}" if seams else held)
    sentences = []
    chosen = result.best
    if chosen is not None and chosen.mode is not None:
        word = "smallest" if chosen.mode == "min" else "largest"
        how = by("--best METRIC", "best=")
        sentences.append(f"best: {word} {safe_text(chosen.metric)} ({how} chooses).")
        if result.is_best_of_training and len(result.metrics) > 1:
            told = "No name tells of validation data: it may have been measured in training."
            sentences.append(told)
    if result.holders.how:
        sentences.append(f"Checkpoints {result.holders.how}.")
    elif result.run is not None:
        why = result.holders.why
        told = by("--match COLUMN=NUMBER", "match={column: number}")
        sentences.append(f"{why[:1].upper()}{why[1:]}. If you know: {told}.")
    sentences += map(safe_text, result.notes)
    if len(rows) < len(everything):
        sentences.append(by("--all shows every row.", ".to_pandas() has every row."))
    meaning = NarrowFooter(table, " ".join(sentences))
    piped = PipedOnly(Table(_piped_columns(result, names), everything))
    happened = epoch_sentence(marks, result.epochs, result.unit)
    said = Prose(f"{verdict(result)} {happened}".rstrip())
    return Page([title, said], TerminalOnly(table), meaning, piped)


def paired(names: Sequence[str]) -> list[str]:
    """Put each metric before that of validation, the learning rate last."""
    bases = dict.fromkeys(name.removeprefix("val_") for name in names)
    order = sorted(bases, key=lambda base: base in ("lr", "learning_rate"))
    known = set(names)
    return [name for base in order for name in (base, f"val_{base}") if name in known]


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
        has_value = any(v is not None for values in result.metrics.values() for v in values)
        how = by("--best METRIC", "best=")
        which = f"No name of a metric tells what is best ({how} chooses)."
        return which if has_value else "No metric has a value."
    name = safe_text(best.metric)
    if best.value is None or best.mode is None:
        how = by("--mode min or max", "mode='min' or 'max'")
        return f"{name}: its name does not tell what is best ({how})."
    text = f"Best {name} {float_text(best.value)}"
    if best.epoch is None:
        return f"{text}, at which {result.unit} is unknown."
    where = f"{result.unit} {best.epoch:,}"
    if result.unit == "row" and result.counters:
        at = result.epochs.index(best.epoch)  # and by all that names the row
        where = ", ".join(
            f"{safe_text(name)} {ABSENT if values[at] is None else f'{values[at]:,}'}"
            for name, values in result.counters.items()
        )
    text += f" at {where}"
    if best.checkpoint is not None:
        supposed = ", as far as can be told" if result.holders.is_supposed else ""
        return f"{text}, held by {safe_text(best.checkpoint)}{supposed}."
    if result.run is None:
        return f"{text}."
    if not result.holders.how:
        paths = list(result.holders.unplaced)
        holds = f"{safe_text(paths[0])} holds" if len(paths) == 1 else "each checkpoint holds"
        return f"{text}. Which {result.unit} {holds} is unknown."
    if not result.holders.kept:
        return f"{text}. No checkpoint holds a {result.unit} of the log."
    return f"{text}, not kept; nearest: {safe_text(best.nearest or '')}."


def _columns(result: TrainingHistory, names: Sequence[str], best: int | None) -> list[Column[_Row]]:
    def epoch(row: _Row) -> str:
        if row.n_hidden:
            return "…"
        return "" if row.at is None else f"{result.epochs[row.at]:,}"

    def metric(values: Sequence[float | None]) -> Callable[[_Row], Line]:
        def shown(row: _Row) -> Line:
            if row.n_hidden:
                return (Span(""),)
            if row.at is None:
                return (Span(curve(values, _CURVE_CELLS, result.marks), "spark"),)
            value = values[row.at]
            is_bad = value is not None and not math.isfinite(value)
            return (Span(value_text(value), "bad" if is_bad else ""),)

        return shown

    def holder(row: _Row) -> str:
        if row.n_hidden:
            return f"… {plural(row.n_hidden, result.unit)}"
        path = None if row.at is None else result.holders.kept.get(result.epochs[row.at], ABSENT)
        return safe_text(base_name(path)) if path else ""

    def counter(values: Sequence[int | None]) -> Callable[[_Row], str]:
        def shown(row: _Row) -> str:
            number = None if row.at is None else values[row.at]
            return "…" if row.n_hidden else "" if number is None else f"{number:,}"

        return shown

    columns: list[Column[_Row]] = [
        Column(title=result.unit, shown=epoch, justify=RIGHT),
    ]
    if result.unit == "row" and result.counters:
        columns = [
            Column(title=safe_text(name), shown=counter(values), justify=RIGHT)
            for name, values in result.counters.items()
        ]
    # What is best, and its pair, are never pushed off a narrow screen by a long name beside them.
    best_name = "" if result.best is None else result.best.metric
    pair = best_name.removeprefix("val_")
    ordered = sorted(names, key=lambda name: (name != best_name, name.removeprefix("val_") != pair))
    ranks = {name: rank for rank, name in enumerate(ordered)}
    columns += [
        Column(
            title=safe_text(name),
            shown=metric(result.metrics[name]),
            justify=POINT,
            rank=ranks[name],
        )
        for name in names
    ]
    if result.holders.kept:
        columns.append(Column(title="checkpoint", shown=holder))
    is_best: Column[_Row] = Column(
        title="",
        shown=lambda row: "best" if row.at is not None and row.at == best else "",
        style="good",
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
