"""What changed, in a sentence or two."""

from __future__ import annotations

import math
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff.records import DiffStatus, PairedBy, distance_moved, metric_of
from ckread.model.display import by, column_of, in_order_of, is_there, rows_where, safe_text
from ckread.model.role import Role
from ckread.views.diff import conversion
from ckread.views.diff.rows import group_by_subtree, renumbering_in_words, rule_in_words
from ckread.views.terminal.words import (
    UNRELATED,
    count_text,
    listed,
    move_in_words,
    near_zero,
    plural,
    size_text,
    some_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.analysis.diff.records import CheckpointDiff


_FEW = 3
_LIKE_ROUNDING = 16
"""Steps at the largest value up to which a difference resembles rounding."""


def verdict(result: CheckpointDiff) -> str:
    """Give the verdict: how many changed, how far the weights moved, what stayed."""
    total = plural(len(result.variables), "variable")
    if not result.variables:
        return "nothing to compare: no variable of either side is asked for."
    if result.identical:
        held = f"{total}, {size_text(sum(column_of(result.variables, 'nbytes')))}"
        n_read = sum(column_of(result.variables, "is_read"))
        if not n_read:
            return f"identical by checksum: {held}; values were not read."
        how = "bit for bit"
        if n_read < len(result.variables):
            how = f"{count_text(n_read)} bit for bit, the rest by checksum, not read"
        return f"identical: {held}, {how}."
    if result.equal:
        return f"equal {_nearly(result)}."
    if result.identical is None:
        unknown = column_of(result.variables, "status").count(None)
        return (
            f"not known: {count_text(unknown)} of {total} cannot be compared by checksum; names,"
            " types and shapes agree."
        )
    if result.conversion is not None:
        return " ".join([conversion.told(result, result.conversion), *_warnings(result)])
    told = _averages(result) or _same_under_other_names(result) or _counts(result)
    return " ".join([told, *_warnings(result)])


def _nearly(result: CheckpointDiff) -> str:
    """Say within what nothing differs, and how many variables do: `up to 2 ulp: rounding in …`."""
    total, n = plural(len(result.variables), "variable"), len(result.variables)
    close, rounding = (result.summary[status] for status in (DiffStatus.CLOSE, DiffStatus.ROUNDING))
    told = []
    if rounding:
        steps = count_text(math.ceil(_most_steps(result, DiffStatus.ROUNDING)))
        told.append(f"up to {steps} ulp: rounding in {count_text(rounding)} of {total}")
    if close:
        told.append(f"within {tolerance_options(result)}: {count_text(close)} of {total}")
    return listed(told) + ("" if close + rounding == n else ", the others identical")


def _most_steps(result: CheckpointDiff, status: DiffStatus) -> float:
    """Give by how many steps at its largest value a variable of a status differs at most."""
    steps = metric_of(result.variables, "max_ulp_of_largest")
    told = zip(steps, column_of(result.variables, "status"), strict=True)
    known = (math.inf if step is None else step for step, one in told if one is status)
    return max(known, default=0.0)


def _counts(result: CheckpointDiff) -> str:
    """Count what changed, and say how far and where."""
    summary = result.summary
    changed = summary["changed"]
    parts = [(changed, "changed")] if changed else []
    parts += _structural_parts(result)
    nearly = ((DiffStatus.ROUNDING, "by rounding"), (DiffStatus.CLOSE, "within the tolerance"))
    for status, how in nearly:
        n = summary[status]
        parts += [(n, f"{'differs' if n == 1 else 'differ'} {how}")] if n else []
    (count, what), *rest = parts
    who = some_of(count, len(result.variables), "variable")
    words = [f"{who} {what}", *(f"{count_text(n)} {w}" for n, w in rest)]
    steps = _most_steps(result, DiffStatus.CHANGED)
    is_like = 0 < steps <= _LIKE_ROUNDING and not result.tolerance.ulp
    rounding = f", all by at most {math.ceil(steps)} ulp, as by rounding" if is_like else ""
    return f"{listed(words)}{_how_far(result)}{rounding}{_where(result)}."


def _structural_parts(result: CheckpointDiff, *, with_names: bool = True) -> list[tuple[int, str]]:
    """Give counts of what did not only change its values, and what to say of them."""
    renamed = rows_where(result.variables, "renamed_from", is_there)
    rule = renumbering_in_words(renamed)
    summary = result.summary
    counts = [
        (summary["reshaped"], "shape"),
        (summary["retyped"], "type"),
        (len(renamed) if with_names else 0, f"name ({rule})" if rule else "name"),
    ]
    parts = [
        (count, f"{'has' if count == 1 else 'have'} another {what}")
        for count, what in counts
        if count
    ]
    parts += _arrivals(result, DiffStatus.ADDED, "came in")
    parts += _arrivals(result, DiffStatus.REMOVED, "went out")
    return parts


def _arrivals(result: CheckpointDiff, status: DiffStatus, verb: str) -> list[tuple[int, str]]:
    found = rows_where(result.variables, "status", lambda one: one is status)
    words = sorted({safe_text(v.slot) for v in found if v.slot})
    is_slots = found and all(variable.slot for variable in found) and len(words) <= _FEW
    if not is_slots:
        return [(len(found), verb)] if found else []
    kind = "average" if all(v.role is Role.AVERAGE for v in found) else "slot"
    which = listed([word for word in words if word != kind] or [""])
    return [(len(found), f"{which} {kind}{'s' if len(found) > 1 else ''} {verb}".lstrip())]


def _averages(result: CheckpointDiff) -> str:
    """Tell of weights of which the other side holds averages alone, where that is all."""
    pairs = rows_where(result.variables, "paired_by", lambda one: one is PairedBy.AVERAGE_OF)
    if not pairs:
        return ""
    both = [v for v in result.variables if v.a and v.b]
    if any(v.role.is_parameter and v not in pairs for v in both):
        return ""
    is_b = pairs[0].role is Role.AVERAGE
    holder, other = ("b", "a") if is_b else ("a", "b")
    alone = DiffStatus.REMOVED if is_b else DiffStatus.ADDED
    left = sum(v.status is alone and v.role.is_parameter for v in result.variables)
    n, total = count_text(len(pairs)), plural(len(pairs) + left, "variable")
    which = f"{n} of {total}" if left else f"all {total}"
    moved = distance_moved(pairs)
    far = f", {move_in_words(moved)} from them" if moved and math.isfinite(moved) else ""
    return f"{holder} holds only averages: those of {which} of {other}{far}."


def _same_under_other_names(result: CheckpointDiff) -> str:
    """Tell a rename that holds for all once, and then what remains."""
    if not result.renames:
        return ""
    paired = [v for v in result.variables if v.a is not None and v.b is not None]
    pairs = [v for v in paired if v.role.is_parameter] or paired
    if not pairs or any(v.renamed_from is None for v in pairs):
        return ""
    rules = [
        (rule, [v for v in pairs if rule.apply(v.renamed_from or "") == v.name])
        for rule in result.rules
    ]
    words = [rule_in_words(rule) for rule, members in rules if members]
    if all(v.is_renumbered for v in pairs):
        words = [renumbering_in_words(pairs)]
    elif {v.name for _, members in rules for v in members} != {v.name for v in pairs}:
        return ""
    followers = [v for v in paired if v.owner and v.renamed_from]
    same = sum(v.status is DiffStatus.RENAMED for v in pairs)
    held = "all have" if same == len(pairs) else f"{count_text(same)} have" if same else "none has"
    is_read = all(v.is_read for v in pairs if v.status is DiffStatus.RENAMED)
    parts = [f"{held} the same {'values' if is_read else 'checksums'}"]
    changed = sum(v.status is DiffStatus.CHANGED and v not in followers for v in paired)
    if changed and not result.index_only:
        parts.append(f"{count_text(changed)} changed{_how_far(result)}")
    parts += [f"{count_text(n)} {what}" for n, what in _structural_parts(result, with_names=False)]
    total, names = plural(len(pairs), "variable"), listed([safe_text(word) for word in words])
    # That they are the same is told by values; names and shapes alone tell that they are alike.
    which = f"The same {total} under" if same else f"{total} that are alike under"
    told = f"{which} other names ({names}): {', '.join(parts)}."
    if followers:
        is_plain = all(v.role is Role.SLOT for v in followers)
        kind = plural(len(followers), "slot" if is_plain else "slot or average")
        told += f" Their {kind} {'follow' if len(followers) > 1 else 'follows'} them."
    return told


def _how_far(result: CheckpointDiff) -> str:
    roles = column_of(result.variables, "role")
    weights = in_order_of(result.variables, [i for i, r in enumerate(roles) if r is Role.WEIGHT])
    norms = metric_of(weights, "l2_a")
    moved = distance_moved(weights)
    if not moved or not math.isfinite(moved):
        return ""
    elements, sides = column_of(weights, "elements"), column_of(weights, "is_paired")
    n_paired, n_elements = sum(sides), sum(compress(elements, sides))
    if not (2 * n_paired > len(weights) and 2 * n_elements > sum(elements)):
        return ""
    whose = "the weights" if None not in norms else "the weights among them"
    cosines = metric_of(weights, "cosine")
    shapes = column_of(weights, "shape")
    if near_zero(zip(cosines, shapes, strict=True)):
        return f"; {whose} differ by {move_in_words(moved)}, {UNRELATED}"
    return f"; {whose} moved {move_in_words(moved)}"


class _Outcome(NamedTuple):
    """A parameter, and whether it is the same on both sides."""

    name: str
    role: Role
    is_same: bool


def _where(result: CheckpointDiff) -> str:
    """Name what stayed, or where all changes lie: whichever takes few names."""
    columns = (column_of(result.variables, name) for name in ("name", "role", "status"))
    model = [
        _Outcome(name, role, status is DiffStatus.IDENTICAL)
        for name, role, status in zip(*columns, strict=True)
        if role.is_parameter and status is not None
    ]
    if not model:
        return ""
    n_still = sum(one.is_same for one in model)
    if n_still == len(model):
        return "; weights and statistics are the same"
    if not n_still:
        return ""
    if all(one.role is Role.STATISTIC for one in model if not one.is_same):
        return "; of the model only statistics did, no weight"
    stayed: list[str] = []
    moved: list[str] = []
    for pattern, members in group_by_subtree(model, attrgetter("is_same")):
        if min(len(stayed), len(moved)) > _FEW:  # neither is told by name
            break
        still = [one.name for one in members if one.is_same]
        if len(still) == len(members):
            stayed.append(pattern)
        elif not still:
            moved.append(pattern)
        else:  # a small scope of both: by name
            stayed += still
            moved += [one.name for one in members if not one.is_same]
    if len(moved) <= _FEW and len(moved) <= len(stayed):
        return f", all of the model's in {listed([safe_text(name) for name in moved])}"
    if len(stayed) <= _FEW:
        who = listed([safe_text(name) for name in stayed])
        is_one = len(stayed) == 1 and "**" not in stayed[0]
        return f", {who} stayed as {'it was' if is_one else 'they were'}"
    return f"; {count_text(n_still)} of {count_text(len(model))} of the model's did not"


def _warnings(result: CheckpointDiff) -> Iterator[str]:
    """Say which counters went back, for training was restarted, and what is not finite."""
    back = [
        f"{safe_text(v.name)} {v.old:,} → {v.new:,}"
        for v in rows_where(result.variables, "role", lambda one: one is Role.COUNTER)
        if v.old is not None and v.new is not None and v.new < v.old
    ]
    if back:
        yield f"Counters went back: {listed(back)}."
    largest = enumerate(metric_of(result.variables, "max_abs"))
    at = [i for i, size in largest if isinstance(size, float) and not math.isfinite(size)]
    bad = [safe_text(variable.name) for variable in in_order_of(result.variables, at)]
    if bad:
        rest = [f"{count_text(len(bad) - _FEW)} more"] if len(bad) > _FEW else []
        yield f"NaN or infinity came or went in {listed([*bad[:_FEW], *rest])}."


# Footers of the diff's page: what headings mean, how values were compared, what is left out.


def tolerance_options(result: CheckpointDiff) -> str:
    """Write the tolerance on single values as what sets it."""
    rtol, atol = result.tolerance.rtol, result.tolerance.atol
    return by(f"--rtol {rtol:g} --atol {atol:g}", f"rtol={rtol:g}, atol={atol:g}")


def value_footer(result: CheckpointDiff, *, has_table: bool, n_hidden: int, n_shown: int) -> str:
    """Say what the columns mean, and what is not shown."""
    sentences = []
    if has_table and result.tolerance.ulp:
        sentences.append(
            "ulp: most steps of the type between two elements; near 0 they are tiny. of largest:"
            " max |Δ| in steps at the variable's largest value"
            f"; ≈ where at most {result.tolerance.ulp:g}."
        )
    if has_table:
        how = "bit for bit"
        if not result.tolerance.is_bitwise:
            how = f"by more than {tolerance_options(result)}"
        sentences.append(f"moved: ‖b − a‖ / ‖a‖. elements: how many changed, {how}.")
    is_unread = has_unread(result)
    if is_unread:
        sentences.append("=: equal by checksum, not read.")
    if any(v.metrics and v.metrics.same_nan for v in result.variables):
        sentences.append("NaN in the same place on both sides counts as equal.")
    if average := next((v for v in result.variables if v.paired_by is PairedBy.AVERAGE_OF), None):
        a, b = ("a", "b") if average.role is Role.AVERAGE else ("b", "a")
        sentences.append(f"≡: {a}'s variable against {b}'s average of it.")
    if any(v.scale for v in result.variables):
        sentences.append("Integer codes count as what they stand for by their scale.")
    if result.verified:
        right = "What was read has the right checksums." if is_unread else "Checksums right."
        sentences.append(right)
    if any(v.confidence is not None and v.confidence < 1 for v in result.variables):
        sentences.append("Proposed pairs are by shape, role and nearest name.")
    if n_hidden:
        left_out = f"{plural(n_hidden, 'weight')} that moved less left out"
        more = by(f"--top {n_shown + n_hidden}", ".variables")
        sentences.append(f"{left_out} ({more}).")
    return " ".join(sentences)


def has_unread(result: CheckpointDiff) -> bool:
    """Tell whether something counts as equal of which only the checksums were compared."""
    same = (DiffStatus.IDENTICAL, DiffStatus.RENAMED)
    return any(not v.is_read for v in result.variables if v.status in same)


def unread_footer(result: CheckpointDiff) -> str:
    """Say what equal checksums in two indexes do not tell: whether the values still have them."""
    if result.index_only or not has_unread(result):
        return ""
    check = by("ckread check", "ckread.check()")
    return f"The indexes agree; whether the values still do is told by {check}."


def index_footer(result: CheckpointDiff, *, has_values: bool) -> str:
    """Say how sure checksums are, how pairs were found, and what would tell more."""
    sentences = []
    if result.rules and any(map(is_there, column_of(result.variables, "renamed_from"))):
        rules = [str(rule) for rule in result.rules]
        given = by(" ".join(f"--rename '{rule}'" for rule in rules), f"rename={rules}")
        sentences.append(f"Paired by {given}, found from shapes and names.")
    statuses = {*column_of(result.variables, "status")}
    if DiffStatus.IDENTICAL in statuses or DiffStatus.RENAMED in statuses:
        sentences.append("Equal checksums can hide a change once in 2³² variables.")
    if not result.identical and has_values:
        option = by("--index-only", "index_only")
        sentences.append(f"Leave out {option} to see how far each one moved.")
    return " ".join(sentences)
