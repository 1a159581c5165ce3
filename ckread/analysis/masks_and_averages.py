"""What `info` tells of masks and averages from their values, where these are few.

Without numpy: only plain numbers with a checksum of their own are read, 1 MiB at most.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import CheckpointError
from ckread.model.role import Role
from ckread.model.variable import is_number, read_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

MAX_NBYTES = 1 << 20
"""Bytes of values that are read for one figure."""
_MASK = re.compile(r"(?:.*_)?masks?(?:_\d+)?")


class Masks(NamedTuple):
    """Masks of zeros and ones that lie beside weights of their shape, as pruning keeps them.

    Attributes:
        variables: how many.
        elements: of all of them.
        left_out: how many of these are 0; None where they are not read.
        not_zero: weights that a mask leaves out and that are not 0; None likewise.
    """

    variables: int
    elements: int
    left_out: int | None = None
    not_zero: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return self._asdict()


def find_masks(checkpoint: Checkpoint) -> Masks | None:
    """Give the masks, each beside the one weight of its shape; None if there are none."""
    masks = [v for v in checkpoint.of_role(Role.STATE) if _is_mask(v)]
    weights = checkpoint.of_role(Role.WEIGHT) if masks else []
    pairs = []
    for mask in masks:
        scope = mask.name[: mask.name.rfind("/") + 1]
        alike = [one for one in weights if one.shape == mask.shape and one.name.startswith(scope)]
        if len(alike) != 1:
            return None
        pairs.append((mask, alike[0]))
    if not pairs:
        return None
    found = Masks(len(pairs), sum(mask.elements for mask, _ in pairs))
    if not _are_few(one for pair in pairs for one in pair):
        return found
    left_out = not_zero = 0
    try:
        for mask, weight in pairs:
            kept = read_numbers(mask)
            if not set(kept) <= {0, 1}:
                return None
            left_out += kept.count(0)
            values = zip(kept, read_numbers(weight), strict=True)
            not_zero += sum(1 for is_kept, value in values if not is_kept and value)
    except CheckpointError:  # `check` says what ails them
        return found
    return found._replace(left_out=left_out, not_zero=not_zero)


def _is_mask(variable: Variable) -> bool:
    return bool(variable.shape) and bool(_MASK.fullmatch(variable.name.rpartition("/")[2]))


def averages_apart(checkpoint: Checkpoint) -> float | None:
    """Give ‖averages − weights‖ / ‖weights‖; None where nothing tells, or it is not read."""
    averages = checkpoint.of_role(Role.AVERAGE)
    found = ((checkpoint.get(one.owner or ""), one) for one in averages)
    pairs = [
        (w if w is not None and w.role.is_parameter and w.name == one.owner else None, one)
        for w, one in found
    ]
    owners = {average.owner for average in averages}
    if not pairs or len(owners) < len(pairs):  # several averages of one weight
        return None
    distances, norms = [], []
    known = [(weight, one) for weight, one in pairs if weight and weight.shape == one.shape]
    if len(known) < len(pairs) or not _are_few(one for pair in known for one in pair):
        return None
    try:
        for weight, average in known:
            values = read_numbers(weight)
            distances.append(math.dist(values, read_numbers(average)))
            norms.append(math.hypot(*values))
    except CheckpointError:
        return None
    distance, norm = math.hypot(*distances), math.hypot(*norms)
    return distance / norm if norm and math.isfinite(distance) and math.isfinite(norm) else None


def _are_few(variables: Iterable[Variable]) -> bool:
    """Tell whether values may be read here: few, plain, each with a checksum."""
    some = list(variables)
    is_plain = all(is_number(v.dtype) and v.crc32c is not None for v in some)
    # A narrow type has as many numbers to go through as a wide one.
    return is_plain and sum(max(4, v.dtype.itemsize) * v.elements for v in some) <= MAX_NBYTES
