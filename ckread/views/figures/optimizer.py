"""The last update of each weight along the model: rows for few, points for many, a run as map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.analysis.drift.records import RunDrift, VariableDrift
from ckread.errors import UsageError
from ckread.model.display import safe_text
from ckread.model.role import Role
from ckread.model.run.entries import base_name
from ckread.readers.contract import DataType
from ckread.views.figures.axes import decades_of, held_words, set_distance_axis
from ckread.views.figures.drift_map import MAX_ROWS, Quantity, plot_map
from ckread.views.figures.rows import brackets, lay_out, write_names
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet, page_words
from ckread.views.figures.style import LIGHT, TEXT_SIZE, TITLE_SIZE, Palette, drawing
from ckread.views.figures.text import (
    column,
    count,
    fits,
    number,
    short_number,
    text_width,
    typeset,
)
from ckread.views.optimizer import run_verdict, verdict
from ckread.views.terminal.words import share_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.audit.optimizer import OptimizerAudit, RunOptimizerAudit, WeightUpdate

MAX_NAMED = 40
"""Weights up to which each has a row with its name."""
_TOP, _COLUMN = 0.98, 0.62
_DEPTH, _BRACKETS = 2.3, 0.36
_QUANTITY = "last update ÷ weight, ‖Δ‖ ÷ ‖w‖ (log)"
_SHAPES = {"kernel": "o", "gamma": "D", "vector": "^"}
_WORDS = {"kernel": "kernel", "vector": "bias, beta and the like", "gamma": "gamma, scale"}


def plot_optimizer(result: OptimizerAudit, *, palette: Palette = LIGHT) -> Figure:
    """Draw the relative size of the last update of each weight.

    Raises:
        UsageError: no update can be recomputed.
    """
    weights = [weight for weight in result.weights if weight.update_ratio is not None]
    if not any(weight.update_ratio for weight in weights):
        reason = next((one.reason for one in result.optimizers if one.reason), None)
        what = f": {reason}" if reason else ""
        raise UsageError(f"{result.path}: no update to draw{what}")
    kinds = " and ".join(one.kind or "unknown" for one in result.optimizers)
    steps = [one.iterations for one in result.optimizers if one.iterations is not None]
    rates = [one.hyperparameters["learning_rate"].value for one in result.optimizers]
    evidence = [
        safe_text(base_name(result.path)),
        f"{kinds}, iteration {count(steps[0])}" if len(set(steps)) == 1 else kinds,
        f"{count(len(weights))} weights",
        f"learning rate {short_number(float(rates[0]))}" if len(rates) == 1 and rates[0] else "",
    ]
    draw = _draw_rows if len(weights) <= MAX_NAMED else _draw_along
    return draw(_title(verdict(result)), evidence, weights, palette)


def _title(said: str) -> str:
    """Give as many sentences as fit."""
    sentences = typeset(said.removesuffix(".")).split(". ")
    while len(sentences) > 1 and not _fits("; ".join(sentences)):
        sentences.pop()
    first = sentences[0]
    return (
        "; ".join(sentences) if _fits("; ".join(sentences)) else first.rpartition(", ")[0] or first
    )


def _fits(text: str) -> bool:
    return fits(text, WIDTH - 2 * MARGIN, size=TITLE_SIZE, bold=True)


def _kind(weight: WeightUpdate) -> str:
    if weight.is_kernel:
        return "kernel"
    return "gamma" if weight.name.endswith(("gamma", "scale")) else "vector"


def _draw_rows(
    title: str, evidence: Sequence[str], weights: Sequence[WeightUpdate], palette: Palette
) -> Figure:
    with drawing(palette):
        layout = lay_out(weights, top=_TOP)
    figures = [("update", [number(w.update_ratio or 0.0) for w in weights])]
    if any(weight.signal is not None for weight in weights):
        figures.append(("signal", column([weight.signal for weight in weights])))
    if any(weight.without_gradient for weight in weights):
        shares = [share_text(w.without_gradient or 0, w.elements) for w in weights]
        figures.append(("no gradient", ["–" if s == "none" else typeset(s) for s in shares]))
    right = len(figures) * _COLUMN + 0.1 * (len(figures) == 3)
    reading = [
        "update: ‖Δ‖ ÷ ‖w‖ of the last step, recomputed from the slots.",
        "signal: median |m| ÷ √v." if len(figures) > 1 else "",
        "no gradient: elements of which every slot is as it began." if len(figures) == 3 else "",
        "Vectors that began at 0 are small, so their ratio is large: compare kernels with kernels.",
    ]
    height = _TOP + layout.depth + 0.62
    with new_sheet(height, Caption(title, evidence, palette), reading) as sheet:
        sheet.text(layout.left, 0.66, _QUANTITY, size=TEXT_SIZE, color=palette.soft, gid="ckread:x")
        width = WIDTH - MARGIN - layout.left - right - 0.12
        axes = sheet.axes(layout.left, _TOP, width, layout.depth)
        decades = decades_of(w.update_ratio or None for w in weights)
        set_distance_axis(axes, decades, layout.depth)
        for band in layout.rows:
            weight = weights[band.row or 0]
            y = band.y + band.height / 2
            if weight.update_ratio:
                axes.plot([10.0 ** decades[0], weight.update_ratio], [y, y], color=palette.grid,
                          lw=1.2, zorder=1)  # fmt: skip
                _mark(axes, weight, weight.update_ratio, y, palette, size=4.2)
        write_names(sheet, layout)
        for i, (heading, texts) in enumerate(reversed(figures)):
            x = WIDTH - MARGIN - i * _COLUMN - 0.1 * (i > 0 and len(figures) == 3)
            sheet.text(x, _TOP - 0.1, heading, color=palette.soft, ha="right", va="bottom")
            for band in layout.rows:
                y = layout.top + band.y + band.height / 2
                sheet.text(x, y, texts[band.row or 0] or "–", size=layout.text_size, ha="right",
                           va="center", gid="ckread:number")  # fmt: skip
        _draw_key(sheet, {_kind(w) for w in weights}, _TOP + layout.depth + 0.38, is_ringed=False)
    return sheet.figure


def _mark(
    axes: Axes, weight: WeightUpdate, x: float, y: float, palette: Palette, *, size: float
) -> None:
    kind = _kind(weight)
    face = palette.data if kind == "kernel" else palette.paper
    (mark,) = axes.plot([x], [y], _SHAPES[kind], ms=size, mfc=face, mec=palette.data, mew=0.9)
    mark.set(clip_on=False, zorder=3, gid=f"ckread:dot:{weight.name}")


def _draw_along(
    title: str, evidence: Sequence[str], weights: Sequence[WeightUpdate], palette: Palette
) -> Figure:
    """Draw the weights from left to right in the order of the model, log ratio up."""
    n = len(weights)
    is_ringed = any(_is_partly_blank(weight) for weight in weights)
    reading = [
        "Weights in the order of the model, recomputed from the slots of the optimizer.",
        "Vectors that began at 0 are small, so their ratio is large: compare kernels with kernels.",
    ]
    height = _TOP + _DEPTH + _BRACKETS + 0.5
    left, width = MARGIN + 0.42, WIDTH - 2 * MARGIN - 0.5
    with new_sheet(height, Caption(title, evidence, palette), reading) as sheet:
        sheet.text(MARGIN, 0.66, _QUANTITY, size=TEXT_SIZE, color=palette.soft, gid="ckread:y")
        axes = sheet.axes(left, _TOP, width, _DEPTH)
        axes.set_gid("ckread:dots")
        low, high = decades_of(w.update_ratio or None for w in weights)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(10.0**low, 10.0**high)
        ticks = [10.0**power for power in range(low, high + 1)]
        axes.set_yticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
        axes.set_xticks([])
        axes.grid(axis="y")
        for kind in ("gamma", "vector", "kernel"):
            found = [(i, w) for i, w in enumerate(weights) if _kind(w) == kind and w.update_ratio]
            x, y = [i for i, _ in found], [w.update_ratio or 0.0 for _, w in found]
            is_kernel = kind == "kernel"
            edge = palette.data if is_kernel else palette.other
            face = palette.data if is_kernel else palette.paper
            (dots,) = axes.plot(x, y, _SHAPES[kind], ms=3.0, mfc=face, mec=edge, mew=0.7)
            dots.set(clip_on=False, zorder=3 + is_kernel, gid=f"ckread:dots:{kind}")
        ringed = [(i, w.update_ratio) for i, w in enumerate(weights)
                  if _is_partly_blank(w) and w.update_ratio]  # fmt: skip
        if ringed:
            (rings,) = axes.plot(*zip(*ringed, strict=True), "o", ms=6.2, mfc="none", mew=1.0)
            rings.set(mec=palette.mark, clip_on=False, zorder=5, gid="ckread:ring")
        _draw_brackets(sheet, weights, (left, _TOP + _DEPTH, width))
        below = _TOP + _DEPTH + _BRACKETS + 0.2
        _draw_key(sheet, {_kind(w) for w in weights}, below, is_ringed=is_ringed)
    return sheet.figure


def _is_partly_blank(weight: WeightUpdate) -> bool:
    """Tell whether a tenth of a kernel at least, and not all of it, had no gradient."""
    n = weight.without_gradient or 0
    return weight.is_kernel and 0.1 * weight.elements <= n < weight.elements


def _draw_brackets(
    sheet: Sheet, weights: Sequence[WeightUpdate], place: tuple[float, float, float]
) -> None:
    """Draw the subtrees below the axes, each with its name where there is room for it."""
    left, y, width = place
    pitch = width / len(weights)
    axes = sheet.axes(left, y + 0.04, width, 0.09)
    axes.set_axis_off()
    axes.set_xlim(-0.5, len(weights) - 0.5)
    axes.set_ylim(0, 1)
    edge = -math.inf
    for found in brackets([safe_text(weight.name) for weight in weights], pitch):
        start, stop = found.start - 0.35, found.stop - 0.65
        axes.plot([start, start, stop, stop], [1, 0, 0, 1], color=sheet.palette.faint, lw=0.8)
        label = found.label
        room = text_width(label, TEXT_SIZE)
        middle = left + ((start + stop) / 2 + 0.5) * pitch
        begin = min(max(middle - room / 2, left), left + width - room)
        if begin > edge + 0.06 and room <= (found.stop - found.start) * pitch + 0.3:
            soft = sheet.palette.soft
            sheet.text(begin, y + 0.17, label, color=soft, gid="ckread:bracket")
            edge = begin + room


def _draw_key(sheet: Sheet, kinds: set[str], y: float, *, is_ringed: bool) -> None:
    """Draw what the shapes mean, of those that occur."""
    palette, x = sheet.palette, MARGIN + 0.1
    shown = [(kind, _WORDS[kind]) for kind in _WORDS if kind in kinds]
    if is_ringed:
        shown.append(("ring", "a tenth of it or more shows no gradient"))
    for kind, word in shown:
        axes = sheet.axes(x, y - 0.05, 0.1, 0.1)
        axes.set_axis_off()
        is_ring = kind == "ring"
        color = palette.mark if is_ring else palette.data
        face = palette.data if kind == "kernel" else palette.paper
        axes.plot([0], [0], _SHAPES.get(kind, "o"), ms=4.2, mfc=face, mec=color, mew=0.9)
        sheet.text(x + 0.17, y, word, color=palette.soft, va="center", gid="ckread:key")
        x += 0.17 + text_width(word, TEXT_SIZE) + 0.25


def plot_optimizer_of_run(result: RunOptimizerAudit, *, palette: Palette = LIGHT) -> list[Figure]:
    """Draw the updates of a run as a map; more than 450 weights take several pages.

    Raises:
        UsageError: no update can be recomputed.
    """
    ratios = result.ratios()
    if not any(ratio for course in ratios.values() for ratio in course):
        raise UsageError(f"{result.path}: no update to draw")
    shapes = {w.name: w.shape for audit in result.audits for w in audit.weights}
    variables = [
        VariableDrift(
            name=name, role=Role.WEIGHT, dtype=DataType.FLOAT32, shape=shapes[name],
            elements=math.prod(shapes[name]),
            present=tuple(ratio is not None for ratio in course),
            changed=tuple(None if ratio is None else ratio > 0 for ratio in course),
            l2=tuple(course), from_previous=tuple(course),
        )
        for name, course in ratios.items()
    ]  # fmt: skip
    as_drift = RunDrift(
        result.path, result.checkpoints, tuple(variables), False, {}, seams=result.seams
    )  # fmt: skip
    n = len(variables)
    pages = [range(start, min(start + MAX_ROWS, n)) for start in range(0, n, MAX_ROWS)]
    kinds = {one.kind or "unknown" for audit in result.audits for one in audit.optimizers}
    quantity = Quantity("last update ÷ weight at each checkpoint (log)", "no update", False)
    evidence = [safe_text(base_name(result.path)), held_words(result.checkpoints)]
    evidence.append(f"{count(n)} weights, {' and '.join(sorted(kinds))}")
    caption = Caption(_title(run_verdict(result)), evidence, palette)
    figures = []
    for i, page in enumerate(pages):
        place, notes = page_words(i, pages)
        shown = variables[page.start : page.stop]
        figures.append(plot_map(as_drift, shown, caption.but(place, notes=notes), quantity))
    return figures
