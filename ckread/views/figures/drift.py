"""How the variables of a run moved: lines for few, a map for many, dots for two checkpoints."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ckread.errors import UsageError
from ckread.views.drift_verdict import verdict
from ckread.views.figures.drift_lines import plot_lines
from ckread.views.figures.drift_map import MAX_ROWS, plot_map
from ckread.views.figures.drift_pair import plot_pair
from ckread.views.figures.names import fits
from ckread.views.figures.numbers import count, short_number, typeset
from ckread.views.figures.sheet import MARGIN, WIDTH, page_words
from ckread.views.figures.style import LIGHT, TITLE_SIZE, Palette
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift

MAX_LINES = 6
_MEASURE = re.compile(r" moved most: .+? its first norm")


def plot_drift(result: RunDrift, *, palette: Palette = LIGHT) -> list[Figure]:
    """Draw a drift; more than 450 variables take several pages.

    Raises:
        UsageError: there is nothing to draw.
    """
    if len(result.checkpoints) < 2 or not result.variables:
        what = "one checkpoint" if result.variables else "no variable"
        remedy = "A drift needs two checkpoints and a variable."
        raise UsageError(f"{result.path}: {what}, nothing to draw", remedy=remedy)
    title = _title(result)
    is_pair = len(result.checkpoints) == 2 and not result.index_only
    if len(result.variables) <= MAX_LINES and not (result.index_only or is_pair):
        evidence = _evidence(result, len(result.variables))
        return [plot_lines(result, title=title, evidence=evidence, palette=palette)]
    n = len(result.variables)
    pages = [range(start, min(start + MAX_ROWS, n)) for start in range(0, n, MAX_ROWS)]
    figures = []
    for i, page in enumerate(pages):
        place, notes = page_words(i, pages)
        evidence = [*_evidence(result, n), place]
        variables = result.variables[page.start : page.stop]
        plot = plot_pair if is_pair else plot_map
        figures.append(
            plot(result, variables, title=title, evidence=evidence, palette=palette, notes=notes)
        )
    return figures


def _title(result: RunDrift) -> str:
    """Give as much of the verdict as fits, whole sentences and clauses."""
    text = verdict(result).removesuffix(".").removesuffix(". All values are finite")
    text = typeset(text.removeprefix("not finite: "))
    short = _MEASURE.sub(" moved most", text)
    for candidate in (text, short, text.split(". ")[0], short.split(". ")[0]):
        if _fits(candidate.replace(". ", "; ")):
            return candidate.replace(". ", "; ")
    clauses = short.split(". ")[0].split(", ")
    while len(clauses) > 1 and not _fits(", ".join(clauses)):
        clauses.pop()
    return ", ".join(clauses)


def _fits(text: str) -> bool:
    return fits(text, WIDTH - 2 * MARGIN, size=TITLE_SIZE, bold=True)


def _evidence(result: RunDrift, n: int) -> list[str]:
    steps = [entry.step for entry in result.checkpoints]
    span = ""
    if steps[0] is not None and steps[-1] is not None:
        span = f", step {count(steps[0])} to {count(steps[-1])}"
    name = os.path.basename(result.path.rstrip(os.sep)) or result.path
    held = f"{count(len(result.checkpoints))} checkpoints{span}"
    is_model = all(variable.role.is_parameter for variable in result.variables)
    noun = "weight" if is_model else "variable"
    rates = result.learning_rate
    rate = ""
    if len(rates) == 2 and None not in rates:
        shown = [short_number(float(rate or 0)) for rate in dict.fromkeys(rates)]
        rate = f"learning rate {' → '.join(shown)}"
    return [safe_text(name), held, f"{count(n)} {noun}{'s' if n > 1 else ''}", rate]
