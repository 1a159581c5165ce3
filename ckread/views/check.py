"""The page of `ckread check`: the verdict first, then everything that was found."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote as quoted
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import Code, Level
from ckread.views.check_verdict import SOUND, UNSOUND, verdict, verdict_of_run
from ckread.views.columns import Column, Table
from ckread.views.folding import Prose
from ckread.views.page import Lines, Page, PipedOnly, Span, TerminalOnly
from ckread.views.quantities import (
    ABSENT_WORD,
    count_text,
    plural,
    safe_text,
    safe_word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.findings import CheckReport, Finding
    from ckread.views.page import Block

_WORD_STYLES = {SOUND: "good", UNSOUND: "bad"}
_LEVEL_STYLES = {Level.ERROR: "bad", Level.WARNING: "warning", Level.NOTE: "accent"}
_NAMES_SHOWN = 6
_GROUPS_SHOWN = 20
_CODE_WORDS = {
    Code.NO_INDEX: "no index", Code.LEFTOVERS: "leftovers", Code.STATE_STALE: "state file",
    Code.STATE_FILE: "state file", Code.STEP: "step", Code.LOST: "not restored",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Group:
    """Findings that say the same of several variables, or in several checkpoints."""

    finding: Finding
    names: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()


def check_page(report: CheckReport) -> Page:
    """Lay out the report on one checkpoint."""
    title = Prose(Span(safe_text(report.path), "title"))
    sections: list[Block | Sequence[Block]] = [[TerminalOnly(title), _verdict(*verdict(report))]]
    facts = list(_facts(report))
    if facts:
        sections.append(TerminalOnly(*facts))
    groups = _grouped([("", finding) for finding in report.findings])
    sections.append(_findings(groups))
    if report.damaged and report.n_verified:
        command = f"  ckread export {quoted(report.path)} -o rest.npz --salvage"
        keep = Prose("What is intact can be kept:")
        sections.append(TerminalOnly(keep, Lines([(Span(safe_text(command)),)])))
    sections.append(PipedOnly(_table([(report, finding) for finding in report.findings])))
    return Page(*sections)


def run_page(path: str, reports: Sequence[CheckReport]) -> Page:
    """Lay out the reports on the checkpoints of a run, like findings told once."""
    title = Prose(Span(safe_text(path), "title"), f"  {plural(len(reports), 'checkpoint')}")
    found = [(_base(report), finding) for report in reports for finding in report.findings]
    groups = _grouped(found)
    rows = [(report, finding) for report in reports for finding in report.findings]
    return Page(
        [TerminalOnly(title), _verdict(*verdict_of_run(reports))],
        _findings(groups),
        PipedOnly(_table(rows, has_checkpoint=True)),
    )


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
        rows.append(("values", f"{count_text(report.elements)} elements{finite}"))
    if report.step is not None:
        rows.append(("step", safe_text(report.step)))
    return [Lines([(Span(f"{label:<9}", "label"), Span(text))]) for label, text in rows]


def _grouped(found: Sequence[tuple[str, Finding]]) -> list[_Group]:
    """Put findings of one wording together: of several variables, in several checkpoints."""
    groups: dict[Any, tuple[Finding, dict[str, None], dict[str, None]]] = {}
    for checkpoint, finding in found:
        key = (finding.level, finding.code, finding.message, finding.remedy)
        same = groups.setdefault(key, (finding, {}, {}))
        if finding.variable is not None:
            same[1][finding.variable] = None
        if checkpoint:
            same[2][checkpoint] = None
    ordered = sorted(groups.values(), key=lambda group: list(Level).index(group[0].level))
    return [_Group(finding, tuple(names), tuple(where)) for finding, names, where in ordered]


def _findings(groups: Sequence[_Group]) -> TerminalOnly:
    """Lay out findings, of many only the first: a pipe gets all."""
    blocks = [block for group in groups[:_GROUPS_SHOWN] for block in _blocks(group)]
    rest = len(groups) - _GROUPS_SHOWN
    if rest > 0:
        text = f"… and {count_text(rest)} more, all of them in a pipe or with --json."
        blocks.append(Prose(Span(text, "muted")))
    return TerminalOnly(*blocks)


def _blocks(group: _Group) -> list[Block]:
    finding = group.finding
    head = [Span(str(finding.level), _LEVEL_STYLES[finding.level]), Span(f"  {_subject(group)}")]
    where = _span(group.checkpoints)
    head.append(Span(f", {where}" if where else ""))
    place = f"{finding.place}: " if finding.place and finding.variable else ""
    message = f"{place}{finding.message}"
    blocks: list[Block] = [Prose(*head, indent=2), _Indented(safe_text(f"{_capital(message)}."))]
    for line in (finding.remedy or "").split("\n"):
        if line.startswith(" "):
            blocks.append(Lines([(Span(f"  {safe_text(line)}"),)]))
        elif line:
            blocks.append(_Indented(safe_text(line)))
    return blocks


class _Indented(Prose):
    """Prose of which every line is set in by two cells."""

    def __init__(self, text: str) -> None:
        super().__init__(f"  {text}", indent=2)


def _capital(message: str) -> str:
    first = message.split(" ")[0]
    return message[:1].upper() + message[1:] if first.isalpha() else message


def _subject(group: _Group) -> str:
    finding = group.finding
    if group.names:
        shown = ", ".join(safe_text(name) for name in group.names[:_NAMES_SHOWN])
        more = len(group.names) - _NAMES_SHOWN
        return shown + (f" and {count_text(more)} more" if more > 0 else "")
    return safe_text(_CODE_WORDS.get(finding.code) or finding.place or str(finding.code))


def _span(names: Sequence[str]) -> str:
    if not names:
        return ""
    shown = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return safe_text(shown)


_Row = tuple["CheckReport", "Finding"]


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
