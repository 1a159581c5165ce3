"""Any damage to a file of another world is an error of ours, or is seen by its own library."""

from __future__ import annotations

import random
import zipfile
from typing import TYPE_CHECKING

import pytest

import ckread
from ckread.errors import CheckpointError
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

FILES = [
    "dtypes.safetensors", "dtypes.npz", "deflated.npz", "one.npy", "training.pt", "module.pt",
]  # fmt: skip
N_MUTANTS = 150


def mutants(data: bytes, n: int) -> list[bytes]:
    """Flip, cut, repeat and overwrite, most of it in the first and last bytes."""
    rng = random.Random(len(data))
    made = []
    for _ in range(n):
        one = bytearray(data)
        at = rng.choice(
            [rng.randrange(len(one)), rng.randrange(min(200, len(one))), -1 - rng.randrange(200)]
        )
        match rng.randrange(5):
            case 0:
                one[at] ^= 1 << rng.randrange(8)
            case 1:
                del one[at:]
            case 2:
                one[at:at] = one[at : at + 40]
            case 3:
                one[at : at + 8] = b"\xff" * len(one[at : at + 8])
            case _:
                one[at : at + 4] = rng.randbytes(len(one[at : at + 4]))
        made.append(bytes(one))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_damage_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    data = (FIXTURES / "partners" / name).read_bytes()
    path = tmp_path / name
    n_sound = 0
    for one in mutants(data, N_MUTANTS):
        path.write_bytes(one)
        try:
            report = ckread.check(path)
            with ckread.open(path) as checkpoint:
                for variable in checkpoint.values():
                    variable.to_dict()
        except CheckpointError:
            continue
        n_sound += bool(report.sound)
        if report.sound and name.endswith(("npz", "pt")):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
    assert n_sound < N_MUTANTS // 2
