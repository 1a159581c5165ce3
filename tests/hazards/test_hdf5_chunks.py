"""A gzip chunk may hold far more than a chunk: HDF5's library inflates all of it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from ckread.errors import CorruptCheckpointError
from ckread.readers.keras.reader import open_hdf5

if TYPE_CHECKING:
    from pathlib import Path

N = 1 << 18


def _written(path: Path, chunk: bytes) -> str:
    with h5py.File(path, "w") as file:
        options = {"chunks": (N,), "compression": "gzip"}
        dataset = file.create_dataset("x", (N,), "f4", **options)
        dataset.id.write_direct_chunk((0,), chunk)
    return str(path)


def test_a_chunk_that_inflates_beyond_its_size(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(80 << 20), 9)
    assert 1 << 16 < len(bomb) < 1 << 17
    path = _written(tmp_path / "w.h5", bomb)
    with open_hdf5(path) as reader, pytest.raises(CorruptCheckpointError) as caught:
        reader.read("x")
    found = f"a chunk that inflates to over {4 * N} bytes"
    assert str(caught.value) == f"w.h5: 'x': {found}"


def test_the_nearest_legal_chunk(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=N).astype("f4")
    path = _written(tmp_path / "w.h5", zlib.compress(values.tobytes(), 9))
    with open_hdf5(path) as reader:
        assert reader.read("x").tobytes() == values.tobytes()
