"""The page of a conversion: is everything there, is it the same, how was it turned.

Names fold by rule; a row of its own only for what is not bit-equal, or has no partner.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING

from ckread.analysis.diff.records import distance_moved, is_bit_equal, is_exact_cast
from ckread.model.display import by, safe_text
from ckread.views.diff.rows import elements_text, far_moved
from ckread.views.terminal.page import Span, TerminalOnly, footer
from ckread.views.terminal.table import POINT, RIGHT, Column, Table
from ckread.views.terminal.words import (
    count_text,
    float_text,
    listed,
    move_in_words,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.diff.records import CheckpointDiff, Conversion, VariableDiff
    from ckread.views.terminal.page import Block


_N_NAMED = 3
_MAX_ROWS = 20


def told(result: CheckpointDiff, conversion: Conversion) -> str:
    """Give the verdict."""
    n, found = conversion.variables, conversion.found
    turned = conversion.transposed
    how = f", {count_text(turned)} of them transposed" if turned else ""
    which = (
        f"all {plural(n, 'variable')}"
        if found == n
        else f"{count_text(found)} of {plural(n, 'variable')}"
    )
    cast = f" to {conversion.cast}" if conversion.cast else ""
    wrong = differing(result)
    if wrong:
        names = [safe_text(v.a.name if v.a else v.name) for v in wrong[:_N_NAMED]]
        more = [f"{count_text(len(wrong) - _N_NAMED)} more"] if len(wrong) > _N_NAMED else []
        what = "the values" if conversion.cast is None else "more than their rounding"
        if len(wrong) == 1 and wrong[0].metrics is not None:
            n_changed = count_text(wrong[0].metrics.changed_elements)
            tail = f"{names[0]} differs in {n_changed} of {plural(wrong[0].elements, 'element')}"
        else:
            verb = "differs" if len(wrong) == 1 else "differ"
            tail = f"{listed([*names, *more])} {verb} by {what}"
        equal = count_text(found - len(wrong))
        is_same = "bit-equal" if conversion.cast is None else f"the nearest {conversion.cast}"
        start = f"a conversion{cast} with {plural(len(wrong), 'difference')}"
        text = f"{start}: {equal} of {plural(n, 'variable')} are {is_same}; {tail}."
    elif conversion.cast is None:
        text = f"a conversion: {which} found again, bit for bit{how}."
    else:
        paired = [v for v in result.variables if v.a and v.b and v.role.is_parameter]
        far = distance_moved(paired)
        moved = f"; that is {move_in_words(far)} of the weights" if far else ""
        text = f"a conversion{cast}: {which} found again{how}. Every element is the "
        text += f"{conversion.cast} nearest to a's{moved}."
    if conversion.missing:
        text += f" {_few(conversion.missing)} of a {_have(conversion.missing)} no partner."
    if conversion.extra:
        text += f" {_few(conversion.extra)} of b {_have(conversion.extra)} none of a's."
    return text


def _few(names: Sequence[str]) -> str:
    more = [f"{count_text(len(names) - _N_NAMED)} more"] if len(names) > _N_NAMED else []
    return listed([*map(safe_text, names[:_N_NAMED]), *more])


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def differing(result: CheckpointDiff) -> list[VariableDiff]:
    """Give the pairs of parameters that are neither bit-equal nor an exact cast."""
    return [
        v
        for v in result.variables
        if v.role.is_parameter and v.a and v.b and not is_bit_equal(v) and not is_exact_cast(v)
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """Some variables that became others in one way."""

    text: str
    members: tuple[VariableDiff, ...]

    @property
    def turned(self) -> str:
        """How their axes are turned, which parts they are, or a dash."""
        one = self.members[0]
        words = [",".join(map(str, one.permutation))] if one.permutation else []
        words += [f"gates {','.join(map(str, one.gates))}"] if one.gates else []
        if one.part is not None:
            words.insert(0, f"{len(self.members)} parts along axis {one.part.axis}")
        return ", ".join(words) or "–"


def rules(variables: Sequence[VariableDiff]) -> list[Rule]:
    """Fold pairs by what became of the last word of their names, and how they are turned."""
    wholes: dict[tuple[str, str], list[VariableDiff]] = {}
    leaves: dict[tuple[object, ...], list[VariableDiff]] = {}
    for v in variables:
        if v.part is not None:
            whole = v.a if v.part.whole == "a" else v.b
            wholes.setdefault((v.part.whole, whole.name if whole else ""), []).append(v)
        elif v.a is not None and v.b is not None:
            key = (v.role, v.permutation, v.gates, _leaf(v.a.name), _leaf(v.b.name))
            leaves.setdefault(key, []).append(v)
    # Leaves of the same scopes are told together: gamma and beta.
    merged: dict[tuple[object, ...], list[tuple[str, str, list[VariableDiff]]]] = {}
    for (*how, old, new), members in leaves.items():
        scopes = frozenset(_scope(v.a.name) for v in members if v.a)
        merged.setdefault((*how, scopes), []).append((str(old), str(new), members))
    found = []
    for parts in merged.values():
        old, new = _pattern([old for old, _, _ in parts]), _pattern([new for _, new, _ in parts])
        found.append(Rule(f"{old} → {new}", tuple(v for _, _, some in parts for v in some)))
    for (side, name), cut in wholes.items():
        ends = ", ".join(_short([v.b if side == "a" else v.a for v in cut]))
        text = f"{safe_text(name)} → {ends}" if side == "a" else f"{ends} → {safe_text(name)}"
        found.append(Rule(text, tuple(cut)))
    return found


def _short(sides: Sequence[object]) -> list[str]:
    names = [str(getattr(side, "name", "")) for side in sides]
    shared = commonprefix(names)  # noqa: RUF071 - characters are meant
    cut = max(shared.rfind("."), shared.rfind("/")) + 1
    return [safe_text(name[cut:]) for name in names]


def _pattern(words: Sequence[str]) -> str:
    """Give `**/kernel`, `**/gamma, beta` or `**/moving_*`; the separator is the words' own."""
    unique = list(dict.fromkeys(words))
    separator, leaves = unique[0][:1], [safe_text(word[1:]) for word in unique]
    start = commonprefix(leaves)  # noqa: RUF071
    if len(leaves) > 1 and start.endswith("_"):
        return f"**{separator}{start}*"
    return f"**{separator}{', '.join(leaves)}"


