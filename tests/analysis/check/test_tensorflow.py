"""What TensorFlow says of a checkpoint, from a child process: reads, refuses, dies."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.check.check import check
from ckread.analysis.check.tensorflow import check_with_tensorflow
from ckread.analysis.findings import Code, Finding, Level
from ckread.model.opening import open_checkpoint
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder, entry_bytes
from tests.corruption import flip
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.oracle


def _told(path: Path | str) -> list[Finding]:
    report = check(path, with_tensorflow=True)
    return [finding for finding in report.findings if finding.code is Code.TENSORFLOW]


@pytest.mark.slow
def test_it_reads_it() -> None:
    (told,) = _told(FIXTURES / "digits_run" / "ckpt-9")
    assert (told.level, told.message) == (Level.NOTE, "TensorFlow reads it: yes, 44 tensors")


@pytest.mark.slow
def test_it_refuses_some() -> None:
    first, *rest = _told(FIXTURES / "sharded" / "partitioned" / "model.ckpt")
    assert (first.level, first.message) == (
        Level.WARNING, "TensorFlow refuses 4 of 8 variables",
    )  # fmt: skip
    told = {finding.variable for finding in rest}
    assert told == {"columns/string", "rows/half", "vector/uint16"}  # hole/float32 is damaged


@pytest.mark.slow
def test_it_refuses_what_is_damaged_and_that_is_no_news(tmp_path: Path) -> None:
    for name in ("ckpt-7.index", "ckpt-7.data-00000-of-00001"):
        shutil.copy(FIXTURES / "digits_run" / name, tmp_path / name)
    flip(tmp_path / "ckpt-7.data-00000-of-00001", 310_000)
    (told,) = _told(tmp_path / "ckpt-7")
    assert told.level is Level.WARNING
    assert told.message == "TensorFlow refuses 1 of 44 variables, those that are damaged"


@pytest.mark.slow
def test_it_dies(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("good", np.ones(2, np.float32), DataType.FLOAT32)
    builder.items[b"strange"] = entry_bytes(99, [2], size=8)
    (told,) = _told(builder.write(tmp_path / "m"))
    assert told.level is Level.ERROR
    assert told.message.startswith("TensorFlow dies of SIG")
    assert told.message.endswith("restoring strange")


@pytest.mark.slow
def test_an_index_that_cannot_be_read_is_tried_too(tmp_path: Path) -> None:
    for name in ("ckpt-7.index", "ckpt-7.data-00000-of-00001"):
        shutil.copy(FIXTURES / "digits_run" / name, tmp_path / name)
    flip(tmp_path / "ckpt-7.index", 500)
    (told,) = _told(tmp_path / "ckpt-7")
    assert told.level is Level.ERROR
    assert told.message.startswith("TensorFlow d")  # does not open it, or dies: by release


@pytest.mark.slow
def test_memory_is_limited(tmp_path: Path) -> None:
    """Let an index and a sparse shard claim a tebibyte."""
    nbytes = 1 << 40
    builder = BundleBuilder()
    builder.add("good", np.ones(2, np.float32), DataType.FLOAT32)
    builder.items[b"huge"] = entry_bytes(1, [nbytes // 4], offset=8, size=nbytes)
    prefix = builder.write(tmp_path / "m")
    os.truncate(f"{prefix}.data-00000-of-00001", nbytes + 8)
    with open_checkpoint(prefix) as checkpoint:
        told = check_with_tensorflow(checkpoint, prefix)
    dies = told[0].level is Level.ERROR and told[0].message.endswith("restoring huge")
    refuses = [finding.message for finding in told[:1]] == ["TensorFlow refuses 1 of 2 variables"]
    assert dies or (refuses and told[1].variable == "huge")


def test_time_is_limited() -> None:
    prefix = str(FIXTURES / "digits_run" / "ckpt-9")
    with open_checkpoint(prefix) as checkpoint:
        (told,) = check_with_tensorflow(checkpoint, prefix, seconds=0.2)
    assert (told.level, told.message) == (
        Level.ERROR, "TensorFlow takes more than 0.2 s opening it",
    )  # fmt: skip


def test_keras_files_are_not_its_own() -> None:
    (told,) = _told(FIXTURES / "digits_files" / "digits.keras")
    assert told.message == "TensorFlow itself does not read this format; Keras does"
