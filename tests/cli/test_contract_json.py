"""JSON documents have the fields that `docs/json.md` publishes, no more and no fewer."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS, Command
from tests.cli.calls import FORMS, copy_run, each, words_of
from tests.cli.json_fields import differences, published
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Result, Terminal

RECORDS = {
    "variable", "scope", "side", "tensor", "distribution", "left", "moment", "claim", "finding",
    "check_report", "on_loading", "facts", "seam", "used_optimizer", "weight_update",
}  # fmt: skip
"""Titles of the page that are records in documents, and no documents."""

FILES = (
    "digits_export",
    "digits_files/digits.keras",
    "digits_files/digits.h5",
    "digits_files/digits.weights.h5",
    "dtypes/every",
    "keras3_object/adamw",
    "keras_compiled",
    "odd_names/odd",
    "schedule_run",
    "sharded/merged/model.ckpt",
    "strings/plain",
    "tf012_v1",
    "tf115_saved_model",
    "tf115_saver/model.ckpt-20",
    "tf221_v1/whole",
    "tf23_keras2",
)
"""Checkpoints of every kind."""


def assert_published(result: Result, title: str) -> None:
    """Hold a document against the page."""
    assert result.out.count("\n") == 1
    assert result.out.endswith("\n")
    document = json.loads(result.out)
    is_error = "error" in document
    assert document["schema"] == f"ckread.{'error' if is_error else title.split()[0]}/1"
    assert differences(document, published()["error" if is_error else title]) == []


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a run, and stand in it."""
    copy = copy_run(tmp_path)
    monkeypatch.chdir(copy)
    return copy


def test_the_page_tells_of_every_command_and_of_nothing_else() -> None:
    forms = {form for form in FORMS if form in published()}
    assert published().keys() - RECORDS - forms == {command.name for command in COMMANDS} | {
        "error"
    }


@each
def test_a_document_of_each_command(
    ckread: Terminal, command: Command, run_dir: Path, tmp_path: Path
) -> None:
    assert run_dir.is_dir()
    result = ckread(*words_of(command, tmp_path), "--json")
    assert result.code in (0, 1)
    assert_published(result, command.name)


@pytest.mark.parametrize("form", FORMS)
def test_options_that_make_another_document(ckread: Terminal, form: str, run_dir: Path) -> None:
    assert run_dir.is_dir()
    result = ckread(*FORMS[form], "--json")
    assert result.code in (0, 1), result.out
    assert_published(result, form if form in published() else FORMS[form][0])


@each
def test_an_error_is_a_document_too(
    ckread: Terminal, command: Command, run_dir: Path, tmp_path: Path
) -> None:
    assert run_dir.is_dir()
    result = ckread(*words_of(command, tmp_path), "one-too-many", "--json", "--top", "x")
    assert result.code == 2
    assert_published(result, "error")


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("name", ["info", "ls", "tree", "stats", "check", "runs"])
def test_documents_of_every_kind_of_checkpoint(
    ckread: Terminal, name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES)
    result = ckread(name, path, "--json")
    assert_published(result, name)
    if name in ("info", "ls", "tree"):
        assert result.code == 0


@pytest.mark.parametrize("name", ["info", "ls", "tree", "stats", "check", "show", "diff", "export"])
def test_documents_of_a_damaged_checkpoint(ckread: Terminal, name: str, run_dir: Path) -> None:
    shard = run_dir / "ckpt-10.data-00000-of-00001"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0x80
    shard.write_bytes(content)
    more = {
        "show": ["conv1/kernel[0]"],
        "diff": ["ckpt-9"],
        "export": ["-o", str(run_dir.parent / "x.npz"), "--salvage"],
    }
    assert_published(ckread(name, "ckpt-10", *more.get(name, []), "--json"), name)


def test_documents_of_one_that_is_written_and_one_that_is_alone(
    ckread: Terminal, run_dir: Path
) -> None:
    target = str(run_dir.parent / "kernel.npy")
    assert_published(ckread("show", "ckpt-10", "conv1/kernel", "-o", target, "--json"), "show")
    shutil.copy(run_dir / "history.json", run_dir.parent)
    assert_published(ckread("history", str(run_dir.parent / "history.json"), "--json"), "history")


def test_a_field_that_is_not_published_is_found() -> None:
    fields = {"a": "integer", "b": ["text or null"], "c": {"or null": True, "d": "number"}}
    assert differences({"a": 1, "b": ["x", None], "c": None}, fields) == []
    assert differences({"a": 1, "b": [], "c": {"d": "NaN"}}, fields) == []
    assert differences({"a": True, "b": [1], "c": {"e": 1}}, fields) == [
        "$.a: True, published: integer",
        "$.b[0]: 1, published: text or null",
        "$.c.e: not published",
        "$.c.d: absent",
    ]
