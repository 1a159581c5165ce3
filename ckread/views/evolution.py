"""Statistics along a run as a table: a row for each checkpoint, a part for each variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.columns import Column, Justify
from ckread.views.folding import Prose
from ckread.views.page import Page, Span, TerminalOnly
from ckread.views.quantities import count_text, plural, safe_text
from ckread.views.statistics import statistics_table
from ckread.views.statistics_verdict import error_lines

if TYPE_CHECKING:
    from ckread.analysis.evolution import RunStatistics
    from ckread.analysis.statistics import VariableStatistics
    from ckread.views.page import Block, Line
    from ckread.views.statistics import Row


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
