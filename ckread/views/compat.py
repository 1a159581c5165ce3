"""The page of `ckread compat`: how much comes back, what does not and why, what brings it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.compat.records import Code, Outcome, Way
from ckread.analysis.compat.scopes import common, in_scopes, stem
from ckread.model.display import by, safe_text, safe_word
from ckread.model.role import BATCH_NORM, Role
from ckread.views.terminal.page import Block, Page, PipedOnly, Prose, Span, TerminalOnly, cell_len
from ckread.views.terminal.table import RIGHT, Column, Table
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    count_text,
    float_text,
    plural,
    shape_text,
    shape_word,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.compat.records import Cure, RestoreForecast, Shift, Stored, ValueForecast
    from ckread.views.terminal.page import Line, Paper

MAX_ROWS = 24
"""Values that have a row each; of more, those of one subtree and cause share one."""
_MAX_SLOTS, _SHOWN_SLOTS = 4, 2
"""Slots of one outcome that have a row each; of more, the first ones."""
_MAX_GROUPS = 40
_MAX_COMMAND = 56

_SIGNS = {
    Outcome.RESTORED: "=",
    Outcome.OTHER: ">",
    Outcome.KEPT: "!",
    Outcome.RAISES: "×",
    Outcome.DEFERRED: "~",
    Outcome.UNFORESEEN: "?",
}
_STYLES = {
    Outcome.OTHER: "warning", Outcome.KEPT: "warning", Outcome.RAISES: "bad",
    Outcome.DEFERRED: "accent", Outcome.UNFORESEEN: "accent", Outcome.RESTORED: "muted",
}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class CompatView:
    """What of a forecast is shown.

    Attributes:
        result: the forecast.
        show_all: whether every value has a row, however many there are.
    """

    result: RestoreForecast
    show_all: bool = False


def compat_page(view: CompatView) -> Page:
    """Lay out a forecast."""
    result = view.result
    rows = _rows(view)
    sections: list[Block | Sequence[Block]] = [[_Title(result), Prose(verdict(result))]]
    if rows:
        folded = [Prose(Span(f"= {row.name}", "muted"), indent=2) for row in rows if row.is_folded]
        table = _table([row for row in rows if not row.is_folded])
        sections.append(TerminalOnly(table, *folded))
    sections += [TerminalOnly(note) for note in _notes(result)]
    closing = _closing(result)
    if closing:
        sections.append(TerminalOnly(*closing))
    if result.cures:
        sections.append(TerminalOnly(*_cures(result)))
    if rows and any(row.sign != "=" for row in rows):
        footer = f"there: {result.saved}. here: {result.program}."
        sections.append(TerminalOnly(Prose(Span(safe_text(footer), "muted"))))
    return Page(*sections, PipedOnly(_piped(result)))


class _Title(Block):
    """The two paths, and how the one is restored into the other: on one line if it fits."""

    def __init__(self, result: RestoreForecast) -> None:
        self._paths = safe_text(f"{result.saved} → {result.target}")
        self._call = result.call

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Give one line or two."""
        paths, call = paper.spell(self._paths), paper.spell(self._call)
        if cell_len(paths) + 2 + cell_len(call) <= paper.width:
            yield Span(paths, "title"), Span(f"  {call}", "muted")
            return
        yield from Prose(Span(paths, "title")).lines(paper)
        yield from Prose(Span(call, "muted")).lines(paper)

    def piped(self) -> Iterable[str]:
        """Give nothing: who pipes knows what was asked."""
        return ()


# The sentence that a forecast opens with.


def verdict(result: RestoreForecast) -> str:
    """Say how much comes back, then the worst thing first."""
    if result.raises:
        return _raising(result)
    if result.complete:
        return _complete(result)
    return _partial(result)


def _noun(result: RestoreForecast, n: int) -> str:
    return ("variable" if result.is_name_based else "value") + ("" if n == 1 else "s")


