"""Pictures of the audit: updates along a model and over a run, and the strokes of seams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import ckread
from ckread.analysis.audit.optimizer import (
    OptimizerAudit,
    RunOptimizerAudit,
    UsedOptimizer,
    WeightUpdate,
)
from ckread.analysis.audit.records import Seam
from ckread.analysis.audit.rules import Hyperparameter
from ckread.analysis.drift.records import RunDrift, VariableDrift
from ckread.analysis.findings import Code, Level
from ckread.analysis.history.history import TrainingHistory
from ckread.analysis.history.holders import Holders
from ckread.analysis.track import RunTrack, TrackedValue
from ckread.errors import UsageError
from ckread.model.evidence import Claim, Strength
from ckread.model.role import Role
from ckread.model.run.entries import RunEntry
from ckread.readers.contract import DataType
from ckread.views.figures.curves import plot_track
from ckread.views.figures.drift import plot_drift
from ckread.views.figures.optimizer import plot_optimizer, plot_optimizer_of_run
from ckread.views.figures.style import DARK, LIGHT
from tests.views.figures.layout import assert_layout_is_clean, tagged, text_of


def slow(*cases: Any) -> list[Any]:
    """Give cases that take a second each."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


_ADAM = UsedOptimizer(
    "optimizer", "Adam", 900, {"learning_rate": Hyperparameter(1e-3, "checkpoint")}, None
)


def _weights(n: int, seed: int = 0, *, long: bool = False) -> tuple[WeightUpdate, ...]:
    rng = np.random.default_rng(seed)
    scope = "an_encoder_of_very_many_words/" * 3 if long else ""
    kinds = (("conv/kernel", (3, 4), 1e-3), ("conv/bias", (4,), 1e-2), ("norm/gamma", (4,), 1e-4))
    found = []
    for i in range(n):
        leaf, shape, size = kinds[i % 3]
        elements = int(np.prod(shape))
        found.append(
            WeightUpdate(
                f"{scope}stage{i // 60}/block{i // 3}_{leaf}", shape, elements, "optimizer",
                float(size * rng.uniform(0.3, 3)), 1.0, 0.2, elements // 2 * (i % 9 == 0), None,
                0, 0.01, 1e-3,
            )
        )  # fmt: skip
    return tuple(found)


def _entries(n: int) -> tuple[RunEntry, ...]:
    return tuple(RunEntry(f"run/ckpt-{i}", i * 10) for i in range(1, n + 1))


def _seams(entries: tuple[RunEntry, ...], *places: int) -> tuple[Seam, ...]:
    return tuple(
        Seam(
            Code.OPTIMIZER_RESET, Level.WARNING, entries[at - 1], entries[at],
            "the optimizer began anew", "iterations 225 → 45, the weights went on", "Seen", None,
            Claim("seam", "optimizer-reset", Strength.STORED, "iterations"),
        )
        for at in places
    )  # fmt: skip


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("n", [1, 5, *slow(40, 41, 400)])
def test_updates_of_any_number_of_weights_lie_clear(n: int, long: bool, palette: object) -> None:
    weights = _weights(n, long=long)
    audit = OptimizerAudit("run/ckpt-10", (_ADAM,), weights)
    figure = plot_optimizer(audit, palette=palette)  # type: ignore[arg-type]
    assert_layout_is_clean(figure)
    assert text_of(figure, "ckread:title").startswith("The last update moved the weights by")
    if n <= 40:
        drawn = {dot.get_gid(): dot.get_xdata()[0] for dot in tagged(figure, "ckread:dot:")}
        assert drawn == {f"ckread:dot:{w.name}": w.update_ratio for w in weights}
    else:
        [kernels] = tagged(figure, "ckread:dots:kernel")
        assert kernels.get_ydata().tolist() == [w.update_ratio for w in weights if w.is_kernel]
        [rings] = tagged(figure, "ckread:ring")
        assert len(rings.get_xdata()) == sum(
            w.is_kernel and bool(w.without_gradient) for w in weights
        )


@pytest.mark.parametrize("places", [(), (1,), (1, 2)])
@pytest.mark.parametrize(("n", "steps"), [(5, 3), *slow((40, 200), (400, 3))])
def test_a_run_of_updates_lies_clear(n: int, steps: int, places: tuple[int, ...]) -> None:
    entries = _entries(steps)
    audits = tuple(
        OptimizerAudit(entry.path, (_ADAM,), _weights(n, seed))
        for seed, entry in enumerate(entries)
    )
    result = RunOptimizerAudit("run", entries, audits, seams=_seams(entries, *places))
    [figure] = plot_optimizer_of_run(result)
    assert_layout_is_clean(figure)
    assert len(tagged(figure, "ckread:seam")) == len(places)
    assert not tagged(figure, "ckread:bars")


