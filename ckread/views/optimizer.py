"""The page of `ckread optimizer`: the last update of each weight, and what its slots tell.

Up to 24 weights have a row each. Beyond, those that differ in numbers alone are told together,
and where these are still too many, subtrees, kernels apart from vectors: mixed they hide depth.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from statistics import median
from typing import TYPE_CHECKING

from ckread.analysis.audit.optimizer import UPDATE_FIELDS
from ckread.analysis.audit.records import seams_by_place
from ckread.model.display import by, named, safe_text
from ckread.views.seams import place_sentence
from ckread.views.terminal.page import (
    Page,
    PipedOnly,
    Prose,
    Span,
    TerminalOnly,
    footer,
    heading,
)
from ckread.views.terminal.table import POINT, RIGHT, Column, Table
from ckread.views.terminal.words import (
    ABSENT,
    SEAM,
    count_text,
    float_text,
    place,
    plural,
    share_text,
    sparkline,
    value_text,
    value_word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.analysis.audit.optimizer import (
        OptimizerAudit,
        RunOptimizerAudit,
        UsedOptimizer,
        WeightUpdate,
    )
    from ckread.model.display import Field
    from ckread.model.run.entries import RunEntry
    from ckread.views.terminal.page import Block, Line

_FIELDS = named(UPDATE_FIELDS)
_MAX_ROWS = 24
_AXIS = 16
_APART = 30
"""How many times smaller than another kernel's an update is worth a sentence."""
_FEW = 8
_NOT_FINITE = "weights or slots are not finite"
_CELLS = 24


@dataclass(frozen=True, slots=True)
class _Row:
    """A weight, or several told together."""

    name: str
    members: tuple[WeightUpdate, ...]

    @property
    def ratios(self) -> list[float]:
        """The relative updates that are known."""
        return [w.update_ratio for w in self.members if w.update_ratio is not None]

    def middle(self, give: Callable[[WeightUpdate], float | None]) -> float | None:
        """Give the median of a figure."""
        known = [value for w in self.members if (value := give(w)) is not None]
        return median(known) if known else None


def optimizer_page(result: OptimizerAudit, *, show_all: bool = False) -> Page:
    """Lay out what an optimizer did; `show_all` gives every weight its row."""
    kinds = " and ".join(one.kind or "an unknown optimizer" for one in result.optimizers)
    steps = [one.iterations for one in result.optimizers if one.iterations is not None]
    made = f", {plural(steps[0], 'iteration')}" if len(set(steps)) == 1 else ""
    head = [heading(result.path, f"  {kinds}{made}"), Prose(verdict(result))]
    rows, how = _rows(result.weights, show_all=show_all)
    where = by("--all", ".weights")
    told = [f"{how}; {where} lists the {len(result.weights)} weights."] if how else []
    is_recomputed = any(row.ratios for row in rows)
    if is_recomputed:
        told.append(f"update: ‖Δ‖ / ‖w‖ of the last step, recomputed from {_basis([result])}.")
    if any(row.middle(lambda w: w.signal) is not None for row in rows):
        told.append("signal: median |m| / √v.")
    if any(row.middle(lambda w: w.step) is not None for row in rows):
        told.append("step: median step per unit of momentum.")
    if is_recomputed and any(not w.is_kernel for w in result.weights):
        told.append(
            "Vectors that began at 0 are small, so their ratio is large: compare kernels with "
            "kernels."
        )
    sections: list[Block | Sequence[Block]] = [head, _settings(result)]
    if rows:
        sections.append(TerminalOnly(_table(rows)))
        sections.append(footer(" ".join(told)))
    piped: list[Column[WeightUpdate]] = [
        Column.of(field) for name, field in _FIELDS.items() if name != "shape"
    ]
    return Page(*sections, PipedOnly(Table(piped, result.weights)))


