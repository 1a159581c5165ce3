"""What TensorFlow says of a checkpoint, from a child process: reads, refuses, dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.check import check
from ckread.analysis.findings import Code, Finding, Level
from ckread.readers.dtypes import DataType
from tests.builders import BundleBuilder, entry_bytes
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.oracle


def _told(path: Path | str) -> list[Finding]:
    report = check(path, with_tensorflow=True)
    return [finding for finding in report.findings if finding.code is Code.TENSORFLOW]


def test_it_reads_it() -> None:
    (told,) = _told(FIXTURES / "digits_run" / "ckpt-9")
    assert (told.level, told.message) == (Level.NOTE, "TensorFlow reads it: yes, 44 tensors")


def test_it_refuses_some() -> None:
    first, *rest = _told(FIXTURES / "sharded" / "partitioned" / "model.ckpt")
    assert (first.level, first.message) == (
        Level.WARNING, "TensorFlow refuses 4 variables of 8",
    )  # fmt: skip
    assert [finding.variable for finding in rest] == [
        "columns/string", "hole/float32", "rows/half", "vector/uint16",
    ]  # fmt: skip


def test_it_dies(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("good", np.ones(2, np.float32), DataType.FLOAT32)
    builder.items[b"strange"] = entry_bytes(99, [2], size=8)
    (told,) = _told(builder.write(tmp_path / "m"))
    assert told.level is Level.ERROR
    assert told.message.startswith("TensorFlow dies of SIG")
    assert told.message.endswith("restoring strange")


def test_keras_files_are_not_its_own() -> None:
    (told,) = _told(FIXTURES / "digits_files" / "digits.keras")
    assert told.message == "TensorFlow itself does not read this format; Keras does"
