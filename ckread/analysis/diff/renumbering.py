"""Layers that Keras numbered: `dense_16` in one session is `dense` in another.

The number counts the layers of a class that a process has made, and says nothing of the
layer. So an equal object path, or the order of all layers of the class, tells better than an
equal name. Names that a person gave hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.checksums import content_key, is_constant
from ckread.analysis.diff.auto_names import NUMBERED, auto_name, is_renumbered
from ckread.analysis.diff.pairing import is_alike
from ckread.analysis.diff.records import PairedBy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.analysis.diff.pairing import Pairing
    from ckread.model.variable import Variable

    _Layers = dict[tuple[str, ...], dict[tuple[int, ...], dict[tuple[str, ...], str]]]
    """Names by stem, then by numbers, then by what follows."""


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
    by_path = _by_path(left.values(), right.values())
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


def _by_path(a: Iterable[Variable], b: Iterable[Variable]) -> dict[str, str]:
    """Pair equal object paths, which must not be made of the numbered name itself."""
    by_key = {variable.key: variable for variable in b if not _names_itself(variable)}
    return {
        variable.name: other.name
        for variable in a
        if not _names_itself(variable)
        and (other := by_key.get(variable.key)) is not None
        and is_alike(variable, other)
        and (variable.name == other.name or is_renumbered(variable.name, other.name))
    }


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
