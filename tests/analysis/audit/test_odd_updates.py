"""What a check says of the last update: larger than the weight, or lost in its rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.audit.optimizer import optimizer, sample_updates
from ckread.analysis.check.check import check
from ckread.model.opening import open_checkpoint
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path


def _saved(folder: Path, rate: float = 1e-3, steps: int = 500, **scales: float) -> Path:
    """Write five kernels of Adam; a scale is that of the square of the gradients of one."""
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "learning_rate": np.float32(rate), "beta1_power": np.float32(0.9 ** (steps + 1)),
        "beta2_power": np.float32(0.999 ** (steps + 1)),
    }  # fmt: skip
    for name in "abcde":
        tensors[f"{name}/kernel"] = rng.normal(size=(40, 30)).astype(np.float32)
        tensors[f"{name}/kernel/Adam"] = rng.normal(size=(40, 30)).astype(np.float32)
        v = np.full((40, 30), scales.get(name, 1.0), np.float32)
        tensors[f"{name}/kernel/Adam_1"] = v
    write_bundle(folder / "model.ckpt", dict(sorted(tensors.items())))
    return folder / "model.ckpt"


def _told(path: Path) -> list[tuple[str, str | None]]:
    found = check(path).findings
    return [(str(one.code), one.variable) for one in found if one.code.startswith("update")]


def test_an_update_that_is_lost_in_rounding(tmp_path: Path) -> None:
    path = _saved(tmp_path, c=1e16)
    assert _told(path) == [("update-lost", "c/kernel")]
    [finding] = [one for one in check(path).findings if one.code == "update-lost"]
    assert "lost in rounding" in finding.message


def test_an_update_larger_than_the_weight(tmp_path: Path) -> None:
    path = _saved(tmp_path, d=1e-12)
    assert _told(path) == [("update-huge", "d/kernel")]
    assert (optimizer(path)["d/kernel"].update_ratio or 0) > 1


@pytest.mark.parametrize("rate", [1e-12, 1e-3])
def test_none_where_all_are_alike(tmp_path: Path, rate: float) -> None:
    """At the end of a schedule nothing moves, and that is as it should be."""
    assert _told(_saved(tmp_path, rate)) == []


def test_none_in_the_first_steps(tmp_path: Path) -> None:
    assert _told(_saved(tmp_path, steps=20, d=1e-12)) == []


def test_a_sample_says_what_the_whole_does() -> None:
    path = FIXTURES / "digits_run" / "ckpt-10"
    whole = optimizer(path)
    with open_checkpoint(path) as checkpoint:
        sampled = {one.name: one for one in sample_updates(checkpoint)}
    assert set(sampled) == {w.name for w in whole.weights if w.is_kernel}
    for name in ("conv1/kernel", "conv2/kernel", "logits/kernel"):
        assert sampled[name].ratio == pytest.approx(whole[name].update_ratio, rel=1e-9)
    assert sampled["hidden/kernel"].n_read == 8192
