"""Layers that were exchanged or shifted: their content is found under another name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.analysis.checksums import ContentKey, content_key, is_constant
from ckread.analysis.diff_records import DiffStatus
from ckread.analysis.pairing import PairedBy

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from ckread.analysis.diff_records import VariableDiff
    from ckread.analysis.pairing import Pair, Pairing
    from ckread.model.variable import Variable

_MIN_ELEMENTS = 4
"""Elements from which equal content is evidence of its own against a name."""


def take_moved(work: Pairing) -> None:
    """Pair by content what has other content under its name: exchanged or shifted layers.

    Where both names of a pair live on under other content at both ends of a chain
    (a target network that was copied from the online one), names hold instead.
    """
    same = {
        name
        for name, variable in work.a.items()
        if name in work.b and _is_same(variable, work.b[name])
    }
    suspects, others = (
        [variable for name, variable in side.items() if name not in same]
        for side in (work.a, work.b)
    )
    if not (suspects and others):
        return
    moved = _unique_contents(suspects, others)
    for a, b in _closed(moved, work.a, work.b):
        work.take(work.a[a], work.b[b], PairedBy.CONTENT)


def find_moved_by_values(pairs: Sequence[Pair], diffs: Iterable[VariableDiff]) -> dict[str, str]:
    """Find exchanged layers in files without checksums, once pairs were compared by name.

    What took another's place has the norm that the other had: norms are known from the
    comparison, and only what agrees in them is read again.

    Args:
        pairs: as they were compared.
        diffs: what came of it.

    Returns:
        Names of the first checkpoint, and of the second, between which values moved.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    compared = {diff.name: diff.metrics for diff in diffs if diff.status is DiffStatus.CHANGED}
    sides: tuple[dict[object, list[Variable]], ...] = ({}, {})
    for a, b, *_ in pairs:
        metrics = compared.get(b.name)
        if metrics is None or a.elements < _MIN_ELEMENTS or content_key(a) is not None:
            continue
        for side, variable, norm in zip(sides, (a, b), (metrics.l2_a, metrics.l2_b), strict=True):
            if norm:
                block = variable.dtype, variable.shape, variable.role, f"{norm:.12e}"
                side.setdefault(block, []).append(variable)
    first, second = sides
    likely = [(*left, *second[block]) for block, left in first.items() if block in second]
    moved = {alike[0].name: alike[1].name for alike in likely if _is_moved(alike)}
    return dict(_closed(moved, {pair.a.name for pair in pairs}, {pair.b.name for pair in pairs}))


def _is_moved(alike: Sequence[Variable]) -> bool:
    from ckread.analysis.arrangement import is_same_in_order, is_uniform

    return len(alike) == 2 and is_same_in_order(*alike) and not is_uniform(alike[0])


def _is_same(a: Variable, b: Variable) -> bool:
    if a.crc32c != b.crc32c:
        return False
    key = content_key(a)
    return key is not None and key == content_key(b)


def _unique_contents(a: Sequence[Variable], b: Sequence[Variable]) -> dict[str, str]:
    """Give names of a and b whose content occurs once on each side and is no constant."""
    sides: tuple[dict[tuple[ContentKey, object], list[str]], ...] = ({}, {})
    for variables, side in zip((a, b), sides, strict=True):
        for variable in variables:
            key = content_key(variable) if variable.elements >= _MIN_ELEMENTS else None
            if key is not None:
                side.setdefault((key, (variable.shape, variable.role)), []).append(variable.name)
    first, second = sides
    return {
        names[0]: second[key][0]
        for key, names in first.items()
        if len(names) == 1 and len(second.get(key, ())) == 1 and not is_constant(key[0])
    }


def _closed(
    moved: Mapping[str, str], names_a: Container[str], names_b: Container[str]
) -> list[tuple[str, str]]:
    """Give the moves of chains that have an open end, and of circles."""
    closed: list[tuple[str, str]] = []
    seen: set[str] = set()
    for first in moved.keys() - set(moved.values()):
        chain = [first]
        while chain[-1] in moved:
            chain.append(moved[chain[-1]])
        seen.update(chain)
        if chain[-1] not in names_a or first not in names_b:
            closed += pairwise(chain)
    return closed + [(a, b) for a, b in moved.items() if a not in seen and a != b]
