"""The one byte that changed: found at every place, and never where more did."""

from __future__ import annotations

import random
import time

import pytest
from google_crc32c import value as crc32c

from ckread.analysis.check.values import MAX_NBYTES, changed_byte


def _flipped(data: bytes, *offsets: int, mask: int) -> bytes:
    changed = bytearray(data)
    for offset in offsets:
        changed[offset] ^= mask
    return bytes(changed)


@pytest.mark.parametrize("nbytes", [1, 2, 5, 4000])
def test_every_byte_is_found(nbytes: int) -> None:
    rng = random.Random(nbytes)
    data = rng.randbytes(nbytes)
    for offset in range(nbytes) if nbytes < 10 else rng.sample(range(nbytes), 40):
        other = _flipped(data, offset, mask=rng.randrange(1, 256))
        assert changed_byte(crc32c(data), crc32c(other), nbytes) == offset


def test_nothing_is_said_of_other_damage() -> None:
    rng = random.Random(1)
    data = rng.randbytes(3000)
    assert changed_byte(crc32c(data), crc32c(data), len(data)) is None
    for _ in range(50):
        places = rng.sample(range(3000), 2)
        other = _flipped(data, *places, mask=rng.randrange(1, 256))
        assert changed_byte(crc32c(data), crc32c(other), len(data)) is None
        assert changed_byte(crc32c(data), crc32c(rng.randbytes(3000)), len(data)) is None


def test_long_runs_are_not_tried_and_short_ones_take_no_time() -> None:
    assert changed_byte(1, 2, MAX_NBYTES + 1) is None
    start = time.process_time()
    changed_byte(1, 2, MAX_NBYTES)
    assert time.process_time() - start < 0.5
