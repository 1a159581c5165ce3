"""Renaming rules: given as `s/old/new/`, or found in pairs of names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ckread.analysis.diff.records import RenameRule
from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_RULES = 4
_N_TRIED = 8
_MAX_NAME = 1 << 16


def parse_rule(text: str) -> RenameRule:
    """Parse `s/old/new/`; any character may take the place of the slash."""
    remedy = "Give s/old/new/ with a regular expression for old, or s|old|new| for names with /."
    mark = text[1:2]
    if text[:1] != "s" or not mark or mark.isalnum() or mark in "\\ ":
        raise UsageError(f"--rename {text}: not of the form s/old/new/", remedy=remedy)
    parts = re.split(rf"(?<!\\){re.escape(mark)}", text[2:])
    if len(parts) != 3:
        message = f"--rename {text}: {len(parts)} times the delimiter {mark}, expected 3"
        raise UsageError(message, remedy=remedy)
    if parts[2] not in ("", "g"):
        raise UsageError(f"--rename {text}: flag {parts[2]}, expected g or none", remedy=remedy)
    old, new = (part.replace("\\" + mark, mark) for part in parts[:2])
    try:
        rule = RenameRule(re.compile(old), new, is_global=parts[2] == "g")
        rule.apply("")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        message = f"--rename {text}: not a regular expression, {error}"
        raise UsageError(message, remedy=remedy) from None
    return rule


def rename_all(names: Iterable[str], rules: Sequence[RenameRule]) -> dict[str, str]:
    """Give the new name of every name that the rules, one after the other, change."""
    renames: dict[str, str] = {}
    origin: dict[str, str] = {}
    for name in names:
        new = name
        for rule in rules:
            new = rule.apply(new)
            if len(new) > _MAX_NAME:
                found = f"a name of more than {_MAX_NAME:,} characters, of {name[:80]}"
                raise UsageError(f"--rename: {found}", remedy="Give a shorter replacement.")
        if new == name:
            continue
        if new in origin:
            message = f"--rename: {origin[new]} and {name} both become {new}"
            raise UsageError(message, remedy="Make the expression more specific.")
        origin[new] = name
        renames[name] = new
    return renames


def infer_rules(
    renames: Sequence[tuple[str, str]], unchanged: Iterable[str] = ()
) -> tuple[RenameRule, ...]:
    """Find the few rules that explain renamed pairs and contradict none."""
    left = list(renames)
    known = [*renames, *((name, name) for name in unchanged)]
    rules: list[RenameRule] = []
    while len(left) > 1 and len(rules) < _MAX_RULES:
        counts = Counter(_substitution(old, new) for old, new in left)
        found = None
        for (old, new), count in counts.most_common(_N_TRIED):
            rule = RenameRule(re.compile(old), new)
            if count > 1 and all(rule.apply(a) in (a, b) for a, b in known):
                found = rule
                break
        if found is None:
            break
        rules.append(found)
        left = [(a, b) for a, b in left if found.apply(a) != b]
    return tuple(rules)


def _substitution(old: str, new: str) -> tuple[str, str]:
    """Give pattern and replacement of the components in which two names differ."""
    a, b = old.split("/"), new.split("/")
    shorter = min(len(a), len(b))
    start = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    end = next((i for i in range(shorter - start) if a[-1 - i] != b[-1 - i]), shorter - start)
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    if not start:
        return "^" + "".join(re.escape(part) + "/" for part in middle_a), _scope(middle_b)
    if not end:
        return "".join("/" + re.escape(part) for part in middle_a) + "$", _literal(
            "".join("/" + part for part in middle_b)
        )
    if middle_a:
        return "/" + "".join(re.escape(part) + "/" for part in middle_a), "/" + _scope(middle_b)
    before = "/".join(a[:start]) + "/"
    return "^" + re.escape(before), _literal(before) + _scope(middle_b)


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")


def _scope(components: list[str]) -> str:
    return _literal("".join(part + "/" for part in components))
