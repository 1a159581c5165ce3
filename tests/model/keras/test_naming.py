"""Names and roles in Keras files, from small files made by hand; Keras itself is not needed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.model.keras.naming import identify_keras
from ckread.model.keras.slots import Weights, _embedded
from ckread.model.role import Role
from ckread.readers.contract import DataType, TensorRecord
from ckread.readers.keras.config import KerasConfig, LayerConfig
from ckread.readers.keras.layers import layer_groups
from ckread.readers.keras.reader import KerasContents, open_hdf5
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckread.model.evidence import Identity
    from ckread.model.keras.naming import KerasIdentities

Layers = dict[str, tuple[str, list[tuple[int, ...]]]]


def _identify(path: Path, layers: Layers, **extra: Any) -> KerasIdentities:
    """Write groups with names and variables of these shapes, then identify them."""
    with h5py.File(path / "m.weights.h5", "w") as file:
        for group, (name, shapes) in layers.items():
            variables = file.create_group(f"{group}/vars".lstrip("/"))
            if name:
                variables.attrs["name"] = name
            for i, shape in enumerate(shapes):
                variables[str(i)] = np.zeros(shape, "f4")
        for key, value in extra.items():
            file[key.replace("__", "/")] = value
    with open_hdf5(str(path / "m.weights.h5")) as reader:
        return identify_keras(reader.tensors, reader.contents)


def _names(found: KerasIdentities, *roles: Role) -> list[str]:
    return [one.name for one in found.identities.values() if not roles or one.role in roles]


V = (4,)
K = (3, 4)


def test_names_start_anew_inside_a_functional(tmp_path: Path) -> None:
    found = _identify(
        tmp_path,
        {
            "": ("outer", []),
            "layers/input_layer": ("in", []),
            "layers/sequential": ("mlp", []),
            "layers/sequential/layers/dense": ("fc", [K, V]),
            "layers/functional": ("encoder", []),
            "layers/functional/layers/input_layer": ("in2", []),
            "layers/functional/layers/dense": ("stem", [K, V]),
        },
    )
    assert _names(found) == ["stem/kernel", "stem/bias", "mlp/fc/kernel", "mlp/fc/bias"]


def test_a_sequential_keeps_its_name(tmp_path: Path) -> None:
    found = _identify(tmp_path, {"": ("seq", []), "layers/dense_1": ("hidden2", [K, V])})
    assert _names(found) == ["seq/hidden2/kernel", "seq/hidden2/bias"]


def test_without_names_the_groups_name_themselves(tmp_path: Path) -> None:
    found = _identify(tmp_path, {"layers/dense": ("", [K]), "layers/custom": ("", [K])})
    assert _names(found) == ["custom/0", "dense/kernel"]


def test_names_that_are_shared_become_key_paths(tmp_path: Path) -> None:
    found = _identify(
        tmp_path, {"": ("m", []), "q/layers/dense": ("d", [K]), "t/layers/dense": ("d", [K])}
    )
    assert _names(found) == ["q/layers/dense/vars/0", "t/layers/dense/vars/0"]


def test_statistics_aliases_and_seeds(tmp_path: Path) -> None:
    found = _identify(
        tmp_path,
        {
            "layers/batch_normalization": ("norm", [V] * 4),
            "layers/spectral_normalization": ("spec", [K, (1, 4)]),
            "layers/spectral_normalization/layer": ("sn", [K, V]),
        },
        layers__dropout__seed_generator__vars__0=np.zeros(2, "u4"),
    )
    by_name = {one.name: one for one in found.identities.values()}
    assert by_name["norm/moving_mean"].role is Role.STATISTIC
    assert by_name["norm/moving_mean"].trainable is False
    assert by_name["spec/vector_u"].role is Role.STATISTIC
    assert by_name["spec/kernel"].role is Role.ALIAS
    assert by_name["spec/kernel"].owner == "spec/sn/kernel"
    assert Role.RANDOM in {one.role for one in found.identities.values()}


def _adam(n: int, shapes: list[tuple[int, ...]], **more: Any) -> Layers:
    slots = [shape for shape in shapes for _ in range(n)]
    return {"optimizer": (more.get("name", "adam"), [(), *slots])}


def _optimizer(found: KerasIdentities) -> list[Identity]:
    return [one for key, one in found.identities.items() if key.startswith("optimizer/")]


def test_owners_where_one_weight_has_the_shape(tmp_path: Path) -> None:
    layers: Layers = {"layers/dense": ("d", [K, V]), "layers/embedding": ("e", [(9, 2)])}
    found = _identify(tmp_path, layers | _adam(2, [(9, 2), K, V]))
    assert not found.warnings
    rate, *slots = _optimizer(found)
    assert (rate.name, rate.role) == ("optimizer/learning_rate", Role.HYPERPARAMETER)
    assert [one.name for one in slots] == [
        f"optimizer/{owner}/{word}"
        for owner in ("e/embeddings", "d/kernel", "d/bias")
        for word in ("momentum", "velocity")
    ]


def test_an_order_that_is_not_told_leaves_owners_open(tmp_path: Path) -> None:
    layers: Layers = {"layers/dense": ("a", [K, V]), "layers/dense_1": ("b", [K, (5,)])}
    found = _identify(tmp_path, layers | _adam(2, [K, V, K, (5,)], name="adam_3"))
    slots = [one for one in _optimizer(found) if one.role is Role.SLOT]
    told = {one.name: one.owner for one in slots if one.owner}
    assert told == {
        "optimizer/a/bias/momentum": "a/bias",
        "optimizer/a/bias/velocity": "a/bias",
        "optimizer/b/bias/momentum": "b/bias",
        "optimizer/b/bias/velocity": "b/bias",
    }
    assert [one.slot for one in slots if one.owner is None] == ["momentum", "velocity"] * 2
    assert found.warnings == (
        "Of 4 of 8 slots it is not told which weight they belong to: "
        "the file does not hold the order of the weights.",
    )
    weights = [one for one in found.identities.values() if one.role is Role.WEIGHT]
    assert [one.trainable for one in weights] == [True] * 4


def test_a_frozen_weight_has_no_slot(tmp_path: Path) -> None:
    layers: Layers = {"layers/dense": ("a", [K, V]), "layers/embedding": ("e", [(9, 2)])}
    found = _identify(tmp_path, layers | _adam(2, [K, V]))
    flags = {
        one.name: one.trainable for one in found.identities.values() if one.role is Role.WEIGHT
    }
    assert flags == {"a/kernel": True, "a/bias": True, "e/embeddings": False}


def test_slots_of_an_unknown_optimizer_stay_slots(tmp_path: Path) -> None:
    layers: Layers = {"layers/dense": ("a", [K])}
    found = _identify(tmp_path, layers | _adam(3, [K], name="mine"))
    assert {(one.role, one.owner, one.slot) for one in _optimizer(found)[1:]} == {
        (Role.SLOT, None, None)
    }


def test_metrics_are_metrics(tmp_path: Path) -> None:
    found = _identify(tmp_path, {"metrics/mean": ("", [(), ()]), "layers/dense": ("d", [K])})
    assert _names(found, Role.METRIC) == ["metrics/mean/0", "metrics/mean/1"]


def _legacy(path: Path, weights: Mapping[str, tuple[int, ...]], slots: dict[str, Any]) -> Any:
    with h5py.File(path / "m.h5", "w") as file:
        model = file.create_group("model_weights")
        model.attrs["layer_names"] = ["layer"]
        layer = model.create_group("layer")
        layer.attrs["weight_names"] = list(weights)
        for name, shape in weights.items():
            layer[name] = np.zeros(shape, "f4")
        optimizer = file.create_group("optimizer_weights")
        optimizer.attrs["weight_names"] = list(slots)
        for name, value in slots.items():
            optimizer[name] = value
    with open_hdf5(str(path / "m.h5")) as reader:
        found = identify_keras(reader.tensors, reader.contents)
    return {one.name: one for one in found.identities.values()}


@pytest.mark.parametrize(
    ("slot", "word"),
    [
        ("Adam/stem/kernel/m:0", "m"),
        ("training/Adam/stem/kernel/m:0", "m"),
        ("Adam/m/stem/kernel:0", "m"),
        ("adam/stem_kernel_momentum", "momentum"),
        ("loss_scale_optimizer/adam/stem_kernel_gradient_accumulator", "gradient_accumulator"),
    ],
)
def test_slots_of_every_era_find_their_weight(slot: str, word: str, tmp_path: Path) -> None:
    weights = {"stem/kernel:0": K, "kernel:0": (7,), "stem:0": (8,)}
    found = _legacy(tmp_path, weights, {slot: np.zeros(K, "f4")})
    one = found[f"optimizer/stem/kernel/{word}"]
    assert (one.role, one.owner, one.slot) == (Role.SLOT, "stem/kernel", word)


def test_flat_names_that_two_weights_share_tell_nothing(tmp_path: Path) -> None:
    weights = {"a/b_c:0": K, "a_b/c:0": K}
    found = _legacy(tmp_path, weights, {"adam/a_b_c_momentum": np.zeros(K, "f4")})
    assert found["optimizer/adam/a_b_c_momentum"].owner is None


def test_a_slot_of_another_shape_is_not_of_this_weight(tmp_path: Path) -> None:
    found = _legacy(tmp_path, {"stem/kernel:0": K}, {"Adam/m/stem/kernel:0": np.zeros(9, "f4")})
    assert found["optimizer/Adam/m/stem/kernel"].owner is None


def test_counters_and_rates(tmp_path: Path) -> None:
    slots = {"Adam/iter:0": np.int64(5), "Adam/learning_rate:0": np.float32(1)}
    found = _legacy(tmp_path, {"w:0": K}, slots)
    assert found["optimizer/iterations"].role is Role.COUNTER
    assert found["optimizer/learning_rate"].role is Role.HYPERPARAMETER


def test_the_table_of_layers_adds_up(tmp_path: Path) -> None:
    found = _identify(
        tmp_path,
        {
            "layers/dense": ("a", [K, V]),
            "layers/lstm": ("rnn", []),
            "layers/lstm/cell": ("lstm_cell", [(3, 16), (4, 16), (16,)]),
            "layers/input_layer": ("in", []),
        },
    )
    table = {layer.name: (layer.class_name, layer.parameters) for layer in found.layers}
    assert table == {"a": ("Dense", 16), "rnn": ("LSTM", 128), "in": ("InputLayer", 0)}


def test_a_dataset_with_two_names_of_which_one_is_an_optimizers(tmp_path: Path) -> None:
    """Fuzzing found it: what repeats a variable of the model need not be one itself."""
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.ones((2, 2), "f4")
        file["optimizer/vars/0"] = np.zeros(2, "f4")
        file["optimizer/vars/again"] = file["layers/dense/vars/0"]
        file["optimizer/vars/twice"] = file["optimizer/vars/0"]
    with open_hdf5(str(path)) as reader:
        found = identify_keras(reader.tensors, reader.contents)
    assert set(found.identities) == set(reader.tensors)
    assert found.identities["layers/dense/vars/0"].role is Role.WEIGHT


@pytest.mark.parametrize("name", ["six_ways/functional/tiny.h5", "tf23_keras2/model.h5"])
def test_statistics_of_legacy_files_are_told_by_the_end_of_their_names(name: str) -> None:
    with open_hdf5(str(FIXTURES / name)) as reader:
        found = identify_keras(reader.tensors, reader.contents).identities
    roles = {
        one.name: one.role for one in found.values() if one.role in (Role.WEIGHT, Role.STATISTIC)
    }
    told = {name: name.endswith(("/moving_mean", "/moving_variance")) for name in roles}
    assert sum(told.values()) == 2
    assert roles == {n: Role.STATISTIC if is_one else Role.WEIGHT for n, is_one in told.items()}


SIX = {"a/w": (3,), "a/b": (4,), "a/s": (4,), "c/w": (3,), "c/s": (5,), "d/w": (4,)}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ("a/w a/b c/w d/w", "a/w a/b c/w d/w"),
        ("a/w a/b a/s c/w c/s d/w", "a/w a/b a/s c/w c/s d/w"),
        ("a/w a/b a/s c/w d/w", "a/w a/b a/s c/w d/w"),
        ("a/w a/b c/w c/s d/w", "a/w a/b c/w c/s d/w"),
        ("a/w c/w d/w", None),  # a weight that is trained is left out
        ("a/w a/b c/w c/s d/w d/w", None),
    ],
)
def test_what_is_open_may_be_left_out_of_the_weights_of_an_optimizer(
    wanted: str, kept: str | None
) -> None:
    weights = Weights(SIX, tuple(SIX), {"a/s", "c/s"})
    found = _embedded([SIX[key] for key in wanted.split()], weights)
    assert found == (None if kept is None else dict(enumerate(kept.split())))


def test_of_what_a_layer_leaves_out_the_last_goes_first() -> None:
    """And what two ways differ in is not told."""
    shapes = {"a/w": (3,), "a/s": (3,), "c/w": (3,)}
    assert _embedded([(3,), (3,)], Weights(shapes, tuple(shapes), {"a/w", "a/s"})) == {
        0: "a/w",
        1: "c/w",
    }
    shapes = {"a/w": (3,), "b/w": (3,), "c/w": (3,)}
    assert _embedded([(3,), (3,)], Weights(shapes, tuple(shapes), {"a/w", "b/w"})) == {
        0: None,
        1: "c/w",
    }


@pytest.mark.parametrize("is_configured", [False, True])
def test_very_many_layers_are_named_in_the_time_of_each(is_configured: bool) -> None:
    """Each is looked up, not looked for among all: 4,000 took ten seconds and more."""
    owners = [f"layers/dense_{i}" if i else "layers/dense" for i in range(4000)]
    dense = tuple(LayerConfig(f"fc{i}", "Dense", True, {}, True) for i in range(4000))
    model = LayerConfig("m", "Sequential", True, {}, True, dense) if is_configured else None
    keys = [f"{owner}/vars/{i}" for owner in owners for i in range(2)]
    tensors = {key: TensorRecord(key, DataType.FLOAT32, (3, 3), 36, None, 0, 0) for key in keys}
    start = time.process_time()
    contents = KerasContents(KerasConfig(model), layer_groups(owners, {}, model))
    found = identify_keras(tensors, contents)
    assert time.process_time() - start < 2
    assert [layer.parameters for layer in found.layers] == [18] * 4000
    assert found.layers[7].name == ("fc7" if is_configured else "dense_1003")
