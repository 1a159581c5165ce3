"""Names of PyTorch's state dicts: whole identities, by the words of torch.nn and torch.optim."""

from __future__ import annotations

import pytest

from ckread.model.evidence import Identity
from ckread.model.partners import identify_dotted
from ckread.model.role import Role
from ckread.readers.contract import DataType, TensorRecord

F4, I8, I4 = DataType.FLOAT32, DataType.INT64, DataType.INT8
Kinds = dict[str, tuple[DataType, tuple[int, ...]]]


def _identities(kinds: Kinds, **same: str) -> dict[str, Identity]:
    records = {key: TensorRecord(key, *kind, 0, None, None, None) for key, kind in kinds.items()}
    return identify_dotted(records, same)


@pytest.mark.parametrize(
    ("key", "dtype", "shape", "role"),
    [
        ("0.weight", F4, (3, 4), Role.WEIGHT),
        ("0.weight", I8, (3, 4), Role.OTHER),
        ("1.running_mean", F4, (3,), Role.STATISTIC),
        ("1.running_var", F4, (3,), Role.STATISTIC),
        ("1.running_mean", I8, (3,), Role.OTHER),
        ("1.num_batches_tracked", I8, (), Role.COUNTER),
        ("1.num_batches_tracked", F4, (), Role.WEIGHT),
        ("x.exp_avg", F4, (3,), Role.SLOT),
        ("x.exp_avg_sq", F4, (3,), Role.SLOT),
        ("x.max_exp_avg_sq", F4, (3,), Role.SLOT),
        ("x.momentum_buffer", F4, (3,), Role.SLOT),
        ("x.exp_inf", F4, (3,), Role.WEIGHT),  # a word that may be anybody's
        ("x.mask", F4, (3,), Role.STATE),
        ("x.attention_masks", F4, (3,), Role.STATE),
        ("x.masked_bias", F4, (), Role.STATE),
        ("x.inv_freq", F4, (3,), Role.STATE),
        ("best_score", F4, (), Role.STATE),
        ("x.unmasked", F4, (3,), Role.WEIGHT),
    ],
)
def test_roles_by_words(key: str, dtype: DataType, shape: tuple[int, ...], role: Role) -> None:
    trainable = False if role is Role.STATISTIC else None
    assert _identities({key: (dtype, shape)}) == {key: Identity(key, role, trainable)}


def test_what_is_the_very_same_is_an_alias() -> None:
    found = _identities({"a": (F4, (3,)), "b": (F4, (3,))}, b="a")
    assert found == {"a": Identity("a", Role.WEIGHT), "b": Identity("b", Role.ALIAS, owner="a")}


@pytest.mark.parametrize(
    ("average", "weight", "is_found"),
    [
        ("ema.w", "w", True),
        ("ema/w", "w", True),
        ("model_ema.a.w", "model.a.w", True),
        ("ema_model/w", "model/w", True),
        ("state_dict_ema/w", "state_dict/w", True),
        ("ema_state_dict/a.w", "state_dict/a.w", True),
        ("emas.w", "w", False),
        ("ema.w", "model/w", False),
        ("ema.w", "other.w", False),
    ],
)
def test_averages_beside_their_weights(average: str, weight: str, is_found: bool) -> None:
    expected = Identity(average, Role.WEIGHT)
    if is_found:
        expected = Identity(average, Role.AVERAGE, owner=weight)
    found = _identities({average: (F4, (3,)), weight: (F4, (3,))})
    assert found == {average: expected, weight: Identity(weight, Role.WEIGHT)}
    for kind in ((F4, (4,)), (DataType.FLOAT64, (3,))):
        other = _identities({average: (F4, (3,)), weight: kind})
        assert other[average] == Identity(average, Role.WEIGHT)


@pytest.mark.parametrize(
    ("scale", "is_code"),
    [
        ("l.weight_scale", True), ("l.weight_scales", True), ("l.weight.scale", True),
        ("l.weight.absmax", True), ("l.SCB", True), ("l.scale", True), ("l.scales", True),
        ("l.other", False), ("k.scale", False), ("SCB", False),
    ],
)  # fmt: skip
def test_whole_numbers_with_a_scale_are_weights(scale: str, is_code: bool) -> None:
    def role(shape: tuple[int, ...], dtype: DataType) -> Role:
        return _identities({"l.weight": (dtype, shape), scale: (F4, (3,))})["l.weight"].role

    assert role((3, 4), I4) is (Role.WEIGHT if is_code else Role.OTHER)
    assert role((3, 4), DataType.UINT8) is (Role.WEIGHT if is_code else Role.OTHER)
    assert role((3,), I4) is Role.OTHER
    assert role((3, 4), I8) is Role.OTHER


_MODEL: Kinds = {"model/a": (F4, (3, 4)), "model/b": (F4, (4,)), "model/n": (I8, ())}


def _slots(*shapes: tuple[int, ...], prefix: str = "optimizer/") -> Kinds:
    found: Kinds = {}
    for number, shape in enumerate(shapes):
        for word in ("exp_avg", "exp_avg_sq"):
            found[f"{prefix}state/{number}/{word}"] = (F4, shape)
        found[f"{prefix}state/{number}/step"] = (F4, ())
        found[f"{prefix}state/{number}/eta"] = (F4, ())
    return found


@pytest.mark.parametrize("prefix", ["optimizer/", ""])
def test_slots_are_of_the_parameter_with_their_number(prefix: str) -> None:
    found = _identities(_MODEL | _slots((3, 4), (4,), prefix=prefix))
    for number, owner in enumerate(("model/a", "model/b")):
        start = f"{prefix}state/{number}/"
        for word in ("exp_avg", "exp_avg_sq"):
            expected = Identity(start + word, Role.SLOT, owner=owner, slot=word)
            assert found[start + word] == expected
        assert found[f"{start}step"] == Identity(f"{start}step", Role.COUNTER, slot="step")
        assert found[f"{start}eta"] == Identity(f"{start}eta", Role.HYPERPARAMETER, slot="eta")


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (_MODEL, [(3, 4), (5,)]),  # another shape
        (_MODEL, [(4,), (3, 4)]),  # in another order
        (_MODEL, [(3, 4), (4,), (4,)]),  # more than there are
        (_MODEL | {"twin/a": (F4, (3, 4)), "twin/b": (F4, (4,))}, [(3, 4), (4,)]),  # two fit
        ({}, [(3,)]),
    ],
)
def test_slots_whose_parameter_is_not_told(model: Kinds, shapes: list[tuple[int, ...]]) -> None:
    found = _identities(model | _slots(*shapes))
    assert {one.owner for one in found.values()} == {None}
