"""A `.keras` whose weights changed: no command shows a figure as if it were sound."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import pytest

import ckread
from ckread.cli.main import main
from tests.cli.test_end_to_end import clean_environment
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

SOUND = FIXTURES / "keras_compiled" / "compiled.keras"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Give a run of a sound archive and one with a bit flipped in a weight; stand beside it."""
    shutil.copy(SOUND, tmp_path / "m-1.keras")
    with ckread.open(SOUND) as checkpoint:
        variable = next(v for v in checkpoint.values() if v.role == "weight")
        [extent] = variable.extents() or ()
    data = bytearray(SOUND.read_bytes())
    data[extent.offset] ^= 1
    path = tmp_path / "m-2.keras"
    path.write_bytes(data)
    return path


def _name() -> str:
    with ckread.open(SOUND) as checkpoint:
        return next(v.name for v in checkpoint.values() if v.role == "weight")


@pytest.mark.parametrize("command", ["stats", "show", "diff", "drift", "track"])
def test_no_figure_is_shown_without_a_word(
    command: str, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "stats": [str(damaged)],
        "show": [str(damaged), _name()],
        "diff": [str(SOUND), str(damaged)],
        "drift": [str(damaged.parent)],
        "track": [str(damaged.parent), "iterations"],
    }[command]
    code = main([command, *words])
    out, err = capsys.readouterr()
    assert "stored CRC-32 0x" in out + err
    assert "'model.weights.h5'" in out + err
    assert code == 2 or command in ("drift", "track")


def test_a_slice_says_that_it_is_not_verified_and_verify_reads_it_all(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["show", str(damaged), f"{_name()}[0]"]
    assert main(words) == 0
    assert "a slice is not verified by checksum" in capsys.readouterr().err
    assert main([*words, "--verify"]) == 2
    assert "stored CRC-32 0x" in capsys.readouterr().err


def test_what_is_said_of_checksums_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    h5 = FIXTURES / "keras_compiled" / "compiled.h5"
    for path, verified in ((SOUND, True), (h5, None)):
        assert main(["show", str(path), _name(), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["verified"] is verified
    assert ckread.statistics(SOUND).has_checksums
    assert not ckread.statistics(h5).has_checksums
    assert ckread.diff(SOUND, SOUND).verified
    assert not ckread.diff(SOUND, h5).verified


def test_the_member_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from ckread.readers.zip_members import ZipMembers

    verified: list[str] = []
    monkeypatch.setattr(ZipMembers, "verify", lambda _, name: verified.append(name))
    with ckread.open(SOUND) as checkpoint:
        assert not verified
        ckread.statistics(checkpoint)
        for variable in checkpoint.values():
            variable.numpy()
    assert verified == ["model.weights.h5"]


@pytest.mark.parametrize("more", [[], ["--json"]], ids=" ".join)
def test_a_picture_is_written_although_the_pipe_is_closed(tmp_path: Path, more: list[str]) -> None:
    picture = tmp_path / "f.png"
    words = ["stats", str(FIXTURES / "digits_run"), "--role", "all", "--plot", str(picture)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ckread", *words, *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert process.returncode == 141
    assert b"Traceback" not in errors


_MEASURED = (
    "import sys, time; from ckread.cli.main import main; code = main(sys.argv[1:]);"
    "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'));"
    "peak = int(peak.split()[1]) >> 10;"
    "print(code, time.process_time(), peak, sep='\\n', file=sys.stderr)"
)
"""The peak since the program began: `ru_maxrss` would count what the parent held, too."""


@pytest.mark.parametrize("storage", ["contiguous", "chunked", "compressed"])
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_shape_that_nothing_is_stored_for_costs_nothing(
    storage: str, suffix: str, tmp_path: Path
) -> None:
    """Claim 4 TiB of values: loading them gave out of memory in Keras (CVE-2026-0897)."""
    weights = tmp_path / "bomb.weights.h5"
    options: dict[str, Any] = {} if storage == "contiguous" else {"chunks": (256, 256)}
    options |= {"compression": "gzip"} if storage == "compressed" else {}
    with h5py.File(weights, "w") as file:
        made = file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f4", **options)
        if storage != "contiguous":
            made[:8, :8] = 1
    path = tmp_path / f"bomb{suffix}"
    if suffix == ".keras":
        with zipfile.ZipFile(SOUND) as sound, zipfile.ZipFile(path, "w") as archive:
            for name in ("config.json", "metadata.json"):
                archive.writestr(name, sound.read(name))
            archive.write(weights, "model.weights.h5")
    is_listed = storage == "contiguous"  # as never written: `info` tells shapes, and reads no value
    refused = "never written" if is_listed else "decompression bomb"
    for command, expected in (("info", 0 if is_listed else 2), ("check", 1), ("stats", 2)):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, command, str(path)],
            capture_output=True, text=True, timeout=60, check=True, env=clean_environment(),
        )  # fmt: skip
        *said, code, seconds, mebibytes = done.stderr.splitlines()
        assert int(code) == expected
        assert not expected or refused in done.stdout + " ".join(said)
        assert float(seconds) < 2
        assert int(mebibytes) < 300
