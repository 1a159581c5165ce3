"""Refusing within bounds: a clean error, and no memory taken for what is only claimed."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from ckread.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_NBYTES = 40 << 20


def refused(read: Callable[[], Any], *, limit: int = LIMIT_NBYTES) -> str:
    """Give the message of what must be refused within `limit` bytes of memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
    return str(caught.value)
