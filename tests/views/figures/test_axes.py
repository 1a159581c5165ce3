"""The axis of relative distances: which decades it holds."""

from __future__ import annotations

import pytest

from ckread.views.figures.axes import decades_of


@pytest.mark.parametrize(
    ("distances", "decades"),
    [
        ([], (-3, 0)),
        ([None], (-3, 0)),
        ([0.02, None, 0.5], (-2, 0)),
        ([0.02, 1.0], (-2, 0)),  # exactly 100 %: no decade of its own
        ([0.02, 1.01], (-2, 1)),
        ([1.0], (-1, 0)),
        ([0.1], (-2, -1)),
    ],
)
def test_decades_that_hold_all(distances: list[float | None], decades: tuple[int, int]) -> None:
    assert decades_of(distances) == decades
