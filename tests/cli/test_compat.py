"""`ckread compat` as a person uses it: exit codes, options, the map, the code, trouble."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

OLD, NEW = "restoring/pretrained/ckpt-1", "restoring/mine/ckpt-1"
NINE, TEN = "digits_run/ckpt-9", "digits_run/ckpt-10"
SAVERS = ("tf115_saver/model.ckpt-10", "tf115_saver/model.ckpt-20")
LISTS, WHOLE = "digits_files/digits_weights_only.h5", "digits_files/digits.keras"


@pytest.fixture(autouse=True)
def among_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([NINE, TEN], 0), ([OLD, OLD], 0), ([OLD, NEW], 1), ([NEW, OLD], 1),
        ([LISTS, "digits_files/digits.h5"], 0), ([WHOLE, WHOLE], 0),
        ([WHOLE, "digits_files/digits.weights.h5"], 0),
        ([OLD, WHOLE], 2), (["nothing", OLD], 2), ([OLD], 2),
        ([OLD, NEW, "--as", "saver"], 2), ([OLD, NEW, "--as", "by-magic"], 2),
        ([OLD, NEW, "--skip-mismatch"], 2), ([OLD, NEW, "--python", "--json"], 2),
        ([*SAVERS, "--as", "warm_start"], 1), ([*SAVERS, "--as", "warm_start", "--vars", "("], 2),
        ([*SAVERS, "--as", "warm_start", "--vars", '["conv1/", "dense"]'], 1),
        ([OLD, NEW, "--vars", "a/"], 2), ([OLD, NEW, "no/such/name"], 2),
        ([OLD, NEW, "a/**"], 0), ([OLD, NEW, "head"], 1),
    ],
)  # fmt: skip
def test_exit_codes(ckread: Terminal, words: list[str], code: int) -> None:
    result = ckread("compat", *words)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    if code != 2:
        quiet = ckread("compat", *words, "-q")
        assert (quiet.code, quiet.out, quiet.err) == (code, "", "")


def test_the_sentence_and_the_rows(ckread: Terminal) -> None:
    shown = ckread("compat", OLD, NEW, width=80).out
    assert "3 of 11 values come back; 8 keep their initial values" in shown
    assert "model/_operations/2 is norm there, extra here" in shown
    assert shown.count("model/_operations/3 is head there, norm here") == 1, "said once"
    assert "assert_consumed() and assert_existing_objects_matched() fail" in shown
    assert "nothing there fits extra/**" in shown


def test_everything_comes_back_in_two_lines(ckread: Terminal) -> None:
    lines = ckread("compat", NINE, TEN, "--color", "never", width=80).out.splitlines()
    assert lines == [
        "digits_run/ckpt-9 → digits_run/ckpt-10  by tf.train.Checkpoint.restore",
        "All 43 values come back, each under its own name. assert_consumed() passes.",
    ]
    assert len(ckread("compat", NINE, TEN, "--all", width=80).out.splitlines()) > 43


def test_a_pipe_gets_a_row_per_value(ckread: Terminal) -> None:
    head, titles, *rows = ckread("compat", OLD, NEW).out.splitlines()
    assert head.startswith("# 3 of 11 values come back")
    assert titles.split() == ["#", "outcome", "value", "saved", "shape", "code"]
    assert [row.split()[0] for row in rows] == ["kept"] * 8 + ["restored"] * 3 + ["left-over"] * 6
    assert all(len(row.split()) == 5 for row in rows)


def test_the_document(ckread: Terminal) -> None:
    document = json.loads(ckread("compat", OLD, NEW, "--json").out)
    assert document["counts"] == {
        "restored": 3, "other": 0, "kept": 8, "raises": 0, "deferred": 0, "unforeseen": 0,
        "left_over": 6,
    }  # fmt: skip
    assert document["way"] == "checkpoint"
    assert document["complete"] is False
    assert document["asserts"] == {
        "assert_consumed": False, "assert_existing_objects_matched": False,
    }  # fmt: skip
    assert document["cures"][0]["brings"] == 9
    kept = {one["name"]: one["code"] for one in document["values"] if one["outcome"] == "kept"}
    assert kept["extra/kernel"] == "other-object"
    assert kept["head/kernel"] == "no-such-path"


def test_python_is_all_that_is_printed(ckread: Terminal) -> None:
    code = ckread("compat", OLD, NEW, "--python").out
    assert code.startswith(f"# {OLD} into `model`, by name: 8 of its 10 weights.\n")
    assert "# Not brought, nothing there fits: extra/kernel, extra/bias.\n" in code
    assert '"norm/gamma": "model/_operations/2/gamma",' in code
    compile(code, "fix.py", "exec")


@pytest.mark.parametrize(
    ("saved", "target"),
    [
        (OLD, NEW), (NINE, TEN), (WHOLE, WHOLE), (LISTS, "digits_files/digits.h5"),
        ("tf115_saver/model.ckpt-10", "tf115_saver/model.ckpt-20"), (TEN, "digits_export"),
        ("tf23_keras2/object/ckpt-1", "keras2_new/object/ckpt-1"), (TEN, OLD),
    ],
)  # fmt: skip
def test_the_code_is_python(ckread: Terminal, saved: str, target: str) -> None:
    code = ckread("compat", saved, target, "--python").out
    assert code
    compile(code, "fix.py", "exec")
    assert max(map(len, code.splitlines())) < 400


def test_a_map_is_written_and_read_again(ckread: Terminal, tmp_path: Path) -> None:
    path = str(tmp_path / "map.json")
    result = ckread("compat", OLD, NEW, "--map", path)
    assert result.code == 1
    assert result.err == (f"wrote {path}: 9 of 11 values; 2 have none: extra/kernel, extra/bias\n")
    names = json.loads((tmp_path / "map.json").read_text())
    assert names["head/kernel"] == "head/kernel"
    (tmp_path / "map.json").write_text('{"a/bias": "extra/bias"}')
    code = ckread("compat", OLD, NEW, "--map", path, "--python")
    assert "1 name was read from it" in code.err
    assert '"extra/bias": "model/_operations/1/bias"' in code.out
    ckread("compat", OLD, NEW, "--map", path, "--force")
    assert len(json.loads((tmp_path / "map.json").read_text())) == 9


def test_without_its_object_graph_nothing_is_foretold(ckread: Terminal, tmp_path: Path) -> None:
    index = (FIXTURES / f"{NEW}.index").read_bytes()
    (tmp_path / "ckpt-1.index").write_bytes(index)
    result = ckread("compat", TEN, str(tmp_path / "ckpt-1"))
    assert result.code == 2
    assert "the object graph cannot be read" in result.err


@pytest.mark.parametrize("way", ["h5-by-name", "h5-in-order"])
def test_a_legacy_file_into_a_flat_archive(ckread: Terminal, way: str) -> None:
    result = ckread("compat", LISTS, WHOLE, "--as", way)
    assert result.code == 0
    assert "All 16 values come back" in result.out
