"""`ckread check` on real files: exit codes, what each output form says, hostile names."""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.readers.contract import DataType
from tests.builders import BundleBuilder
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

RUN = FIXTURES / "digits_run"
SHARD = "ckpt-7.data-00000-of-00001"
CONV2 = "stored CRC-32C 0x09693846, computed 0xae9d8321, as if only byte 310000 had changed"


@pytest.fixture
def run(call: Any) -> Any:
    return partial(call, "check")


def test_sound_is_0_and_one_line_comes_first(run: Any) -> None:
    code, out, err = run(str(RUN / "ckpt-10"))
    assert (code, err) == (0, "")
    first, header, warning = out.splitlines()
    assert first == "# sound: 44 tensors, 456 KiB read, every checksum right, every value finite."
    assert header.split() == ["#", "level", "code", "variable", "message"]
    assert warning.split()[:3] == ["warning", "dead-units", "conv1/kernel"]


def test_nothing_found_is_said_too(run: Any) -> None:
    code, out, err = run(str(FIXTURES / "schedule_run" / "ckpt-3"))
    assert (code, err) == (0, "")
    first, header = out.splitlines()
    assert first.startswith("# sound: ")
    assert header.split() == ["#", "level", "code", "variable", "message"]


def test_data_without_its_index_is_told_beside_another_checkpoint(run: Any, tmp_path: Path) -> None:
    for name in ("ckpt-7.index", SHARD, "ckpt-8.data-00000-of-00001"):
        shutil.copy(RUN / name, tmp_path / name)
    code, out, _ = run(str(tmp_path), "--json")
    left = [f for f in json.loads(out)["findings"] if f["code"] == "leftovers"]
    assert code == 0
    assert [(f["level"], f["place"], f["message"]) for f in left] == [
        ("warning", "ckpt-8.index", "data of ckpt-8 is there without ckpt-8.index")
    ]
    code, out, _ = run(str(tmp_path), "--every")
    assert code == 1
    assert out.startswith("# unsound: 1 of 2 checkpoints is not sound: ckpt-8.")
    assert [line.split()[:3] for line in out.splitlines()[2:]] == [
        ["warning", "dead-units", "ckpt-7"],
        ["error", "no-index", "ckpt-8"],
    ]
    os.remove(tmp_path / "ckpt-8.data-00000-of-00001")
    code, out, _ = run(str(tmp_path), "--every", "--quick")
    assert code == 0
    assert out.startswith("# unknown: nothing is wrong with 1 index; values were not read.")


def test_a_directory_of_nothing_but_a_torn_save(run: Any, tmp_path: Path) -> None:
    shutil.copy(RUN / "ckpt-8.data-00000-of-00001", tmp_path)
    for words in ([], ["--every"]):
        code, out, err = run(str(tmp_path), *words)
        assert (code, err) == (1, "")
        assert out.splitlines()[-1].split()[:2] == ["error", "no-index"]


def test_a_path_that_leads_nowhere_is_told_before_words_too_many(run: Any, tmp_path: Path) -> None:
    code, _, err = run(str(tmp_path / "nope"), "x")
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'nope'}: no such checkpoint.")
    assert run(str(RUN), "x")[2].startswith("error: check: x: one argument too many.")
    spaced = tmp_path / "my run"
    shutil.copytree(RUN, spaced)
    assert run(*str(spaced).split())[2] == (
        f"error: {tmp_path / 'my'}: no such checkpoint.\n"
        f"A path with spaces goes in quotes: '{spaced}'\n"
    )


def test_damaged_is_1_and_piped_as_records(run: Any, damaged: str) -> None:
    code, out, _ = run(damaged)
    assert code == 1
    assert out.splitlines()[0] == (
        "# unsound: 1 of 44 tensors is damaged, 18.0 KiB of 456 KiB; the rest is intact."
    )
    assert out.splitlines()[2].split(maxsplit=3) == [
        "error",
        "tensor-checksum",
        "conv2/kernel",
        f"{SHARD}, bytes 307812 to 326244: {CONV2}",
    ]


