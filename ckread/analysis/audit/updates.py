"""The last update of a weight, recomputed from what its optimizer keeps; and what it keeps tells.

With m and v as they are stored after step t, rate r, and everything per element:

    Adam      -r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)     AMSGrad: v the largest so far
    AdamW     the same, after w was multiplied by 1 - r decay
    Adamax    -r / (1 - b1^t) m / (u + eps)
    momentum  m in Keras, where r is in it; -r m in TensorFlow 1
    RMSprop   -m, where it has a momentum
    Lion      r in size, of an unknown sign: its norm is known

References: keras.optimizers, `update_step` of each class; TensorFlow's training_ops. All
others, and Nesterov's momentum, need the last gradient, which no slot holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.numbers import inner_product
from ckread.analysis.scan import Grid, Item, plain_extents, scan, side_by_side
from ckread.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.audit.rules import Rule
    from ckread.analysis.scan import Chunks
    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    Floats = NDArray[np.float64]

_CHUNK = 1 << 16
_SAMPLE = 1 << 16
"""Elements of a variable that medians are taken of, evenly spaced: all of most."""


class Tally(NamedTuple):
    """Sums over some elements of a weight and of its slots.

    Attributes:
        elements: how many.
        update: sum of the squares of the last update; NaN where it cannot be recomputed.
        weight: of the weight.
        untouched: elements that no gradient has reached.
        at_epsilon: elements whose second moment is so small that epsilon is more.
        largest_v: the largest second moment; NaN without any.
        signals: of a sample |m| / sqrt(v), where v is above 0.
        steps: of the same, how far a unit of m moves an element.
    """

    elements: int = 0
    update: float = 0.0
    weight: float = 0.0
    untouched: int = 0
    at_epsilon: int = 0
    largest_v: float = math.nan
    signals: tuple[Floats, ...] = ()
    steps: tuple[Floats, ...] = ()

    def joined(self, other: Tally) -> Tally:
        """Put the sums over other elements to these."""
        return Tally(
            self.elements + other.elements,
            self.update + other.update,
            self.weight + other.weight,
            self.untouched + other.untouched,
            self.at_epsilon + other.at_epsilon,
            float(np.fmax(self.largest_v, other.largest_v)),
            self.signals + other.signals,
            self.steps + other.steps,
        )


def last_update(rule: Rule, weight: Floats, slots: Sequence[Floats]) -> Floats | None:
    """Give w_t - w_(t-1) in float64; None where the rule cannot be followed."""
    if not rule.is_recomputed:
        return None
    rate, t = rule.rate, rule.iterations
    found = dict(zip(rule.words, slots, strict=True))
    if rule.family == "adam":
        size = _step_size(rule, found)
        move = -size * found["m"]
    elif rule.family == "adamax":
        move = -rate / (1 - rule.beta_1**t) * found["m"] / (found["u"] + rule.epsilon)
    elif rule.family == "lion":
        move = rate * (found["m"] != 0)
    else:
        move = rule.sign * found["m"]
    if rule.weight_decay:
        move = weight - (weight - move) / (1 - rate * rule.weight_decay)
    return move


def _step_size(rule: Rule, slots: dict[str, Floats]) -> Floats:
    """Give how far a unit of Adam's momentum moves each element."""
    t = rule.iterations
    alpha = rule.rate * math.sqrt(1 - rule.beta_2**t) / (1 - rule.beta_1**t)
    largest = slots.get("vhat", slots["v"])
    return alpha / (np.sqrt(largest) + rule.epsilon)


def tally(rule: Rule, stride: int, weight: NDArray[Any], slots: Sequence[NDArray[Any]]) -> Tally:
    """Sum up some elements."""
    w = weight.astype(np.float64)
    many = [slot.astype(np.float64) for slot in slots]
    found = dict(zip(rule.words, many, strict=True))
    with np.errstate(all="ignore"):
        move = last_update(rule, w, many)
        untouched = np.ones(w.shape, np.bool_)
        for word, values in found.items():
            untouched &= values == (rule.initial if word in ("accumulator", "v") else 0)
        second = found.get("v", found.get("accumulator"))
        at_epsilon, signals, steps = 0, w[:0], w[:0]
        if second is not None and "v" in found:
            at_epsilon = int(np.count_nonzero((np.sqrt(second) <= rule.epsilon) & ~untouched))
        if "v" in found:
            some = slice(None, None, stride)
            is_alive = found["v"][some] > 0
            if "m" in found and rule.family == "adam":
                signals = (np.abs(found["m"][some]) / np.sqrt(found["v"][some]))[is_alive]
                if rule.is_recomputed:
                    sampled = {word: values[some] for word, values in found.items()}
                    steps = _step_size(rule, sampled)[is_alive]
        return Tally(
            w.size,
            math.nan if move is None else inner_product(move, move),
            inner_product(w, w),
            int(np.count_nonzero(untouched)) if found else 0,
            at_epsilon,
            float(second.max()) if second is not None and second.size else math.nan,
            (signals,),
            (steps,),
        )


def measure(extents: Sequence[Extent], told: tuple[Rule, int], chunks: Chunks) -> Tally:
    """Sum up the elements of a piece, in any process: the kernel."""
    found = Tally()
    for chunk in chunks:
        weight, *slots = chunk
        found = found.joined(tally(*told, weight, slots))
    return found


def tallies(
    many: Sequence[tuple[Rule, Variable, Sequence[Variable]]], work: Work
) -> Iterable[tuple[int, Tally | CheckpointError]]:
    """Read weights and slots side by side, and yield the place and the sums of each."""
    items, streamed = [], []
    for i, (rule, weight, slots) in enumerate(many):
        sources = [weight, *slots]
        told = rule, max(1, weight.elements // _SAMPLE)
        try:
            is_plain = all(len(plain_extents(one) or ()) == 1 for one in sources)
        except CheckpointError as error:
            yield i, error
            continue
        if is_plain:
            grid = Grid(16 * _CHUNK, _CHUNK, len(sources))
            items.append(Item(i, sources, weight.elements, grid, told, [v.name for v in sources]))
        else:
            streamed.append((i, sources, told))
    for item, found in scan(items, measure, work):
        first, *others = found.partials or [Tally()]
        for other in others:
            first = first.joined(other)
        yield item.number, found.error or first
    for i, sources, told in streamed:
        total = Tally()
        try:
            for weight_part, *slot_parts in side_by_side(*(one.chunks() for one in sources)):
                total = total.joined(tally(*told, weight_part, slot_parts))
        except CheckpointError as error:
            yield i, error
        else:
            yield i, total
        work.advance(sum(one.nbytes for one in sources))


def median(parts: Sequence[Floats]) -> float | None:
    """Give the median of a sample; None of an empty one."""
    values = np.concatenate(parts) if parts else np.empty(0)
    return float(np.median(values)) if values.size else None


def untouched_rows(slots: Sequence[Variable]) -> int:
    """Count the rows of an embedding of which every slot is 0."""
    rows = None
    for slot in slots:
        alive = (slot.numpy() != 0).reshape(slot.shape[0], -1).any(axis=1)
        rows = alive if rows is None else rows | alive
    return 0 if rows is None else int(np.count_nonzero(~rows))
