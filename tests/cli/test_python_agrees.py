"""What Python gives is what the command prints: `to_dict()` is the JSON document's body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import ckread as library
from ckread.cli.commands import COMMANDS
from ckread.model.run.run import open_run
from ckread.views.json_document import encode, schema
from tests.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Terminal

RUN = "fixtures/digits_run"
A, B = f"{RUN}/ckpt-2", f"{RUN}/ckpt-3"
LOG = f"{RUN}/history.json"


def _tree(path: str) -> dict[str, Any]:
    with library.open(path) as checkpoint:
        return {"path": checkpoint.path, "tree": checkpoint.tree().to_dict()}


CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    f"info {A}": lambda: library.info(A).to_dict(),
    "info fixtures/digits_export": lambda: library.info("fixtures/digits_export").to_dict(),
    f"ls {A} --sort file": lambda: library.open(A).to_dict(),
    f"tree {A}": lambda: _tree(A),
    f"stats {A}": lambda: library.statistics(A).to_dict(),
    f"stats {A} conv --role slot --bins 5": (
        lambda: library.statistics(A, "conv", roles="slot", n_bins=5).to_dict()
    ),
    f"stats {RUN} conv1 --every": lambda: library.statistics_of_run(RUN, "conv1").to_dict(),
    f"diff {A} {B}": lambda: library.diff(A, B).to_dict() | {"elements": None},
    f"diff {A} {B} kernel --index-only": (
        lambda: library.diff(A, B, "kernel", index_only=True).to_dict() | {"elements": None}
    ),
    f"diff {A} fixtures/digits_files/digits.keras": (
        lambda: library.diff(A, "fixtures/digits_files/digits.keras").to_dict() | {"elements": None}
    ),
    f"drift {RUN}": lambda: library.drift(RUN).to_dict(),
    f"track {RUN} learning_rate logits/bias[0]": (
        lambda: library.track(RUN, ["learning_rate", "logits/bias[0]"]).to_dict()
    ),
    f"history {LOG} --run {RUN}": lambda: library.history(LOG, RUN).to_dict(),
    f"runs {RUN}": lambda: open_run(RUN).to_dict() | {"seams": []},
    f"optimizer {A}": lambda: library.optimizer(A).to_dict(),
    f"compat {A} {B}": lambda: library.compat(A, B).to_dict(),
    f"compat {A} fixtures/digits_export kernel": (
        lambda: library.compat(A, "fixtures/digits_export", "kernel").to_dict()
    ),
    "loads fixtures/digits_export": lambda: library.loads("fixtures/digits_export").to_dict(),
    "check fixtures/digits_files/digits.keras": (
        lambda: library.check("fixtures/digits_files/digits.keras").to_dict()
    ),
    f"check {A}": lambda: library.check(A).to_dict(),
    f"check {A} --quick": lambda: library.check(A, quick=True).to_dict(),
}
OTHERS = {"layers", "show", "filters", "export", "report", "completion"}
"""Commands that tell of one read or of a file that was written, or nothing of a checkpoint."""


@pytest.mark.parametrize("words", CALLS)
def test_the_dict_is_the_document(
    ckread: Terminal, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command, *arguments = words.split()
    printed = json.loads(ckread(command, *arguments, "--json").out)
    given = json.loads(encode({"schema": schema(command), **CALLS[words]()}))
    assert given == printed


def test_every_command_is_compared() -> None:
    compared = {words.split()[0] for words in CALLS}
    assert compared | OTHERS == {command.name for command in COMMANDS}
