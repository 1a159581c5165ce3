"""The page of `ckread check`: the verdict first, then everything that was found."""

from __future__ import annotations

from shlex import quote as quoted
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import Code
from ckread.views.check_findings import findings_block, grouped
from ckread.views.check_verdict import SOUND, UNSOUND, verdict, verdict_of_run
from ckread.views.columns import Column, Table
from ckread.views.folding import Prose
from ckread.views.page import Lines, Page, PipedOnly, Span, TerminalOnly
from ckread.views.quantities import (
    ABSENT_WORD,
    plural,
    safe_text,
    safe_word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.findings import CheckReport, Finding
    from ckread.views.page import Block

_Row = tuple["CheckReport", "Finding"]

_WORD_STYLES = {SOUND: "good", UNSOUND: "bad"}


def check_page(report: CheckReport) -> Page:
    """Lay out the report on one checkpoint."""
    title = Prose(Span(safe_text(report.path), "title"))
    sections: list[Block | Sequence[Block]] = [[TerminalOnly(title), _verdict(*verdict(report))]]
    facts = list(_facts(report))
    if facts:
        sections.append(TerminalOnly(*facts))
    shown = [finding for finding in report.findings if not _is_one_of_many(report, finding)]
    groups = grouped([("", finding) for finding in shown])
    sections.append(findings_block(groups, len(report.findings) - len(shown)))
    if report.damaged and report.n_verified and not _is_mixed(report):
        command = f"  ckread export {quoted(report.path)} -o rest.npz --salvage"
        keep = Prose("What is intact can be kept:")
        sections.append(TerminalOnly(keep, Lines([(Span(safe_text(command)),)])))
    if any(found.code is Code.NOT_FINITE for found in report.errors) and report.n_blocks:
        command = f"  ckread drift {quoted(report.path.rpartition('/')[0] or '.')}"
        last = Prose("Where in the run it began is shown by:")
        sections.append(TerminalOnly(last, Lines([(Span(safe_text(command)),)])))
    sections.append(PipedOnly(_table([(report, finding) for finding in report.findings])))
    return Page(*sections)


def _is_mixed(report: CheckReport) -> bool:
    return any(finding.code is Code.SHARD_MIXED for finding in report.findings)


def _is_one_of_many(report: CheckReport, finding: Finding) -> bool:
    """Tell whether a finding says of one tensor what was said of most of them at once."""
    return finding.code in (Code.CHECKSUM, Code.DAMAGED) and _is_mixed(report)


def run_page(path: str, reports: Sequence[CheckReport]) -> Page:
    """Lay out the reports on the checkpoints of a run, like findings told once."""
    title = Prose(Span(safe_text(path), "title"), f"  {plural(len(reports), 'checkpoint')}")
    rows = _rows_of_run(reports)
    groups = grouped([(_base(report), finding) for report, finding in rows])
    return Page(
        [TerminalOnly(title), _verdict(*verdict_of_run(reports))],
        findings_block(groups),
        PipedOnly(_table(rows, has_checkpoint=True)),
    )


def _rows_of_run(reports: Sequence[CheckReport]) -> list[_Row]:
    """Give all findings but those about a torn save that has a report of its own."""
    torn = {_base(report) for report in reports if not report.is_listed}
    return [
        (report, finding)
        for report in reports
        for finding in report.findings
        if finding.code not in (Code.NEWER, Code.LEFTOVERS)
        or (finding.place or "").removesuffix(".index") not in torn
    ]


def run_document(path: str, reports: Sequence[CheckReport]) -> dict[str, Any]:
    """Give the body of the `check` document of a run."""
    sounds = [report.sound for report in reports]
    return {
        "path": path,
        "sound": False if False in sounds else None if None in sounds else True,
        "findings": [
            {"checkpoint": report.path, **finding.to_dict()}
            for report in reports
            for finding in report.findings
        ],
        "verified": {
            "variables": sum(report.n_verified for report in reports),
            "nbytes": sum(report.nbytes_verified for report in reports),
        },
        "checkpoints": [report.to_dict() for report in reports],
    }


def _base(report: CheckReport) -> str:
    return report.path.rstrip("/").rpartition("/")[2]


def _verdict(word: str, sentence: str) -> Prose:
    return Prose(Span(word, _WORD_STYLES.get(word, "warning")), f": {safe_text(sentence)}")


def _facts(report: CheckReport) -> list[Block]:
    if not report.is_listed:
        return []
    rows = []
    codes = {finding.code for finding in report.findings}
    if report.n_blocks is not None:
        blocks = plural(report.n_blocks, "block")
        rows.append(("table", f"{blocks}, every checksum right"))
        missing = sum(f.code is Code.SHARD_MISSING for f in report.findings)
        wrong = codes & {Code.SHARD_SHORT, Code.SHARD_LONG}
        length = "" if missing or wrong else ", of the exact length"
        rows.append(("shards", f"{report.n_shards - missing} of {report.n_shards}{length}"))
    if not report.is_quick:
        what = "checksums right" if report.has_checksums else "read whole"
        rows.append(("tensors", f"{report.n_verified} of {report.n_tensors} {what}"))
        finite = "" if Code.NOT_FINITE in codes else ", none NaN, none infinite"
        if report.elements:
            rows.append(("values", f"{plural(report.elements, 'element')}{finite}"))
    if report.step is not None:
        rows.append(("step", safe_text(report.step)))
    return [Lines([(Span(f"{label:<9}", "label"), Span(text))]) for label, text in rows]


def _table(rows: Sequence[_Row], *, has_checkpoint: bool = False) -> Table[_Row]:
    columns: list[Column[_Row]] = [
        Column(title="level", piped=lambda row: str(row[1].level)),
        Column(title="code", piped=lambda row: str(row[1].code)),
    ]
    if has_checkpoint:
        columns.append(Column(title="checkpoint", piped=lambda row: safe_word(_base(row[0]))))
    columns.append(Column(title="variable", piped=_variable_word))
    columns.append(Column(title="message", piped=_message))
    return Table(columns, rows)


def _variable_word(row: _Row) -> str:
    name = row[1].variable
    return ABSENT_WORD if name is None else safe_word(name)


def _message(row: _Row) -> str:
    finding = row[1]
    place = f"{finding.place}: " if finding.place and finding.place not in finding.message else ""
    return safe_text(f"{place}{finding.message}")
