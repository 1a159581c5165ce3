"""CRC-32C: published vectors, the mask, and concatenation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.readers.crc32c import combine, crc32c, extend, joined, mask, unmask

words = st.integers(0, (1 << 32) - 1)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_vectors(data: bytes, value: int) -> None:
    assert crc32c(data) == value


def test_the_mask_of_nothing_is_the_constant() -> None:
    assert mask(0) == 0xA282EAD8


@given(words)
def test_unmask_undoes_mask(crc: int) -> None:
    assert unmask(mask(crc)) == crc
    assert mask(unmask(crc)) == crc


@given(st.binary(), st.binary())
def test_a_concatenation_three_ways(first: bytes, second: bytes) -> None:
    whole = crc32c(first + second)
    assert extend(crc32c(first), second) == whole
    assert combine(crc32c(first), crc32c(second), len(second)) == whole


def test_arrays_need_no_copy_to_bytes() -> None:
    assert crc32c(np.frombuffer(b"123456789", np.uint8)) == 0xE3069283


def test_a_gigabyte_of_zeros_can_be_put_behind_without_having_it() -> None:
    once = combine(0x12345678, 0, 1 << 29)
    assert combine(once, 0, 1 << 29) == combine(0x12345678, 0, 1 << 30)


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_checksums_of_parts_join_to_that_of_the_whole(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert joined((crc32c(part), len(part)) for part in parts) == crc32c(data)