def _basis(audits: Iterable[OptimizerAudit]) -> str:
    """Say what updates are recomputed from; what is assumed by name."""
    settings = [one.hyperparameters for audit in audits for one in audit.optimizers]
    assumed = {name: None for each in settings for name, one in each.items()
               if one.source == "default"}  # fmt: skip
    rated = any(each["learning_rate"].value is not None for each in settings)
    basis = "the slots and the rate as saved" if rated else "the slots"
    return f"{basis}, with defaults assumed for {', '.join(assumed)}" if assumed else basis


def verdict(result: OptimizerAudit) -> str:
    """Say in a few sentences how far the last step moved, and what got no gradient."""
    whole, sentences = result.update_ratio, []
    kernels = [w for w in result.weights if w.is_kernel and w.update_ratio]
    if whole is not None:
        text = f"The last update moved the weights by {_percent(whole)}"
        ratios = sorted(w.update_ratio or 0.0 for w in kernels)
        if len(ratios) > 1 and len(ratios) < len(result.weights):
            low, high = _percent(ratios[0]), _percent(ratios[-1])
            low = low.removesuffix(" %") if low.endswith(" %") and high.endswith(" %") else low
            text += f", kernels by {low} to {high}"
        sentences.append(f"{text}.")
        least = min(kernels, key=lambda w: w.update_ratio or 0.0, default=None)
        most = max(kernels, key=lambda w: w.update_ratio or 0.0, default=None)
        if least and most and (most.update_ratio or 0) > _APART * (least.update_ratio or 1):
            times = (most.update_ratio or 0) / (least.update_ratio or 1)
            sentences.append(
                f"{safe_text(least.name)} gets updates {float(f'{times:.2g}'):,.0f} times smaller "
                f"than {safe_text(most.name)}."
            )
    else:
        reason = next((one.reason for one in result.optimizers if one.reason), _NOT_FINITE)
        rest = " What the slots alone tell:" if result.weights else ""
        sentences.append(f"The last update cannot be recomputed: {reason}.{rest}")
    forgets = any(one.forgets for one in result.optimizers)
    return " ".join([*sentences, *_without_gradient(result, forgets=forgets)])


def _without_gradient(result: OptimizerAudit, *, forgets: bool) -> Iterable[str]:
    """Say what no gradient reached; of slots that forget, only where none shows any more."""
    weights = result.weights
    if weights and all(w.without_gradient == w.elements for w in weights):
        yield "All slots are as they began."
        return
    reached, since = ("shows in", "") if forgets else ("has reached", " since the slots began")
    rows = [w for w in weights if w.rows_without_gradient]
    for weight in rows[:2]:
        which = f"{weight.rows_without_gradient:,} of the {weight.shape[0]:,} rows"
        how = "show" if forgets else "have had"
        yield f"{which} of {safe_text(weight.name)} {how} no gradient{since}."
    others = [w for w in weights if w not in rows]
    blank = [w for w in others if w.without_gradient == w.elements]
    if blank:
        names = ", ".join(safe_text(w.name) for w in blank[:3])
        more = f" and {len(blank) - 3} more" if len(blank) > 3 else ""
        yield f"No gradient {reached} {names}{more}{since}."
    left = [w for w in others if w not in blank]
    n = sum(w.without_gradient or 0 for w in left)
    if n:
        total = sum(w.elements for w in left)
        yield f"No gradient {reached} {n:,} of {plural(total, 'element')}{since}."


def _percent(ratio: float) -> str:
    """Give a ratio in two digits: `0.12 %`; a very small one as a power."""
    percent = 100 * ratio
    if percent < 0.001:
        return float_text(ratio) if ratio else "nothing"
    return f"{float(f'{percent:.2g}'):g} %"


