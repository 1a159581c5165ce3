"""The page of `ckread check`: the verdict first, then everything that was found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from operator import itemgetter
from shlex import quote as quoted
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import FINDING_FIELDS, Code, Level
from ckread.errors import TextLines
from ckread.model.display import by, named, safe_text, safe_word
from ckread.model.evidence import Claim
from ckread.readers.contract import few
from ckread.views.loads import check_sections, run_sections
from ckread.views.seams import between_sentence
from ckread.views.terminal.page import (
    Lines,
    Page,
    PipedOnly,
    Prose,
    Span,
    TerminalOnly,
    heading,
)
from ckread.views.terminal.table import Column, Table
from ckread.views.terminal.words import count_text, plural, size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.analysis.check.findings import CheckReport
    from ckread.analysis.findings import Finding
    from ckread.views.terminal.page import Block


# The sentence that a check opens with: one that a person can act on.

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
        verb = "is" if len(bad) == 1 else "are"
        told = f"{len(bad)} of {plural(len(reports), 'checkpoint')} {verb} not sound"
        return UNSOUND, f"{told}: {few([_base(report) for report in bad], 5)}."
    if any(report.is_quick for report in reports):
        indexes = plural(len(reports), "index", nouns="indexes")
        return UNKNOWN, f"nothing is wrong with {indexes}; values were not read."
    nbytes = size_text(sum(report.nbytes_verified for report in reports))
    checksums = "checksums right, " if all(report.has_checksums for report in reports) else ""
    which = plural(len(reports), "checkpoint")
    which = which if len(reports) == 1 else f"all {which}"
    return SOUND, f"{which}, {nbytes} read, {checksums}every value finite."


def _unsound(report: CheckReport) -> str:
    codes = {finding.code for finding in report.errors}
    for code, sentence in _WHOLE.items():
        if code in codes:
            return sentence
    if Code.SHARD_MISSING in codes:
        missing = [finding for finding in report.errors if finding.code is Code.SHARD_MISSING]
        if len(missing) == report.n_shards:
            which = "the data shard is" if report.n_shards == 1 else "all data shards are"
            return f"{which} missing, so none of the {report.n_tensors} variables can be read."
        are = "is" if len(missing) == 1 else "are"
        return (
            f"{len(missing)} of {report.n_shards} data shards {are} missing.{_unreadable(report)}"
        )
    for code in (Code.SOMETHING_ELSE, Code.SHARD_MIXED):
        told_by = next((found for found in report.errors if found.code is code), None)
        if told_by is not None:
            return f"{told_by.message}."
    if Code.SHARD_SHORT in codes:
        return f"a data shard was cut short, or belongs to another save.{_unreadable(report)}"
    if Code.AMBIGUOUS in codes:
        return "members of the archive have one name: which of them is meant cannot be told."
    if Code.MEMBER in codes:
        return _of_member(report)
    if Code.FILE in codes and not report.damaged:
        if not report.is_listed:
            return "the file is damaged, or was cut short: nothing in it can be read."
        found = next(finding for finding in report.errors if finding.code is Code.FILE)
        return f"{found.place} is damaged; the values are intact."
    if report.damaged:
        n_damaged = len(report.damaged)
        are = "is" if n_damaged == 1 else "are"
        told = f"{n_damaged} of {plural(report.n_tensors, 'tensor')} {are} damaged"
        if not report.n_verified:
            return f"{told}."
        unread = report.nbytes - report.nbytes_verified
        held = f"{size_text(unread)} of {size_text(report.nbytes)}"
        return f"{told}, {held}{_rest(report, n_damaged)}."
    if codes == {Code.NOT_FINITE}:
        n_bare = sum(found.is_all for found in report.errors)
        count = len(report.errors)
        some = f", {count_text(n_bare)} of them nothing else" if n_bare else ""
        what = (
            "nothing but NaN or infinity"
            if n_bare == count
            else f"values that are not finite{some}"
        )
        told = f"{plural(count, 'variable')} {'holds' if count == 1 else 'hold'} {what}"
        right = ""
        if report.has_checksums and not report.is_quick and report.n_verified == report.n_tensors:
            right = f": all {report.n_tensors:,} checksums are right"
            right = ": its checksum is right" if report.n_tensors == 1 else right
        return f"{told}. The file itself is intact{right}."
    return f"{report.errors[0].message}."


_WHOLE = {
    Code.NO_INDEX: "this checkpoint is being written, or its save was cut short.",
    Code.VERSION: "its writer wants a newer reader than this one.",
    Code.INDEX_BLOCK: "the index is damaged; what it still lists cannot be trusted to be all.",
    Code.INDEX: "the index is damaged: nothing in it can be trusted.",
}


def _unreadable(report: CheckReport) -> str:
    lost = {found.variable for found in report.errors if found.code is Code.BOUNDS}
    if not lost:
        return ""
    total = plural(report.n_tensors, "variable")
    return f" {count_text(len(lost))} of {total} cannot be read{_rest(report, len(lost))}."


def _rest(report: CheckReport, n_lost: int) -> str:
    is_all = not report.is_quick and report.n_verified + n_lost == report.n_tensors
    return "; the rest is intact" if is_all and report.n_verified else ""


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


_Row = tuple["CheckReport", "Finding"]
_FIELDS = named(FINDING_FIELDS)

_WORD_STYLES = {SOUND: "good", UNSOUND: "bad"}


def check_page(report: CheckReport) -> Page:
    """Lay out the report on one checkpoint, with the section on loading it."""
    head = [heading(report.path), _verdict(*verdict(report))]
    sections: list[Block | Sequence[Block]] = [head]
    facts = list(_facts(report))
    if facts:
        sections.append(TerminalOnly(*facts))
    told_at_once = (Code.CHECKSUM, Code.DAMAGED) if _is_mixed(report) else ()
    shown = [finding for finding in report.findings if finding.code not in told_at_once]
    groups = grouped([("", finding) for finding in shown])
    sections.append(findings_block(groups, len(report.findings) - len(shown)))
    if report.damaged and report.n_verified and not _is_mixed(report):
        command = f"  ckread export {quoted(report.path)} -o rest.npz --salvage"
        keep = Prose("What is intact can be kept:")
        sections.append(TerminalOnly(keep, Lines([(Span(safe_text(command)),)])))
    if any(found.code is Code.NOT_FINITE for found in report.errors) and report.n_blocks:
        run = report.path.rpartition("/")[0] or "."
        command = f"  {by(f'ckread drift {quoted(run)}', f'ckread.drift({run!r})')}"
        last = Prose("Where in the run it began is shown by:")
        sections.append(TerminalOnly(last, Lines([(Span(safe_text(command)),)])))
    if report.on_loading is not None:
        sections += check_sections(report.on_loading)
    sections.append(PipedOnly(_table([(report, finding) for finding in report.findings])))
    return Page(*sections)


def _is_mixed(report: CheckReport) -> bool:
    return any(finding.code is Code.SHARD_MIXED for finding in report.findings)


def run_page(path: str, reports: Sequence[CheckReport], seams: Sequence[Seam] = ()) -> Page:
    """Lay out the reports on the checkpoints of a run, like findings told once, seams first.

    What is said about a torn save that has a report of its own is left to that.
    """
    torn = {_base(report) for report in reports if not report.is_listed}
    rows = [
        (report, finding)
        for report in reports
        for finding in report.findings
        if finding.code not in (Code.NEWER, Code.LEFTOVERS)
        or (finding.place or "").removesuffix(".index") not in torn
    ]
    groups = grouped([(_base(report), finding) for report, finding in rows])
    by_name = {_base(report): report for report in reports}
    between = [
        (by_name[seam.after.name], seam.finding) for seam in seams if seam.after.name in by_name
    ]
    head = [
        heading(path, f"  {plural(len(reports), 'checkpoint')}"),
        _verdict(*verdict_of_run(reports)),
    ]
    return Page(
        [*head, Prose(between_sentence(seams))] if seams else head,
        TerminalOnly(*(block for seam in seams for block in _seam_blocks(seam))),
        findings_block(groups, anew=_with_new_moments(reports, seams)),
        *run_sections([(_base(report), report.on_loading) for report in reports]),
        PipedOnly(_table([*between, *rows], has_checkpoint=True)),
    )


def _with_new_moments(reports: Sequence[CheckReport], seams: Sequence[Seam]) -> dict[str, str]:
    """Give the checkpoints after a seam at which moments began anew, and the name of its first."""
    anew = {seam.after.name for seam in seams if seam.code in _MOMENTS_ANEW}
    found, since = {}, None
    for name in map(_base, reports):
        since = name if name in anew else since
        if since is not None:
            found[name] = since
    return found


def _seam_blocks(seam: Seam) -> list[Block]:
    """Lay out a seam as a finding on two checkpoints."""
    where = f"  {seam.before.name} to {seam.after.name}: {seam.title}"
    head = Prose(Span(str(seam.level), _LEVEL_STYLES[seam.level]), safe_text(where), indent=2)
    return [head, *_told(seam.message, seam.remedy)]


def run_claims(reports: Sequence[CheckReport], seams: Sequence[Seam]) -> list[Claim]:
    """Give what told the claims on the checkpoints of a run, like ones once, and the seams."""
    alike: dict[tuple[Any, ...], list[tuple[str, Any]]] = {}
    for report in reports:
        for claim in report.evidence:
            told = claim.claim, claim.strength, claim.source, claim.against
            alike.setdefault(told, []).append((_base(report), claim.value))
    claims = []
    for (word, strength, source, against), found in alike.items():
        names, values = zip(*found, strict=True)
        whose = few(names, 3) if len(names) < len(reports) else f"all {len(names)}"
        value: str | None = few(list(dict.fromkeys(map(str, values))), 8)
        if all(isinstance(one, int) for one in values) and [*values] == sorted({*values}):
            value = f"{values[0]:,} to {values[-1]:,}" if len(values) > 1 else value
        value = None if None in values else value
        claims.append(Claim(f"{word} of {whose}", value, strength, source, against))
    return [*claims, *(seam.claim for seam in seams)]


def run_document(
    path: str, reports: Sequence[CheckReport], seams: Sequence[Seam] = ()
) -> dict[str, Any]:
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
        "on_loading": [
            {"checkpoint": report.path, **fact.to_dict()}
            for report in reports
            if report.on_loading is not None
            for fact in report.on_loading.facts
        ],
        "checkpoints": [report.to_dict() for report in reports],
        "seams": [seam.to_dict() for seam in seams],
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
        wrong = codes & {Code.SHARD_SHORT, Code.SHARD_LONG, Code.SOMETHING_ELSE}
        length = "" if missing or wrong else ", of the exact length"
        if Code.INDEX not in codes:
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
    def message(row: _Row) -> str:
        finding = row[1]
        place = f"{finding.place}: " if finding.place and finding.code in _PLACED else ""
        return safe_text(f"{place}{finding.message}")

    columns: list[Column[_Row]] = [
        Column.of(_FIELDS["level"], itemgetter(1)),
        Column.of(_FIELDS["code"], itemgetter(1)),
    ]
    if has_checkpoint:
        columns.append(Column(title="checkpoint", piped=lambda row: safe_word(_base(row[0]))))
    columns.append(Column.of(_FIELDS["variable"], itemgetter(1)))
    columns.append(Column.of(_FIELDS["message"], piped=message))
    return Table(columns, rows)


# Findings as text for a person: like ones told once, sizes and offsets in their units.

_LEVEL_STYLES = {Level.ERROR: "bad", Level.WARNING: "warning", Level.NOTE: "accent"}
_NAMES_SHOWN = 6
_GROUPS_SHOWN = 20
_CODE_WORDS = {
    Code.NO_INDEX: "no index", Code.LEFTOVERS: "leftovers", Code.STATE_STALE: "state file",
    Code.STATE_FILE: "state file", Code.STEP: "step", Code.LOST: "not restored",
    Code.EVIDENCE: "graph", Code.SHARD_MIXED: "index and shards", Code.VERSION: "version",
    Code.NOT_TRAINED: "not trained", Code.AMBIGUOUS: "archive", Code.VOCABULARY: "vocabulary",
    Code.MOMENTS_RESET: "optimizer", Code.TENSORFLOW: "TensorFlow", Code.NO_CHECKSUM: "checksums",
}  # fmt: skip
_PLACED = frozenset({
    Code.BOUNDS, Code.INDEX_BLOCK, Code.MEMBER, Code.STATE_STALE, Code.CHECKSUM, Code.DAMAGED
})  # fmt: skip
"""Findings whose message does not name the place itself."""
_MOMENTS_ANEW = (
    Code.OPTIMIZER_RESET, Code.MOMENTS_RESET, Code.OTHER_OPTIMIZER, Code.OTHER_MODEL
)  # fmt: skip
_SIZE = re.compile(r"(?<![\w.,/-])(\d+) bytes\b")
_NUMBER = re.compile(r"(?<![\w.,/-])\d{4,}(?![\w/-]|\.\w)")


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that say the same of several variables, or in several checkpoints."""

    finding: Finding
    names: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()