def _complete(result: RestoreForecast) -> str:
    n = len(result.values)
    if not n:
        return "There is no value to bring back."
    renamed = sum(one.saved is not None and one.saved.name != one.name for one in result.values)
    how = "under its own name" if n == 1 else "each under its own name"
    if renamed:
        how = f"{count_text(renamed)} of them under other names"
    has_slots = any(one.target.role == Role.SLOT for one in result.values)
    if has_slots and result.optimizers and result.optimizers[0] != result.optimizers[1]:
        moments = f"{result.optimizers[0]}'s moments into {result.optimizers[1]}"
        how = f"{how}, {moments}" if renamed else moments
    all_of = f"All {count_text(n)} {_noun(result, n)} come back" if n > 1 else "It comes back"
    consumed, existing = result.asserts
    if consumed is None:
        return f"{all_of}, {how}."
    if consumed:
        return f"{all_of}, {how}. assert_consumed() passes."
    fails = "assert_consumed() fails"
    passes = ", assert_existing_objects_matched() passes" if existing else ""
    return f"{all_of}, {how}. {fails}{passes}."


def _partial(result: RestoreForecast) -> str:
    counts, total = result.counts, len(result.values)
    back = counts["restored"]
    come = "comes" if back == 1 else "come"
    told = f"{count_text(back)} of {count_text(total)} {_noun(result, total)} {come} back"
    restored = [one for one in result.values if one.outcome is Outcome.RESTORED]
    if back == 1 and total > MAX_ROWS:
        told += f", {safe_text(restored[0].name)}"
    weights = [one for one in restored if one.target.role == Role.WEIGHT]
    if weights and all("_trainable_variables/" in (one.path or "") for one in weights):
        told += ", the weights only through the optimizer's list"
    clauses = []
    if counts["other"]:
        n = counts["other"]
        receive = "receives the value" if n == 1 else "receive the values"
        others = [one for one in result.values if one.outcome is Outcome.OTHER]
        roles = [one.target.role for one in others]
        is_of_layers = all(Role(role).is_parameter for role in roles if role) and all(
            one.saved is not None and _scope(one.saved.name) != _scope(one.name) for one in others
        )
        whose = "another layer" if is_of_layers else "another variable"
        clauses.append(f"{count_text(n)} {receive} of {whose}, and no assertion tells")
    if counts["kept"]:
        clauses.append(_kept(result))
    if counts["deferred"]:
        n = counts["deferred"]
        verb = "comes if its object makes it" if n == 1 else "come if their objects make them"
        clauses.append(f"{count_text(n)} {verb} later")
    if counts["unforeseen"]:
        clauses.append(f"{count_text(counts['unforeseen'])} cannot be foretold")
    is_silent = result.way is Way.CHECKPOINT and not counts["other"] and counts["kept"]
    end = ", and restore() does not say so" if is_silent and not result.is_name_based else ""
    joint = ". " if counts["other"] or back == 1 or ", the weights" in told else "; "
    rest = "; ".join(clauses) + end
    return f"{told}{joint}{rest}."


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _kept(result: RestoreForecast) -> str:
    kept = [one for one in result.values if one.outcome is Outcome.KEPT]
    n = len(kept)
    if n == 1 and len(result.values) <= MAX_ROWS:
        return f"{safe_text(kept[0].name)} keeps its initial value"
    if n == 1:
        return "1 keeps its initial value"
    if all(one.target.role == Role.STATISTIC for one in kept):
        leaves = {one.name.rpartition("/")[2] for one in kept}
        which = "batch-norm statistics" if leaves <= BATCH_NORM else "statistics"
        return f"The {count_text(n)} {which} keep their initial values"
    return f"{count_text(n)} keep their initial values"


