"""Section 8, numbers: bytes that no writer makes read as in TensorFlow, and are summed right."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

import ckread
from ckread.cli.main import main
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 3e38
TINY = 2.0**-149
RAW: dict[str, tuple[DataType, np.ndarray[Any, Any], list[Any]]] = {
    "bool bytes above 1": (
        DataType.BOOL, np.array([0, 1, 2, 255], "u1"), [False, True, True, True],
    ),
    "high bits of int4": (
        DataType.INT4, np.array([0, 7, 8, 15, 0x1F, 0xF8, 0xFF], "u1"), [0, 7, -8, -1, -1, -8, -1],
    ),
    "high bits of uint4": (
        DataType.UINT4, np.array([0, 7, 15, 0x1F, 0xFF], "u1"), [0, 7, 15, 15, 15]
    ),
    "least int64": (
        DataType.INT64, np.array([-(1 << 63), (1 << 63) - 1, 0], "i8"),
        [-(1 << 63), (1 << 63) - 1, 0],
    ),
    "denormals": (
        DataType.FLOAT32, np.array([TINY, -TINY, 0], "f4"), [TINY, -TINY, 0.0],
    ),
    "not finite": (
        DataType.FLOAT32, np.array([np.inf, -np.inf, 1], "f4"), [math.inf, -math.inf, 1.0],
    ),
}  # fmt: skip


def _write(path: Path) -> str:
    builder = BundleBuilder()
    for name, (dtype, array, _) in RAW.items():
        builder.add(f"{name}/kernel", array, dtype)
    large = np.full((400, 4), LARGE, ml_dtypes.bfloat16)
    builder.add("bfloat16/kernel", large, DataType.BFLOAT16)
    return builder.write(path / "m")


@pytest.mark.parametrize("name", RAW)
def test_values_that_no_writer_makes(tmp_path: Path, name: str) -> None:
    dtype, stored, expected = RAW[name]
    with ckread.open(_write(tmp_path)) as checkpoint:
        variable = checkpoint[f"{name}/kernel"]
        values = variable.numpy()
        assert variable.dtype is dtype
        assert values.tolist() == expected
        assert np.asarray(next(iter(variable.chunks()))).tolist() == expected
        assert values.view("u1").tobytes() == stored.tobytes()  # bit for bit all the same


@pytest.mark.oracle
@pytest.mark.parametrize("name", RAW)
def test_tensorflow_reads_the_same(tmp_path: Path, name: str) -> None:
    tf = pytest.importorskip("tensorflow")
    values = tf.train.load_checkpoint(_write(tmp_path)).get_tensor(f"{name}/kernel")
    assert values.tolist() == RAW[name][2]


def test_statistics_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sum of squares of bfloat16 near its end is beyond float32; |-2**63| is beyond int64."""
    assert main(["stats", _write(tmp_path), "--role", "all", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["variables"]
    found = {one["name"].partition("/")[0]: one for one in figures}
    assert (found["bool bytes above 1"]["mean"], found["bool bytes above 1"]["zeros"]) == (0.75, 1)
    assert (found["high bits of int4"]["min"], found["high bits of int4"]["max"]) == (-8, 7)
    assert found["high bits of uint4"]["max"] == 15
    assert found["least int64"]["min"] == -(1 << 63)
    assert found["least int64"]["l2"] == pytest.approx(math.hypot(2.0**63, 2.0**63))
    assert found["denormals"]["l2"] == pytest.approx(1.98e-45, rel=0.01)
    assert found["not finite"]["inf"] == 2
    large = float(ml_dtypes.bfloat16(LARGE))
    assert found["bfloat16"]["mean"] == pytest.approx(large)
    assert found["bfloat16"]["l2"] == pytest.approx(40 * large)


def test_every_command_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = _write(tmp_path)
    for words in (
        ["info"],
        ["ls"],
        ["stats", "--role", "all"],
        ["diff", prefix, "--all"],
        ["check"],
    ):
        for form in ([], ["--json"]):
            assert main([words[0], prefix, *words[1:], *form]) in (0, 1)
    captured = capsys.readouterr()
    assert "fault of ckread" not in captured.err
