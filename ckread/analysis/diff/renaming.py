"""Names that changed: numbers that Keras gave, rules given as `s/old/new/` or found in pairs."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ckread.analysis.checksums import content_key, is_constant
from ckread.analysis.diff.pairing import is_alike
from ckread.analysis.diff.records import (
    NUMBERED,
    PairedBy,
    RenameRule,
    auto_name,
    is_renumbered,
)
from ckread.errors import UsageError, by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckread.analysis.diff.pairing import Pairing
    from ckread.model.variable import Variable

    _Layers = dict[tuple[str, ...], dict[tuple[int, ...], dict[tuple[str, ...], str]]]
    """Names by stem, then by numbers, then by what follows."""


_MAX_RULES = 4
_N_TRIED = 8
_MAX_NAME = 1 << 16


def parse_rule(text: str) -> RenameRule:
    """Parse `s/old/new/`; any character may take the place of the slash."""
    remedy = "Give s/old/new/ with a regular expression for old, or s|old|new| for names with /."
    option, mark = by("--rename", "rename"), text[1:2]
    if text[:1] != "s" or not mark or mark.isalnum() or mark in "\\ ":
        raise UsageError(f"{option} {text}: not of the form s/old/new/", remedy=remedy)
    parts = re.split(rf"(?<!\\){re.escape(mark)}", text[2:])
    if len(parts) != 3:
        message = f"{option} {text}: {len(parts)} times the delimiter {mark}, expected 3"
        raise UsageError(message, remedy=remedy)
    if parts[2] not in ("", "g"):
        raise UsageError(f"{option} {text}: flag {parts[2]}, expected g or none", remedy=remedy)
    old, new = (part.replace("\\" + mark, mark) for part in parts[:2])
    try:
        rule = RenameRule(re.compile(old), new, is_global=parts[2] == "g")
        rule.apply("")
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        message = f"{option} {text}: not a regular expression, {error}"
        raise UsageError(message, remedy=remedy) from None
    return rule


def rename_all(names: Iterable[str], rules: Sequence[RenameRule]) -> dict[str, str]:
    """Give the new name of every name that the rules, one after the other, change."""
    option = by("--rename", "rename")
    renames: dict[str, str] = {}
    origin: dict[str, str] = {}
    for name in names:
        new = name
        for rule in rules:
            new = rule.apply(new)
            if len(new) > _MAX_NAME:
                found = f"a name of more than {_MAX_NAME:,} characters, of {name[:80]}"
                raise UsageError(f"{option}: {found}", remedy="Give a shorter replacement.")
        if new == name:
            continue
        if new in origin:
            message = f"{option}: {origin[new]} and {name} both become {new}"
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


# Layers that Keras numbered: `dense_16` in one session is `dense` in another.
#
# The number counts the layers of a class that a process has made, and says nothing of the
# layer. So an equal object path, or the order of all layers of the class, tells better than an
# equal name. Names that a person gave hold.


def take_renumbered(work: Pairing) -> None:
    """Pair numbered layers by object path, and where none tells in order, before names do."""
    if len(work.a) == len(work.b) and all(
        (other := work.b.get(name)) is not None and other.key == v.key for name, v in work.a.items()
    ):
        return  # nothing speaks against the names
    left, right = (
        {name: v for name, v in side.items() if v.owner is None and auto_name(name)}
        for side in (work.a, work.b)
    )
    by_name = {name: name for name in left if name in right and is_alike(left[name], right[name])}
    # Object paths must not be made of the numbered name itself.
    by_key = {variable.key: variable for variable in right.values() if not _names_itself(variable)}
    by_path = {
        name: other.name
        for name, variable in left.items()
        if not _names_itself(variable)
        and (other := by_key.get(variable.key)) is not None
        and is_alike(variable, other)
        and (name == other.name or is_renumbered(name, other.name))
    }
    if not _is_refuted(by_path, left, right) and len(by_path) >= len(by_name):
        work.take_by_name({a: b for a, b in by_path.items() if a != b}, PairedBy.KEY)
        left = {a: v for a, v in left.items() if a in work.a and a not in by_path}
        right = {b: v for b, v in right.items() if b in work.b and b not in by_path.values()}
    by_order = _by_order(left, right)
    n_same = sum(name in right and is_alike(left[name], right[name]) for name in left)
    if not _is_refuted(by_order, left, right) and len(by_order) >= n_same:
        work.take_by_name(by_order, PairedBy.ORDER)


def _is_refuted(
    pairs: Mapping[str, str], left: Mapping[str, Variable], right: Mapping[str, Variable]
) -> bool:
    """Tell whether a name that would be given up has the same values on both sides."""
    for name, partner in pairs.items():
        if partner != name and name in right:
            key = content_key(left[name])
            is_telling = left[name].elements > 3 and key is not None and not is_constant(key)
            if is_telling and key == content_key(right[name]):
                return True
    return False


def _names_itself(variable: Variable) -> bool:
    """Tell whether a key has a numbered component of the name: it tells no more than that."""
    numbered = {part for part in variable.name.split("/") if NUMBERED.fullmatch(part)}
    return bool(numbered & {*variable.key.split("/")})


def _by_order(a: Mapping[str, Variable], b: Mapping[str, Variable]) -> dict[str, str]:
    """Pair the layers of each class in the order of their numbers, where all of them fit."""
    sides: tuple[_Layers, _Layers] = ({}, {})
    for names, side in zip((a, b), sides, strict=True):
        for name in names:
            if (auto := auto_name(name)) is not None:
                side.setdefault(auto.stem, {}).setdefault(auto.numbers, {})[auto.rest] = name
    pairs: dict[str, str] = {}
    for stem, layers in sides[0].items():
        others = sides[1].get(stem, {})
        if layers.keys() == others.keys() or len(layers) != len(others):
            continue
        found: dict[str, str] = {}
        for numbers, partners in zip(sorted(layers), sorted(others), strict=True):
            mine, theirs = layers[numbers], others[partners]
            if mine.keys() != theirs.keys() or not all(
                is_alike(a[mine[rest]], b[theirs[rest]]) for rest in mine
            ):
                break
            found |= {name: theirs[rest] for rest, name in mine.items()}
        else:
            pairs |= found
    return pairs
