"""Shapes and words of slots, by Keras's own."""

from __future__ import annotations

import pytest

from ckread.model.keras.slots import FACTORED, keras2_word, slot_shape


@pytest.mark.parametrize(
    ("word", "kind", "shape", "expected"),
    [
        ("r", FACTORED, (3, 4), (3,)),
        ("c", FACTORED, (3, 4), (4,)),
        ("r", FACTORED, (2, 3, 4), (2, 3)),
        ("c", FACTORED, (2, 3, 4), (2, 4)),
        ("c", FACTORED, (2, 3, 4, 5), (2, 3, 5)),
        ("v", FACTORED, (3, 4), (3, 4)),
        ("r", FACTORED, (3,), ()),
        ("c", FACTORED, (), ()),
        ("r", "adam", (3, 4), (3, 4)),
        ("momentum", "adam", (3,), (3,)),
    ],
)
def test_shapes_of_slots(
    word: str, kind: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Adafactor keeps a row and a column in place of a matrix."""
    assert slot_shape(word, kind, shape) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("momentum", "m"), ("velocity", "v"), ("velocity_hat", "vhat"), ("norm", "u"), ("x", "x")],
)
def test_words_of_keras_2(word: str, expected: str) -> None:
    assert keras2_word("adam", word) == expected
    assert keras2_word("rmsprop", word) == word
