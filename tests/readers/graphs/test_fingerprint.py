"""FarmHash's fingerprint, against what `tf.fingerprint` gave for every class of lengths."""

from __future__ import annotations

import pytest

from ckread.readers.graphs.fingerprint import fingerprint64

FROZEN = {
    0: 0x9AE16A3B2F90404F,
    1: 0x47A24C13B17E583E,
    2: 0xDC1DAEE3DBD6C877,
    3: 0x24D88E92DDA019C2,
    4: 0x195AEB38B8083430,
    5: 0xDC9C5B8E22C99669,
    7: 0xF9462D70A331A5BF,
    8: 0xF0F886D82BD773AE,
    9: 0x97DAF42096A2A4D9,
    15: 0xD7D376CE4E3870D1,
    16: 0xE1C198CE1D71C4D2,
    17: 0x9E6BAB616F6C718D,
    24: 0x5CCDB94D3089DDBD,
    31: 0x77F89393C7541EF1,
    32: 0x8AA3C932B6B75911,
    33: 0x69FA26117B06203D,
    47: 0xB56AC91B85C2277A,
    48: 0x2D66521557D9973E,
    63: 0x566A1BAAEA200907,
    64: 0xE491BF3EA8FB3B48,
    65: 0x465780A5AD7B06DD,
    66: 0x7DAF313D7BBE160D,
    100: 0xF4FF7FC18D5A56D8,
    127: 0xAF7565D84A3DAEC4,
    128: 0xD286310A5F72EDEF,
    129: 0x117DB69AF409AEFF,
    191: 0x4812661E7A8EB1BE,
    192: 0x33F72723A8616AC2,
    193: 0x18F55384E5EB07E7,
    255: 0x21357F76271174DD,
    300: 0xAE95F84F691A2B15,
}
"""By number of bytes; 16, 32 and 64 are the last of their way of mixing."""


@pytest.mark.parametrize("n", FROZEN)
def test_every_class_of_lengths(n: int) -> None:
    data = bytes((i * i * 31 + i * 7 + n) % 251 for i in range(n))
    assert fingerprint64(data) == FROZEN[n]
