"""What comes from outside while the program runs: signals, full disks, settings, odd options."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
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
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as export:
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
