"""Sentences of layers, loads, compat and drift that a stranger's file could make false."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.compat.records import Outcome, RestoreForecast, Stored, ValueForecast, Way
from ckread.analysis.drift.drift import drift
from ckread.analysis.initial import initial_of
from ckread.analysis.loading.loading import on_loading
from ckread.model.opening import open_checkpoint
from ckread.views.compat import verdict
from ckread.views.drift.rows import verdict as drift_verdict
from ckread.views.listing import layers_page
from ckread.views.loads import sentence
from ckread.views.terminal.page import Page, Paper
from tests.analysis.check.test_state_of_training import saved, values

if TYPE_CHECKING:
    from pathlib import Path


def on_screen(page: Page) -> str:
    return "\n".join("".join(span.text for span in line) for line in page.lines(Paper(width=200)))


def test_layers_do_not_call_what_has_no_slots_untrained(tmp_path: Path) -> None:
    arrays = {f"{net}/w": values(i, 4, 3) for i, net in enumerate(("eval", "target"))}
    slots = {f"eval/w/{word}": np.abs(arrays["eval/w"]) for word in ("Adam", "Adam_1")}
    with open_checkpoint(saved(tmp_path, arrays | slots)) as one:
        assert "12 trainable, 12 without slots" in on_screen(layers_page(one))
    with open_checkpoint("fixtures/digits_run/ckpt-10") as whole:
        assert "trainable, 96 not" in on_screen(layers_page(whole))


def test_values_may_have_a_graph_of_objects() -> None:
    told = sentence(on_loading("fixtures/digits_run"))
    assert told == "nothing: it holds values, no graph of operations and no configuration."


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ((np.nan, 1), "a/w is in part NaN at step 2"),
        ((np.nan, 12), "a/w is NaN at step 2"),
        ((np.inf, 1), "a/w is in part infinite at step 2"),
    ],
)
def test_one_element_is_not_all_of_a_variable(
    tmp_path: Path, bad: tuple[float, int], told: str
) -> None:
    arrays = {"a/w": values(1, 4, 3), "b/w": values(2, 4, 3)}
    broken = arrays["a/w"].copy()
    value, n = bad
    broken.flat[:n] = value
    paths = [saved(tmp_path, arrays, "ckpt-1"), saved(tmp_path, arrays | {"a/w": broken}, "ckpt-2")]
    assert told in drift_verdict(drift(paths))


def test_what_is_not_a_number_is_not_all_zeros(tmp_path: Path) -> None:
    large = np.zeros(1 << 21, np.float32)
    with open_checkpoint(saved(tmp_path, {"kernel": large}, "zeros")) as one:
        assert initial_of(one["kernel"]) == "all 0"
    large[0] = np.nan
    with open_checkpoint(saved(tmp_path, {"kernel": large}, "nan")) as one:
        assert initial_of(one["kernel"]) is None


def forecast(outcome: Outcome, *pairs: tuple[str, str], role: str) -> str:
    """Give the verdict on pairs of names, here and there, beside one value that comes back."""

    def stored(name: str) -> Stored:
        return Stored(name, name, "float32", (4,), role)

    given = [ValueForecast(stored(here), outcome, stored(there)) for here, there in pairs]
    back = ValueForecast(stored("out/kernel")._replace(role="weight"), Outcome.RESTORED)
    return verdict(RestoreForecast("there", "here", Way.CHECKPOINT, "restore()", (back, *given)))


def test_another_weight_of_one_layer_is_not_another_layer() -> None:
    swapped = ("mha/key", "mha/query"), ("mha/query", "mha/key")
    told = forecast(Outcome.OTHER, *swapped, role="weight")
    assert "2 receive the values of another variable" in told
    apart = ("a/kernel", "b/kernel"), ("b/kernel", "a/kernel")
    assert "of another layer" in forecast(Outcome.OTHER, *apart, role="weight")


def test_other_statistics_are_not_of_batch_norm() -> None:
    both = ("bn/moving_mean", ""), ("bn/moving_variance", "")
    told = forecast(Outcome.KEPT, *both, role="statistic")
    assert "The 2 batch-norm statistics keep their initial values" in told
    mixed = ("bn/moving_mean", ""), ("sn/vector_u", "")
    told = forecast(Outcome.KEPT, *mixed, role="statistic")
    assert "The 2 statistics keep their initial values" in told
