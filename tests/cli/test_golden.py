"""What a person sees of the fixtures, whole: screens of 80 and 120 columns, pipes, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS
from tests.places import FIXTURES
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

CASES = {
    "info_digits": ["info", "digits_run/ckpt-10"],
    "info_export": ["info", "digits_export"],
    "info_keras": ["info", "digits_files/digits.keras"],
    "info_name_based": ["info", "tf115_saver/model.ckpt-20"],
    "info_lost": ["info", "keras3_object/adamw/ckpt-1"],
    "info_no_weights": ["info", "strings/tables/ckpt-1"],
    "info_odd_names": ["info", "odd_names/odd"],
    "ls_digits": ["ls", "digits_run/ckpt-10"],
    "ls_top": ["ls", "tf115_saver/model.ckpt-20", "--sort", "bytes", "--top", "5"],
    "ls_keys": ["ls", "digits_run/ckpt-10", "--keys", "--role", "slot"],
    "ls_odd_names": ["ls", "odd_names/odd"],
    "tree_digits": ["tree", "digits_run/ckpt-10"],
    "tree_name_based": ["tree", "tf115_saver/model.ckpt-20", "--depth", "1"],
    "layers_keras": ["layers", "digits_files/digits.keras"],
    "show_slice": ["show", "digits_run/ckpt-10", "conv1/kernel[..., 0, :2]"],
    "show_abbreviated": ["show", "digits_run/ckpt-10", "logits/kernel"],
    "show_strings": ["show", "strings/plain", "matrix"],
    "stats_run": ["stats", "digits_run/ckpt-10", "--role", "all"],
    "stats_dtypes": ["stats", "dtypes/every"],
    "stats_histogram": ["stats", "digits_run/ckpt-10", "hidden/kernel"],
    "stats_every": ["stats", "digits_run", "conv1/kernel", "--every"],
    "diff_run": ["diff", "digits_run/ckpt-2", "digits_run/ckpt-3"],
    "diff_only_index": ["diff", "digits_run/ckpt-2", "digits_run/ckpt-3", "--index-only"],
    "diff_same": ["diff", "digits_run/ckpt-2", "digits_run/ckpt-2"],
    "diff_containers": ["diff", "digits_files/digits.keras", "digits_export"],
    "drift_run": ["drift", "digits_run", "conv*/**", "norm*/**"],
    "track_elements": ["track", "digits_run", "iterations", "logits/bias[0]"],
    "optimizer_digits": ["optimizer", "digits_run/ckpt-10"],
    "optimizer_every": ["optimizer", "digits_run", "conv1", "--every"],
    "history_run": ["history", "digits_run/history.json", "--run", "digits_run"],
    "runs_run": ["runs", "digits_run"],
    "check_run": ["check", "digits_run", "--every"],
    "loads_export": ["loads", "digits_export"],
    "loads_keras": ["loads", "digits_files/digits.keras"],
    "compat_inserted": ["compat", "restoring/pretrained/ckpt-1", "restoring/mine/ckpt-1"],
    "compat_same": ["compat", "digits_run/ckpt-9", "digits_run/ckpt-10"],
    "compat_h5": [
        "compat",
        "digits_files/digits_weights_only.h5",
        "digits_files/digits.h5",
        "--as",
        "h5-by-name",
    ],
    "compat_names": ["compat", "tf115_saver/model.ckpt-10", "tf115_saver/model.ckpt-20"],
    "help_program": ["--help"],
    "help_diff": ["diff", "--help"],
}

DIFFERENT = ("diff_run", "diff_only_index", "compat_inserted")
"""Cases whose exit code is 1."""

WITHOUT_SCREEN = ("filters", "export", "report", "completion")
"""Commands that write a file or a script and have nothing to show but one line."""


@pytest.fixture(autouse=True)
def among_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("width", [80, 120])
def test_screens(ckread: Terminal, name: str, width: int) -> None:
    result = ckread(*CASES[name], "--color", "never", width=width)
    assert result.code == (1 if name in DIFFERENT else 0)
    check_golden(f"{name}_{width}.txt", result.out)


def test_every_command_has_a_picture() -> None:
    shown = {words[0] for words in CASES.values()}
    assert {command.name for command in COMMANDS} - shown == set(WITHOUT_SCREEN)


@pytest.mark.parametrize("name", list(CASES))
def test_pipes(ckread: Terminal, name: str) -> None:
    check_golden(f"{name}_piped.txt", ckread(*CASES[name]).out)


@pytest.mark.parametrize(
    "name", ["info_digits", "info_export", "ls_keys", "tree_name_based", "show_slice"]
)
def test_documents(ckread: Terminal, name: str) -> None:
    check_golden(f"{name}.json", ckread(*CASES[name], "--json").out)
