"""What every command promises of its process: what it imports, and how it meets a closed pipe."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.calls import copy_run, each, words_of
from tests.cli.test_end_to_end import HEAVY, clean_environment, imported

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.cli.commands import Command

NEVER = {"tensorflow", "keras", "google.protobuf", "pandas", "argcomplete"}
DRAWS = {"matplotlib", "PIL"}
VALUES = {"numpy", "ml_dtypes", "h5py"}

MAY_NOT_IMPORT = {
    "info": NEVER | DRAWS | VALUES,
    "ls": NEVER | DRAWS | VALUES,
    "tree": NEVER | DRAWS | VALUES,
    "layers": NEVER | DRAWS | VALUES,
    "show": NEVER | DRAWS | VALUES - {"numpy"},
    "stats": NEVER | DRAWS | VALUES - {"numpy"},
    "filters": NEVER | VALUES - {"numpy"},
    "export": NEVER | DRAWS | VALUES - {"numpy"},
    "diff": NEVER | DRAWS | VALUES - {"numpy"},
    "diff --index-only": NEVER | DRAWS | VALUES,
    "drift": NEVER | DRAWS | VALUES - {"numpy"},
    "drift --index-only": NEVER | DRAWS | VALUES,
    "track": NEVER | DRAWS | VALUES,
    "optimizer": NEVER | DRAWS | VALUES - {"numpy"},
    "history": NEVER | DRAWS | VALUES,
    "runs": NEVER | DRAWS | VALUES,
    "check": NEVER | DRAWS | VALUES - {"numpy"},
    "check --quick": NEVER | DRAWS | VALUES,
    "loads": NEVER | DRAWS | VALUES,
    "report": NEVER,
    "compat": NEVER | DRAWS | VALUES,
    "completion": NEVER | DRAWS | VALUES | {"rich"},
}
"""Modules that a command does without, for a TensorFlow checkpoint of float32 values."""

COLORS = [[], ["--color", "always"]]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a run, and stand in it."""
    copy = copy_run(tmp_path)
    monkeypatch.chdir(copy)
    return copy


@each
@pytest.mark.parametrize("more", [*COLORS, ["--json"]], ids=" ".join)
def test_what_a_command_imports(
    command: Command, run_dir: Path, tmp_path: Path, more: list[str]
) -> None:
    assert run_dir.is_dir()
    modules = imported(*words_of(command, tmp_path), *more)
    assert not modules & MAY_NOT_IMPORT[command.name]
    if not more:
        needs_it = command.name in ("filters", "report")
        assert needs_it or "rich" not in modules, "a pipe needs no rich"


@pytest.mark.parametrize("form", [form for form in MAY_NOT_IMPORT if " " in form])
def test_what_options_spare(form: str, run_dir: Path) -> None:
    assert run_dir.is_dir()
    name, option = form.split()
    paths = {"diff": ["ckpt-2", "ckpt-3"], "drift": ["."], "check": ["ckpt-10"]}
    assert not imported(name, *paths[name], option) & MAY_NOT_IMPORT[form]


@each
def test_help_imports_nothing_heavy(command: Command) -> None:
    modules = imported(command.name, "--help")
    assert not modules.intersection([*HEAVY, *NEVER])


@each
@pytest.mark.parametrize("more", [*COLORS, ["--json"]], ids=" ".join)
def test_a_closed_pipe_ends_quietly(
    command: Command, run_dir: Path, tmp_path: Path, more: list[str]
) -> None:
    words = words_of(command, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "ckread", *words, "-q", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        cwd=run_dir,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert errors == b""
    has_output = "--json" in more or command.name not in (
        "check",
        "compat",
        "diff",
        "export",
        "filters",
        "loads",
        "report",
    )
    assert process.returncode == 141 if has_output else process.returncode in (0, 1, 141)


def test_the_first_line_is_enough_for_head(run_dir: Path) -> None:
    line = f"{sys.executable} -m ckread ls ckpt-10 --json | head -c 20"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True, check=False, cwd=run_dir, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout == b'{"schema":"ckread.ls'
    assert done.stderr == b""
