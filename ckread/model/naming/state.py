"""What a program keeps in variables that is not its model: replay buffers, masks, sums.

A floating variable without a role word is a weight unless something speaks against it. Here
is what does: the names of known containers, and tensors that share a long first axis.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ckread.model.role import Role, can_be_weight, is_whole
from ckread.readers.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ckread.readers.contract import TensorRecord

_CONTAINER = re.compile(
    r"replay_?(?:buffer|memory|table)|uniform_?replay|experience_?(?:buffer|replay)"
    r"|episodic_?(?:buffer|replay)|trajectory_?buffer",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"_?(?:.*_)?(?:masks?|thresholds?|traces?|sum|sumsq|runningsum|runningsumsq)(?:_\d+)?"
    r"|_?(?:next_)?step_type|_?discount|_?running_sum.*|idf_weights",
    re.IGNORECASE,
)
_WEIGHT = re.compile(
    r"_?(?:(?:.*_)?(?:kernels?|bias|weights?|biases|gamma|beta|alpha|embeddings?|embedding_table"
    r"|scale|offset|filters?)|[wb](?:_.+|\d+)?)(?:_\d+)?",
    re.IGNORECASE,
)
DEFAULT_NAME = re.compile(r"Variable(?:_\d+)?")
"""What TensorFlow calls a variable that nobody named."""
LONG = 500
"""A first axis of so many is that of a buffer, if several tensors of one object share it."""
_TOGETHER = 3


@lru_cache(maxsize=4096)
def is_state_word(word: str) -> bool:
    """Tell what frameworks call what they keep beside a model: `mask`, `trace`, `loss_sum`."""
    return _WORD.fullmatch(word) is not None


@lru_cache(maxsize=4096)
def is_weight_word(word: str) -> bool:
    """Tell what frameworks call a weight: `kernel`, `biases`, `gamma`, `w`."""
    return _WEIGHT.fullmatch(word) is not None


def is_container(text: str) -> bool:
    """Tell whether the name of a known container is in a text: `replay_buffer`."""
    return _CONTAINER.search(text) is not None


@lru_cache(maxsize=4096)
def is_state_scope(scope: str) -> bool:
    """Tell whether a scope is that of a known container: `replay_buffer/_table`."""
    return is_container(scope)


def is_state_name(name: str) -> bool:
    """Tell by its scopes, or by its own word, that a variable is not of a model."""
    scope, _, word = name.rpartition("/")
    return is_state_word(word) or is_state_scope(scope)


def role_of_whole(word: str, record: TensorRecord, *, is_trained: bool) -> Role:
    """Give the role of integers and truths: in a file of something trained they are no weights."""
    if not is_trained or not (is_whole(record.dtype) or record.dtype is DataType.BOOL):
        return Role.OTHER
    if record.shape:
        return Role.STATE
    is_counter = is_whole(record.dtype) and DEFAULT_NAME.fullmatch(word)
    return Role.COUNTER if is_counter else Role.OTHER


def buffers(
    records: Iterable[tuple[Hashable, TensorRecord]], trained: Iterable[Hashable]
) -> set[Hashable]:
    """Give the holders of which several tensors share a long first axis, and none is trained.

    One of them holds a value a row, or integers: the layers of a model have no such row.
    """
    rows: dict[Hashable, dict[int, list[TensorRecord]]] = {}
    for holder, record in records:
        if record.shape and record.shape[0] >= LONG:
            rows.setdefault(holder, {}).setdefault(record.shape[0], []).append(record)
    found = set()
    for holder, by_length in rows.items():
        for alike in by_length.values():
            is_row = any(len(one.shape) == 1 or not can_be_weight(one.dtype) for one in alike)
            if len(alike) >= _TOGETHER and is_row:
                found.add(holder)
    return found.difference(trained)