def _leaf(name: str) -> str:
    """Give the last word of a name with the separator before it."""
    match = re.search(r"[/.][^/.]*\Z", name)
    return match[0] if match else f"/{name}"


def _scope(name: str) -> str:
    return name[: len(name) - len(_leaf(name))]


def sections(result: CheckpointDiff, *, limit: int) -> list[Sequence[Block]]:
    """Lay out the rules, what differs, and what has no partner."""
    found: list[Sequence[Block]] = []
    wrong = differing(result)
    same = [v for v in result.variables if v.role.is_parameter and v not in wrong]
    folded = rules(same)
    if folded:
        found.append([TerminalOnly(Table(_RULE_COLUMNS, folded[:_MAX_ROWS]))])
    if wrong:
        found.append([TerminalOnly(Table(_DIFFERING, wrong[: min(limit, _MAX_ROWS)]))])
    others: Counter[str] = Counter()
    for v in result.variables:
        if v.a is not None and v.b is None and not v.role.is_parameter:
            kind = "slot" if v.slot else "other variable" if v.role == "other" else str(v.role)
            others[kind] += 1
    told = []
    if others:
        parts = [plural(n, kind) for kind, n in others.most_common()]
        n = others.total()
        verb = "is no weight and has" if n == 1 else "are not weights and have"
        told.append(f"{count_text(n)} of a {verb} no partner: {', '.join(parts)}.")
    if any(v.permutation for v in result.variables):
        told.append("turned: the order of a's axes in b.")
    if any(v.gates for v in result.variables):
        told.append("gates: which of a's blocks each of b's is.")
    n_pairs = sum(bool(v.a and v.b) and v.part is None for v in result.variables)
    how = by("--map F.json writes", ".conversion_map has")
    told.append(f"{how} the {plural(n_pairs, 'pair')}.")
    return [*found, [footer(" ".join(told))]]


_RULE_COLUMNS: list[Column[Rule]] = [
    Column(
        title="  rule",
        shown=lambda rule: (Span("= "), Span(safe_text(rule.text))),
        folds=True,
    ),
    Column(title="variables", shown=lambda rule: count_text(len(rule.members)), justify=RIGHT),
    Column(title="turned", shown=lambda rule: rule.turned),
]


def _first(variable: VariableDiff) -> str:
    index = variable.metrics.first_changed if variable.metrics else None
    return "" if index is None else f"{safe_text(variable.name)}[{', '.join(map(str, index))}]"


def _figure(value: float | None) -> str:
    return "" if value is None else float_text(float(value))


_DIFFERING: list[Column[VariableDiff]] = [
    Column(
        title="  weight",
        shown=lambda v: (Span("~ "), Span(safe_text(v.a.name if v.a else v.name))),
        folds=True,
    ),
    Column(title="moved", shown=far_moved, justify=RIGHT),
    Column(
        title="max |Δ|",
        shown=lambda v: _figure(v.metrics.max_abs if v.metrics else None),
        justify=POINT,
    ),
    Column(title="elements", shown=elements_text, justify=RIGHT),
    Column(title="first at", shown=_first, folds=True),
]