def _raising(result: RestoreForecast) -> str:
    call = {
        Way.CHECKPOINT: "restore()", Way.SAVER: "restore()",
        Way.INIT_FROM_CHECKPOINT: "init_from_checkpoint()",
    }.get(result.way, "load_weights()")  # fmt: skip
    first = result.raises[0]
    raising = [one for one in result.values if one.outcome is Outcome.RAISES]
    fitting = [one for one in result.values if one.outcome is Outcome.RESTORED]
    total = len(result.values)
    if not raising:
        kept = next((one for one in result.values if one.outcome is Outcome.KEPT), None)
        why = kept.reason if kept else first.message
        return f"{call} raises {first.type}: {why}."
    is_shape = all(one.code is Code.SHAPE for one in raising)
    in_optimizer = all(one.target.role in (Role.SLOT, Role.HYPERPARAMETER) for one in raising)
    where = ", all in the optimizer" if is_shape and in_optimizer else ""
    told = f"{call} raises {first.type}: {_problem(raising)}{where}."
    n = result.assigned_before
    if where and n:
        parts = _in_words(fitting, weights_only=True)
        return f"{told} By then it has assigned the {parts}."
    if n == 0 and fitting:
        told = f"{told} Nothing is assigned by then."
    if not fitting:
        return told
    return (
        f"{told} The other {count_text(len(fitting))} of {count_text(total)} "
        f"{_noun(result, total)} fit."
    )


def _problem(raising: Sequence[ValueForecast]) -> str:
    n = len(raising)
    codes = Counter(one.code for one in raising)
    code, count = codes.most_common(1)[0]
    if code is Code.SHAPE and count == n:
        return "a shape differs" if n == 1 else f"{count_text(n)} shapes differ"
    if code is Code.OTHER_DTYPE and count == n:
        return "a type differs" if n == 1 else f"{count_text(n)} types differ"
    if code is Code.SLOT_REFUSED:
        return "the new optimizer refuses the slots of a legacy one"
    if code is Code.NO_SUCH_PATH and count == n:
        return "a name is not there" if n == 1 else f"{count_text(n)} names are not there"
    return f"{plural(n, 'value')} {'does' if n == 1 else 'do'} not fit"


def _in_words(values: Sequence[ValueForecast], *, weights_only: bool = False) -> str:
    """Say what values are by role: `12 weights, 24 slots, iterations, 2 counters`."""
    roles = Counter(one.target.role for one in values)
    weights, statistics = roles[Role.WEIGHT], roles[Role.STATISTIC]
    if weights and statistics:
        first = f"{count_text(weights + statistics)} weights and statistics"
    else:
        first = plural(weights, "weight") if weights else ""
        first = first or (plural(statistics, "statistic") if statistics else "")
    if weights_only:
        return first or plural(len(values), "value")
    parts = [first] if first else []
    for role, noun in _NOUNS.items():
        some = [one for one in values if one.target.role == role]
        if not some:
            continue
        is_few = len(some) <= 2 and role is not Role.SLOT
        names = [safe_text(one.name.rpartition("/")[2]) for one in some]
        parts += names if is_few else [plural(len(some), noun)]
    others = len(values) - weights - statistics - sum(roles[role] for role in _NOUNS)
    if others:
        parts.append(plural(others, "other value"))
    return ", ".join(parts)


_NOUNS = {
    Role.SLOT: "slot", Role.AVERAGE: "average", Role.COUNTER: "counter",
    Role.HYPERPARAMETER: "hyperparameter",
}  # fmt: skip


# The table: what needs a look, then what comes back.


class _Row(NamedTuple):
    """A line of the table: one value, or the values of a subtree."""

    sign: str
    name: str
    n: int | None
    shape: str
    dtype: str
    source: str
    reason: str
    style: str
    is_folded: bool = False
    is_reshaped: bool = False


