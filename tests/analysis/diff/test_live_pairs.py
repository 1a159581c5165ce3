"""Pairs between checkpoints that Keras 2 and 3 write in sessions of their own numbers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import ckread
from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.records import DiffStatus, PairedBy
from ckread.model.role import Role
from ckread.views.diff.verdict import verdict

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.analysis.diff.records import CheckpointDiff

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

KERAS_3 = """
import sys, numpy as np, tensorflow as tf, keras
x, y = np.random.rand(32, 6).astype("f4"), np.random.rand(32, 2).astype("f4")
ema = keras.optimizers.Adam(1e-3, use_ema=True)
decay = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
made = [
    ("plain", "first", keras.optimizers.Adam(1e-3)), ("sched", "net", keras.optimizers.Adam(decay)),
    ("amsgrad", "other", keras.optimizers.Adam(1e-3, amsgrad=True)), ("ema", "kept", ema),
]
for tag, name, optimizer in made:
    layers = [keras.Input((6,))] + [keras.layers.Dense(6, activation="relu") for _ in range(3)]
    model = keras.Sequential([*layers, keras.layers.Dense(2, name="out")], name=name)
    model.compile(optimizer, "mse")
    model.fit(x, y, verbose=0)
    model.save(f"{sys.argv[1]}/{tag}.keras")
    tf.train.Checkpoint(model=model, optimizer=optimizer).write(f"{sys.argv[1]}/{tag}")
model.save(f"{sys.argv[1]}/float.keras")
model.quantize("int8")
model.save(f"{sys.argv[1]}/int8.keras")
"""

KERAS_2 = """
import sys, numpy as np, tensorflow as tf, tf_keras as keras
def model():
    layers = [keras.layers.Conv2D(n, 3, padding="same") for n in (3, 3, 4)]
    layers[0] = keras.layers.Conv2D(3, 3, padding="same", input_shape=(8, 8, 3))
    norm = keras.layers.BatchNormalization()
    return keras.Sequential([*layers, norm, keras.layers.Flatten(), keras.layers.Dense(1)])
for tag in ("a", "b", "c"):
    made = model()
    made.compile("adam", "mse")
    made.fit(np.random.rand(8, 8, 8, 3), np.random.rand(8, 1), verbose=0)
    made.save(f"{sys.argv[1]}/{tag}.h5")
    made.save_weights(f"{sys.argv[1]}/{tag}/w")
wide = keras.Sequential([keras.layers.Dense(9, input_shape=(5,)), keras.layers.Dense(1)])
wide.compile("adam", "mse")
wide.save(f"{sys.argv[1]}/wide.h5")
"""


def _saved(directory: Path, code: str) -> Path:
    subprocess.run([sys.executable, "-c", code, str(directory)], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def keras_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("keras3"), KERAS_3)


@pytest.fixture(scope="module")
def keras_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("keras2"), KERAS_2)


def _slots_are_right(result: CheckpointDiff) -> None:
    partner = {v.name: v.renamed_from or v.name for v in result.variables if v.a and v.b}
    with ckread.open(result.a) as first, ckread.open(result.b) as second:
        for name, old in partner.items():
            a, b = first[old], second[name]
            assert (a.role, a.slot, a.shape) == (b.role, b.slot, b.shape)
            if b.owner is not None and a.owner is not None:
                assert partner[b.owner] == a.owner


@pytest.mark.parametrize("suffix", ["", ".keras"])
@pytest.mark.parametrize("other", ["sched", "amsgrad", "ema"])
def test_slots_of_a_renamed_model(keras_3: Path, other: str, suffix: str) -> None:
    result = diff_checkpoints(keras_3 / f"plain{suffix}", keras_3 / f"{other}{suffix}")
    _slots_are_right(result)
    slots = [v for v in result.variables if v.role is Role.SLOT and v.a and v.b]
    assert len(slots) == 16
    assert not [v for v in result.variables if v.status is DiffStatus.RESHAPED]
    weights = [v for v in result.variables if v.role is Role.WEIGHT]
    assert len(weights) == 8
    assert all(v.a and v.b for v in weights)


def test_a_quantised_model_beside_itself(keras_3: Path) -> None:
    result = diff_checkpoints(keras_3 / "float.keras", keras_3 / "int8.keras", roles="weight")
    codes = [v for v in result.variables if v.compared_as]
    assert {v.compared_as for v in codes} == {"dequantised"}
    assert len(codes) == 4
    assert all(v.metrics and (v.metrics.relative_l2 or 1) < 0.02 for v in codes)


@pytest.mark.parametrize("names", ["{}.h5", "{}/w"])
def test_sessions_that_count_on(keras_2: Path, names: str) -> None:
    for a, b in (("a", "b"), ("b", "c"), ("c", "a")):
        result = diff_checkpoints(keras_2 / names.format(a), keras_2 / names.format(b))
        _slots_are_right(result)
        assert not [v for v in result.variables if v.a is None or v.b is None]
        told = verdict(result)
        assert " under other names (" in told
        assert "conv2d" in told
        ways = {v.paired_by for v in result.variables if v.renamed_from and not v.owner}
        assert ways <= {PairedBy.KEY, PairedBy.ORDER, PairedBy.CONTENT}


def test_other_networks_of_the_same_words(keras_2: Path) -> None:
    result = diff_checkpoints(keras_2 / "a.h5", keras_2 / "wide.h5", roles="weight")
    assert "moved" not in verdict(result)
