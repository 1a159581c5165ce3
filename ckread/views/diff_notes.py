"""Footers of the diff's page: what headings mean, how values were compared, what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.diff_records import DiffStatus
from ckread.views.quantities import plural

if TYPE_CHECKING:
    from ckread.analysis.diff_records import CheckpointDiff


def tolerance_options(result: CheckpointDiff) -> str:
    """Write the tolerance as the options that set it."""
    return f"--rtol {result.tolerance.rtol:g} --atol {result.tolerance.atol:g}"


def value_footer(result: CheckpointDiff, *, has_table: bool, n_hidden: int, n_shown: int) -> str:
    """Say what the columns mean, and what is not shown."""
    sentences = []
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
    if result.verified:
        right = "What was read has the right checksums." if is_unread else "Checksums right."
        sentences.append(right)
    if any(v.confidence is not None and v.confidence < 1 for v in result.variables):
        sentences.append("Proposed pairs are by shape, role and nearest name.")
    if n_hidden:
        left_out = f"{plural(n_hidden, 'weight')} that moved less left out"
        sentences.append(f"{left_out} (--top {n_shown + n_hidden}).")
    return " ".join(sentences)


def has_unread(result: CheckpointDiff) -> bool:
    """Tell whether something counts as equal of which only the checksums were compared."""
    same = (DiffStatus.IDENTICAL, DiffStatus.RENAMED)
    return any(not v.is_read for v in result.variables if v.status in same)


def unread_footer(result: CheckpointDiff) -> str:
    """Say what equal checksums in two indexes do not tell: whether the values still have them."""
    if result.index_only or not has_unread(result):
        return ""
    return "The indexes agree; whether the values still do is told by ckread check."


def index_footer(result: CheckpointDiff, *, has_values: bool) -> str:
    """Say how sure checksums are, how pairs were found, and what would tell more."""
    sentences = []
    renamed = [v for v in result.variables if v.renamed_from is not None]
    if result.rules and renamed:
        rules = " ".join(f"--rename '{rule}'" for rule in result.rules)
        sentences.append(f"Paired by {rules}, found from shapes and names.")
    statuses = {variable.status for variable in result.variables}
    if DiffStatus.IDENTICAL in statuses or DiffStatus.RENAMED in statuses:
        sentences.append("Equal checksums can hide a change once in 2³² variables.")
    if not result.identical and has_values:
        sentences.append("Leave out --index-only to see how far each one moved.")
    return " ".join(sentences)
