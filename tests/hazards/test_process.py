"""What comes from outside while the program runs: signals, full disks, settings, odd options."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread as package
from ckread.analysis.check.index import check_layout
from ckread.cli.main import main
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    ErrorKind,
)
from ckread.model.opening import open_checkpoint
from ckread.readers.files import KeptOpen, RegularFile
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEN, NINE = (str(FIXTURES / "digits_run" / f"ckpt-{step}") for step in (10, 9))
PROGRAM = [sys.executable, "-m", "ckread"]


def ckread(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("form", [["ls", TEN, "--json"], ["ls", TEN], ["--help"]], ids=" ".join)
def test_a_full_disk_under_the_output_is_an_error_in_words(form: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, *form], stdout=full, stderr=subprocess.PIPE, text=True)
        both = subprocess.run([*PROGRAM, *form], stdout=full, stderr=full)
    assert (done.returncode, done.stderr) == (2, "error: no space left on device.\n")
    assert both.returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_a_signal_leaves_nothing_half_written(tmp_path: Path, number: str, code: int) -> None:
    values = np.random.default_rng(0).standard_normal(4_000_000)
    prefix = write_bundle(tmp_path / "m", {"k": values})
    out = tmp_path / "out"
    out.mkdir()
    words = [*PROGRAM, "export", prefix, "-o", str(out / "k.csv")]
    with subprocess.Popen(  # under nohup a hangup would be ignored
        words, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as export:  # fmt: skip
        while not any(path.suffix == ".partial" for path in out.iterdir()):
            assert export.poll() is None
            time.sleep(0.01)
        export.send_signal(signal.Signals[f"SIG{number}"])
        _, said = export.communicate()
    assert (export.returncode, said, list(out.iterdir())) == (code, "", [])


def test_a_signal_that_was_ignored_stays_so() -> None:
    told = "import signal; from ckread.cli.main import _signals\n"
    told += "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    told += "with _signals(): print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)\n"
    told += "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.slow
def test_an_interrupt_while_modules_are_loaded_is_quiet() -> None:
    """Python's own start, some ten milliseconds, is not ours; nothing is said after it."""
    program = "import sys, os; sys.argv = ['ckread', 'info', sys.argv[1]]\n"
    program += "import ckread; os.kill(os.getpid(), 2)\n"
    program += "from ckread.cli.main import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, TEN], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    importing = "import ckread, signal; print(signal.getsignal(2) is signal.default_int_handler)"
    library = subprocess.run([sys.executable, "-c", importing], capture_output=True, text=True)
    assert library.stdout == "True\n"  # a program that imports it keeps its own


_ERROR_OF_AN_INTERRUPT = """
import signal, sys
from ckread.cli import main

def run(arguments, output):
    try:
        signal.raise_signal(signal.{number})
    except BaseException:
        raise ImportError("a library that makes its own error of any") from None

main.import_module = lambda name: sys.modules[__name__]
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
sys.exit(main.main(["ls", "{path}"]))
"""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_what_a_library_makes_of_a_signal_is_no_fault_of_ours(number: str, code: int) -> None:
    source = _ERROR_OF_AN_INTERRUPT.format(number=number, path=TEN)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_of_a_run_whose_checkpoints_all_went_every_analysis_says_so(tmp_path: Path) -> None:
    for step in (1, 2):
        write_bundle(tmp_path / f"ckpt-{step}", {"step": np.array(step), "k": np.ones(3)})
    run = package.open_run(tmp_path)
    for path in tmp_path.glob("ckpt-*"):
        path.unlink()
    told = "no checkpoint can be opened any more, ckpt-2: deleted since the run was listed"
    for analysis in (
        package.drift,
        package.statistics_of_run,
        lambda run: package.track(run, "step"),
    ):
        with pytest.raises(CheckpointNotFoundError) as caught:
            analysis(run)
        assert caught.value.found == told


