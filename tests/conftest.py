"""What all tests share: the places of checkpoints, and how long properties are tried."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from ckread.readers import files
from tests.places import FIXTURES, NO_REAL, REAL

if TYPE_CHECKING:
    from pathlib import Path

# The machine's load is no property of the code: no deadline, no complaint of slowness.
settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# What lands is judged on the same examples each time; "dev" and "nightly" look for new ones.
settings.register_profile("ci", settings.get_profile("dev"), max_examples=200, derandomize=True)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=5000)
settings.register_profile("mutants", settings.get_profile("dev"), max_examples=20, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write goldens and the README's outputs anew"
    )


_SAVED = 1795276800
"""When files of fixtures were changed, which a clone does not keep: 2026-11-21 16:00 UTC."""


def pytest_configure(config: pytest.Config) -> None:
    files.SETTLING_SECONDS = 0.0  # the damaged files of tests were written just now
    for path in FIXTURES.rglob("*"):
        with suppress(OSError):
            os.utime(path, (_SAVED, _SAVED))
    if config.getoption("--update-goldens"):
        os.environ["CKREAD_UPDATE_GOLDENS"] = "1"


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Give the folder of the committed checkpoints."""
    return FIXTURES


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """Give the folder of real checkpoints; skip, saying so, where it is absent."""
    if not REAL.exists():
        pytest.skip(NO_REAL)
    return REAL