def test_nothing_to_draw_is_said_with_its_reason() -> None:
    plain = UsedOptimizer("optimizer", "RMSprop", 9, {}, "RMSprop keeps the mean square")
    audit = OptimizerAudit("run/ckpt-1", (plain,), ())
    with pytest.raises(UsageError, match="RMSprop keeps the mean square"):
        plot_optimizer(audit)
    with pytest.raises(UsageError, match="no update to draw"):
        plot_optimizer_of_run(RunOptimizerAudit("run", _entries(1), (audit,)))


def _drift(n: int, steps: int, *places: int) -> RunDrift:
    rng = np.random.default_rng(0)
    entries = _entries(steps)
    far = [float(x) for x in rng.uniform(0.1, 1, steps)]
    variables = tuple(
        VariableDrift(
            name=f"layer{i}/kernel", role=Role.WEIGHT, dtype=DataType.FLOAT32, shape=(4,),
            elements=4, present=(True,) * steps, changed=(None, *[True] * (steps - 1)),
            l2=(1.0,) * steps, from_first=(0.0, *far[1:]), from_previous=(None, *far[1:]),
            cosine_to_first=(1.0,) * steps,
        )
        for i in range(n)
    )  # fmt: skip
    return RunDrift("run", entries, variables, False, {}, seams=_seams(entries, *places))


@pytest.mark.parametrize(("n", "steps"), [(5, 3), *slow((5, 200), (40, 200), (400, 3))])
@pytest.mark.parametrize("is_early", [False, True])
def test_seams_of_a_drift_lie_clear(n: int, steps: int, is_early: bool) -> None:
    at = 1 if is_early else steps - 1
    [figure] = plot_drift(_drift(n, steps, at))
    assert_layout_is_clean(figure)
    [line] = tagged(figure, "ckread:seam")
    assert text_of(figure, "ckread:seam-label") == "iterations 225 → 45"
    assert text_of(figure, "ckread:title").startswith("The optimizer began anew at step")
    if n <= 6:  # between the places of its checkpoints, where every line breaks
        assert line.get_xdata()[0] == (at * 10 + (at + 1) * 10) / 2
        drawn = tagged(figure, "ckread:line:layer0/kernel")[0].get_ydata()
        assert np.isnan(drawn[at])


@pytest.mark.slow
def test_many_seams_lie_clear_and_words_are_left_out_where_they_have_no_room() -> None:
    [figure] = plot_drift(_drift(40, 200, *range(60, 72)))
    assert_layout_is_clean(figure)
    assert len(tagged(figure, "ckread:seam")) == 12
    assert len(tagged(figure, "ckread:seam-label")) < 12


@pytest.mark.parametrize("n", [1, 3])
def test_seams_of_tracked_values_lie_clear(n: int) -> None:
    entries = _entries(10)
    values = tuple(
        TrackedValue(f"v{i}", tuple(float(x) for x in range(10)), Role.WEIGHT) for i in range(n)
    )
    figure = plot_track(RunTrack("run", entries, values, seams=_seams(entries, 5)))
    assert_layout_is_clean(figure)
    assert len(tagged(figure, "ckread:seam")) == n


def _on_axes(kind: str) -> tuple[Any, Any]:
    """Give a picture of a run with a seam before its sixth checkpoint, on axes of the caller."""
    entries, axes = _entries(10), Figure().subplots()
    seams = _seams(entries, 5)
    values = tuple(float(x) for x in range(10))
    if kind == "drift":
        ckread.plot_drift(_drift(2, 10, 5), ax=axes)
    elif kind == "track":
        track = RunTrack("run", entries, (TrackedValue("v", values, Role.WEIGHT),), seams=seams)
        ckread.plot_track(track, ax=axes)
    else:
        kept = {(i + 1) * 10: entry.path for i, entry in enumerate(entries)}
        curves = TrainingHistory(
            ("log",), tuple(kept), {"loss": values}, (), (), None, Holders(kept), run_seams=seams
        )
        ckread.plot_history(curves, "loss", ax=axes)
    return axes.figure, axes


@pytest.mark.parametrize("kind", ["drift", "track", "history"])
def test_seams_are_drawn_on_axes_of_the_caller_too(kind: str) -> None:
    figure, axes = _on_axes(kind)
    [line] = tagged(figure, "ckread:seam")
    assert line.axes is axes
    assert list(line.get_xdata()) == [55.0, 55.0]
    assert text_of(figure, "ckread:seam-label") == "iterations 225 → 45"
    if kind == "drift":
        assert np.isnan(tagged(figure, "ckread:line:layer0/kernel")[0].get_ydata()[5])
