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
    is_same = {v.is_read for v in result.variables if v.status is DiffStatus.IDENTICAL}
    if False in is_same:
        sentences.append("=: equal by checksum.")
    if any(v.metrics and v.metrics.same_nan for v in result.variables):
        sentences.append("NaN in the same place on both sides counts as equal.")
    if result.verified:
        sentences.append("Checksums right.")
    if any(v.confidence is not None and v.confidence < 1 for v in result.variables):
        sentences.append("Proposed pairs are by shape, role and nearest name.")
    if n_hidden:
        left_out = f"{plural(n_hidden, 'weight')} that moved less left out"
        sentences.append(f"{left_out} (--top {n_shown + n_hidden}).")
    return " ".join(sentences)


def index_footer(result: CheckpointDiff) -> str:
    """Say how sure checksums are, how pairs were found, and what would tell more."""
    sentences = []
    renamed = [v for v in result.variables if v.renamed_from is not None]
    if result.rules and renamed:
        rules = " ".join(f"--rename '{rule}'" for rule in result.rules)
        sentences.append(f"Paired by {rules}, found from shapes and names.")
    statuses = {variable.status for variable in result.variables}
    if DiffStatus.IDENTICAL in statuses or DiffStatus.RENAMED in statuses:
        sentences.append("Equal checksums can hide a change once in 2³² variables.")
    if not result.identical:
        sentences.append("Leave out --index-only to see how far each one moved.")
    return " ".join(sentences)