@pytest.mark.slow
def test_settings_of_matplotlib_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: banana\nno.such.key: 1\nbackend: nope\n")
    target = str(tmp_path / "d.svg")
    words = ["diff", TEN, NINE, "--plot", target]
    done = ckread(*words, MPLBACKEND="nope", MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    assert done.returncode == 1
    assert done.stderr == f"wrote {target}: 43 variables of {TEN} and {NINE}\n"
    shown = ckread("diff", TEN, NINE, "--show", MPLBACKEND="nope")
    assert shown.returncode == 2
    assert shown.stderr.startswith("error: MPLBACKEND: Key backend: 'nope' is not a valid value")


# Few descriptors, and files that come and go.


@pytest.mark.slow
@pytest.mark.parametrize("room", [24, 64])
@pytest.mark.parametrize(
    "words", [["drift"], ["stats", "--every"], ["check", "--every"]], ids=" ".join
)
def test_with_few_descriptors_no_checkpoint_is_left_out(
    tmp_path: Path, words: list[str], room: int
) -> None:
    for i in range(120):
        for suffix in (".index", ".data-00000-of-00001"):
            os.symlink(f"{TEN}{suffix}", tmp_path / f"m-{i + 1}{suffix}")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, room))

    command = [*PROGRAM, words[0], str(tmp_path), *words[1:], "--json"]
    free, tight = (
        subprocess.run(command, capture_output=True, text=True, preexec_fn=setting)
        for setting in (None, limit)
    )
    assert free.returncode == tight.returncode == 0
    assert tight.stdout == free.stdout
    assert tight.stderr == ""


def test_files_that_are_kept_open_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    path = str(tmp_path / "a")
    kept = KeptOpen()
    kept[path] = RegularFile(path)
    reading = kept[path]
    refused, open_file = [OSError(errno.EMFILE, "Too many open files")], os.open

    def once(*arguments: Any) -> int:
        if refused:
            raise refused.pop()
        return open_file(*arguments)

    monkeypatch.setattr(os, "open", once)
    with RegularFile(path) as second:
        assert not kept
        assert second.pread(0, 3) == reading.pread(0, 3) == b"abc"  # what is read stays open
        refused += [OSError(errno.EMFILE, "Too many open files")]
        with pytest.raises(CheckpointError, match="too many open files"):  # none to give back
            RegularFile(path)


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="no file that gives nothing yet")
@pytest.mark.parametrize("command", ["info", "check", "history", "runs"])
def test_a_file_that_gives_nothing_yet(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It calls itself a regular one."""
    assert main([command, "/proc/kmsg"]) == 2
    assert "fault" not in capsys.readouterr().err


def _copied(folder: Path) -> str:
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{TEN}{suffix}", folder)
    return str(folder / "ckpt-10")


def _delete(prefix: str) -> None:
    os.unlink(f"{prefix}.index")
    os.unlink(f"{prefix}.data-00000-of-00001")


def _overwrite(prefix: str) -> None:
    for suffix in (".data-00000-of-00001", ".index"):
        shutil.copy(f"{NINE}{suffix}", f"{prefix}.new")
        os.replace(f"{prefix}.new", f"{prefix}{suffix}")


@pytest.mark.parametrize("change", [_delete, _overwrite])
@pytest.mark.parametrize("when", ["opened", "read"])
def test_what_changes_during_a_check_is_not_called_unsound(
    tmp_path: Path, change: Callable[[str], None], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = _copied(tmp_path)

    def look(*arguments: Any) -> Any:
        found = check_layout(*arguments)
        change(prefix)
        return found

    with package.open(prefix) as checkpoint:
        if when == "opened":
            change(prefix)
        else:
            monkeypatch.setattr("ckread.analysis.check.check.check_layout", look)
        with pytest.raises(CheckpointError) as caught:
            package.check(checkpoint)
    assert caught.value.kind is ErrorKind.CHANGED
    assert str(caught.value) == f"{prefix}: changed while it was read"


def test_what_cannot_be_opened_is_opened_once_more(tmp_path: Path) -> None:
    prefix = _copied(tmp_path)
    first = [CorruptCheckpointError("torn", path=f"{prefix}.index")]

    def opened(*arguments: Any, **settings: Any) -> Any:
        if first:
            raise first.pop()
        return open_checkpoint(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ckread.analysis.check.check.open_checkpoint", opened)
        with pytest.raises(CheckpointError) as caught:
            package.check(prefix)
    assert caught.value.kind is ErrorKind.CHANGED
    os.truncate(f"{prefix}.index", 1000)
    assert package.check(prefix).sound is False  # and what stays as it is is unsound
