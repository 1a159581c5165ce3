"""`ckread diff` on real files: exit codes, streams, every option, what it imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread as package
from ckread.cli import diff
from tests.corruption import flip
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

RUN = FIXTURES / "digits_run"
TWO, THREE = str(RUN / "ckpt-2"), str(RUN / "ckpt-3")


@pytest.fixture
def run(call: Any) -> Any:
    return partial(call, "diff")


def copied(tmp_path: Path, step: int = 3) -> Path:
    for name in (f"ckpt-{step}.index", f"ckpt-{step}.data-00000-of-00001"):
        shutil.copy(RUN / name, tmp_path / name)
    return tmp_path / f"ckpt-{step}"


def test_different_is_1_and_the_verdict_comes_first(run: Any) -> None:
    code, out, err = run(TWO, THREE)
    assert code == 1
    assert err == ""
    first, header, *rows = out.splitlines()
    assert re.match(r"# \d+ of 43 variables changed; the weights among them moved \d+ %", first)
    assert header.split()[1:4] == ["status", "name", "relative_l2"]
    assert len(rows) == 43
    assert all(len(row.split()) == 13 for row in rows)


def test_identical_is_0_and_silent_with_q(run: Any, tmp_path: Path) -> None:
    copy = str(copied(tmp_path))
    code, out, _ = run(THREE, copy)
    assert code == 0
    assert out.startswith("# identical by checksum: 43 variables, 450 KiB; values were not read.\n")
    assert run(THREE, copy, "-q") == (0, "", "")
    assert run(TWO, THREE, "-q") == (1, "", "")


def test_json_is_one_document(run: Any) -> None:
    code, out, _ = run(TWO, THREE, "--json")
    document = json.loads(out)
    assert code == 1
    assert document["schema"] == "ckread.diff/1"
    assert document["identical"] is False
    assert sum(document["summary"].values()) == len(document["variables"]) == 43


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--role", "counter"], {"optimizer/iterations", "save_counter"}),
        (["conv1/*"], {"conv1/kernel", "conv1/bias"}),
        (["-p", "logits/kernel", "--role", "weight"], {"logits/kernel"}),
        (["--only", "identical", "--role", "weight"], {"conv1/kernel", "conv1/bias"}),
        (["--only", "added,removed"], set()),
    ],
)
def test_scope(run: Any, options: list[str], names: set[str]) -> None:
    _, out, _ = run(TWO, THREE, *options, "--json")
    assert {variable["name"] for variable in json.loads(out)["variables"]} == names


def test_a_scope_that_did_not_change_is_identical(run: Any) -> None:
    assert run(TWO, THREE, "conv1/*")[0] == 0


def test_top_takes_what_moved_most(run: Any) -> None:
    _, out, _ = run(TWO, THREE, "--role", "weight", "--top", "2", "--json")
    rows = json.loads(out)["variables"]
    _, everything, _ = run(TWO, THREE, "--role", "weight", "--json")
    moves = sorted((v["relative_l2"] for v in json.loads(everything)["variables"]), reverse=True)
    assert [row["relative_l2"] for row in rows] == moves[:2]


def test_tolerance_is_named(run: Any) -> None:
    code, out, _ = run(TWO, THREE, "--rtol", "1000", "--atol", "1000")
    assert code == 0
    assert out.startswith("# equal within --rtol 1000 --atol 1000: 37 of 43 variables, the others")
    statuses = {row.split()[0] for row in out.splitlines()[2:]}
    assert statuses == {"close", "identical"}


def test_index_only_needs_no_data_shard(run: Any, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    os.remove(f"{copy}.data-00000-of-00001")
    code, out, _ = run(str(copy), str(copy), "--index-only")
    assert code == 0
    assert "identical by checksum: " in out
    code, out, err = run(TWO, str(copy), "-q")
    assert (code, out) == (2, "")
    assert "missing data shard" in err


def test_a_missing_shard_is_told_of_the_side_that_lacks_it(
    ckread: Terminal, tmp_path: Path
) -> None:
    """Say which of two files of one name is missing, and advise nothing that needs it."""
    copy = copied(tmp_path)
    advice = "Leave out --index-only to see how far each one moved."
    words = ["diff", TWO, str(copy), "--index-only"]
    assert advice in ckread(*words, width=200).screen
    os.remove(f"{copy}.data-00000-of-00001")
    result = ckread(*words, width=200)
    assert result.code == 1
    assert f"{copy}: ckpt-3.data-00000-of-00001 is missing." in " ".join(result.err.split())
    assert advice not in result.screen


def test_equal_checksums_of_damaged_bytes_are_not_called_equal_values(
    ckread: Terminal, tmp_path: Path
) -> None:
    copy = copied(tmp_path)
    flip(f"{copy}.data-00000-of-00001", 310_000)
    result = ckread("diff", THREE, str(copy), width=200)
    assert result.code == 0
    assert "identical by checksum: 43 variables, 450 KiB; values were not read." in result.screen
    assert "whether the values still do is told by ckread check" in result.screen


def test_damage_is_2_and_names_file_and_variable(run: Any, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    shard = f"{copy}.data-00000-of-00001"
    with open(shard, "r+b") as file:
        size = os.path.getsize(shard)
        file.seek(size // 2)
        byte = file.read(1)
        file.seek(size // 2)
        file.write(bytes([byte[0] ^ 1]))
    code, out, err = run(TWO, str(copy), "--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "ChecksumError"
    message = json.loads(out)["error"]["message"]
    assert re.search(
        r"ckpt-3\.data-00000-of-00001: \S+: bytes \d+ to \d+: stored CRC-32C 0x", message
    )
    assert err == ""


def test_a_rename_map_is_written_once_and_then_used(run: Any, tmp_path: Path) -> None:
    functional = str(FIXTURES / "six_ways" / "functional" / "object")
    sequential = str(FIXTURES / "six_ways" / "sequential" / "object")
    path = tmp_path / "map.json"
    code, out, err = run(functional, sequential, "--rename-map", str(path))
    assert code == 1
    assert "under other names" in out
    renames = json.loads(path.read_text())
    assert err == f"wrote {path}: {len(renames)} names\n"
    assert renames
    assert all(new.endswith(old) for old, new in renames.items())
    _, again, err = run(functional, sequential, "--rename-map", str(path), "--json")
    assert err == f"note: {path}: {len(renames)} names were read from it\n"
    rows = json.loads(again)["variables"]
    assert sum(row["paired_by"] == "rename" for row in rows) == len(renames)


def test_a_rule_pairs(run: Any) -> None:
    _, out, _ = run(TWO, THREE, "--rename", "s|^conv1/(.*)|moved/\\1|", "--json")
    assert json.loads(out)["summary"]["identical"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([TWO], "error: diff: B is missing."),
        ([TWO, THREE, "--rtol", "-1"], "error: --rtol: '-1', expected a number of 0 or more."),
        ([TWO, THREE, "--atol", "nan"], "error: --atol: 'nan', expected a number of 0 or more."),
        ([TWO, THREE, "--rename", "a=b"], "error: --rename a=b: not of the form s/old/new/."),
        ([TWO, THREE, "nothing-like-it"], "error: no variable matches nothing-like-it."),
        (
            [TWO, THREE, "--index-only", "--plot", "x.png"],
            "error: --index-only: no values to draw.",
        ),
        ([TWO, THREE, "--plot", "x.gif"], "error: x.gif: not a kind of picture."),
        ([TWO, str(RUN / "ckpt-99")], "error: "),
    ],
)
def test_trouble_is_2_and_one_message(run: Any, words: list[str], message: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(message)


def test_only_refuses_what_is_no_status(run: Any) -> None:
    code, _, err = run(TWO, THREE, "--only", "moved")
    assert code == 2
    assert err.startswith("error: --only: 'moved', did you mean removed?")


def test_pictures(run: Any, tmp_path: Path) -> None:
    for words, name, what in (
        ([], "all.svg", "43 variables of "),
        (["conv2/kernel"], "one.svg", "conv2/kernel of "),
    ):
        path = tmp_path / name
        code, _, err = run(TWO, THREE, *words, "--plot", str(path))
        assert code == 1
        assert err.startswith(f"wrote {path}: {what}")
        assert b"conv2/kernel" in path.read_bytes()
    assert run(TWO, THREE, "--plot", str(path))[0] == 2


def test_the_index_alone_needs_no_numpy() -> None:
    code = (
        "import sys; from ckread.cli.main import main;"
        f"code = main(['diff', {TWO!r}, {THREE!r}, '--index-only']);"
        "heavy = {'numpy', 'ml_dtypes', 'tensorflow', 'h5py', 'matplotlib', 'pandas'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1 []"


def test_the_example_in_the_manual_is_true(
    ckread: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES)
    manual = textwrap.dedent("\n".join((diff.__doc__ or "").splitlines()[2:])).split("\n\nVar")[0]
    line, _, expected = textwrap.dedent(manual).partition("\n")
    words = [word.strip('"') for word in line.split()[2:]]
    result = ckread(*words, width=80)
    assert result.screen == expected + "\n"


def test_colour_marks_the_exception(ckread: Terminal) -> None:
    result = ckread("diff", str(FIXTURES / "six_ways/functional/object"), TWO, width=80)
    assert "\x1b[32m+" in result.out
    assert "\x1b[31m-" in result.out
    assert "\x1b[" not in ckread("diff", TWO, THREE, "--color", "never", width=80).out


def test_elements_that_differ_with_index_and_both_values(run: Any) -> None:
    code, out, _ = run(TWO, THREE, "logits/kernel", "--elements", "3", "--json")
    document = json.loads(out)
    assert code == 1
    assert [row["name"] for row in document["variables"]] == ["logits/kernel"]
    with package.open(TWO) as two, package.open(THREE) as three:
        a, b = two["logits/kernel"].numpy(), three["logits/kernel"].numpy()
    order = np.argsort(-np.abs(b.astype("f8") - a), axis=None)[:3]
    places = np.stack(np.unravel_index(order, a.shape), axis=1).tolist()
    assert [row["index"] for row in document["elements"]] == places
    for row in document["elements"]:
        at = tuple(row["index"])
        assert (np.float32(row["a"]), np.float32(row["b"])) == (a[at], b[at])
    _, out, _ = run(TWO, THREE, "logits/kernel", "--elements", "9999")
    assert len(out.splitlines()) == 2 + document["variables"][0]["changed_elements"]
    assert run(TWO, THREE, "conv1/kernel", "--elements", "3")[0] == 0
    assert run(TWO, THREE, "iterations", "--elements", "1")[1].split()[-3:] == ["180", "270", "90"]
    for words, wrong in (
        (["conv*", "--elements", "1"], "4 variables on both sides, expected one"),
        (["conv1/bias", "--elements", "1", "--index-only"], "no elements to compare"),
    ):
        code, _, err = run(TWO, THREE, *words)
        assert code == 2
        assert wrong in err
