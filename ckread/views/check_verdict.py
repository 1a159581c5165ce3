"""The sentence that a check opens with: one that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.findings import Code
from ckread.views.check_findings import capital
from ckread.views.quantities import count_text, plural, size_text

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
        told = f"{what} as far as can be told; values were not read."
        return UNKNOWN, f"{told}{_newer(report)}"
    read = f"{plural(report.n_verified, 'tensor')}, {size_text(report.nbytes_verified)} read"
    checksums = "every checksum right, " if report.has_checksums else ""
    unread = report.n_tensors - report.n_verified
    rest = f" {plural(unread, 'tensor')} cannot be read here." if unread else ""
    finite = "every value finite"
    if any(finding.code is Code.NOT_FINITE for finding in report.findings):
        finite = "every weight finite"
    return SOUND, f"{read}, {checksums}{finite}.{rest}{_newer(report)}"


def _newer(report: CheckReport) -> str:
    """Say so where a newer save is not whole: this one is then not what the run had last."""
    found = next((found for found in report.findings if found.code is Code.NEWER), None)
    return f" {capital(found.message)}." if found else ""


def verdict_of_run(reports: Sequence[CheckReport]) -> tuple[str, str]:
    """Give the same for the checkpoints of a run."""
    bad = [report for report in reports if report.errors]
    if bad and len(reports) == 1:
        return verdict(reports[0])
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
        return f"a data shard was cut short, or belongs to another save.{_unreadable(report)}"
    if Code.MEMBER in codes:
        return _of_member(report)
    if Code.FILE in codes and not report.damaged:
        return _of_file(report)
    if report.damaged:
        return _damaged(report)
    if codes == {Code.NOT_FINITE}:
        return f"{_not_finite(report)}. The file itself is intact{_checksums(report)}."
    return f"{report.errors[0].message}."


def _not_finite(report: CheckReport) -> str:
    n_bare = sum(found.message.startswith("holds nothing but") for found in report.errors)
    count = len(report.errors)
    who = f"{plural(count, 'variable')} {'holds' if count == 1 else 'hold'}"
    if n_bare == count:
        return f"{who} nothing but NaN or infinity"
    some = f", {count_text(n_bare)} of them nothing else" if n_bare else ""
    return f"{who} values that are not finite{some}"


def _checksums(report: CheckReport) -> str:
    if not report.has_checksums or report.is_quick or report.n_verified < report.n_tensors:
        return ""
    n_tensors = report.n_tensors
    return (
        ": its checksum is right" if n_tensors == 1 else f": all {n_tensors:,} checksums are right"
    )


def _damaged(report: CheckReport) -> str:
    n_damaged = len(report.damaged)
    are = "is" if n_damaged == 1 else "are"
    told = f"{n_damaged} of {plural(report.n_tensors, 'tensor')} {are} damaged"
    if not report.n_verified:
        return f"{told}."
    unread = report.nbytes - report.nbytes_verified
    held = f"{size_text(unread)} of {size_text(report.nbytes)}"
    return f"{told}, {held}{_rest(report, n_damaged)}."


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
    return f"{len(missing)} of {report.n_shards} data shards {are} missing.{_unreadable(report)}"


def _unreadable(report: CheckReport) -> str:
    lost = {found.variable for found in report.errors if found.code is Code.BOUNDS}
    if not lost:
        return ""
    total = plural(report.n_tensors, "variable")
    return f" {count_text(len(lost))} of {total} cannot be read{_rest(report, len(lost))}."


def _rest(report: CheckReport, n_lost: int) -> str:
    is_all = not report.is_quick and report.n_verified + n_lost == report.n_tensors
    return "; the rest is intact" if is_all and report.n_verified else ""


def _of_file(report: CheckReport) -> str:
    """Say what damage to a file other than index and shards means."""
    found = next(finding for finding in report.errors if finding.code is Code.FILE)
    if not report.is_listed:
        return "the file is damaged, or was cut short: nothing in it can be read."
    return f"{found.place} is damaged; the values are intact."


def _of_member(report: CheckReport) -> str:
    """Say what damage to a member of an archive means."""
    places = [found.place or "" for found in report.errors if found.code is Code.MEMBER]
    if any(place.endswith("/model.weights.h5") for place in places):
        return (
            "the weights are damaged; the archive keeps one checksum of all of them, so which "
            "one it is cannot be told."
        )
    if "/" not in places[0]:
        return "the archive is damaged, or was cut short: nothing in it can be trusted."
    rest = "; the weights are intact" if report.n_verified == report.n_tensors else ""
    return f"{places[0].partition('/')[2]} in the archive is damaged{rest}."