def test_the_screen(run: Any, damaged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(damaged, "--color", "always")
    assert "\x1b[1;31munsound\x1b[0m: 1 of 44 tensors is damaged, 18.0 KiB of 456 KiB" in out
    assert out.endswith(
        "What is intact can be kept:\n" + f"  ckread export {damaged} -o rest.npz --salvage\n"
    )


def test_the_document(run: Any, damaged: str) -> None:
    code, out, _ = run(damaged, "--json")
    document = json.loads(out)
    assert code == 1
    assert document["schema"] == "ckread.check/1"
    assert document["sound"] is False
    assert document["verified"] == {"variables": 43, "nbytes": 466503 - 18432}
    assert document["findings"][0] == {
        "level": "error",
        "code": "tensor-checksum",
        "variable": "conv2/kernel",
        "place": f"{SHARD}, bytes 307812 to 326244",
        "message": CONV2,
        "remedy": "Copy the file again from where it came.",
    }


def test_quick_is_unknown_and_0(run: Any, damaged: str) -> None:
    code, out, _ = run(damaged, "--quick", "--json")
    document = json.loads(out)
    assert (code, document["sound"], document["verified"]["variables"]) == (0, None, 0)


def test_every_checkpoint_of_a_run(run: Any, damaged: str) -> None:
    code, out, _ = run(str(RUN), "--every")
    assert code == 0
    assert out.startswith("# sound: all 10 checkpoints, 4.45 MiB read, checksums right,")
    folder = os.path.dirname(damaged)
    for name in ("ckpt-8.index", "ckpt-8.data-00000-of-00001"):
        shutil.copy(RUN / name, folder)
    code, out, _ = run(folder, "--every", "--json")
    document = json.loads(out)
    assert code == 1
    assert [found["sound"] for found in document["checkpoints"]] == [False, True]


def test_like_findings_of_several_checkpoints_are_one(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(str(RUN), "--every", "--color", "always")
    out = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert "warning  conv1/kernel, conv1/bias, ckpt-1 to ckpt-3\n" in out
    assert "warning  conv1/kernel, ckpt-4 to ckpt-10\n" in out


def test_what_is_no_checkpoint_is_2(run: Any, tmp_path: Path) -> None:
    code, out, err = run(str(tmp_path / "nothing"))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    code, out, _ = run(str(tmp_path / "nothing"), "--json")
    assert (code, json.loads(out)["schema"]) == (2, "ckread.error/1")


HOSTILE = ["\x1b[2J", "[red]a[/red]", "line\nbreak", "‮kernel", "=cmd()", "a\udcffb", "n" * 5000]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", ["piped", "screen", "json", "every"])
def test_names_are_escaped_in_every_form(name: str, form: str, run: Any, tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add(f"{name}/kernel", np.full((2, 2), np.nan, np.float32), DataType.FLOAT32)
    prefix = builder.write(tmp_path / "m")
    options = {
        "piped": [],
        "screen": ["--color", "always"],
        "json": ["--json"],
        "every": ["--every"],
    }
    path = str(tmp_path) if form == "every" else prefix
    code, out, err = run(path, *options[form])
    assert code == 1
    out = re.sub(r"\x1b\[[\d;]*m", "", out)  # our own colours
    assert all(line.isprintable() for line in (out + err).splitlines())
    if form == "json":
        assert json.loads(out)["findings"][0]["variable"] == f"{name}/kernel"
    elif "[red]" in name or name.startswith("="):
        assert name in out  # shown as it is: no markup, no formula


def test_nothing_is_written_beside_it(run: Any, damaged: str) -> None:
    folder = os.path.dirname(damaged)
    before = sorted(os.listdir(folder))
    run(damaged)
    assert sorted(os.listdir(folder)) == before
