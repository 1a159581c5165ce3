"""`fingerprint.pb` of a SavedModel: hashes of what was exported.

    FingerprintDef  1 saved_model_checksum, 2 graph_def_program_hash, 3 signature_def_hash,
                    4 saved_object_graph_hash, 5 checkpoint_hash, 6 uuid, 7 version

The first four are of messages in a canonical form, which nobody but TensorFlow makes. The
fifth is the FarmHash fingerprint of the bytes of `variables/variables.index`, 0 without one.

References: tensorflow/core/protobuf/fingerprint.proto, cc/saved_model/fingerprinting.cc,
farmhash.cc (namespace farmhashna)
"""

from __future__ import annotations

import os

from ckread.errors import CheckpointError
from ckread.readers.files import RegularFile
from ckread.readers.protobuf import FIXED64, VARINT, FieldStream

FINGERPRINT = "fingerprint.pb"
_INDEX = os.path.join("variables", "variables.index")
_MAX_INDEX_NBYTES = 16 << 20
"""Of an index up to which it is hashed: that takes 0.1 s a MiB."""
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_MASK = (1 << 64) - 1
_CHECKPOINT_HASH = 5


def is_index_as_exported(directory: str) -> bool | None:
    """Tell whether the index of a SavedModel is the one it was exported with.

    None where nothing tells: there is no fingerprint, no hash in it, or no index to hash.
    """
    try:
        with RegularFile(os.path.join(directory, FINGERPRINT)) as file:
            stream = FieldStream(file)
            stored = 0
            for number, wire_type, value in stream.fields(0, stream.nbytes):
                if number == _CHECKPOINT_HASH and wire_type == VARINT:
                    stored = value
                elif number == _CHECKPOINT_HASH and wire_type == FIXED64:
                    stored = int.from_bytes(stream.take(value, "hash"), "little")
        with RegularFile(os.path.join(directory, _INDEX)) as index:
            if not stored or index.nbytes > _MAX_INDEX_NBYTES:
                return None
            return fingerprint64(index.pread(0, index.nbytes)) == stored
    except CheckpointError:
        return None


def fingerprint64(data: bytes) -> int:
    """Give FarmHash's fingerprint of bytes.

    Example:
        >>> hex(fingerprint64(b"hello"))
        '0xb48be5a931380ce8'
    """
    n = len(data)
    if n <= 16:
        return _up_to_16(data)
    if n <= 32:
        return _up_to_32(data)
    if n <= 64:
        return _up_to_64(data)
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = _mixed(y * _K2 + 113) * _K2 & _MASK
    v = w = (0, 0)
    x = x * _K2 + _at(data, 0)
    end = (n - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = _step(data, at, x, y, z, v, w, _K1, 1)
    mul = (_K1 + ((z & 0xFF) << 1)) & _MASK
    first = w[0] + (n - 1 & 63)
    v = (v[0] + first) & _MASK, v[1]
    w = (first + v[0]) & _MASK, w[1]
    x, y, z, v, w = _step(data, n - 64, x, y, z, v, w, mul, 9)
    a = _hash16(v[0], w[0], mul) + _mixed(y) * _K0 + z
    return _hash16(a, _hash16(v[1], w[1], mul) + x, mul)


def _step(
    data: bytes,
    at: int,
    x: int,
    y: int,
    z: int,
    v: tuple[int, int],
    w: tuple[int, int],
    mul: int,
    times: int,
) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
    """Mix 64 bytes in; `times` is 9 for the last of them."""
    x = _rotated(x + y + v[0] + _at(data, at + 8), 37) * mul
    y = _rotated(y + v[1] + _at(data, at + 48), 42) * mul
    x = (x ^ w[1] * times) & _MASK
    y = (y + v[0] * times + _at(data, at + 40)) & _MASK
    z = _rotated(z + w[0], 33) * mul & _MASK
    v = _weak(data, at, v[1] * mul, x + w[0])
    w = _weak(data, at + 32, z + w[1], y + _at(data, at + 16))
    return z, y, x, v, w


def _weak(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    last = _at(data, at + 24)
    a = a + _at(data, at)
    b = _rotated(b + a + last, 21)
    c = a
    a += _at(data, at + 8) + _at(data, at + 16)
    b += _rotated(a, 44)
    return (a + last) & _MASK, (b + c) & _MASK


def _up_to_16(data: bytes) -> int:
    n = len(data)
    mul = _K2 + 2 * n
    if n >= 8:
        a, b = _at(data, 0) + _K2, _at(data, n - 8)
        c = _rotated(b, 37) * mul + a
        return _hash16(c, (_rotated(a, 25) + b) * mul, mul)
    if n >= 4:
        low, high = (int.from_bytes(data[i : i + 4], "little") for i in (0, n - 4))
        return _hash16(n + (low << 3), high, mul)
    if n:
        y, z = data[0] + (data[n >> 1] << 8), n + (data[-1] << 2)
        return _mixed(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _up_to_32(data: bytes) -> int:
    n = len(data)
    mul = _K2 + 2 * n
    a, b = _at(data, 0) * _K1, _at(data, 8)
    c, d = _at(data, n - 8) * mul, _at(data, n - 16) * _K2
    first = _rotated(a + b, 43) + _rotated(c, 30) + d
    return _hash16(first, a + _rotated(b + _K2, 18) + c, mul)


def _up_to_64(data: bytes) -> int:
    n = len(data)
    mul = _K2 + 2 * n
    a, b = _at(data, 0) * _K2, _at(data, 8)
    c, d = _at(data, n - 8) * mul, _at(data, n - 16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _hash16(y, a + _rotated(b + _K2, 18) + c, mul)
    e, f = _at(data, 16) * mul, _at(data, 24)
    g, h = (y + _at(data, n - 32)) * mul, (z + _at(data, n - 24)) * mul
    first = _rotated(e + f, 43) + _rotated(g, 30) + h
    return _hash16(first, e + _rotated(f + a, 18) + g, mul)


def _at(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _rotated(value: int, n: int) -> int:
    value &= _MASK
    return (value >> n | value << (64 - n)) & _MASK


def _mixed(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _hash16(u: int, v: int, mul: int) -> int:
    a = _mixed((u ^ v) * mul)
    return _mixed((v ^ a) * mul) * mul & _MASK
