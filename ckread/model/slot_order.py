"""Slots told by their order among an optimizer's variables, where no list holds them.

Keras 3's Adafactor and Muon leave gaps in their lists, which are then not saved.
Adafactor has three slots for every weight; Muon one or two, told by stem and shape.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.slot import Slot, is_average

if TYPE_CHECKING:
    from ckread.model.slot import Shape, SlotClues

_FACTORS = ("r", "c", "v")
_MAX_WORDS = 12
"""Words of a variable's name, and of a slot's, beyond which no match is looked for."""


def owners_by_order(
    known: SlotClues, optimizer: int, weights: list[int], slots: list[int]
) -> dict[int, Slot]:
    """Pair slots with weights, both in the optimizer's order; what is not told is left out."""
    return _evenly(known, optimizer, weights, slots) or _walk(known, optimizer, weights, slots)


def _evenly(
    known: SlotClues, optimizer: int, weights: list[int], slots: list[int]
) -> dict[int, Slot]:
    """Give every weight as many slots, in turn; nothing where names or shapes object."""
    each, left = divmod(len(slots), len(weights))
    if left:
        return {}
    paired: dict[int, Slot] = {}
    for at, owner in enumerate(weights):
        group = slots[at * each : (at + 1) * each]
        words = _words_of_group(known, group, owner)
        if not words or not all(known.fits(node, owner) for node in group):
            return {}
        for node, word in zip(group, words, strict=True):
            paired[node] = Slot(optimizer, owner, word, is_average(word))
    return paired


def _words_of_group(known: SlotClues, group: list[int], owner: int) -> list[str]:
    """Give the words of the slots of one weight; none if they are not all of one stem."""
    words = [known.word(node, owner) for node in group]
    if len(group) == len(_FACTORS) and not any(words[:2]):
        names = {known.last(node) for node in group[:2]}
        return list(_FACTORS) if names == {known.last(owner)} else []
    stems = {known.stem(node, word) for node, word in zip(group, words, strict=True)}
    return words if all(words) and len(stems) == 1 else []


class _Place(NamedTuple):
    """The weight that the walk has come to, with the slots it was given."""

    owner: int
    stem: str
    words: set[str]


def _walk(
    known: SlotClues, optimizer: int, weights: list[int], slots: list[int]
) -> dict[int, Slot]:
    """Go through slots and weights side by side; a new stem is the next weight's."""
    waiting: dict[tuple[str, Shape], deque[int]] = {}
    for owner in weights:
        waiting.setdefault((known.last(owner), known.shapes[owner]), deque()).append(owner)
    paired: dict[int, Slot] = {}
    place: _Place | None = None
    for node in slots:
        word = known.word(node, place.owner) if place is not None else ""
        if place is None or not _is_another(known, node, place, word):
            place, word = _next_place(known, node, waiting)
        if place is not None:
            place.words.add(word)
            paired[node] = Slot(optimizer, place.owner, word, is_average(word))
    return paired


def _is_another(known: SlotClues, node: int, place: _Place, word: str) -> bool:
    """Tell whether a slot is one more of the weight that the walk has come to."""
    return (
        bool(word)
        and word not in place.words
        and known.stem(node, word) == place.stem
        and known.shapes[node] == known.shapes[place.owner]
    )


def _next_place(
    known: SlotClues, node: int, waiting: dict[tuple[str, Shape], deque[int]]
) -> tuple[_Place | None, str]:
    """Find the next weight of this slot's shape and variable name, and the slot's word."""
    parts = known.full_names[node].split("_")
    for at in range(len(parts) - 1, max(0, len(parts) - _MAX_WORDS), -1):
        for start in range(at - 1, max(-1, at - 1 - _MAX_WORDS), -1):
            queue = waiting.get(("_".join(parts[start:at]), known.shapes[node]))
            if queue:
                word = "_".join(parts[at:])
                stem = known.stem(node, word)
                return _Place(_take(known, queue, stem), stem, set()), word
    return None, ""


def _take(known: SlotClues, queue: deque[int], stem: str) -> int:
    """Take the weight that the stem spells, if it is the first or the next; else the first."""
    for step in range(min(2, len(queue))):
        if stem.endswith(known.full_names[queue[step]].replace("/", "_")):
            queue.rotate(-step)
            break
    owner = queue[0]
    queue.rotate(-1)
    return owner
