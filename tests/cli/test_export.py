"""`ckread export`: bit for bit, atomic, nothing overwritten, damage left out and told."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.model.role import Role
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder
from tests.corruption import flip, truncate
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

RUN = FIXTURES / "digits_run"
LAST = str(RUN / "ckpt-10")
SHARD = "ckpt-7.data-00000-of-00001"


@pytest.fixture
def run(call: Any) -> Any:
    return partial(call, "export")


def test_all_of_it_bit_for_bit(run: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "all.npz")
    code, out, err = run(LAST, "-o", target)
    assert (code, out) == (0, "")
    assert err == f"wrote {target}: 43 variables, 462 KiB\n"
    with ckread.open(LAST) as checkpoint, np.load(target) as arrays:
        names = [v.name for v in checkpoint.values() if v.role is not Role.BOOKKEEPING]
        assert sorted(arrays.files) == sorted(names)
        for name in names:
            expected = checkpoint[name].numpy()
            assert arrays[name].dtype == expected.dtype
            assert arrays[name].shape == expected.shape
            assert arrays[name].tobytes() == expected.tobytes()


def test_one_variable_by_its_whole_name(run: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "bias.npy")
    assert run(LAST, "conv1/bias", "-o", target)[0] == 0
    with ckread.open(LAST) as checkpoint:
        assert np.load(target).tobytes() == checkpoint["conv1/bias"].numpy().tobytes()
    rows = str(tmp_path / "bias.csv")
    assert run(LAST, "conv1/bias", "-o", rows)[0] == 0
    assert np.loadtxt(rows, np.float32).tobytes() == np.load(target).tobytes()


def test_several_do_not_fit_one_array(run: Any, tmp_path: Path) -> None:
    code, _, err = run(LAST, "conv*/**", "-o", str(tmp_path / "x.npy"))
    assert code == 2
    assert err.startswith("error: 4 variables do not fit one .npy file.")
    assert os.listdir(tmp_path) == []


def test_damage_ends_it_and_leaves_nothing(run: Any, damaged: str) -> None:
    folder = os.path.dirname(damaged)
    before = sorted(os.listdir(folder))
    code, _, err = run(damaged, "-o", f"{folder}/rest.npz")
    assert code == 2
    assert "Add --salvage to leave out what cannot be read." in err
    assert sorted(os.listdir(folder)) == before


def test_salvage_leaves_out_what_is_damaged_and_is_1(run: Any, damaged: str) -> None:
    target = f"{os.path.dirname(damaged)}/rest.npz"
    code, _, err = run(damaged, "-o", target, "--salvage")
    assert code == 1
    assert err.splitlines()[0].endswith("42 variables, 444 KiB; left out: conv2/kernel (damaged)")
    with np.load(target) as arrays:
        assert len(arrays.files) == 42
        assert "conv2/kernel" not in arrays.files
    code, out, _ = run(damaged, "-o", target, "--salvage", "--force", "--json")
    assert (code, [left["name"] for left in json.loads(out)["left_out"]]) == (1, ["conv2/kernel"])


def test_salvage_says_what_is_missing_in_few_lines(run: Any, damaged: str) -> None:
    truncate(os.path.join(os.path.dirname(damaged), SHARD), 300_000)
    target = f"{os.path.dirname(damaged)}/rest.npz"
    code, _, err = run(damaged, "-o", target, "--salvage")
    first, *rest = err.splitlines()
    assert code == 1
    assert first.endswith(" and 20 more (missing)")
    assert len(rest) == 3
    assert all(line.endswith("are wanted, the file ends at byte 300,000.") for line in rest)
    with np.load(target) as arrays:
        assert len(arrays.files) == 20


@pytest.mark.parametrize("options", [[], ["--salvage"]])
def test_an_archive_with_damaged_weights_is_not_written_out(
    run: Any, options: list[str], tmp_path: Path
) -> None:
    archive, target = str(tmp_path / "m.keras"), str(tmp_path / "rest.npz")
    shutil.copy(FIXTURES / "digits_files" / "digits.keras", archive)
    assert run(archive, "-o", target, *options)[0] == 0
    os.remove(target)
    flip(archive, 90_000)
    code, _, err = run(archive, "-o", target, *options)
    assert code == 2
    assert "stored CRC-32 0x" in err
    assert not os.path.exists(target)


def test_salvage_of_a_sound_one_is_0(run: Any, tmp_path: Path) -> None:
    assert run(LAST, "-o", str(tmp_path / "all.npz"), "--salvage")[0] == 0


def test_nothing_is_overwritten_unasked(run: Any, tmp_path: Path) -> None:
    target = tmp_path / "x.npz"
    target.write_bytes(b"precious")
    assert run(LAST, "-o", str(target))[0] == 2
    assert target.read_bytes() == b"precious"
    assert run(LAST, "-o", str(target), "--force")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "export: -o FILE is missing"),
        (["-o", "x.txt"], "no suffix that says how to write it"),
        (["nonsense", "-o", "x.npz"], "no variable matches nonsense"),
    ],
)
def test_arguments_that_do_not_do(run: Any, words: list[str], message: str) -> None:
    code, _, err = run(LAST, *words)
    assert code == 2
    assert message in err


def test_what_does_not_fit_an_archive_is_named(run: Any, tmp_path: Path) -> None:
    target = tmp_path / "x.npz"
    code, _, err = run(str(FIXTURES / "strings" / "plain"), "-o", str(target))
    assert code == 2
    assert err == (
        "error: matrix: strings that end in a NUL byte, which numpy would drop.\n"
        "Write it alone, as .csv.\nAdd --salvage to leave out what cannot be read.\n"
    )
    assert not target.exists()


def test_names_never_become_paths(run: Any, tmp_path: Path) -> None:
    builder = BundleBuilder()
    for name in ("../../up", "/abs", "a\nb", "a\x0bb", "..\\win"):
        builder.add(name, np.ones(2, np.float32), DataType.FLOAT32)
    target = str(tmp_path / "x.npz")
    assert run(builder.write(tmp_path / "m"), "-o", target)[0] == 0
    with np.load(target) as arrays:
        members = arrays.files
    assert len(members) == len(set(members)) == 5
    assert all(".." not in member.split("/") and not member.startswith("/") for member in members)
    assert all(member.isprintable() for member in members)


def test_a_large_tensor_is_streamed(run: Any, tmp_path: Path) -> None:
    array = np.arange(3_000_000, dtype=np.float32).reshape(1000, 3000)
    builder = BundleBuilder()
    builder.add("large", array, DataType.FLOAT32)
    target = str(tmp_path / "x.npz")
    assert run(builder.write(tmp_path / "m"), "-o", target)[0] == 0
    with np.load(target) as arrays:
        assert np.array_equal(arrays["large"], array)