def _settings(result: OptimizerAudit) -> TerminalOnly:
    """Give the hyperparameters in lines by their source."""
    lines: list[Line] = []
    for one in result.optimizers:
        whose = f"of {one.name}  " if len(result.optimizers) > 1 else ""
        lines += [
            (Span(f"{', '.join(names)}  ", "label"), Span(f"{whose}{told}"))
            for names, told in _by_source(one)
        ]
    cells = max((len(line[0].text) for line in lines), default=0)
    padded = [(line[0]._replace(text=line[0].text.ljust(cells)), *line[1:]) for line in lines]
    return TerminalOnly(*(Prose(*line, indent=cells) for line in padded))


_SOURCES = {
    "checkpoint": "",
    "config": " (what the model was compiled with)",
    "default": ": defaults, assumed; the file does not hold {}",
    "unknown": "not in the file",
}


def _by_source(one: UsedOptimizer) -> Iterable[tuple[list[str], str]]:
    """Yield the names of settings of one source with their values; the rate apart.

    What is off is left out only where a file says so: elsewhere it is assumed.
    """
    apart: dict[tuple[bool, str], list[str]] = {}
    for name, setting in one.hyperparameters.items():
        is_told = setting.source in ("checkpoint", "config")
        is_off = not setting.value and is_told and name != "learning_rate"
        if not is_off:
            apart.setdefault((name != "learning_rate", setting.source), []).append(name)
    for (_, source), names in apart.items():
        found = [one.hyperparameters[name].value for name in names]
        # As a program has it: 0.9, though it is kept in float32.
        texts = [value_text(v) if v is None or isinstance(v, bool) else f"{v:.3g}" for v in found]
        if names == ["learning_rate"]:
            texts = [value_text(one.hyperparameters["learning_rate"].value)]
        values = ", ".join(texts)
        told = _SOURCES[source].format("them" if len(names) > 1 else "it")
        words = [name.replace("learning_rate", "learning rate") for name in names]
        yield words, told if source == "unknown" else f"{values}{told}"


def _rows(weights: Sequence[WeightUpdate], *, show_all: bool) -> tuple[list[_Row], str]:
    """Give the rows, and what to say where they stand for several weights."""
    each = [_Row(safe_text(w.name), (w,)) for w in weights]
    if show_all or len(each) <= _MAX_ROWS:
        return each, ""

    def subtree(weight: WeightUpdate) -> str:
        """Give the first word of a name, and the kind of weight: kernel, or vector by its leaf."""
        first = weight.name.partition("/")[0].split("_")[0]
        return f"{first}**/{'kernels' if weight.is_kernel else weight.name.rpartition('/')[2]}"

    for pattern_of in (lambda weight: re.sub(r"\d+", "*", weight.name), subtree):
        groups: dict[str, list[WeightUpdate]] = {}
        for weight in weights:
            groups.setdefault(pattern_of(weight), []).append(weight)
        rows = [
            _Row(safe_text(name if len(some) > 1 else some[0].name), tuple(some))
            for name, some in groups.items()
        ]
        if len(rows) <= _MAX_ROWS:
            return rows, "Medians"
    return rows[:_MAX_ROWS], f"Medians of the first {_MAX_ROWS} of {len(rows)} groups"


