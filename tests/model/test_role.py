"""What the last word of a name tells, each word written out once more."""

from __future__ import annotations

import pytest

from ckread.model.role import Role, role_by_word
from ckread.readers.contract import DataType

WORDS = {
    Role.STATISTIC: "moving_mean moving_variance moving_stddev vector_u sn_u running_mean "
    "running_var running_variance renorm_mean renorm_stddev renorm_mean_weight "
    "renorm_stddev_weight",
    Role.COUNTER: "global_step step train_step iterations iteration iter save_counter epoch "
    "local_step counter good_steps step_counter pruning_step",
    Role.HYPERPARAMETER: "learning_rate lr beta_1 beta_2 beta1 beta2 decay momentum rho epsilon "
    "beta1_power beta2_power beta_1_power beta_2_power weight_decay current_loss_scale "
    "dynamic_scale loss_scale u_product initial_learning_rate l1_regularization_strength "
    "l2_regularization_strength learning_rate_power initial_accumulator_value momentum_cache rank "
    "lora_rank lora_alpha",
    Role.RANDOM: "seed_generator_state state_var _state_var StateVar",
}  # fmt: skip
SORTS = {
    Role.STATISTIC: (DataType.FLOAT32, (8,)),
    Role.COUNTER: (DataType.INT64, ()),
    Role.HYPERPARAMETER: (DataType.FLOAT32, ()),
    Role.RANDOM: (DataType.INT64, (3,)),
}
"""An element type and a shape that a variable of the role has."""
CASES = [(word, role) for role, words in WORDS.items() for word in words.split()]


@pytest.mark.parametrize(("word", "role"), CASES)
def test_a_word_tells_a_role_where_type_and_shape_agree(word: str, role: Role) -> None:
    dtype, shape = SORTS[role]
    for spelt in (word, f"_{word}", f"{word}_12"):
        assert role_by_word(spelt, dtype, shape) is role
    assert role_by_word(f"{word}x", dtype, shape) is None
    assert role_by_word(word, DataType.STRING, shape) is None
    other = role_by_word(word, DataType.FLOAT32, (3, 3))
    assert other is (role if role is Role.STATISTIC else None)


@pytest.mark.parametrize("word", ["global_step", "train_step", "iterations"])
def test_some_counters_count_in_floats(word: str) -> None:
    assert role_by_word(word, DataType.FLOAT32, ()) is Role.COUNTER
    assert role_by_word(word, DataType.FLOAT32, (1,)) is Role.COUNTER
    assert role_by_word(word, DataType.FLOAT32, (2,)) is None
    assert role_by_word("epoch", DataType.FLOAT32, ()) is None
