"""The short seeded run: some hundred mutated files per target, and every crasher kept."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.running import Report, run_seeded, try_one
from tests.fuzz.targets import TARGETS, crashers_of
from tests.fuzz.workplace import Workplace

N_FILES = {"saved_model": 60, "meta": 100, "bundle": 150, "check": 60}
NOT_ALONE = ("hdf5", "keras")
"""What the HDF5 library itself may hang on is fuzzed by hand, in a process of its own."""

CRASHERS = [
    (name, file)
    for name in TARGETS
    if name not in NOT_ALONE and os.path.isdir(crashers_of(name))
    for file in sorted(os.listdir(crashers_of(name)))
]


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in NOT_ALONE])
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
        with open(os.path.join(crashers_of(name), file), "rb") as crasher:
            try_one(TARGETS[name], crasher.read(), place, report)
    finally:
        place.close()
    assert report.failures == []
