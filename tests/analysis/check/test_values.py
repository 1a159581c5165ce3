"""The one byte that changed: found at every place, and never where more did."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pytest
from google_crc32c import value as crc32c

from ckread.analysis.check.finite import Look
from ckread.analysis.check.training import _zero_units
from ckread.analysis.check.values import MAX_NBYTES, ValueCheck, changed_byte, check_values
from ckread.analysis.findings import Code
from ckread.errors import ChecksumError
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 12, 100])
def test_units_that_are_all_zero(step: int) -> None:
    """However the values come in pieces."""
    for shape in ((5, 6), (2, 3, 6), (6,), (1, 6)):
        values = np.zeros(shape)
        values[..., 1] = values.reshape(-1, 6)[-1, 4] = values.reshape(-1, 6)[0, 3] = -2
        flat = values.reshape(-1)
        chunks = [flat[at : at + step] for at in range(0, flat.size, step)]
        variable = Mock(shape=shape, chunks=lambda chunks=chunks: iter(chunks))
        expected = [i for i in range(6) if not values[..., i].any()]
        assert _zero_units(variable) == expected
    assert _zero_units(Mock(shape=(0, 6))) == _zero_units(Mock(shape=(6, 0))) == []
    assert _zero_units(Mock(shape=(2, 2), chunks=Mock(side_effect=ChecksumError("x")))) == []


def checked(arrays: dict[str, np.ndarray], **roles: Role) -> ValueCheck:
    made = checkpoint(arrays, roles=roles)
    return check_values([made[name] for name in arrays])


def test_what_is_told_of_values_that_are_not_finite() -> None:
    nan, inf = np.nan, np.inf
    grid = np.zeros((2, 3), np.float32)
    grid[1, 1], grid[1, 2] = nan, -inf
    found = checked(
        {
            "w": grid, "nan": np.array([nan, nan]), "inf": np.array([inf]),
            "both": np.array([nan, inf]), "one": np.array([1, inf, inf]),
            "rate": np.array([1, nan]), "fine": np.ones(4), "slot": np.array([0.0, nan]),
        },
        rate=Role.HYPERPARAMETER, slot=Role.SLOT,
    )  # fmt: skip
    assert (found.n_verified, found.nbytes, len(found.looks)) == (8, 24 + 8 * 16, 8)
    broken = "As where training broke down: find the last good checkpoint of the run."
    told = [(f.variable, str(f.level), f.message, f.remedy, f.is_all) for f in found.findings]
    assert told == [
        ("w", "error", "1 NaN and 1 infinite of 6 elements, the first at [1, 1]", broken, False),
        ("nan", "error", "holds nothing but NaN", broken, True),
        ("inf", "error", "holds nothing but infinities", broken, True),
        ("both", "error", "holds nothing but NaN and infinities", broken, True),
        ("one", "error", "2 infinite of 3 elements, the first at [1]", broken, False),
        ("rate", "warning", "1 NaN of 2 elements, the first at [1]", None, False),
        ("slot", "warning", "1 NaN of 2 elements, the first at [1]", broken, False),
    ]
    assert {f.code for f in found.findings} == {Code.NOT_FINITE}


@pytest.mark.parametrize(("n", "n_wrong", "is_mixed"), [(7, 4, True), (8, 4, False), (5, 3, False)])
@pytest.mark.parametrize("is_blank", [False, True])
def test_most_checksums_that_are_wrong(
    tmp_path: Path, n: int, n_wrong: int, is_mixed: bool, is_blank: bool
) -> None:
    prefix = write_bundle(tmp_path / "m", {f"w{i}": np.full(2000, i + 1.0) for i in range(n)})
    shard = tmp_path / "m.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    for i in range(n_wrong):
        size = 8000
        data[i * size : (i + 1) * size] = bytes(size) if is_blank else b"\1" * size
    shard.write_bytes(data)
    with open_checkpoint(prefix) as made:
        found = check_values(list(made.values())).findings
    wrong = [f for f in found if f.code is Code.CHECKSUM]
    assert [f.variable for f in wrong] == [f"w{i}" for i in range(n_wrong)]
    assert (found[0].code is Code.SHARD_MIXED) is is_mixed
    if is_mixed and is_blank:
        assert found[0].message == "4 of 7 tensors are nothing but zero bytes"
    elif is_mixed:
        assert found[0].message == "4 of 7 tensors have other checksums than the index says"


def test_strings_are_read_and_not_zero() -> None:
    found = checked({"text": np.array([b"a", b""], object)})
    assert found.looks["text"] == Look(2, is_zero=False)
    assert (found.n_verified, found.findings) == (1, [])
