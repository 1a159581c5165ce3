"""Findings as text for a person: like ones told once, sizes and offsets in their units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ckread.analysis.findings import Code, Level
from ckread.views.folding import Prose
from ckread.views.page import Lines, Span, TerminalOnly
from ckread.views.quantities import count_text, safe_text, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.findings import Finding
    from ckread.views.page import Block

_LEVEL_STYLES = {Level.ERROR: "bad", Level.WARNING: "warning", Level.NOTE: "accent"}
_NAMES_SHOWN = 6
_GROUPS_SHOWN = 20
_CODE_WORDS = {
    Code.NO_INDEX: "no index", Code.LEFTOVERS: "leftovers", Code.STATE_STALE: "state file",
    Code.STATE_FILE: "state file", Code.STEP: "step", Code.LOST: "not restored",
    Code.EVIDENCE: "graph", Code.SHARD_MIXED: "index and shards", Code.VERSION: "version",
    Code.MOMENTS_RESET: "optimizer", Code.TENSORFLOW: "TensorFlow", Code.NO_CHECKSUM: "checksums",
}  # fmt: skip
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


def findings_block(groups: Sequence[Group], n_hidden: int = 0) -> TerminalOnly:
    """Lay out findings, of many only the first: a pipe gets all."""
    shown = groups[:_GROUPS_SHOWN]
    blocks = []
    for group, after in zip_longest(shown, shown[1:]):
        is_said_again = after is not None and after.finding.remedy == group.finding.remedy
        blocks += _blocks(group, has_remedy=not is_said_again)
    rest = n_hidden + max(0, len(groups) - _GROUPS_SHOWN)
    if rest:
        text = f"… and {count_text(rest)} more, all of them in a pipe or with --json."
        blocks.append(Prose(Span(text, "muted")))
    return TerminalOnly(*blocks)


def _blocks(group: Group, *, has_remedy: bool) -> list[Block]:
    finding = group.finding
    head = [Span(str(finding.level), _LEVEL_STYLES[finding.level]), Span(f"  {_subject(group)}")]
    where = _span(group.checkpoints)
    head.append(Span(f", {where}" if where else ""))
    place = f"{finding.place}: " if _is_placed(group) else ""
    message = capital(f"{place}{finding.message}")
    if finding.code is not Code.TENSORFLOW:  # its own words are not ours to write anew
        message = with_units(message)
    blocks: list[Block] = [Prose(*head, indent=2), _Indented(safe_text(f"{message}."))]
    for line in (finding.remedy or "").split("\n") if has_remedy else ():
        if line.startswith(" "):
            blocks.append(Lines([(Span(f"  {safe_text(line)}"),)]))
        elif line:
            blocks.append(_Indented(safe_text(line)))
    return blocks


def _is_placed(group: Group) -> bool:
    """Tell whether the place has to be said: one place, which the message does not name."""
    finding = group.finding
    if finding.place is None or len(group.names) != 1 or finding.code is Code.BOUNDS:
        return False
    return finding.place not in finding.message


class _Indented(Prose):
    """Prose of which every line is set in by two cells."""

    def __init__(self, text: str) -> None:
        super().__init__(f"  {text}", indent=2)


def capital(message: str) -> str:
    """Begin a message with a capital, unless it begins with a name."""
    first = message.split(" ")[0]
    return message[:1].upper() + message[1:] if first.isalpha() else message


def _subject(group: Group) -> str:
    finding = group.finding
    if group.names:
        shown = ", ".join(safe_text(name) for name in group.names[:_NAMES_SHOWN])
        more = len(group.names) - _NAMES_SHOWN
        return shown + (f" and {count_text(more)} more" if more > 0 else "")
    subject = _CODE_WORDS.get(finding.code) or finding.place or str(finding.code)
    return with_units(safe_text(subject))


def _span(names: Sequence[str]) -> str:
    if not names:
        return ""
    shown = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return safe_text(shown)


def with_units(text: str) -> str:
    """Write sizes in IEC units, offsets and counts with commas: as a person reads them."""
    sized = _SIZE.sub(lambda match: size_text(int(match[1])), text)
    return _NUMBER.sub(lambda match: f"{int(match[0]):,}", sized)