def grouped(found: Sequence[tuple[str, Finding]]) -> list[Group]:
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
    return [Group(finding, tuple(names), tuple(where)) for finding, names, where in ordered]


def findings_block(
    groups: Sequence[Group], n_hidden: int = 0, anew: Mapping[str, str] | None = None
) -> TerminalOnly:
    """Lay out findings, of many only the first: a pipe gets all.

    `anew` are the checkpoints whose moments know nothing of what was before another.
    """
    shown = groups[:_GROUPS_SHOWN]
    blocks = []
    for group, after in zip_longest(shown, shown[1:]):
        is_said_again = after is not None and after.finding.remedy == group.finding.remedy
        blocks += _blocks(group, has_remedy=not is_said_again)
        since = (anew or {}).get(group.checkpoints[0] if group.checkpoints else "")
        if since and group.finding.code in (Code.DEAD_UNITS, Code.NEVER_TRAINED):
            told = f"Its moments know nothing of what was before the seam at {since}."
            blocks.append(_Indented(safe_text(told)))
    rest = n_hidden + max(0, len(groups) - _GROUPS_SHOWN)
    if rest:
        where = by("in a pipe or with --json", "in .findings")
        text = f"… and {count_text(rest)} more, all of them {where}."
        blocks.append(Prose(Span(text, "muted")))
    return TerminalOnly(*blocks)


