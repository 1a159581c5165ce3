"""Variables in the order of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckread.model.model_order import in_model_order
from ckread.model.opening import open_checkpoint
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_layers_follow_each_other_as_in_the_object_graph(fixtures_dir: Path) -> None:
    with open_checkpoint(str(fixtures_dir / "digits_run" / "ckpt-10")) as checkpoint:
        ordered = in_model_order(checkpoint, reversed(list(checkpoint.values())))
    names = [variable.name for variable in ordered]
    assert names[:16] == [
        "conv1/kernel", "conv1/bias",
        "norm1/gamma", "norm1/beta", "norm1/moving_mean", "norm1/moving_variance",
        "conv2/kernel", "conv2/bias",
        "norm2/gamma", "norm2/beta", "norm2/moving_mean", "norm2/moving_variance",
        "hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias",
    ]  # fmt: skip
    assert not any(variable.role.is_parameter for variable in ordered[16:])


def test_without_a_graph_names_are_sorted_naturally(tmp_path: Path) -> None:
    names = ["layer_10/bias", "layer_2/kernel", "layer_2/bias", "layer_10/kernel"]
    prefix = write_bundle(tmp_path / "ckpt", {name: np.ones(1) for name in names})
    with open_checkpoint(prefix) as checkpoint:
        ordered = in_model_order(checkpoint, checkpoint.values())
    assert [variable.name for variable in ordered] == [
        "layer_2/bias",
        "layer_2/kernel",
        "layer_10/bias",
        "layer_10/kernel",
    ]