def _rows(view: CompatView) -> list[_Row]:
    result = view.result
    if result.complete and not view.show_all:
        return []
    look = [one for one in result.values if one.outcome is not Outcome.RESTORED]
    fine = [one for one in result.values if one.outcome is Outcome.RESTORED]
    if not result.raises:
        order = list(_SIGNS)[1:]
        look.sort(key=lambda one: order.index(one.outcome))
    if not look and not view.show_all:
        return []
    if result.raises and not fine and not view.show_all and not result.counts["raises"]:
        return []  # the sentence says it of all of them
    is_long = len(look) > MAX_ROWS and not view.show_all
    is_kept = all(one.outcome is Outcome.KEPT for one in look)
    has_layers = any(one.target.role in (Role.WEIGHT, Role.STATISTIC) for one in fine)
    is_shifted = result.shift is not None and result.shift.by is not None
    if is_long and is_kept and is_shifted and not has_layers:
        told = [_group_row("**", look)]  # all stay as they are for one reason
    else:
        told = _grouped(look) if is_long else _one_by_one(look, show_all=view.show_all)
    rows = list(_told_once(told, result.shift))
    is_short = len(look) + len(fine) <= MAX_ROWS
    has_slots = any(one.target.role == Role.SLOT for one in fine)
    if view.show_all or (is_short and not has_slots and not result.raises and len(fine) <= 6):
        return rows + [_row(one) for one in fine]
    if not fine:
        return rows
    scopes = f"{in_scopes([one.name for one in fine])}: {count_text(len(fine))}"
    name = _in_words(fine) if has_slots else scopes
    return [*rows, _Row("=", name, None, "", "", "", "", "muted", is_folded=True)]


def _one_by_one(look: Sequence[ValueForecast], *, show_all: bool) -> list[_Row]:
    """Give a row per value; of many slots that share an outcome the first, and how many more."""
    met: Counter[Outcome] = Counter()
    n_slots = Counter(one.outcome for one in look if one.target.role == Role.SLOT)
    rows = []
    for one in look:
        met[one.outcome] += one.target.role == Role.SLOT
        is_many = n_slots[one.outcome] > _MAX_SLOTS and not show_all
        if not (is_many and one.target.role == Role.SLOT and met[one.outcome] > _SHOWN_SLOTS):
            rows.append(_row(one))
    for outcome, n in n_slots.items() if not show_all else ():
        if n > _MAX_SLOTS:
            more = f"{count_text(n - _SHOWN_SLOTS)} more slots"
            rows.append(_Row(_SIGNS[outcome], more, None, "", "", "", "", _STYLES[outcome]))
    return rows


def _row(one: ValueForecast) -> _Row:
    saved = one.saved
    source = ABSENT
    if one.outcome is Outcome.RESTORED:
        path = (one.path or "").rpartition("/")[0]
        named = "" if saved is None or saved.name == one.name else saved.name
        source = named or (f"by {path}" if path else "")
    elif saved is not None and one.code is not Code.SKIPPED:
        source = saved.name
        if one.code is Code.SHAPE:
            source = f"{source}, {shape_text(saved.shape)}"
        elif one.code is Code.OTHER_DTYPE:
            source = f"{source}, {saved.dtype}"
    is_other = one.outcome is Outcome.OTHER or one.code in (Code.SHAPE, Code.OTHER_DTYPE)
    reason = "" if is_other and "_operations" not in one.reason else one.reason
    if one.code in (Code.SHAPE, Code.OTHER_DTYPE):
        reason = ""
    return _Row(
        _SIGNS[one.outcome], one.name, None, shape_text(one.target.shape), one.target.dtype,
        source, reason, _STYLES[one.outcome],
        is_reshaped=one.code is Code.SHAPE,
    )  # fmt: skip


def _grouped(values: Sequence[ValueForecast]) -> list[_Row]:
    """Give a row for the values of a layer, or of layers with one stem, that share a cause."""
    if len({one.outcome for one in values}) == 1 and len({one.code for one in values}) == 1:
        roots = {one.name.partition("/")[0] for one in values}
        if values[0].outcome is Outcome.KEPT and len(roots) > _MAX_GROUPS:
            return [_group_row("**", values)]
    rows: list[_Row] = []

    def cause(one: ValueForecast) -> tuple[object, ...]:
        """Give what values of one row share: outcome, stem of the layer here and there."""
        if one.outcome is Outcome.OTHER and one.saved is not None:
            return one.outcome, stem(one.name), stem(one.saved.name)
        return one.outcome, stem(one.name), one.code

    for _, layer in groupby(values, key=cause):
        members = list(layer)
        rows.append(_group_row(common([one.name for one in members]), members))
    if len(rows) > _MAX_GROUPS:
        hidden = sum(row.n or 1 for row in rows[_MAX_GROUPS:])
        more = f"and {count_text(hidden)} more: {by('--all', '.values')} lists them"
        last = _Row(" ", more, None, "", "", "", "", "muted")
        rows = [*rows[:_MAX_GROUPS], last]
    return rows


