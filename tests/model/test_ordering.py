"""The order of a model, in every container: as its layers follow each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import ckread
from ckread.model.selection import model_order
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = [
    "conv1/kernel", "conv1/bias",
    "norm1/gamma", "norm1/beta", "norm1/moving_mean", "norm1/moving_variance",
    "conv2/kernel", "conv2/bias",
    "norm2/gamma", "norm2/beta", "norm2/moving_mean", "norm2/moving_variance",
    "hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias",
]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["digits_run/ckpt-10", "digits_export", "digits_files/digits.keras", "digits_files/digits.h5"],
)
def test_layers_stand_as_they_follow_each_other(path: str) -> None:
    with ckread.open(FIXTURES / path) as checkpoint:
        ordered = model_order(checkpoint.values(), checkpoint.evidence)
    assert [v.name for v in ordered if v.role.is_parameter] == DIGITS
    assert {v.key for v in ordered} == {v.key for v in checkpoint.values()}


def test_the_collections_of_a_meta_file_give_the_order() -> None:
    with ckread.open(FIXTURES / "tf115_saver" / "model.ckpt-20") as checkpoint:
        names = [
            v.name
            for v in model_order(checkpoint.values(), checkpoint.evidence)
            if v.role.is_parameter
        ]
    assert names[:2] == ["conv1/kernel", "conv1/bias"]
    assert names.index("norm1/gamma") < names.index("logits/kernel")


def test_the_optimizer_stands_before_lone_counters() -> None:
    with ckread.open(FIXTURES / "digits_run" / "ckpt-1") as checkpoint:
        names = [v.name for v in model_order(checkpoint.values(), checkpoint.evidence)]
    assert names.index("optimizer/iterations") < names.index("save_counter")


def test_without_a_list_names_are_in_natural_order(tmp_path: Path) -> None:
    names = ["layer_10/bias", "layer_2/kernel", "layer_2/bias", "layer_10/kernel"]
    prefix = write_bundle(tmp_path / "ckpt", {name: np.ones(1) for name in names})
    with ckread.open(prefix) as checkpoint:
        ordered = model_order(checkpoint.values(), checkpoint.evidence)
    assert [variable.name for variable in ordered] == [
        "layer_2/kernel",
        "layer_2/bias",
        "layer_10/kernel",
        "layer_10/bias",
    ]


def test_a_part_keeps_the_order_of_the_whole() -> None:
    with ckread.open(FIXTURES / "digits_run" / "ckpt-10") as checkpoint:
        whole = model_order(checkpoint.values(), checkpoint.evidence)
        part = model_order(reversed(whole[::3]), checkpoint.evidence)
    assert part == whole[::3]
