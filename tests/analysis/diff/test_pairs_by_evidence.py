"""Pairs by what tells them: owners and words, paths and order of numbered layers, averages."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.matching import match_variables
from ckread.analysis.diff.records import DiffStatus, PairedBy, auto_name, is_renumbered
from ckread.model.role import Role
from ckread.views.diff.verdict import verdict
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ckread.analysis.diff.matching import Matching
    from ckread.model.checkpoint import Checkpoint


def values(seed: int, *shape: int) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def match(a: Checkpoint, b: Checkpoint) -> Matching:
    return match_variables(list(a.values()), list(b.values()))


def names(matching: Matching) -> dict[str, str]:
    return {pair.a.name: pair.b.name for pair in matching.pairs}


def ways(matching: Matching) -> set[PairedBy]:
    return {pair.paired_by for pair in matching.pairs}


# Slots: by owner and word, whatever their key; never across role, word or shape.


def trained(
    scope: str, shapes: Mapping[str, tuple[int, ...]], words: list[str], first: int, seed: int
) -> Checkpoint:
    """Weights under a scope, and slots whose keys are numbers from `first` on."""
    arrays: dict[str, NDArray[Any]] = {}
    named: dict[str, str] = {}
    owners: dict[str, tuple[str, str]] = {}
    for at, (name, shape) in enumerate(shapes.items()):
        arrays[f"w/{at}"] = values(seed + at, *shape)
        named[f"w/{at}"] = f"{scope}{name}"
    for number, (name, word) in enumerate((name, word) for name in shapes for word in words):
        key = f"optimizer/_variables/{first + number}"
        arrays[key] = values(seed + 100 + number, *shapes[name])
        named[key] = f"optimizer/{scope}{name}/{word}"
        owners[named[key]] = (f"{scope}{name}", word)
    return checkpoint(arrays, names=named, owners=owners)


layer_names = st.lists(
    st.sampled_from(["encoder", "decoder", "head", "stem", "neck", "body"]),
    unique=True, min_size=1, max_size=5,
)  # fmt: skip


@given(
    layers=layer_names,
    size=st.integers(2, 6),
    is_one_shape=st.booleans(),
    first=st.integers(1, 4),
    words=st.permutations(["momentum", "velocity", "accumulator"]),
    scope=st.sampled_from(["", "net/", "model/backbone/"]),
)
def test_slots_follow_their_owner_whatever_their_number(
    layers: list[str], size: int, is_one_shape: bool, first: int, words: list[str], scope: str
) -> None:
    shapes = {
        f"{layer}/w": (size, 3 if is_one_shape else 3 + at) for at, layer in enumerate(layers)
    }
    a = trained("sequential/", shapes, ["momentum", "velocity", "accumulator"], 2, seed=0)
    turned = dict(reversed(shapes.items()))
    b = trained(scope, turned, list(words), 2 + first, seed=1000)
    for pair in match(a, b).pairs:
        assert (pair.a.role, pair.a.slot) == (pair.b.role, pair.b.slot)
        assert pair.a.shape == pair.b.shape
    found = names(match(a, b))
    for name in shapes if len(layers) > 1 else ():  # of one layer, all of its name is scope
        assert found[f"sequential/{name}"] == f"{scope}{name}"
        for word in words:
            mine = f"optimizer/sequential/{name}/{word}"
            assert found[mine] == f"optimizer/{scope}{name}/{word}"


def test_a_number_in_the_list_of_an_optimizer_pairs_nothing() -> None:
    a = checkpoint({"optimizer/_variables/1": np.array(0.1, np.float32), "w": values(1, 4)},
                   names={"optimizer/_variables/1": "optimizer/learning_rate"})  # fmt: skip
    b = checkpoint(
        {"optimizer/_variables/1": values(2, 4), "w": values(3, 4)},
        names={"optimizer/_variables/1": "optimizer/w/momentum"},
        owners={"optimizer/w/momentum": ("w", "momentum")},
    )
    assert names(match(a, b)) == {"w": "w"}
    other = trained("", {"x": (4,), "y": (5,)}, ["m"], 1, seed=3)
    assert all(p.a.shape == p.b.shape for p in match(b, other).pairs)


# Numbered layers: object path, else order, before names.


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("dense/kernel", (0,)), ("dense_12/kernel", (12,)), ("block_3/conv1", None),
        ("model_1/conv2d_transpose_2/bias", (1, 2)), ("batch_normalization_v1_3/gamma", (3,)),
        ("dense_0/kernel", None), ("my_dense/kernel", None), ("fc_dense_1/kernel", None),
        ("sequential/embedding_4/embeddings", (0, 4)), ("lstm/lstm_cell_1/kernel", (0, 1)),
    ],
)  # fmt: skip
def test_names_that_keras_makes(name: str, numbers: tuple[int, ...] | None) -> None:
    found = auto_name(name)
    assert (found and found.numbers) == numbers


def test_what_is_a_renumbering() -> None:
    assert is_renumbered("conv2d_79/kernel", "conv2d_19/kernel")
    assert is_renumbered("dense/kernel", "dense_3/kernel")
    assert not is_renumbered("conv2d_79/kernel", "conv2d_79/kernel")
    assert not is_renumbered("conv2d_79/kernel", "conv2d_19/bias")
    assert not is_renumbered("conv2d_1/kernel", "conv1d_1/kernel")
    assert not is_renumbered("block_1/kernel", "block_2/kernel")


def stack(numbers: list[int], sizes: list[int], seed: int, word: str = "dense") -> Checkpoint:
    """Layers of a class by their numbers, each of its own size."""
    arrays = {}
    for at, (number, (n_in, n_out)) in enumerate(zip(numbers, pairwise(sizes), strict=True)):
        layer = f"{word}_{number}" if number else word
        arrays[f"{layer}/kernel"] = values(seed + at, n_in, n_out)
        arrays[f"{layer}/bias"] = values(seed + 50 + at, n_out)
    return checkpoint(arrays)


@given(
    sizes=st.lists(st.integers(2, 5), min_size=2, max_size=6),
    first=st.integers(0, 12),
    other=st.integers(0, 12),
    word=st.sampled_from(["dense", "conv2d", "embedding", "my_layer"]),
)
def test_layers_that_count_on_from_another_number(
    sizes: list[int], first: int, other: int, word: str
) -> None:
    n = len(sizes) - 1
    a = stack(list(range(first, first + n)), sizes, 0, word)
    b = stack(list(range(other, other + n)), sizes, 1000, word)
    found = match(a, b)
    if word == "my_layer":  # a person's own numbers: equal names hold
        assert all(x == y for x, y in names(found).items() if x in b)
        return
    assert list(names(found).items()) == list(zip(a, b, strict=True))
    assert ways(found) <= {PairedBy.NAME if first == other else PairedBy.ORDER}


def test_other_sizes_are_no_renumbering_and_equal_values_hold_a_name() -> None:
    shifted = match(stack([3, 4], [4, 5, 6], 0), stack([2, 3], [7, 5, 6], 9))
    assert PairedBy.ORDER not in ways(shifted)
    a, b = stack([3, 4], [5, 5, 5], 0), stack([2, 3], [5, 5, 5], 0)
    kept = {"dense_2/kernel": values(7, 5, 5), "dense_2/bias": values(8, 5)}
    b = checkpoint(kept | {name: a[name].numpy() for name in a if "dense_3" in name})
    assert names(match(a, b))["dense_3/kernel"] == "dense_3/kernel"


def test_an_object_path_tells_more_than_a_number() -> None:
    def model(user: int, movie: int, seed: int, rows: tuple[int, int] = (7, 7)) -> Checkpoint:
        keys = ["users/layer_with_weights-0/table", "movies/layer_with_weights-0/table"]
        named = [f"embedding_{n}/embeddings" for n in (user, movie)]
        arrays = {key: values(seed + n, n, 4) for key, n in zip(keys, rows, strict=True)}
        return checkpoint(arrays, names=dict(zip(keys, named, strict=True)))

    for rows in ((7, 7), (7, 9)):
        for numbers in ((3, 4), (4, 3), (2, 3), (8, 1)):
            found = match(model(3, 4, 0, rows), model(*numbers, 90, rows))
            told = names(found)
            assert told["embedding_3/embeddings"] == f"embedding_{numbers[0]}/embeddings"
            assert told["embedding_4/embeddings"] == f"embedding_{numbers[1]}/embeddings"


# Likeness: more than one number; and a verdict about the weights needs most of them.


def test_one_number_is_no_likeness() -> None:
    a = checkpoint({"up_16/kernel": values(1, 9, 4), "up_18/bias": values(2, 1)})
    b = checkpoint({"up_1/kernel": values(3, 8, 5), "up_2/bias": values(4, 1)})
    result = diff_checkpoints(a, b)
    assert result.summary["changed"] == 0
    assert "moved" not in verdict(result)


def test_a_bias_of_one_element_goes_with_its_kernel() -> None:
    a = checkpoint({"out_a/kernel": values(1, 9, 1), "out_a/bias": values(2, 1)})
    b = checkpoint({"out_b/kernel": values(3, 9, 1), "out_b/bias": values(4, 1)})
    assert names(match(a, b)) == {"out_a/kernel": "out_b/kernel", "out_a/bias": "out_b/bias"}


def test_no_word_on_the_weights_where_few_are_paired() -> None:
    few = {f"a/{i}/kernel": values(i, 6 + i, 3) for i in range(4)} | {"x/bias": values(9, 3)}
    many = {f"b/{i}/scale": values(i, 16 + i, 3) for i in range(4)} | {"x/bias": values(8, 3)}
    result = diff_checkpoints(checkpoint(few), checkpoint(many))
    assert result.summary["changed"] == 1
    assert "moved" not in verdict(result)
    kept = dict(list(few.items())[:3]) | {"x/bias": values(8, 3)}
    assert "moved" in verdict(diff_checkpoints(checkpoint(few), checkpoint(kept)))


def test_every_renamed_pair_is_counted_and_the_rule_said_once() -> None:
    a, b = stack([79, 80], [3, 4, 5], 0, "conv2d"), stack([19, 20], [3, 4, 5], 0, "conv2d")
    extra = {"tail/kernel": values(5, 3, 3)}
    same = checkpoint({name: v.numpy() for name, v in a.items()} | extra)
    changed = {name: v.numpy() for name, v in b.items()} | {"tail/kernel": values(6, 3, 3)}
    changed["conv2d_19/kernel"] = values(77, 3, 4)
    result = diff_checkpoints(same, checkpoint(changed))
    told = verdict(result)
    assert "4 have another name (conv2d_79 … → conv2d_19 …)" in told
    assert told.count("→") == 1


# Averages alone, on one side.


@pytest.mark.parametrize("suffix", ["ExponentialMovingAverage", "average"])
@pytest.mark.parametrize("is_turned", [False, True])
def test_averages_are_held_against_what_they_average(suffix: str, is_turned: bool) -> None:
    weights = {"net/kernel": values(1, 6, 4), "net/bias": values(2, 4)}
    averages = {f"{name}/{suffix}": value * np.float32(0.9) for name, value in weights.items()}
    owners: Any = dict.fromkeys(averages, (None, suffix))
    roles = dict.fromkeys(averages, Role.AVERAGE)
    sides = [checkpoint(weights), checkpoint(averages, roles=roles, owners=owners)]
    sides = [checkpoint(weights), checkpoint(averages, roles=roles, owners=owners)]
    result = diff_checkpoints(*(sides[::-1] if is_turned else sides))
    result = diff_checkpoints(*(sides[::-1] if is_turned else sides))
    assert {v.paired_by for v in result.variables} == {PairedBy.AVERAGE_OF}
    assert {v.status for v in result.variables} == {DiffStatus.CHANGED}
    holder, other = ("a", "b") if is_turned else ("b", "a")
    told = f"{holder} holds only averages: those of all 2 variables of {other}, 1"
    assert verdict(result).startswith(told)
    assert result.to_dict()["evidence"][0]["strength"] == "named"


def test_averages_beside_their_weights_follow_them() -> None:
    weights = {"net/kernel": values(1, 6, 4)}
    both = weights | {"net/kernel/ema": values(2, 6, 4)}
    owners = {"net/kernel/ema": ("net/kernel", "ema")}
    b = checkpoint(both, roles={"net/kernel/ema": Role.AVERAGE}, owners=owners)
    assert names(match(checkpoint(weights), b)) == {"net/kernel": "net/kernel"}


# Integers and real numbers.


def quantised(kernel: NDArray[Any], axis: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    scale = 127 / np.abs(kernel).max(axis=axis)
    return np.round(kernel * np.expand_dims(scale, axis)).astype(np.int8), scale.astype(np.float32)


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    ("name", "shape", "axis"),
    [
        ("hidden/kernel", (6, 8), 0),
        ("table/embeddings", (7, 7), 1),
        ("attention/kernel", (4, 2, 5), 0),
    ],
)
def test_codes_are_compared_by_their_scale(
    name: str, shape: tuple[int, ...], axis: int, is_turned: bool
) -> None:
    kernel = values(3, *shape)
    codes, scale = quantised(kernel, axis)
    sides = [checkpoint({name: kernel}), checkpoint({name: codes, f"{name}_scale": scale})]
    found = diff_checkpoints(*(sides[::-1] if is_turned else sides))[name]
    assert (found.status, found.compared_as, found.scale) == (
        DiffStatus.RETYPED, "dequantised", f"{name}_scale"
    )  # fmt: skip
    assert found.metrics is not None
    assert found.metrics.relative_l2 is not None
    assert found.metrics.relative_l2 < 0.01


def test_codes_in_groups_with_a_zero_point() -> None:
    kernel, table = values(3, 6, 4), values(4, 5, 6)
    index = np.array([0, 0, 0, 1, 1, 1], np.float32)
    zero = np.array([[1, -2, 0, 3], [2, 0, -1, 1]], np.int8)
    scale = np.abs(values(5, 2, 4)) / 50 + np.float32(0.01)
    rows = index.astype(int)
    codes = np.round(kernel / scale[rows] + zero[rows]).clip(-128, 127).astype(np.int8)
    beside = {"h/kernel_scale": scale, "h/kernel_zero": zero, "h/g_idx": index}
    found = diff_checkpoints(
        checkpoint({"h/kernel": (codes - zero[rows].astype(np.float32)) * scale[rows]}),
        checkpoint({"h/kernel": codes} | beside),
    )["h/kernel"]
    assert (found.compared_as, found.metrics and found.metrics.changed_elements) == (
        "dequantised", 0
    )  # fmt: skip
    table_scale, table_zero = (
        np.ascontiguousarray(np.resize(part, (5, 2))) for part in (scale, zero)
    )
    table_codes = np.round(table * 9).astype(np.int8)
    real = (table_codes - table_zero[:, rows].astype(np.float32)) * table_scale[:, rows]
    beside = {"e/embeddings_scale": table_scale, "e/embeddings_zero": table_zero, "e/g_idx": index}
    codes_there = checkpoint({"e/embeddings": table_codes} | beside)
    same = diff_checkpoints(checkpoint({"e/embeddings": real}), codes_there)["e/embeddings"]
    assert (same.compared_as, same.metrics and same.metrics.changed_elements) == ("dequantised", 0)
    far = beside | {"e/g_idx": index * np.float32(1e9), "e/embeddings": table_codes}
    assert diff_checkpoints(checkpoint({"e/embeddings": real}), checkpoint(far)).variables


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
def test_codes_without_a_scale_are_not_compared(dtype: str) -> None:
    a = checkpoint({"k": values(1, 5, 4)})
    b = checkpoint({"k": np.ones((5, 4), dtype)})
    found = diff_checkpoints(a, b)["k"]
    assert (found.compared_as, found.metrics) == ("codes", None)
    odd = checkpoint({"k": np.ones((5, 4), dtype), "k_scale": values(2, 3)})
    assert diff_checkpoints(a, odd)["k"].compared_as == "codes"
    zero = {"k": np.ones((5, 4), dtype), "k_scale": values(2, 4), "k_zero": np.zeros(4, dtype)}
    assert diff_checkpoints(a, checkpoint(zero))["k"].compared_as == "codes"


def test_a_counter_means_the_same_in_either_type() -> None:
    roles = {"global_step": Role.COUNTER}
    a = checkpoint({"global_step": np.array(3, np.int64)}, roles=roles)
    b = checkpoint({"global_step": np.array(5, np.float32)}, roles=roles)
    found = diff_checkpoints(a, b)["global_step"]
    assert (found.compared_as, found.metrics and found.metrics.max_abs) == (None, 2)
