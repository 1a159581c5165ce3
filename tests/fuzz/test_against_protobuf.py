"""The short seeded run of the wire decoder against protobuf."""

from __future__ import annotations

import pytest

from tests.fuzz.against_protobuf import TARGET
from tests.fuzz.running import run_seeded, try_kept

N_FILES = 3000


@pytest.mark.oracle
def test_fields_are_those_of_protobuf() -> None:
    pytest.importorskip("google.protobuf")
    report = run_seeded(TARGET, seed=3, n_files=N_FILES)
    assert report.failures == []
    assert report.outcomes[""] > N_FILES / 30
    assert try_kept(TARGET).failures == []
