"""`runs`, `drift`, `track`, `history` on real files: streams, options, what they import."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

RUN = str(FIXTURES / "digits_run")
LOG = f"{RUN}/history.json"


def _records(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("words", "n_columns"),
    [
        (["runs", RUN], 6),
        (["drift", RUN], 7),
        (["drift", RUN, "--index-only", "--role", "all"], 7),
        (["track", RUN, "learning_rate", "iterations"], 3),
        (["history", LOG, "--run", RUN], 7),
    ],
)
def test_piped_records(call: Call, words: list[str], n_columns: int) -> None:
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    records = _records(out)
    assert len(records) >= 10
    assert {len(record) for record in records} == {n_columns}


@pytest.mark.parametrize(
    "words",
    [
        ["runs", RUN],
        ["drift", RUN, "conv1"],
        ["drift", RUN, "--index-only"],
        ["track", RUN, "iterations"],
        ["history", LOG, "--run", RUN],
    ],
)
def test_json_is_one_document(call: Call, words: list[str]) -> None:
    code, out, _ = call(*words, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == f"ckread.{words[0]}/1"


@pytest.mark.parametrize(
    "words", [["runs"], ["drift"], ["track"], ["history"], ["track", RUN], ["drift", "nothing"]]
)
def test_trouble_is_2_and_json_too(call: Call, words: list[str]) -> None:
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    code, out, _ = call(*words, "--json")
    assert code == 2
    assert json.loads(out)["schema"] == "ckread.error/1"


def test_paths_come_before_patterns(call: Call) -> None:
    code, out, _ = call(
        "drift", f"{RUN}/ckpt-2", f"{RUN}/ckpt-3.index", "conv1/kernel", "-p", "hidden"
    )
    assert code == 0
    records = _records(out)
    assert {record[0] for record in records} == {"conv1/kernel", "hidden/kernel", "hidden/bias"}
    assert {record[1] for record in records} == {"2", "3"}
    _, out, _ = call("drift", f"{RUN}/ckpt-[23]", "conv1/kernel")
    assert len(_records(out)) == 2


def test_the_runs_of_several_models_are_noted(call: Call, tmp_path: Path) -> None:
    for step in range(4):
        arrays = {f"w{i}": np.ones(2) for i in range(1 + step % 2 * 3)}
        write_bundle(tmp_path / f"ckpt-{step}", arrays)
    code, out, err = call("drift", str(tmp_path))
    assert code == 0
    assert "note: Of 4 checkpoints of 2 different models the largest group was taken" in err
    assert len(_records(out)) == 8
    assert call("drift", str(tmp_path), "-q")[2] == ""


@pytest.mark.parametrize("options", [[], ["--index-only"], ["conv1"], ["--json"]])
def test_a_drift_needs_two(call: Call, options: list[str]) -> None:
    code, out, err = call("drift", f"{RUN}/ckpt-3", *options)
    assert code == 2
    told = json.loads(out)["error"]["message"] if options == ["--json"] else err.splitlines()[0]
    assert f"{RUN}/ckpt-3: one checkpoint, and drift compares several" in told
    assert "\n" not in out.strip()


def test_what_is_left_of_a_drift_may_be_one(call: Call, tmp_path: Path) -> None:
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.full(3, step)})
    (tmp_path / "ckpt-2.data-00000-of-00001").unlink()
    code, out, err = call("drift", str(tmp_path))
    assert (code, out) == (0, "# One checkpoint alone: nothing to compare it with.\n")
    assert err.startswith("warning: 1 checkpoint was left out, its data is not here")


def test_damage_is_a_warning(call: Call, tmp_path: Path) -> None:
    for path in (FIXTURES / "digits_run").glob("ckpt-[12].*"):
        shutil.copy(path, tmp_path / path.name)
    shard = tmp_path / "ckpt-2.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    code, _, err = call("drift", str(tmp_path), "--role", "all")
    assert code == 0
    assert "stored CRC-32C" in err


def test_quiet_runs_are_paths(call: Call) -> None:
    _, out, _ = call("runs", RUN, "-q")
    assert out.splitlines() == [f"{RUN}/ckpt-{i}" for i in range(1, 11)]


@pytest.mark.parametrize(
    "words",
    [
        ["drift", RUN, "kernel"],
        ["drift", RUN, "--role", "all"],
        ["track", RUN, "learning_rate"],
        ["history", LOG, "--run", RUN],
    ],
)
def test_pictures(call: Call, tmp_path: Path, words: list[str]) -> None:
    for name in ("a.png", "a.svg", "a.pdf"):
        path = tmp_path / name
        code, _, err = call(*words, "--plot", str(path))
        assert code == 0
        assert f"wrote {path}: " in err
        first = path.read_bytes()
        assert call(*words, "--plot", str(path))[0] == 2
        assert call(*words, "--plot", str(path), "--force")[0] == 0
        assert path.read_bytes() == first
    assert "<text" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    "words", [["runs", RUN], ["drift", RUN, "--index-only"], ["track", RUN, "learning_rate"]]
)
def test_what_needs_no_values_needs_no_numpy(words: list[str]) -> None:
    heavy = ("numpy", "ml_dtypes", "h5py", "matplotlib", "tensorflow", "google.protobuf")
    code = (
        "import sys; from ckread.cli.main import main;"
        f"main({words!r}); sys.stderr.write(' '.join(m for m in {heavy!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_keras_files_and_exports_as_runs(call: Call, tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copy(
            FIXTURES / "digits_files/digits.weights.h5", tmp_path / f"w.{number}.weights.h5"
        )
        shutil.copytree(FIXTURES / "digits_export", tmp_path / "export" / str(number))
    names = ["w.1.weights.h5", "w.2.weights.h5"]  # models, perhaps, and versions: no steps
    for folder, expected in ((tmp_path, names), (tmp_path / "export", ["1", "2"])):
        code, out, _ = call("drift", str(folder), "conv1/kernel")
        records = _records(out)
        assert code == 0
        assert [record[1] for record in records] == expected
        assert records[1][3:5] == ["0", "0"]
        assert records[1][6] == "no"


def test_a_run_without_data_is_told_once(call: Call, tmp_path: Path) -> None:
    for step in range(1, 6):
        write_bundle(tmp_path / f"ckpt-{step}", {f"w{i}": np.full(3, step) for i in range(9)})
        (tmp_path / f"ckpt-{step}.data-00000-of-00001").unlink()
    code, out, err = call("drift", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"error: {tmp_path}: no data is here, of 5 checkpoints only the indexes.",
        "--index-only compares their checksums, without a value.",
    ]
    code, out, _ = call("drift", str(tmp_path), "--index-only")
    assert code == 0
    assert len(_records(out)) == 45


def test_a_checkpoint_without_data_is_left_out(call: Call, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_bundle(tmp_path / f"ckpt-{step}", {f"w{i}": np.full(3, step) for i in range(9)})
    (tmp_path / "ckpt-2.data-00000-of-00001").unlink()
    code, out, err = call("drift", str(tmp_path))
    assert code == 0
    assert err == "warning: 1 checkpoint was left out, its data is not here: ckpt-2.\n"
    assert {record[1] for record in _records(out)} == {"1", "3"}


def test_check_every_goes_on_past_what_is_no_checkpoint(call: Call, tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "digits_files/digits.weights.h5", tmp_path / "w.weights.h5")
    (tmp_path / "notes.h5").write_text("no checkpoint")
    code, out, err = call("check", str(tmp_path), "--every")
    assert code == 0
    assert "sound" in out
    why = "notes.h5: text, expected a .h5 file by its name"
    assert err == f"note: {tmp_path}/notes.h5 was left out: {why}.\n"
    (tmp_path / "w.weights.h5").unlink()
    assert call("check", str(tmp_path), "--every")[0] == 2


def test_epochs_of_names_are_called_so(call: Call, tmp_path: Path) -> None:
    for epoch in (9, 10):
        write_bundle(tmp_path / f"m_epoch{epoch}_bs32", {"w": np.full(3, epoch)})
    _, out, _ = call("runs", str(tmp_path))
    assert "2 checkpoints, epochs 9 to 10" in out
    assert call("drift", str(tmp_path))[1].splitlines()[1].split()[:3] == ["#", "name", "epoch"]
    document = json.loads(call("runs", str(tmp_path), "--json")[1])
    assert [entry["epoch"] for entry in document["groups"][0]] == [9, 10]
    assert [entry["step"] for entry in document["groups"][0]] == [None, None]
    assert document["evidence"][0]["from"] == "file name, after `epoch`"
    about = json.loads(call("info", str(tmp_path), "--json")[1])
    assert (about["step"], about["epoch"]) == (None, 10)


def test_two_numbers_stand_in_two_columns(call: Call, tmp_path: Path) -> None:
    for epoch in (1, 11, 2):
        for iteration in (100, 200):
            write_bundle(tmp_path / f"-mlp{epoch}-{iteration}", {"mlp/w": np.full(3, epoch)})
    _, out, _ = call("runs", str(tmp_path))
    assert out.splitlines()[0].endswith("The latest is -mlp11-200.")
    assert [record[:2] for record in _records(out)][-3:] == [
        ["2", "200"], ["11", "100"], ["11", "200"],
    ]  # fmt: skip
    _, out, _ = call("stats", str(tmp_path), "mlp/w", "--every")
    assert [record[:2] for record in _records(out)][:2] == [["1", "100"], ["1", "200"]]


def test_matching_is_asked_for_in_words(call: Call, tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", {"w": np.ones(3)})
    log = tmp_path / "log.csv"
    log.write_text("epoch,loss,val_loss\n1,3,4\n2,2,3\n")
    words = ("history", str(log), "--run", str(tmp_path / "model"))
    assert f"Which epoch {tmp_path}/model holds is unknown." in call(*words)[1]
    assert f"held by {tmp_path}/model." in call(*words, "--match", "epoch=2")[1]
    assert call(*words, "--match", "epoch")[0] == 2
    assert call("history", str(log), "--match", "epoch=2")[0] == 2
