"""Mutations of bytes, from a seed: the same number gives the same file always."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import varint

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 63) - 1)
_NEGATIVE = (-1, -(1 << 31), -(1 << 63))
_TOKENS = (
    *map(varint, (*EDGES, *_NEGATIVE)),
    *(edge.to_bytes(8, "little") for edge in EDGES),
    *(edge.to_bytes(4, "little") for edge in EDGES if edge < 1 << 32),
    b"", b"\0" * 16, b"\xff" * 16, b"[red]", b"\x1b[2J", b"../", b'"', b"\\", b"{", b"}", b"]",
    b"\n", b"-1", b"1e999", b"NaN", b"9" * 30, "\u202e".encode(), b"\xff\xfe", b"/" * 40,
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Do one to eight things to bytes: flips, edge values, cuts, repeats, parts of others."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(result) + 1)
        _MUTATIONS[rng.randrange(len(_MUTATIONS))](result, at, others, rng)
    return bytes(result)


def _flip(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    if at < len(data):
        data[at] ^= 1 << rng.randrange(8)


def _replace_byte(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    if at < len(data):
        data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _overwrite(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    token = rng.choice(_TOKENS)
    data[at : at + len(token)] = token


def _insert(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    data[at:at] = rng.choice(_TOKENS)


def _delete(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    del data[at : at + rng.choice((1, 2, 4, 16, 256))]


def _repeat(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    part = data[at : at + rng.choice((1, 4, 16, 64))]
    data[at:at] = part * rng.choice((1, 1, 2, 50))


def _truncate(data: bytearray, at: int, _: Sequence[bytes], rng: random.Random) -> None:
    if rng.random() < 0.3:
        del data[at:]


def _splice(data: bytearray, at: int, others: Sequence[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    start = rng.randrange(len(other) + 1)
    part = other[start : start + rng.choice((4, 16, 64, 1024))]
    data[at : at + rng.choice((0, len(part)))] = part


_MUTATIONS = (
    _flip, _flip, _replace_byte, _replace_byte, _overwrite, _insert, _delete, _repeat, _truncate,
    _splice,
)  # fmt: skip