def _table(rows: Sequence[_Row]) -> Table[_Row]:
    grouped = any(len(row.members) > 1 for row in rows)
    ratios = [ratio for row in rows for ratio in row.ratios if ratio]
    columns: list[Column[_Row]] = [
        Column(title="weights" if grouped else "weight", shown=lambda row: row.name, folds=True)
    ]
    if grouped:
        columns.append(Column(title="", shown=lambda row: f"{len(row.members):,}", justify=RIGHT))
    if ratios:
        low, high = math.floor(math.log10(min(ratios))), math.ceil(math.log10(max(ratios)))
        columns += _update_columns(low, max(high, low + 1), grouped=grouped)

    def figure(title: str, give: Callable[[WeightUpdate], float | None], **look: int) -> None:
        if any(row.middle(give) is not None for row in rows):
            columns.append(
                Column(title=title, shown=lambda row: _text(row.middle(give)), justify=POINT,
                       rank=look.get("rank", 0), from_width=look.get("from_width", 0))
            )  # fmt: skip

    def share(give: Callable[[WeightUpdate], float | None]) -> Callable[[_Row], str]:
        def shown(row: _Row) -> str:
            n = sum(give(w) or 0 for w in row.members)
            return share_text(n, sum(w.elements for w in row.members)) if n else ABSENT

        return shown

    figure("signal", lambda w: w.signal, rank=2)
    if any(w.without_gradient for row in rows for w in row.members):
        still = share(lambda w: w.without_gradient)
        columns.append(Column(title="no gradient", shown=still, justify=RIGHT, rank=1))
    if not grouped:
        figure("step", lambda w: w.step, rank=3)
        figure("largest v", lambda w: w.largest_v, rank=4, from_width=100)
        if any(w.at_epsilon for row in rows for w in row.members):
            low_v = share(lambda w: w.at_epsilon)
            columns.append(Column(title="at ε", shown=low_v, justify=RIGHT, rank=5, from_width=100))
    return Table(columns, rows)


def _update_columns(low: int, high: int, *, grouped: bool) -> list[Column[_Row]]:
    """Give the ratio, and its place on a log axis between two powers of ten."""
    first, last = (f"1e{n}" if n < -3 else f"{10.0**n:g}" for n in (low, high))
    axis = first + last.rjust(_AXIS - len(first))

    def draw(row: _Row, cells: int) -> Line:
        ratio = row.middle(lambda w: w.update_ratio)
        if not ratio:
            return (Span(""),)
        at = round((math.log10(ratio) - low) / (high - low) * (cells - 1))
        return (Span(" " * at), Span("●", "spark"))

    def extreme(pick: Callable[[Iterable[float]], float]) -> Callable[[_Row], str]:
        return lambda row: _text(pick(row.ratios) if row.ratios else None)

    columns: list[Column[_Row]] = [
        Column(title="update", shown=lambda row: _text(row.middle(lambda w: w.update_ratio)),
               justify=POINT),
        Column(title=axis, draw=draw, cells=(_AXIS, _AXIS), rank=2),
    ]  # fmt: skip
    if grouped:
        columns += [
            Column(title="least", shown=extreme(min), justify=POINT, rank=3),
            Column(title="most", shown=extreme(max), justify=POINT, rank=3),
        ]
    return columns


def _text(value: float | None) -> str:
    return ABSENT if value is None else float_text(value) if value else "none"


# Over a run.


@dataclass(frozen=True, slots=True)
class _Course:
    """The relative updates of a weight, along a run."""

    name: str
    ratios: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """Those that are told."""
        return [ratio for ratio in self.ratios if ratio is not None]


