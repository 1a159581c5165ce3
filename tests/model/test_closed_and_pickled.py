"""What is left of a checkpoint once it is closed, and what arrives in another process."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

import ckread
from ckread.errors import UsageError
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckread.model.variable import Variable

CONTAINERS = [
    "digits_run/ckpt-10", "digits_export", "tf012_v1", "keras_compiled/compiled.keras",
    "keras_compiled/compiled.weights.h5", "keras_compiled/compiled.h5",
]  # fmt: skip
"""A checkpoint of every container."""

READS: list[Callable[[Variable], object]] = [
    lambda v: v.numpy(),
    lambda v: v[...],
    lambda v: list(v.chunks()),
    lambda v: v.readable_extents(),
]


def _numeric(checkpoint: ckread.Checkpoint) -> Variable:
    return next(v for v in checkpoint.values() if v.dtype == "float32" and v.elements > 1)


def _open_files(folder: Path) -> list[str]:
    """Give the files below a folder that this process has open, by the kernel's own list."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return [path for path in found if path.startswith(f"{folder}/") or " (deleted)" in path]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
@pytest.mark.parametrize("name", [*CONTAINERS, "sharded/by_size", "deflated.keras", "w.npz"])
def test_closing_gives_every_file_back(name: str, tmp_path: Path) -> None:
    """Whether or not someone still holds the checkpoint, or a variable of it."""
    path, folder = FIXTURES / name, FIXTURES
    if name == "deflated.keras":
        path, folder = tmp_path / name, tmp_path
        with (
            zipfile.ZipFile(FIXTURES / "keras_compiled/compiled.keras") as stored,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as deflated,
        ):
            for member in stored.namelist():
                deflated.writestr(member, stored.read(member))
    if name == "w.npz":
        path, folder = tmp_path / name, tmp_path
        np.savez(path, a=np.ones(3), b=np.zeros((2, 2)))
    before = sorted(_open_files(folder))
    with ckread.open(path) as checkpoint:
        held = [(variable, variable.numpy()) for variable in checkpoint.values()]
        assert sorted(_open_files(folder)) != before
    assert sorted(_open_files(folder)) == before
    assert held
    checkpoint.close()  # a second time does no harm


@pytest.mark.parametrize("name", ["digits_run/ckpt-10", "keras_compiled/compiled.weights.h5"])
def test_who_reads_on_after_the_end_is_told(name: str) -> None:
    """Even where the file is still held by the one who reads."""
    with ckread.open(FIXTURES / name) as checkpoint:
        variable = max((v for v in checkpoint.values()), key=lambda v: v.nbytes)
        chunks = variable.chunks(64)
        next(chunks)
    with pytest.raises(UsageError, match="closed"):
        list(chunks)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_closed_checkpoint_lists_and_reads_no_values(name: str) -> None:
    with ckread.open(FIXTURES / name) as checkpoint:
        variable = _numeric(checkpoint)
        variable.numpy()
    for read in READS:
        with pytest.raises(UsageError, match="the checkpoint was closed") as caught:
            read(variable)
        assert caught.value.remedy == "Open it again, or close it later."
    assert checkpoint[variable.name].shape == variable.shape
    assert checkpoint.files()
    damaged = ckread.statistics(checkpoint).damaged
    assert damaged
    assert all("was closed" in str(one.error) for one in damaged)


def test_a_closed_checkpoint_gives_no_scalar() -> None:
    with ckread.open(FIXTURES / "digits_run/ckpt-10") as checkpoint:
        pass
    with pytest.raises(UsageError, match="was closed"):
        checkpoint["optimizer/iterations"].scalar()


def test_closing_one_checkpoint_of_a_run_does_not_close_it_for_others() -> None:
    for pattern in ("digits_run/ckpt-*", "keras_compiled/compiled.*"):
        run = ckread.open_run(str(FIXTURES / pattern))
        with run[-1] as first:
            kept = run[-1]
        with kept:
            assert _numeric(kept).numpy().size
        with pytest.raises(UsageError, match="was closed"):
            _numeric(first).numpy()
        with run[-1] as again:
            assert _numeric(again).numpy().size


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_checkpoint_pickles_as_its_path(name: str) -> None:
    with ckread.open(FIXTURES / name) as checkpoint:
        with pickle.loads(pickle.dumps(checkpoint)) as arrived:
            assert list(arrived) == list(checkpoint)
            assert arrived.path == checkpoint.path
            variable = _numeric(checkpoint)
            assert arrived[variable.name].numpy().tobytes() == variable.numpy().tobytes()
        with pytest.raises(TypeError, match="pickle its Checkpoint"):
            pickle.dumps(variable)


def test_a_run_pickles_with_its_listing() -> None:
    run = ckread.open_run(FIXTURES / "digits_run")
    for arrived in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        assert arrived.entries == run.entries
        assert arrived.to_dict() == run.to_dict()
        with arrived[-1] as ours, run[-1] as theirs:
            assert _numeric(ours).numpy().tobytes() == _numeric(theirs).numpy().tobytes()
        assert arrived.error_now(0) is None
