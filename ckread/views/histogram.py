"""The distribution of one variable in a terminal: a histogram, quantiles under it, figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.model.display import safe_text, safe_word
from ckread.views.terminal.page import Block, Line, Lines, Page, Prose, Span, footer
from ckread.views.terminal.words import (
    count_text,
    float_text,
    float_word,
    nothing_finite,
    plural,
    shape_text,
    shape_word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import VariableStatistics
    from ckread.views.terminal.page import Paper

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
        axis, labels = self._axis(cells)
        yield Span(margin), Span(paper.spell(axis), "label")
        yield Span(margin), Span(labels, "label")
        yield Span(margin), Span(paper.spell(self._box(cells)))

    def _cell(self, value: float, cells: int) -> int:
        share = (value - self._low) / (self._high - self._low)
        return min(cells - 1, max(0, int(share * cells)))

    def _axis(self, cells: int) -> tuple[str, str]:
        line, labels = ["─"] * cells, [" "] * (cells + 8)
        free = 0
        for tick in round_ticks(self._low, self._high, cells // _TICK_ROOM):
            at = self._cell(tick, cells)
            line[at] = "┬"
            text = float_text(tick).rstrip("0").rstrip(".") if "." in float_text(tick) else ""
            text = text or float_text(tick)
            start = max(0, at - len(text) // 2)
            if start >= free:
                labels[start : start + len(text)] = text
                free = start + len(text) + 1
        return "".join(line), "".join(labels).rstrip()

    def _box(self, cells: int) -> str:
        q01, q25, q50, q75, q99 = (
            self._cell(self._distribution.quantile(p).value, cells)
            for p in (0.01, 0.25, 0.5, 0.75, 0.99)
        )
        line = [" "] * cells
        line[q01 : q99 + 1] = "─" * (q99 + 1 - q01)
        line[q25 : q75 + 1] = "━" * (q75 + 1 - q25)
        line[q01], line[q99], line[q50] = "├", "┤", "╋"
        return "".join(line).rstrip()


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
