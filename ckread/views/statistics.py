"""Statistics: a table with the distribution drawn between the extremes, or one histogram."""

from __future__ import annotations

import math
import os
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ckread.analysis.statistics.statistics import STATISTICS_FIELDS
from ckread.errors import MissingShardError
from ckread.model.display import by, named, safe_text, safe_word
from ckread.model.role import Role
from ckread.views.terminal.page import Block, Line, Lines, Page, Prose, Span, footer, heading
from ckread.views.terminal.table import POINT, RIGHT, Column, Table, number_columns
from ckread.views.terminal.words import (
    ABSENT,
    common_prefix,
    count_text,
    float_text,
    float_word,
    muted_repeats,
    names_below,
    nothing_finite,
    plural,
    shape_text,
    shape_word,
    share_text,
    sparkline,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import (
        CheckpointStatistics,
        Moment,
        RunStatistics,
        VariableStatistics,
    )
    from ckread.views.terminal.page import Paper


def statistics_page(
    statistics: CheckpointStatistics, *, shown: Sequence[VariableStatistics] | None = None
) -> Page:
    """Give the table of the statistics of a checkpoint; `shown` are the rows, by default all."""
    rows = statistics.variables if shown is None else shown
    said = verdict(statistics)
    head = [heading(statistics.path), *said] if said else []
    names = [safe_text(variable.name) for variable in rows]
    prefix = common_prefix(names)
    short = muted_repeats(name[len(prefix) :] for name in names)
    table = statistics_table(list(zip(rows, short, strict=True)))
    n_shown = len(rows)
    measured = [v.distribution for v in statistics.measured if v.distribution]
    n_all = len(statistics.variables)
    some = "" if n_shown == n_all else f"{count_text(n_shown)} of "
    checked = "the other checksums right" if statistics.damaged else "checksums right"
    parts = [
        f"{some}{plural(n_all, _noun(statistics.variables))}",
        plural(sum(distribution.elements for distribution in measured), "element"),
        "" if any(map(_n_not_finite, measured)) else "all finite",
        checked if statistics.has_checksums else "no checksums in this format",
    ]
    sentence = ", ".join(part for part in parts if part) + "."
    roles, every = [], by("--role all", "roles='all'")
    for role, n in statistics.left_out.items():
        if role is not Role.BOOKKEEPING:
            one, several = _ROLE_WORDS.get(role, (str(role), f"{role}s"))
            roles.append(plural(n, one, nouns=several))
    return Page(
        head,
        [*names_below(prefix), table],
        footer(f"{sentence} Left out: {', '.join(roles)} ({every})." if roles else sentence),
    )


Row = tuple["VariableStatistics", "Line"]
"""A variable, and how its name is shown."""
_FIELDS = named(STATISTICS_FIELDS)


def statistics_table(rows: Sequence[Row], *, first: Sequence[Column[Row]] = ()) -> Table[Row]:
    """Give the table itself; `first` stands before the name, and in its place on a terminal."""

    def of(name: str, **look: Any) -> Column[Row]:
        return Column.of(_FIELDS[name], itemgetter(0), **look)

    def figure(name: str, **look: Any) -> Column[Row]:
        def shown(row: Row) -> str:
            value = _FIELDS[name].of(row[0])
            return ABSENT if value is None else float_text(value)

        return of(name, shown=shown, word=float_word, justify=POINT, **look)

    def zeros(row: Row) -> str:
        found = row[0].distribution
        return share_text(found.zeros, found.elements) if found and found.zeros else ABSENT

    def median(row: Row) -> str:
        found = row[0].distribution
        return float_word(found.quantile(0.5).value if found and found.finite else None)

    columns = [
        of("name", shown=itemgetter(1), folds=True),
        of("shape", shown=lambda row: shape_text(row[0].shape), justify=RIGHT,
           from_width=110, rank=4),
        figure("min"),
        Column(title="distribution", draw=_draw, rank=1),
        figure("max"),
        figure("mean"),
        figure("std", rank=2),
        figure("l1", rank=5, from_width=120),
        figure("l2", rank=4, from_width=110),
        of("zeros", shown=zeros, rank=3),
        of("nan"),
        of("inf"),
        Column(title="median", piped=median, justify=RIGHT),
    ]  # fmt: skip
    if first:
        columns = [*first, columns[0]._replace(shown=None), *columns[1:]]
    return Table(columns, rows)


def _draw(row: Row, cells: int) -> Line:
    distribution = row[0].distribution
    if distribution is None:
        is_missing = isinstance(row[0].error, MissingShardError)
        return (Span("missing" if is_missing else "damaged", "bad"),)
    nan, inf = distribution.nan, distribution.infinite
    word = " ".join(f"{count_text(n)} {word}" for n, word in ((nan, "NaN"), (inf, "inf")) if n)
    if distribution.elements and nan == distribution.elements:
        word = "all NaN"
    if not distribution.finite:
        return (Span(word or "empty", "bad" if word else "muted"),)
    room = cells - (len(word) + 1 if word else 0)
    drawn = Span("")
    if distribution.min == distribution.max:
        drawn = Span("constant" if distribution.finite > 1 else "", "muted")
    elif room >= 4:
        drawn = Span(sparkline(distribution.histogram(room).counts), "spark")
    spans = (Span(word, "bad"), Span(" " if word else ""), drawn)
    return tuple(span for span in spans if span.text)


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
    lines = []
    for message, (first, *rest) in list(names.items())[:_MAX_ERRORS]:
        some = f"{first} and {len(rest)} more" if rest else first
        lines.append(f"  {some}: {safe_text(message)}")
    if len(names) > _MAX_ERRORS:
        where = by("--json", ".damaged")
        lines.append(f"  and {len(names) - _MAX_ERRORS} more ({where} lists all)")
    return [Prose(line, indent=4) for line in lines]


def _n_not_finite(distribution: Distribution) -> int:
    return distribution.nan + distribution.infinite


def _noun(variables: Sequence[VariableStatistics]) -> str:
    return "weight" if all(v.role.is_parameter for v in variables) else "variable"


# Statistics along a run as a table: a row for each checkpoint, a part for each variable.


def evolution_page(run: RunStatistics) -> Page:
    """Give a table per variable, the checkpoints in order of step."""
    sections: list[list[Block]] = []
    for name in run.names:
        moments = {id(m.variables[name]): m for m in run.moments if name in m.variables}
        rows: list[Row] = [(m.variables[name], ()) for m in moments.values()]

        def moment(row: Row, moments: Mapping[int, Moment] = moments) -> Moment:
            return moments[id(row[0])]

        def path(row: Row, moment: Callable[[Row], Moment] = moment) -> str:
            return os.path.basename(moment(row).path)

        first = number_columns(run.titles, moments.values(), moment) or [
            Column(
                title="checkpoint",
                shown=lambda row, path=path: safe_text(path(row)),  # type: ignore[misc]
                piped=lambda row, path=path: safe_word(path(row)),  # type: ignore[misc]
            )
        ]
        sections.append([heading(name), statistics_table(rows, first=first)])
    if run.damaged:
        n = plural(len(run.damaged), "variable")
        verdict = Prose(Span("damaged:", "bad"), f" {n} could not be read.")
        sections.insert(0, [verdict, *error_lines(run.damaged)])
    where = f"{plural(len(run.moments), 'checkpoint')} in {safe_text(run.path)}."
    return Page(*sections, footer(where))


# The distribution of one variable in a terminal: a histogram, quantiles under it, figures.


_EIGHTHS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 8
_MAX_CELLS = 72
_TICK_ROOM = 12


def histogram_page(variable: VariableStatistics, path: str, *, n_bins: int) -> Page:
    """Give the distribution of one variable of a checkpoint; piped, a histogram of `n_bins`."""
    distribution = variable.distribution
    if distribution is None:
        return Page(Prose(Span("damaged: ", "bad"), safe_text(str(variable.error))))
    facts = f"{variable.dtype} {shape_text(variable.shape)}, "
    what = "" if distribution.measure == "value" else f", of the {distribution.measure}"
    n = plural(distribution.elements, "element")
    told = Span(f"  {facts}{n}{what}, in {safe_text(path)}", "muted")
    rows = tuple(_piped_rows(variable, distribution, path, n_bins))
    title = Lines([(Span(safe_text(variable.name), "title"), told)], piped=rows)
    moments = (("mean", distribution.mean), ("std", distribution.std), ("l2", distribution.l2))
    counts = (
        ("zeros", distribution.zeros),
        ("NaN", distribution.nan),
        ("inf", distribution.infinite),
    )
    figures = _Figures(
        [
            *((name, "–" if value is None else float_text(value)) for name, value in moments),
            *((name, count_text(n)) for name, n in counts),
        ]
    )
    if distribution.min is None or distribution.min == distribution.max:
        every = "all" if distribution.finite == distribution.elements else "all that are finite"
        constant = f"{every} {float_text(float(distribution.min or 0))}"
        style = "bad" if distribution.nan else ""
        said = Lines([(Span(nothing_finite(distribution) or constant, style),)], piped=())
        return Page(title, said, figures)
    order = [
        ("min", distribution.min),
        *((f"{100 * q.probability:.0f} %", q.value) for q in distribution.quantiles),
        ("max", distribution.max),
    ]
    quantiles = _Figures([(name, float_text(float(value or 0))) for name, value in order])
    reading = footer("bar under the axis: 1 to 99 %, heavy 25 to 75 %, cross at the median")
    return Page(title, _Drawing(distribution), quantiles, figures, reading)


def _piped_rows(
    variable: VariableStatistics, distribution: Distribution, path: str, n_bins: int
) -> Iterator[str]:
    facts = f"{variable.dtype} {shape_word(variable.shape)} {distribution.elements} elements"
    yield f"# {safe_word(variable.name)} {facts} in {safe_word(path)}"
    histogram = distribution.histogram(n_bins)
    edges = [float_word(edge) for edge in histogram.edges]
    width = max([len("# low"), *map(len, edges)])
    high = max([len("high"), *map(len, edges)])
    counts = max([len("count"), *(len(str(n)) for n in histogram.counts)])
    yield f"{'# low':<{width}}  {'high':>{high}}  {'count':>{counts}}"
    for start, stop, n in zip(edges, edges[1:], histogram.counts, strict=False):
        yield f"{start:>{width}}  {stop:>{high}}  {n:>{counts}}"


class _Drawing(Block):
    """The histogram, its axis, and the line of quantiles."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self._low = float(distribution.min or 0)
        self._high = float(distribution.max or 0)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Draw as wide as the paper, up to 72 cells."""
        cells = max(8, min(_MAX_CELLS, paper.width - 8))
        counts = self._distribution.histogram(cells).counts
        peak = count_text(max(counts))
        margin = " " * (len(peak) + 2)
        for i, row in enumerate(histogram_rows(counts)):
            label = f" {peak} " if i == 0 else margin
            yield Span(label, "label"), Span(paper.spell(row), "spark")
        line, marks = ["─"] * cells, [" "] * (cells + 8)
        free = 0
        for tick in round_ticks(self._low, self._high, cells // _TICK_ROOM):
            at = self._cell(tick, cells)
            line[at] = "┬"
            text = float_text(tick).rstrip("0").rstrip(".") if "." in float_text(tick) else ""
            text = text or float_text(tick)
            start = max(0, at - len(text) // 2)
            if start >= free:
                marks[start : start + len(text)] = text
                free = start + len(text) + 1
        axis, labels = "".join(line), "".join(marks).rstrip()
        yield Span(margin), Span(paper.spell(axis), "label")
        yield Span(margin), Span(labels, "label")
        q01, q25, q50, q75, q99 = (
            self._cell(self._distribution.quantile(p).value, cells)
            for p in (0.01, 0.25, 0.5, 0.75, 0.99)
        )
        box = [" "] * cells
        box[q01 : q99 + 1] = "─" * (q99 + 1 - q01)
        box[q25 : q75 + 1] = "━" * (q75 + 1 - q25)
        box[q01], box[q99], box[q50] = "├", "┤", "╋"
        yield Span(margin), Span(paper.spell("".join(box).rstrip()))

    def _cell(self, value: float, cells: int) -> int:
        share = (value - self._low) / (self._high - self._low)
        return min(cells - 1, max(0, int(share * cells)))


def histogram_rows(counts: Sequence[int]) -> list[str]:
    """Give the rows of a histogram, top first, in eighths of a cell; anything shows above none."""
    top = max(counts)
    heights = [max(1, round(n / top * _HEIGHT * 8)) if n else 0 for n in counts]
    return [
        "".join(_EIGHTHS[min(8, max(0, height - 8 * level))] for height in heights).rstrip()
        for level in reversed(range(_HEIGHT))
    ]


def round_ticks(low: float, high: float, n_most: int) -> list[float]:
    """Give at most `n_most` multiples of 1, 2 or 5 times a power of ten from `low` to `high`."""
    least = (high - low) / max(1, n_most)
    if not (least > 0 and math.isfinite(least)):
        return []
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (1, 2, 5, 10, 20) if m * power >= least * (1 - 1e-9))
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


class _Figures(Block):
    """Names of figures over their values, in as many pairs of lines as the width asks for."""

    def __init__(self, figures: Sequence[tuple[str, str]]) -> None:
        self._figures = figures

    def piped(self) -> Iterator[str]:
        """Give them as comments."""
        yield "# " + "  ".join(f"{'_'.join(name.split())}={text}" for name, text in self._figures)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Set them side by side."""
        names = values = ""
        for name, text in self._figures:
            text = paper.spell(text)
            width = max(len(name), len(text)) + (2 if names else 0)
            if names and len(names) + width > paper.width:
                yield (Span(names, "label"),)
                yield (Span(values),)
                names = values = ""
                width -= 2
            names += name.rjust(width)
            values += text.rjust(width)
        yield (Span(names, "label"),)
        yield (Span(values),)
