"""Every screen, pipe and document of every command, of files at addresses as of local ones.

Local paths are as long as the addresses, so that columns are as wide: `counted__/fixtures/…` and
`counted://fixtures/…`. What is read by TensorFlow itself is left out: it reads local files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS
from tests.cli import test_check_golden as checks
from tests.cli import test_golden as screens
from tests.cli.terminal import Result, Terminal
from tests.places import FIXTURES
from tests.stores import SCHEME, CountedStore, fill, forget

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "counted__/"
RUN = "digits_run"
TEN, EXPORT, FILES = f"{RUN}/ckpt-10", "digits_export", "digits_files"
OF_FIXTURES = {name: words for name, words in screens.CASES.items() if "--help" not in words} | {
    f"more_{number}": words.split()
    for number, words in enumerate([
        f"filters {TEN} conv1/kernel -o f.svg", f"report {RUN} -o f.html",
        f"report {TEN} {RUN}/ckpt-3 -o f.html", f"drift {RUN} --index-only", f"loads {TEN}",
        f"info {RUN}/ckpt-11", "info digits_rum/ckpt-11", f"info {TEN}.data-00000-of-00001",
        f"stats {EXPORT}", f"check {EXPORT}", f"info {FILES}", f"stats {FILES}/digits.keras",
        f"check {FILES}/digits.keras", f"ls {FILES}/digits.weights.h5", f"stats {FILES}/digits.h5",
        "info tf012_v1", "info sharded", "stats sharded/by_size", "ls strings",
        "info partners", "info tf115_saver",
        f"export {TEN} conv* -o f.npz", f"history {RUN}/history.json",
    ])
}  # fmt: skip
REFUSED = (f"{RUN}/ckpt-11", "digits_rum/ckpt-11", "sharded")
WRITTEN = (".svg", "f.html", ".npz")
REPORTS = [name for name, words in OF_FIXTURES.items() if words[0] == "report"]
OTHERS = [name for name in OF_FIXTURES if name not in REPORTS]


@pytest.fixture(scope="module", autouse=True)
def _store() -> Iterator[None]:
    fill(FIXTURES, *(path.name for path in FIXTURES.iterdir() if path.is_dir()))
    yield
    CountedStore.store.clear()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """Give a caller of ckread in a folder where local paths are like addresses."""
    (tmp_path / HERE).mkdir()
    (tmp_path / HERE / "fixtures").symlink_to(FIXTURES)
    monkeypatch.chdir(tmp_path)
    forget()
    return Terminal(monkeypatch)


def _is_path(folder: str, word: str) -> bool:
    place = Path(HERE, folder, word)
    siblings = os.listdir(place.parent) if place.parent.is_dir() else []
    is_there = place.exists() or any(name.startswith(f"{place.name}.") for name in siblings)
    return (is_there and not word.endswith(WRITTEN)) or word.endswith("ckpt-11")


def _both(
    terminal: Terminal, folder: str, words: list[str], *more: str, width: int | None = None
) -> tuple[Result, Result]:
    """Run a command here and far away; what is written is compared too."""
    found = []
    for where in (HERE, SCHEME):
        named = [
            os.path.join(where + folder, word).removesuffix("/.")
            if _is_path(folder, word)
            else word
            for word in words
        ]
        result = terminal(*named, *more, width=width)
        written = [path for path in words if path.endswith(WRITTEN) and os.path.exists(path)]
        texts = [Path(path).read_bytes() for path in written]
        for path in written:
            os.remove(path)
        told = [text.replace(where, HERE) for text in (result.out, result.err)]
        data = b"".join(texts).replace(where.encode(), HERE.encode())
        found.append((Result(result.code, *told), data))
    (here, wrote_here), (far, wrote_far) = found
    assert wrote_here == wrote_far
    return here, far


def test_all_commands_are_among_them() -> None:
    told = {words[0] for words in OF_FIXTURES.values()}
    assert {command.name for command in COMMANDS} - told == {"completion"}  # which takes no path


@pytest.mark.parametrize("name", OTHERS)
def test_screens(terminal: Terminal, name: str) -> None:
    here, far = _both(terminal, "fixtures", OF_FIXTURES[name], "--color", "never", width=80)
    assert here == far
    assert (here.code == 2) == any(word in OF_FIXTURES[name] for word in REFUSED)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["piped", "json"])
@pytest.mark.parametrize("name", OTHERS)
def test_pipes_and_documents(terminal: Terminal, name: str, more: tuple[str, ...]) -> None:
    here, far = _both(terminal, "fixtures", OF_FIXTURES[name], *more)
    assert here == far


@pytest.mark.slow
@pytest.mark.parametrize("name", REPORTS)
def test_reports(terminal: Terminal, name: str) -> None:
    here, far = _both(terminal, "fixtures", OF_FIXTURES[name])
    assert here == far


@pytest.mark.parametrize("name", list(checks.CASES))
def test_unsound_ones(terminal: Terminal, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, words, code = checks.CASES[name]
    case = Path(HERE, "case")
    case.mkdir()
    with monkeypatch.context() as patched:
        patched.chdir(case)
        make()
    fill(case.absolute(), ".")
    here, far = _both(terminal, "case", words, "--color", "never", width=80)
    assert here == far
    assert here.code == code
    for key in [key for key in CountedStore.store if key.startswith("/case/")]:
        del CountedStore.store[key]