def _blocks(group: Group, *, has_remedy: bool) -> list[Block]:
    finding = group.finding
    if group.names:
        subject = ", ".join(safe_text(name) for name in group.names[:_NAMES_SHOWN])
        more = len(group.names) - _NAMES_SHOWN
        subject += f" and {count_text(more)} more" if more > 0 else ""
    else:
        subject = _CODE_WORDS.get(finding.code) or finding.place or str(finding.code)
        subject = with_units(safe_text(subject))
    head = [Span(str(finding.level), _LEVEL_STYLES[finding.level]), Span(f"  {subject}")]
    if group.checkpoints:
        first, last = group.checkpoints[0], group.checkpoints[-1]
        head.append(Span(safe_text(f", {first}" if first == last else f", {first} to {last}")))
    # The place is said where it is one, and the message does not name it.
    is_placed = finding.code in _PLACED - {Code.BOUNDS} and len(group.names) == 1
    place = f"{finding.place}: " if is_placed and finding.place is not None else ""
    message = capital(f"{place}{finding.message}")
    is_ours = finding.code is not Code.TENSORFLOW  # its own words are not ours to write anew
    told = _told(message, finding.remedy if has_remedy else None, has_units=is_ours)
    return [Prose(*head, indent=2), *told]


def _told(message: str, remedy: str | None, *, has_units: bool = True) -> list[Block]:
    """Lay out what was found, and below it what to do."""
    said = with_units(message) if has_units else message
    blocks: list[Block] = [_Indented(safe_text(f"{said}."))]
    for line in TextLines(remedy).lines:
        if line.startswith(" "):
            blocks.append(Lines([(Span(f"  {line}"),)]))
        else:
            blocks.append(_Indented(line))
    return blocks


class _Indented(Prose):
    """Prose of which every line is set in by two cells."""

    def __init__(self, text: str) -> None:
        super().__init__(f"  {text}", indent=2)


def capital(message: str) -> str:
    """Begin a message with a capital, unless it begins with a name."""
    first = message.split(" ")[0]
    return message[:1].upper() + message[1:] if first.isalpha() else message


def with_units(text: str) -> str:
    """Write sizes in IEC units, offsets and counts with commas: as a person reads them."""
    sized = _SIZE.sub(lambda match: size_text(int(match[1])), text)
    return _NUMBER.sub(lambda match: f"{int(match[0]):,}", sized)
