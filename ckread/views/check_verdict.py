"""The sentence that a check opens with: one that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.findings import Code
from ckread.views.quantities import plural, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.findings import CheckReport

UNSOUND = "unsound"
SOUND = "sound"
UNKNOWN = "unknown"


def verdict(report: CheckReport) -> tuple[str, str]:
    """Give the verdict word and the sentence behind its colon."""
    if report.errors:
        return UNSOUND, _unsound(report)
    if report.is_quick:
        what = "the index is right and the shards are of the exact length"
        return UNKNOWN, f"{what} as far as can be told; values were not read."
    read = f"{plural(report.n_verified, 'tensor')}, {size_text(report.nbytes_verified)} read"
    checksums = "every checksum right, " if report.has_checksums else ""
    unread = report.n_tensors - report.n_verified
    rest = f" {plural(unread, 'tensor')} cannot be read here." if unread else ""
    finite = "every value finite"
    if any(finding.code is Code.NOT_FINITE for finding in report.findings):
        finite = "every weight finite"
    return SOUND, f"{read}, {checksums}{finite}.{rest}"


def verdict_of_run(reports: Sequence[CheckReport]) -> tuple[str, str]:
    """Give the same for the checkpoints of a run."""
    bad = [report for report in reports if report.errors]
    if bad:
        names = ", ".join(_name(report) for report in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        verb = "is" if len(bad) == 1 else "are"
        return (
            UNSOUND,
            f"{len(bad)} of {plural(len(reports), 'checkpoint')} {verb} not sound: {names}{more}.",
        )
    if any(report.is_quick for report in reports):
        indexes = plural(len(reports), "index", nouns="indexes")
        return UNKNOWN, f"nothing is wrong with {indexes}; values were not read."
    nbytes = size_text(sum(report.nbytes_verified for report in reports))
    checksums = "checksums right, " if all(report.has_checksums for report in reports) else ""
    which = plural(len(reports), "checkpoint")
    which = which if len(reports) == 1 else f"all {which}"
    return SOUND, f"{which}, {nbytes} read, {checksums}every value finite."


def _name(report: CheckReport) -> str:
    return report.path.rstrip("/").rpartition("/")[2]


def _unsound(report: CheckReport) -> str:
    codes = {finding.code for finding in report.errors}
    for code, sentence in _WHOLE.items():
        if code in codes:
            return sentence
    if Code.SHARD_MISSING in codes:
        return _missing(report)
    mixed = next((found for found in report.errors if found.code is Code.SHARD_MIXED), None)
    if mixed is not None:
        return f"{mixed.message}."
    if Code.SHARD_SHORT in codes:
        return "a data shard was cut short, or belongs to another save."
    if report.damaged:
        return _damaged(report)
    names = {finding.variable for finding in report.errors}
    if codes == {Code.NOT_FINITE}:
        has = "holds" if len(names) == 1 else "hold"
        what = f"{plural(len(names), 'variable')} {has} values that are not finite"
        return f"{what}. The file itself is intact."
    return f"{report.errors[0].message}."


def _damaged(report: CheckReport) -> str:
    n_damaged = len(report.damaged)
    are = "is" if n_damaged == 1 else "are"
    told = f"{n_damaged} of {plural(report.n_tensors, 'tensor')} {are} damaged"
    if not report.n_verified:
        return f"{told}."
    unread = report.nbytes - report.nbytes_verified
    rest = "; the rest is intact" if report.n_verified + n_damaged == report.n_tensors else ""
    return f"{told}, {size_text(unread)} of {size_text(report.nbytes)}{rest}."


_WHOLE = {
    Code.NO_INDEX: "this checkpoint is being written, or its save was cut short.",
    Code.VERSION: "its writer wants a newer reader than this one.",
    Code.INDEX_BLOCK: "the index is damaged; what it still lists cannot be trusted to be all.",
    Code.INDEX: "the index is damaged: nothing in it can be trusted.",
}


def _missing(report: CheckReport) -> str:
    missing = [finding for finding in report.errors if finding.code is Code.SHARD_MISSING]
    if len(missing) == report.n_shards:
        which = "the data shard is" if report.n_shards == 1 else "all data shards are"
        return f"{which} missing, so none of the {report.n_tensors} variables can be read."
    are = "is" if len(missing) == 1 else "are"
    return f"{len(missing)} of {report.n_shards} data shards {are} missing."
