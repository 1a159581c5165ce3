"""Names and words of optimizers: every table of them, by whole answers."""

from __future__ import annotations

import pytest

from ckread.model.optimizers import (
    class_of_config,
    class_of_key,
    is_class_word,
    is_slot_scope,
    is_slot_scope_word,
    may_be_slot,
    slot_word,
    split_slot,
    with_variant,
)
from ckread.model.role import outermost


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("Adam", {}, "Adam"),
        ("Adam", {"amsgrad": True}, "Adam with AMSGrad"),
        ("Adam", {"amsgrad": False}, "Adam"),
        ("AdamW", {"amsgrad": True}, "AdamW"),
        ("SGD", {"momentum": 0.9}, "SGD with momentum"),
        ("SGD", {"momentum": 0.0}, "SGD"),
        ("RMSprop", {"momentum": 0.9}, "RMSprop"),
        ("Custom>AdamV2", {}, "Adam"),
        ("Package>rm_sprop", {}, "RMSprop"),
        ("Package>Mine", {"momentum": 0.9}, "Mine"),
    ],
)
def test_the_class_of_a_configuration(
    name: str, settings: dict[str, object], expected: str
) -> None:
    assert class_of_config(name, settings) == expected


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        ("SGD", set(), "SGD"),
        ("SGD", {"momentum"}, "SGD with momentum"),
        ("SGD", {"m"}, "SGD"),
        ("Adam", {"m", "v"}, "Adam"),
        ("Adam", {"m", "v", "vhat"}, "Adam with AMSGrad"),
        ("Adam", {"velocity_hat"}, "Adam with AMSGrad"),
        ("Adam", {"vhat", "velocity_hat"}, "Adam with AMSGrad"),
        ("Adam", {"momentum"}, "Adam"),
        ("AdamW", {"vhat"}, "AdamW"),
        ("Lion", {"momentum"}, "Lion"),
        (None, {"momentum", "vhat"}, None),
    ],
)
def test_variants_of_a_class(kind: str | None, words: set[str], expected: str | None) -> None:
    assert with_variant(kind, words) == expected


@pytest.mark.parametrize(
    ("suffix", "word"),
    [
        ("m", "m"), ("v", "v"), ("vhat", "vhat"), ("vr", "vr"), ("vc", "vc"), ("rms", "rms"),
        ("mg", "mg"), ("momentum", "momentum"), ("accumulator", "accumulator"),
        ("linear", "linear"), ("accum_grad", "accum_grad"), ("accum_var", "accum_var"),
        ("adam_m", "adam_m"), ("adam_v", "adam_v"), ("lamb_m", "lamb_m"), ("lamb_v", "lamb_v"),
        ("average", "average"), ("gradient_accumulator", "gradient_accumulator"),
        ("Adam", "m"), ("Adam_1", "v"), ("Adam_2", "Adam_2"), ("Momentum", "Momentum"),
        ("RMSProp_1", "RMSProp_1"), ("Ftrl", "Ftrl"), ("LARSOptimizer", "LARSOptimizer"),
        ("ExponentialMovingAverage", "ExponentialMovingAverage"),
        ("kernel", None), ("adam", None), ("Adam_x", None), ("Adamish", None), ("r", None),
        ("", None),
    ],
)  # fmt: skip
def test_words_of_slots(suffix: str, word: str | None) -> None:
    assert slot_word(suffix) == word
    assert may_be_slot(f"dense/kernel/{suffix}", ()) == (word is not None)


def test_words_of_slots_that_a_saver_made() -> None:
    assert split_slot("a/w_slot_vr") == ("a/w", "vr")
    assert split_slot("a/w_slot_V") == ("a", "w_slot_V")
    assert split_slot("a/w/m") == ("a/w", "m")
    assert split_slot("m") == ("", "m")
    for key in ("w_slot_v", "a/b-values", "training/Adam/Variable", "w/mine"):
        assert may_be_slot(key, {"mine"}), key
    for key in ("w/other", "a-values/b", "my/training"):
        assert not may_be_slot(key, {"mine"}), key


def test_scopes_of_slots() -> None:
    assert is_slot_scope("training/Adam/Variable_3")
    assert is_slot_scope("training_12/RMSprop_1/Variable")
    for key in (
        "training/Adam",
        "training/Adam/",
        "training/Mine/w",
        "a/training/Adam/w",
        "Adam/w",
    ):
        assert not is_slot_scope(key), key
    words = ("m", "velocity", "velocity_hat", "average_gradient", "accumulated_grad", "norm", "r")
    assert all(map(is_slot_scope_word, (*words, "accumulated_delta_var", "u", "c")))
    assert not any(map(is_slot_scope_word, ("kernel", "Adam", "dense")))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("w/Adam", "Adam"), ("w/Adam_1", "Adam"), ("w/Adam_12:0", "Adam"),
        ("w/MomentumW", "MomentumW"), ("w/AdaMax", "Adamax"), ("w/LARSOptimizer", "LARS"),
        ("w/LAMBOptimizer_1", "LAMB"), ("w/adam_m", "Adam"), ("w/adam_v", "Adam"),
        ("w/lamb_m", "LAMB"), ("w/lamb_v", "LAMB"), ("a/w_slot_vc", "Adafactor"),
        ("training/Adam/w/m", "Adam"), ("training_2/AdaMax_1/w/v", "Adamax"),
        ("w/m", None), ("w", None), ("training/Adam", "Adam"),
    ],
)  # fmt: skip
def test_the_class_that_a_key_names(key: str, expected: str | None) -> None:
    assert class_of_key(key) == expected


def test_components_that_are_classes() -> None:
    assert all(map(is_class_word, ("Adam", "adam", "rm_sprop_2", "SGD_10", "schedule_free_adam_w")))
    assert not any(map(is_class_word, ("adams", "dense", "", "_3", "adam_x")))


@pytest.mark.parametrize(
    ("names", "words", "expected"),
    [
        (["step"], ["step"], [("step",)]),
        (["a/step", "b/step"], ["step"], [("a/step", "b/step")]),
        (["a/step", "step"], ["step"], [("step",), ("a/step",)]),
        (["a/b/step", "a/step"], ["step"], [("a/step",), ("a/b/step",)]),
        (["a/b/c/step", "a/step"], ["step"], [("a/step",), ("a/b/c/step",)]),
        (["ab/step", "a/step"], ["step"], [("a/step", "ab/step")]),
        (["a/step", "b/iter"], ["iter", "step"], [("b/iter",), ("a/step",)]),
        (["a/step", "b/step", "iter"], ["step", "iter"], [("a/step", "b/step")]),
        (["a/step", "b/step", "step"], ["step"], [("step",), ("a/step", "b/step")]),
        (["my_step"], ["step"], []),
        ([], ["step"], []),
    ],
)
def test_outer_counters_before_inner_ones(
    names: list[str], words: list[str], expected: list[tuple[str, ...]]
) -> None:
    assert outermost(names, words) == expected
