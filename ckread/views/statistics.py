"""Statistics as a table: extremes with the distribution drawn between them, and moments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.errors import MissingShardError
from ckread.views.columns import Column, Justify, Table
from ckread.views.drawn import sparkline
from ckread.views.folding import Prose
from ckread.views.names import common_prefix, muted_repeats
from ckread.views.page import Line, Page, Span, TerminalOnly
from ckread.views.quantities import (
    ABSENT,
    ABSENT_WORD,
    count_text,
    float_text,
    float_word,
    safe_text,
    safe_word,
    shape_text,
    shape_word,
    share_text,
)
from ckread.views.statistics_verdict import footer, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.distribution import Distribution
    from ckread.analysis.statistics import CheckpointStatistics, VariableStatistics


def statistics_page(
    statistics: CheckpointStatistics, *, shown: Sequence[VariableStatistics] | None = None
) -> Page:
    """Give the table of the statistics of a checkpoint.

    Args:
        statistics: what was measured.
        shown: the rows in their order; by default all of them.
    """
    rows = statistics.variables if shown is None else shown
    said = verdict(statistics)
    title = Prose(Span(safe_text(statistics.path), "title"))
    head = [TerminalOnly(title), *said] if said else []
    names = [safe_text(variable.name) for variable in rows]
    prefix = common_prefix(names)
    above = [TerminalOnly(Prose(Span(f"names below {prefix}", "label")))] if prefix else []
    short = muted_repeats(name[len(prefix) :] for name in names)
    table = statistics_table(list(zip(rows, short, strict=True)))
    closing = TerminalOnly(Prose(Span(footer(statistics, len(rows)), "muted")))
    return Page(head, [*above, table], closing)


Row = tuple["VariableStatistics", "Line"]
"""A variable, and how its name is shown."""


def statistics_table(rows: Sequence[Row], *, first: Column[Row] | None = None) -> Table[Row]:
    """Give the table itself.

    Args:
        rows: in their order.
        first: what stands before the name, and in its place on a terminal.
    """
    columns = _columns()
    if first is not None:
        columns = [replace(columns[0], shown=None), *columns[1:]]
        columns.insert(0, first)
    return Table(columns, rows)


def _columns() -> list[Column[Row]]:
    return [
        Column(title="name", shown=_name, piped=lambda row: safe_word(row[0].name), folds=True),
        Column(
            title="shape",
            shown=lambda row: shape_text(row[0].shape),
            piped=lambda row: shape_word(row[0].shape),
            justify=Justify.RIGHT,
            from_width=110,
            rank=4,
        ),
        _figure("min", lambda d: d.min),
        Column(title="distribution", draw=_draw, rank=1),
        _figure("max", lambda d: d.max),
        _figure("mean", lambda d: d.mean),
        _figure("std", lambda d: d.std, rank=2),
        _figure("l2", lambda d: d.l2, rank=4, from_width=110),
        Column(
            title="zeros",
            shown=_zeros,
            piped=_count(lambda d: d.zeros),
            justify=Justify.RIGHT,
            rank=3,
        ),
        Column(title="nan", piped=_count(lambda d: d.nan), justify=Justify.RIGHT),
        Column(title="inf", piped=_count(lambda d: d.infinite), justify=Justify.RIGHT),
        Column(title="median", piped=_median, justify=Justify.RIGHT),
    ]


def _name(row: Row) -> Line:
    return row[1]


def _figure(
    title: str,
    give: Callable[[Distribution], float | None],
    *,
    rank: int = 0,
    from_width: int = 0,
) -> Column[Row]:
    def shown(row: Row) -> str:
        value = give(row[0].distribution) if row[0].distribution else None
        return ABSENT if value is None else float_text(value)

    def piped(row: Row) -> str:
        return float_word(give(row[0].distribution) if row[0].distribution else None)

    return Column(
        title=title,
        shown=shown,
        piped=piped,
        justify=Justify.POINT,
        rank=rank,
        from_width=from_width,
    )


def _count(give: Callable[[Distribution], int]) -> Callable[[Row], str]:
    return lambda row: str(give(row[0].distribution)) if row[0].distribution else ABSENT_WORD


def _median(row: Row) -> str:
    distribution = row[0].distribution
    if distribution is None or not distribution.quantiles:
        return ABSENT_WORD
    return float_word(distribution.quantile(0.5).value)


def _zeros(row: Row) -> str:
    distribution = row[0].distribution
    if distribution is None or not distribution.zeros:
        return ABSENT
    return share_text(distribution.zeros, distribution.elements)


def _draw(row: Row, cells: int) -> str | Line:
    distribution = row[0].distribution
    if distribution is None:
        is_missing = isinstance(row[0].error, MissingShardError)
        return (Span("missing" if is_missing else "damaged", "bad"),)
    word = _word(distribution)
    if not distribution.finite:
        return (Span(word or "empty", "bad" if word else "muted"),)
    if distribution.min == distribution.max:
        spark = Span("constant" if distribution.finite > 1 else "", "muted")
    else:
        spark = Span("", "spark")
    room = cells - (len(word) + 1 if word else 0)
    if spark.style == "spark" and room >= 4:
        spark = Span(sparkline(distribution.histogram(room).counts), "spark")
    spans = (Span(word, "bad"), Span(" " if word else ""), spark)
    return tuple(span for span in spans if span.text)


def _word(distribution: Distribution) -> str:
    """Give what is to say of NaN and Inf."""
    nan, inf = distribution.nan, distribution.infinite
    if distribution.elements and nan == distribution.elements:
        return "all NaN"
    return " ".join(f"{count_text(n)} {word}" for n, word in ((nan, "NaN"), (inf, "inf")) if n)
