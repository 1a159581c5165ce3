"""Names that Keras and TensorFlow make of a class and a counter: `dense`, `dense_1`."""

from __future__ import annotations

import re
from typing import NamedTuple

_BASES = (
    "dense|einsum_dense|embedding|normalization|re_lu|leaky_re_lu|p_re_lu|elu|activation|"
    "(?:depthwise_|separable_)?conv[123]d(?:_transpose)?|"
    "(?:sync_|batch_|layer_|group_|unit_|spectral_|rms_)?(?:batch_)?normalization(?:_v[12])?|"
    "(?:conv_)?lstm(?:[123]d|_cell)?|gru(?:_cell)?|simple_rnn(?:_cell)?|rnn|bidirectional|"
    "time_distributed|multi_head_attention|group_query_attention|attention|additive_attention|"
    "sequential|model|functional|string_lookup|integer_lookup|text_vectorization|"
    "fully_connected|Conv|BatchNorm|Variable"
)
NUMBERED = re.compile(rf"({_BASES})(?:_([1-9]\d*))?")
"""A name that Keras or TensorFlow makes of a class: its word, and a number from the second on."""


class _AutoName(NamedTuple):
    """A name with the numbers of its numbered components apart.

    Attributes:
        stem: all up to the last numbered component, without the numbers.
        numbers: the numbers, 0 where a first one has none.
        rest: what follows.
    """

    stem: tuple[str, ...]
    numbers: tuple[int, ...]
    rest: tuple[str, ...]


def auto_name(name: str) -> _AutoName | None:
    """Take a name apart; None if no component of it is one that Keras numbers."""
    parts = name.split("/")
    found = [NUMBERED.fullmatch(part) for part in parts]
    if not any(found):
        return None
    last = max(i for i, match in enumerate(found) if match)
    stem = tuple(
        match[1] if match else part
        for match, part in zip(found[: last + 1], parts[: last + 1], strict=True)
    )
    numbers = tuple(int(match[2] or 0) for match in found if match)
    return _AutoName(stem, numbers, tuple(parts[last + 1 :]))


def is_renumbered(old: str, new: str) -> bool:
    """Tell whether two names differ in nothing but the numbers of numbered components."""
    a, b = auto_name(old), auto_name(new)
    return old != new and a is not None and b is not None and a[::2] == b[::2]