def optimizer_run_page(result: RunOptimizerAudit, *, show_all: bool = False) -> Page:
    """Lay out the updates along a run."""
    kinds = {one.kind or "unknown" for audit in result.audits for one in audit.optimizers}
    title = f"  {plural(len(result.checkpoints), 'checkpoint')}, {' and '.join(sorted(kinds))}"
    courses = [_Course(safe_text(name), ratios) for name, ratios in result.ratios().items()]
    limit = len(courses) if show_all else 2 * _MAX_ROWS
    entries = result.checkpoints
    counts = [entry.count for entry in entries]
    span = f"{counts[0]:,} … {counts[-1]:,}" if None not in (counts[0], counts[-1]) else "over it"
    marks = seams_by_place(result.seams, entries)
    cells = tuple(min(len(entries), most) + len(marks) for most in (_FEW, _CELLS))

    def first(course: _Course) -> str:
        return _text(course.known[0]) if course.known else ABSENT

    def largest(course: _Course) -> str:
        return _text(max(course.known)) if course.known else ABSENT

    def where(course: _Course) -> str:
        if not course.known:
            return ABSENT
        return place(entries[course.ratios.index(max(course.known))], entries).removeprefix("step ")

    columns: list[Column[_Course]] = [
        Column(title="weight", shown=lambda course: course.name, folds=True),
        Column(title=span, draw=partial(_draw, seams=list(marks)), cells=(cells[0], cells[1])),
        Column(title="first", shown=first, justify=POINT, rank=1),
        Column(title="last", shown=lambda c: _text(c.ratios[-1]), justify=POINT),
        Column(title="largest", shown=largest, justify=POINT, rank=2),
        Column(title=f"at {entries[0].unit}", shown=where, justify=RIGHT, rank=2),
    ]
    rest = len(courses) - limit
    seam = f", {SEAM} seam" if marks else ""
    told = (
        f"{span}: last update / weight, recomputed from {_basis(result.audits)}; each row to its "
        f"own top; · no update{seam}."
    )
    told += f" {count_text(rest)} more {by('with --all', 'in .ratios()')}." if rest > 0 else ""
    lines = [
        (entry, weight)
        for entry, audit in zip(entries, result.audits, strict=True)
        for weight in audit.weights
    ]

    def of(field: Field[WeightUpdate]) -> Column[tuple[RunEntry, WeightUpdate]]:
        return Column.of(field, itemgetter(1))

    piped: list[Column[tuple[RunEntry, WeightUpdate]]] = [
        Column(title=entries[0].unit, piped=lambda row: value_word(row[0].count), justify=RIGHT),
        *(of(field) for name, field in _FIELDS.items() if name != "shape"),
    ]
    return Page(
        [
            heading(result.path, title),
            Prose(f"{run_verdict(result)} {place_sentence(marks, entries)}".rstrip()),
        ],
        TerminalOnly(Table(columns, courses[:limit])),
        footer(told),
        PipedOnly(Table(piped, lines)),
    )


def _draw(course: _Course, cells: int, seams: Sequence[int] = ()) -> Line:
    group = max(1, math.ceil(len(course.ratios) / max(1, cells - len(seams))))
    parts = [course.ratios[at : at + group] for at in range(0, len(course.ratios), group)]
    tops = [max((r for r in part if r is not None), default=None) for part in parts]
    drawn = sparkline([top or 0.0 for top in tops])
    spans = [
        Span("·", "muted") if top == 0 else Span(" " if top is None else glyph, "spark")
        for top, glyph in zip(tops, drawn, strict=True)
    ]
    for cell in sorted({at // group for at in seams}, reverse=True):
        spans.insert(cell, Span(SEAM))
    return tuple(spans)


def run_verdict(result: RunOptimizerAudit) -> str:
    """Say how updates went along a run, and what began late."""
    entries = result.checkpoints
    known = [audit.update_ratio for audit in result.audits if audit.update_ratio is not None]
    if not known:
        reasons = (o.reason for a in result.audits for o in a.optimizers if o.reason)
        reason = next(reasons, _NOT_FINITE)
        return f"The updates cannot be recomputed: {reason}."
    way = "fell" if known[-1] < known[0] else "rose"
    first, last = _percent(known[0]), _percent(known[-1])
    sentences = [f"Updates {way} from {first} to {last} of the weights."]
    if first == last:
        sentences = [f"Updates were {first} of the weights at first, and at last."]
    if len(known) == 1:
        sentences = [f"The last update moved the weights by {first}."]
    late: dict[int, list[str]] = {}
    for name, ratios in result.ratios().items():
        moved = next((at for at, ratio in enumerate(ratios) if ratio), None)
        if moved and 0 in ratios[:moved]:
            late.setdefault(moved, []).append(name)
    for at, names in sorted(late.items(), key=lambda item: -len(item[1]))[:1]:
        shown = ", ".join(safe_text(name) for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        sentences.append(f"{shown}{more} got none before {place(entries[at], entries)}.")
    return " ".join(sentences)
