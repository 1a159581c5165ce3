"""Whole processes: what they import, closed pipes, full disks, plain locales."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

TEN = str(FIXTURES / "digits_run" / "ckpt-10")
HEAVY = (
    "numpy",
    "ml_dtypes",
    "tensorflow",
    "matplotlib",
    "h5py",
    "google.protobuf",
    "pandas",
    "keras",
)
_LISTS_MODULES = (
    "import json, sys; from ckread.cli.main import main; code = main(sys.argv[1:]);"
    "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules))); sys.exit(code)"
)


def clean_environment(**more: str) -> dict[str, str]:
    names = ("PATH", "HOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
    return {name: os.environ[name] for name in names if name in os.environ} | more


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ckread", *words],
        capture_output=True,
        check=False,
        env=clean_environment(**environment),
    )


def imported(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _LISTS_MODULES, *words],
        capture_output=True,
        check=False,
        env=clean_environment(),
    )
    assert done.returncode in (0, 1), done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["info", TEN], ["ls", TEN], ["tree", TEN], ["info", TEN, "--json"]],
    ids=" ".join,
)
def test_metadata_is_read_without_anything_heavy(words: Sequence[str]) -> None:
    modules = imported(*words)
    assert not modules.intersection(HEAVY)
    assert "rich" not in modules, "a pipe needs no rich"


def test_showing_values_needs_numpy_alone() -> None:
    modules = imported("show", TEN, "conv1/kernel")
    assert "numpy" in modules
    assert not modules.intersection(HEAVY[1:])


def test_the_entry_point_and_the_module_are_one() -> None:
    done = run("ls", TEN, "conv1/bias", "-q")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (
        done.stdout == b"conv1/bias\noptimizer/conv1/bias/momentum\noptimizer/conv1/bias/velocity\n"
    )


def test_a_closed_pipe_ends_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ckread", "tree", TEN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ckread", "ls", TEN],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=clean_environment(),
        )
    assert done.returncode == 2
    assert done.stderr == b"error: no space left on device.\n"


def test_closed_streams_are_no_fault() -> None:
    words = f"{sys.executable} -m ckread ls {TEN} >&- 2>&-"
    assert subprocess.run(words, shell=True, check=False, env=clean_environment()).returncode == 0


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "POSIX"}])
def test_a_plain_locale_gets_plain_characters(locale: dict[str, str]) -> None:
    done = run("info", TEN, "--color", "always", **locale)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"|- " in done.stdout
    assert b"3x3x1x16" in done.stdout
    assert b"####" in done.stdout


def test_an_encoding_without_the_glyphs_gets_others() -> None:
    done = run("tree", TEN, "--color", "always", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    text = done.stdout.decode("latin-1")
    assert "3×3×1×16" in text
    assert "|- " in text