def _group_row(name: str, members: Sequence[ValueForecast]) -> _Row:
    first = members[0]
    source = ABSENT
    sources = [one.saved for one in members if one.saved is not None]
    if first.outcome is not Outcome.KEPT and len(sources) == len(members):
        source = common([one.name for one in sources])
    shape = shape_text(first.target.shape) if len(members) == 1 else ""
    return _Row(
        _SIGNS[first.outcome], name, len(members), shape, "", source,
        _row(first).reason, _STYLES[first.outcome],
    )  # fmt: skip


def _told_once(rows: Iterable[_Row], shift: Shift | None) -> Iterator[_Row]:
    """Leave out a reason that the row above has; say once that all that follows is shifted."""
    above = None
    has_told = False
    for row in rows:
        reason = row.reason
        if row.n is not None and row.n > 1 and shift is not None:
            reason = "" if has_told else _shift_text(shift, row)
            has_told = True
        yield row._replace(reason="" if reason == above else reason)
        above = reason or above


def _shift_text(shift: Shift, row: _Row) -> str:
    name, there, here, by = shift
    if row.sign == ">":
        told = row.reason
    else:
        told = f"{name} is {there} there, /{here.rpartition('/')[2]} here"
    if by is None:
        return told
    size = abs(by)
    places = f"{_NUMBERS[size] if size < len(_NUMBERS) else size} place{'s' * (size != 1)}"
    where = "later" if by > 0 else "earlier"
    return f"{told}; what follows stands {places} {where}{' here' if row.sign == '>' else ', too'}"


def _table(rows: Sequence[_Row]) -> Table[_Row]:
    has_counts = any(row.n is not None for row in rows)
    has_sources = any(row.source not in ("", ABSENT) for row in rows if row.sign != "=")
    wide = 0 if any(row.is_reshaped for row in rows) else 100
    columns: list[Column[_Row]] = [
        Column(
            title="  value",
            folds=True,
            shown=lambda row: (Span(f"{row.sign} ", row.style), Span(safe_text(row.name))),
        ),
        Column(title="shape", shown=lambda row: row.shape, from_width=wide),
        Column(title="dtype", shown=lambda row: row.dtype, from_width=100),
    ]
    if has_counts:
        columns = [
            columns[0],
            Column(
                title="values", justify=RIGHT,
                shown=lambda row: "" if row.n is None else count_text(row.n),
            ),
        ]  # fmt: skip

    def source(row: _Row) -> str:
        return "" if row.sign == "=" and row.source.startswith("by ") else safe_text(row.source)

    columns.append(Column(title="from", shown=source, folds=has_sources))
    columns.append(Column(title="", shown=lambda row: safe_text(row.reason), folds=True))
    return Table(columns, rows, row_style=lambda row: row.style if row.sign == "=" else "")


# What stands below the table.


def _notes(result: RestoreForecast) -> Iterator[Block]:
    if result.rates is not None and result.complete:
        there, here = map(float_text, result.rates)
        yield TerminalOnly(
            Prose(Span("note", "accent"), "  optimizer/learning_rate"),
            Prose(
                f"  Comes back too: {there} replaces the {here} of the program. Assign it again "
                "after restore() if the new rate is wanted.",
                indent=2,
            ),
        )
    for note in result.notes:
        yield Prose(safe_text(note))


def _closing(result: RestoreForecast) -> list[Block]:
    blocks: list[Block] = []
    n = len(result.left_over)
    if n and not result.complete:
        find = "finds" if n == 1 else "find"
        text = f"left over: {plural(n, _noun(result, 1))} there {find} no place"
        names = _left_names(result.left_over)
        blocks.append(Prose(f"{text}{f': {names}' if names else ''}."))
    told = _asserts(result)
    if told:
        blocks.append(Prose(told))
    if result.raises:
        first = result.raises[0]
        blocks.append(Prose(safe_text(f"raises: {first.message}")))
        if result.assigned_before is None:
            blocks.append(Prose("Which values are assigned by then is not certain."))
        elif result.assigned_before:
            blocks.append(Prose("What was assigned before the exception stays assigned."))
    return blocks


