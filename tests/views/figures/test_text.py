"""Ticks of a value axis: round, apart from each other, and enough of them to give a scale."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from ckread.views.figures.style import TEXT_SIZE
from ckread.views.figures.text import set_value_axis, text_width

WIDTH = 1.57
"""Inches of a panel of a sheet of histograms."""


@example(-1.0, 1.0, -2)
@given(st.floats(-1, 0), st.floats(0, 1), st.integers(-30, 30))
def test_an_axis_has_two_labels_that_do_not_touch(low: float, high: float, power: int) -> None:
    if high - low < 1e-3:
        high = low + 1
    low, high = low * 10.0**power, high * 10.0**power
    axes = Figure().add_subplot()
    set_value_axis(axes, low, high, WIDTH)
    labels = [(tick.get_position()[0], tick.get_text()) for tick in axes.get_xticklabels()]
    shown = [(x, text) for x, text in labels if text]
    if 1e-3 <= max(-low, high) < 1e5:  # else exponents, of which two may have no room
        assert len(shown) > 1
    for (x, text), (following, next_text) in pairwise(shown):
        room = (following - x) / (high - low) * WIDTH
        assert room > (text_width(text, TEXT_SIZE) + text_width(next_text, TEXT_SIZE)) / 2
