"""The short seeded run: some hundred mutated files per target, and every crasher kept."""

from __future__ import annotations

import io
import subprocess
import sys

import h5py
import pytest

from tests.fuzz.hdf5_files import resealed
from tests.fuzz.kinds import KINDS
from tests.fuzz.running import Report, run_seeded, try_one
from tests.fuzz.target import kept_of
from tests.fuzz.targets import TARGETS
from tests.fuzz.using import USES
from tests.fuzz.workplace import Workplace
from tests.places import FIXTURES

N_FILES = {"saved_model": 60, "meta": 100, "bundle": 150, "check": 60, "loads_graph": 60}
ALONE = {"hdf5": 150, "keras": 150}
"""Files that a library in C reads, in processes of their own: should it hang, they end."""

CRASHERS = [(name, file) for name in TARGETS if name not in ALONE for file in kept_of(name)]


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in ALONE])
def test_mutated_files_give_content_or_our_errors(name: str) -> None:
    report = run_seeded(TARGETS[name], seed=1, n_files=N_FILES.get(name, 300))
    assert report.failures == []
    assert report.n_files > 0


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_seeds_are_sound(name: str) -> None:
    """Read what the run begins with: or the fuzzing would begin at the first check."""
    target, place, report = TARGETS[name], Workplace(), Report()
    seeds = target.seeds()
    try:
        results = [try_one(target, seed, place, report) for seed in seeds]
    finally:
        place.close()
    assert report.failures == []
    assert results.count("") >= 1


@pytest.mark.parametrize(("name", "file"), CRASHERS)
def test_what_once_failed(name: str, file: str) -> None:
    place, report = Workplace(), Report()
    try:
        try_one(TARGETS[name], kept_of(name)[file], place, report)
    finally:
        place.close()
    assert report.failures == []


@pytest.mark.parametrize("name", KINDS)
def test_what_is_built_of_sound_parts_is_read(name: str) -> None:
    """See that parts make files again: or mutants would be refused at the door."""
    target, place, report = USES[f"{name}_parts"], Workplace(), Report()
    try:
        results = [try_one(target, seed, place, report) for seed in target.seeds()[:3]]
    finally:
        place.close()
    assert report.failures == []
    assert results == [""] * len(results)


@pytest.mark.parametrize("libver", ["v108", "latest"])
def test_checksums_of_hdf5_are_made_as_its_library_makes_them(libver: str) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=(libver, "latest")) as file:
        file["a"] = [1.0, 2.0]
        file.create_group("g" * 40).attrs["name"] = "n" * 13
    data = buffer.getvalue()
    at = [i for i in range(len(data)) if data.startswith(b"OHDR", i)]
    assert at
    assert resealed(data) == data
    damaged = bytearray(data)
    damaged[at[-1] + 6] ^= 1
    assert resealed(bytes(damaged)) != bytes(damaged)


@pytest.mark.slow
def test_every_use_of_whole_files() -> None:
    printed = _run(*USES, "--seed", "1", "--files", "40")
    assert printed.endswith(f"{40 * len(USES)} files, 0 failures\n")


@pytest.mark.parametrize("name", [name for name in USES if kept_of(name)])
def test_what_once_failed_in_use(name: str) -> None:
    printed = _run(name, "--kept")
    assert printed.endswith(f"{len(kept_of(name))} files, 0 failures\n")


@pytest.mark.parametrize("name", ALONE)
def test_no_library_hangs_or_crashes_on_mutated_files(name: str) -> None:
    """See that every file is read, none for longer than the deadline of `running`."""
    printed = _run(name, "--seed", "1", "--files", str(ALONE[name]))
    assert printed.endswith(f"{ALONE[name]} files, 0 failures\n")


@pytest.mark.parametrize("name", ALONE)
def test_no_library_hangs_on_what_once_failed(name: str) -> None:
    assert kept_of(name)
    printed = _run(name, "--kept")
    assert printed.endswith(f"{len(kept_of(name))} files, 0 failures\n")


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    run = subprocess.run(
        command, cwd=FIXTURES.parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
