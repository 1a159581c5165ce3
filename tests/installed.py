"""What `pip install` put there, tried in a fresh environment that has nothing of the tests.

    .venv/bin/python -P tests/installed.py

The wheel holds the package and nothing else; every registered command works, from another
directory, with the dependencies that a user gets.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import ckread
from ckread.cli.commands import COMMANDS, Command

RUN = Path(__file__).resolve().parents[1] / "fixtures" / "digits_run"
MAX_NBYTES = 3_000_000
WORDS = {
    "PATH": "ckpt-10",
    "NAME[SLICE]": "conv1/kernel[0]",
    "NAME": "conv1/kernel",
    "[PATTERN…]": "learning_rate",
    "A": "ckpt-2",
    "B": "ckpt-3",
    "SAVED": "ckpt-2",
    "TARGET": "ckpt-3",
    "RUN": ".",
    "DIR…": ".",
    "LOG…": "history.json",
    "SHELL": "bash",
}
"""What stands for a word of a usage line, in the directory of a run."""

PATTERNS = dict.fromkeys(("stats", "drift", "export", "optimizer"), "conv1")
"""Patterns where the learning rate is none of the variables that are meant."""

OPTIONS = {"export": ["-o", "some.npz"], "filters": ["-o", "some.png"], "report": ["-o", "r.html"]}
EXIT_CODES = {"diff": 1}


def words_of(command: Command) -> list[str]:
    """Give the arguments of a call that does; what is optional and not known is left out."""
    words = WORDS | {"[PATTERN…]": PATTERNS.get(command.name, WORDS["[PATTERN…]"])}
    tokens = command.usage.partition(" -")[0].split()
    given = [words[token] for token in tokens if token in words or not token.startswith("[")]
    return [command.name, *given, *OPTIONS.get(command.name, [])]


def run(*words: str, folder: str, code: int = 0) -> str:
    """Run a program of this environment; give what it prints."""
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == code, f"{words} exited {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout or done.stderr.startswith("wrote "), words
    return done.stdout


def check_files() -> None:
    """Look through what was installed."""
    files = metadata.files("ckread") or []
    folders = {str(path).partition("/")[0] for path in files}
    version = f"ckread-{ckread.__version__}.dist-info"
    assert folders <= {"ckread", version, ".."}, f"more than the package: {folders}"
    names = {str(path) for path in files}
    assert {"ckread/py.typed", f"{version}/licenses/LICENSE"} <= names
    assert sum(path.size or 0 for path in files if path.suffix != ".pyc") < MAX_NBYTES
    page = metadata.distribution("ckread").read_text("METADATA") or ""
    assert "Ten questions" in page
    assert not re.search(r"\]\((?!https?:|#)", page), "an index cannot follow this link"
    assert "site-packages" in str(ckread.__file__), "this is the source, not what was installed"


def main() -> None:
    """Look, and run everything."""
    check_files()
    for name in ckread.__all__:
        getattr(ckread, name)
    program = str(Path(sys.executable).parent / "ckread")
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(shutil.copytree(RUN, Path(temporary) / "run"))
        expected = f"ckread {ckread.__version__}\n"
        assert run(program, "--version", folder=folder) == expected
        assert run(sys.executable, "-m", "ckread", "--version", folder=folder) == expected
        for command in COMMANDS:
            run(program, command.name, "--help", folder=folder)
            code = EXIT_CODES.get(command.name, 0)
            words = words_of(command)
            run(program, *words, folder=folder, code=code)
    print(f"ckread {ckread.__version__}: {len(COMMANDS)} commands work as installed")


if __name__ == "__main__":
    main()
