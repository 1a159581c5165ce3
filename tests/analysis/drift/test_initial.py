"""What values look like that never moved over a run: zeros, a constant, a draw of Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import ckread
from ckread.views.drift.rows import verdict
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_what_never_moved_is_told_by_its_looks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    bound = np.sqrt(6 / (256 + 128))
    draw = generator.uniform(-bound, bound, (256, 128)).astype("f4")
    other = generator.normal(size=(128, 10)).astype("f4")
    still = {"a/kernel": draw, "a/bias": np.zeros(128, "f4"), "b/gamma": np.ones(4, "f4")}
    for step in range(3):
        moving = {"c/kernel": draw + step, "c/bias": np.full(4, step, "f4")}
        write_bundle(tmp_path / f"ckpt-{step}", {**still, **moving, "d/kernel": other})
    found = ckread.drift(tmp_path)
    assert {one.name: one.initial for one in found if one.initial} == {
        "a/kernel": "as Glorot's uniform draw would be",
        "a/bias": "all 0",
        "b/gamma": "all 1",
    }
    assert "1 is as Glorot's uniform draw would be" in verdict(found)
    strengths = {claim.value: str(claim.strength) for claim in found.evidence if claim.value}
    assert strengths["all 0"] == "stored"
    assert strengths["as Glorot's uniform draw would be"] == "derived"
    by_index = ckread.drift(tmp_path, index_only=True)
    assert {one.initial for one in by_index} == {None}