def _left_names(left_over: Sequence[Stored]) -> str:
    names: list[str] = []
    slots = sum(one.role == Role.SLOT for one in left_over)
    averages = sum(one.role == Role.AVERAGE for one in left_over)
    rest = [one.name for one in left_over if one.role not in (Role.SLOT, Role.AVERAGE)]
    if len({name.partition("/")[0] for name in rest}) <= MAX_ROWS and rest:
        names.append(in_scopes(rest))
    if slots:
        names.append(plural(slots, "slot"))
    if averages:
        names.append(plural(averages, "average"))
    return ", ".join(names)


def _asserts(result: RestoreForecast) -> str:
    consumed, existing = result.asserts
    if result.complete or existing is None:
        return ""
    if consumed:
        return "asserts: assert_consumed() passes."
    if existing:
        both = "assert_existing_objects_matched() passes"
        if consumed is None:
            return f"asserts: {both}; assert_consumed() is not foretold."
        return f"asserts: assert_consumed() fails, {both}."
    kept = [one.name for one in result.values if one.outcome is Outcome.KEPT]
    if len(kept) > 10 and not result.is_name_based:
        return f"asserts: both fail; their message shows 10 of the {count_text(len(kept))}."
    others = any(one.outcome is Outcome.OTHER for one in result.values)
    if (others or result.is_name_based) and kept:
        return f"asserts: both fail, naming {in_scopes(kept).replace(', ', ' and ')}."
    return "asserts: assert_consumed() and assert_existing_objects_matched() fail."


def _cures(result: RestoreForecast) -> list[Block]:
    kept = [one for one in result.values if one.outcome is Outcome.KEPT]
    what = "it" if len(kept) == 1 and not result.raises else "them"
    if result.raises:
        what = "the rest" if result.counts["restored"] else "some"

    def way(cure: Cure) -> str:
        command = cure.command or ""  # left out in part where it takes too long a line
        python = by("", ".python") if command.endswith(" --python") else ""
        if (len(command) <= _MAX_COMMAND and not python) or command not in cure.way:
            return safe_text(cure.way)
        short = f"ckread compat … {command.rpartition(' ')[2]}"
        return safe_text(cure.way.replace(command, python or short))

    columns: list[Column[Cure]] = [
        Column(
            title="", justify=RIGHT,
            shown=lambda cure: f"  {count_text(cure.brings)} of {count_text(cure.of)}",
        ),
        Column(title="", shown=way, folds=True),
    ]  # fmt: skip
    table = Table(columns, list(result.cures), has_header=False)
    brings = any(cure.brings for cure in result.cures)
    title = f"What brings {what}" if brings else "No other way brings any"
    return [Prose(Span(title, "title")), table]


# The piped table: one line per value, whatever their number.


def _piped(result: RestoreForecast) -> Table[tuple[str, ...]]:
    look = [one for one in result.values if one.outcome is not Outcome.RESTORED]
    fine = [one for one in result.values if one.outcome is Outcome.RESTORED]
    rows: list[tuple[str, ...]] = []
    for one in (*look, *fine):
        saved = ABSENT_WORD if one.saved is None else safe_word(one.saved.name)
        code = ABSENT_WORD if one.code is None else str(one.code)
        shape = shape_word(one.target.shape)
        rows.append((str(one.outcome), safe_word(one.name), saved, shape, code))
    for left in result.left_over:
        shape = shape_word(left.shape)
        rows.append(("left-over", ABSENT_WORD, safe_word(left.name), shape, ABSENT_WORD))
    titles = ("outcome", "value", "saved", "shape", "code")
    return Table([Column(title=t, piped=itemgetter(at)) for at, t in enumerate(titles)], rows)
