"""The short seeded run of our reader against TensorFlow's, on crafted indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.against_tensorflow import DIED, TARGET, close
from tests.fuzz.running import run_seeded, try_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

N_FILES = 300


@pytest.fixture(autouse=True)
def tensorflow() -> Iterator[None]:
    pytest.importorskip("tensorflow")
    yield
    close()


@pytest.mark.oracle
@pytest.mark.slow
def test_crafted_entries_read_alike() -> None:
    report = run_seeded(TARGET, seed=11, n_files=N_FILES)
    assert report.failures == []
    assert report.outcomes[""] > N_FILES / 5
    assert report.outcomes[DIED] < 0.8 * N_FILES
    assert try_kept(TARGET).failures == []
