"""Statistics as a table: extremes with the distribution drawn between them, and moments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.errors import MissingShardError
from ckread.model.role import Role
from ckread.model.spelling import safe_text, safe_word
from ckread.views.terminal.page import Line, Page, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Column, Justify, Table
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    common_prefix,
    count_text,
    float_text,
    float_word,
    muted_repeats,
    plural,
    shape_text,
    shape_word,
    share_text,
    sparkline,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import (
        CheckpointStatistics,
        RunStatistics,
        VariableStatistics,
    )
    from ckread.views.terminal.page import Block


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


# The sentences around a table of statistics: what is wrong, what was left out.

_MAX_ERRORS = 8
_ROLE_WORDS = {
    Role.ALIAS: ("alias", "aliases"),
    Role.SLOT: ("optimizer slot", "optimizer slots"),
    Role.STATE: ("state variable", "state variables"),
    Role.RANDOM: ("random state", "random states"),
    Role.OTHER: ("other variable", "other variables"),
}
"""A role as a noun, one and several, where the role's name and an s are not."""


def verdict(statistics: CheckpointStatistics) -> list[Block]:
    """Say what could not be read, and what is not finite; nothing if all is well."""
    verdicts: list[Block] = []
    noun = _noun(statistics.variables)
    total = len(statistics.variables)
    if statistics.damaged:
        n = len(statistics.damaged)
        text = f" {n} of {plural(total, noun)} could not be read."
        verdicts += [Prose(Span("damaged:", "bad"), text), *error_lines(statistics.damaged)]
    bad = [v for v in statistics.measured if v.distribution and _n_not_finite(v.distribution)]
    if bad:
        n_whole = sum(v.distribution.nan == v.distribution.elements for v in bad if v.distribution)
        verb = "is" if n_whole == 1 else "are"
        whole = f"{n_whole} of {plural(total, noun)} {verb} all NaN"
        n_part = len(bad) - n_whole
        part = f"{n_part} of {plural(total, noun)} {'has' if n_part == 1 else 'have'} NaN or Inf"
        said = " and ".join([whole] * bool(n_whole) + [part] * bool(n_part))
        verdicts.append(Prose(Span("not finite:", "bad"), f" {said}."))
    return verdicts


def error_lines(damaged: Sequence[VariableStatistics]) -> list[Block]:
    """Give what was wrong, once for all variables of which it says the same."""
    names: dict[str, list[str]] = {}
    for variable in damaged:
        names.setdefault(str(variable.error), []).append(safe_text(variable.name))
    shown = list(names.items())[:_MAX_ERRORS]
    lines = [f"  {_some(found)}: {safe_text(message)}" for message, found in shown]
    if len(names) > len(shown):
        lines.append(f"  and {len(names) - len(shown)} more (--json lists all)")
    return [Prose(line, indent=4) for line in lines]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _n_not_finite(distribution: Distribution) -> int:
    return distribution.nan + distribution.infinite


def _noun(variables: Sequence[VariableStatistics]) -> str:
    return "weight" if all(v.role.is_parameter for v in variables) else "variable"


def footer(statistics: CheckpointStatistics, n_shown: int) -> str:
    """Say what was measured and checked, and which roles were left out."""
    measured = [v.distribution for v in statistics.measured if v.distribution]
    n_elements = sum(distribution.elements for distribution in measured)
    n_all = len(statistics.variables)
    shown = "" if n_shown == n_all else f"{count_text(n_shown)} of "
    noun = _noun(statistics.variables)
    parts = [
        f"{shown}{plural(n_all, noun)}",
        plural(n_elements, "element"),
        "" if any(map(_n_not_finite, measured)) else "all finite",
        _checked(statistics),
    ]
    sentence = ", ".join(part for part in parts if part) + "."
    roles = [
        _counted_role(role, n)
        for role, n in statistics.left_out.items()
        if role is not Role.BOOKKEEPING
    ]
    return f"{sentence} Left out: {', '.join(roles)} (--role all)." if roles else sentence


def _counted_role(role: Role, n: int) -> str:
    one, several = _ROLE_WORDS.get(role, (str(role), f"{role}s"))
    return plural(n, one, nouns=several)


def _checked(statistics: CheckpointStatistics) -> str:
    if not statistics.has_checksums:
        return "no checksums in this format"
    return "the other checksums right" if statistics.damaged else "checksums right"


# Statistics along a run as a table: a row for each checkpoint, a part for each variable.


def evolution_page(run: RunStatistics) -> Page:
    """Give a table per variable, the checkpoints in order of step."""
    sections: list[list[Block]] = []
    steps = {}
    for name in run.names:
        rows: list[tuple[VariableStatistics, Line]] = []
        for moment in run.moments:
            if name in moment.variables:
                rows.append((moment.variables[name], (Span(count_text(moment.step)),)))
                steps[id(moment.variables[name])] = moment.step
        title = TerminalOnly(Prose(Span(safe_text(name), "title")))
        step: Column[Row] = Column(
            title="step",
            shown=lambda row: row[1],
            piped=lambda row: str(steps[id(row[0])]),
            justify=Justify.RIGHT,
        )
        sections.append([title, statistics_table(rows, first=step)])
    if run.damaged:
        n = plural(len(run.damaged), "variable")
        verdict = Prose(Span("damaged:", "bad"), f" {n} could not be read.")
        sections.insert(0, [verdict, *error_lines(run.damaged)])
    footer = f"{plural(len(run.moments), 'checkpoint')} in {safe_text(run.path)}."
    return Page(*sections, TerminalOnly(Prose(Span(footer, "muted"))))
