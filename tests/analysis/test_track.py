"""Numbers over a run: scalars, elements, and why a learning rate is not there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.analysis.track import track
from ckread.errors import UsageError, VariableNotFoundError
from ckread.model.run.run import open_run
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_the_learning_rate_of_a_run(fixtures_dir: Path) -> None:
    result = track(open_run(fixtures_dir / "digits_run"), "*/learning_rate")
    [rate] = result.variables
    assert rate.name == "optimizer/learning_rate"
    expected = [np.float32(0.003) * 0.85**i for i in range(10)]
    assert rate.values == pytest.approx(expected, rel=1e-6)
    assert isinstance(rate.values[0], float)


def test_integers_stay_integers(fixtures_dir: Path) -> None:
    result = track(open_run(fixtures_dir / "digits_run"), ["iterations", "save_counter"])
    assert [variable.values for variable in result.variables] == [
        tuple(range(90, 901, 90)), tuple(range(1, 11)),
    ]  # fmt: skip


def test_elements(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "digits_run")
    result = track(run, ["logits/bias[3]", "hidden/kernel[-1, 5]", "conv1/kernel[0,0,0,2:3]"])
    assert [variable.name for variable in result.variables] == [
        "logits/bias[3]", "hidden/kernel[-1,5]", "conv1/kernel[0,0,0,2:3]",
    ]  # fmt: skip
    for variable, index in zip(result.variables, [(3,), (-1, 5), (0, 0, 0, 2)], strict=True):
        name = variable.name.partition("[")[0]
        assert list(variable.values) == [float(ck[name].numpy()[index]) for ck in run]


def test_what_is_no_single_number(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "digits_run")
    with pytest.raises(UsageError, match="hidden/kernel: float32 of shape 512×64 is no scalar"):
        track(run, "hidden/kernel")
    with pytest.raises(UsageError, match="the index means several elements") as caught:
        track(run, "hidden/kernel[0]")
    assert caught.value.remedy == "Give one integer per dimension: hidden/kernel[0,0]"
    with pytest.raises(UsageError, match="index 10 is outside dimension 0"):
        track(run, "logits/bias[10]")
    for name in ("logits/bias", "bias"):
        with pytest.raises(UsageError) as caught:
            track(run, f"{name}[a]")
        assert caught.value.message == f"{name}: [a] is not an index"


def test_a_schedule_keeps_no_learning_rate(fixtures_dir: Path) -> None:
    run = open_run(fixtures_dir / "schedule_run")
    with pytest.raises(VariableNotFoundError) as caught:
        track(run, "learning_rate")
    assert caught.value.message.endswith("no learning rate in these checkpoints")
    assert caught.value.remedy is not None
    assert caught.value.remedy.endswith(f"ckread.track({run.path!r}, 'optimizer/iterations')")


def test_another_word_for_the_learning_rate_that_is_there(fixtures_dir: Path) -> None:
    with pytest.raises(VariableNotFoundError, match="no variable matches lr") as caught:
        track(fixtures_dir / "digits_run", "lr")
    assert caught.value.remedy == "Nearest names:\n  optimizer/learning_rate"


def test_a_graph_keeps_no_learning_rate(tmp_path: Path) -> None:
    arrays = {"w": np.ones(2), "w/Adam": np.ones(2), "w/Adam_1": np.ones(2)}
    write_bundle(tmp_path / "ckpt-1", arrays)
    with pytest.raises(VariableNotFoundError) as caught:
        track(open_run(tmp_path), "lr")
    assert caught.value.remedy is not None
    assert "its rate in no tensor" in caught.value.remedy
    write_bundle(tmp_path / "other-1", {"w": np.ones(2)})
    with pytest.raises(VariableNotFoundError) as caught:
        track(open_run(tmp_path / "other-1"), "learning_rate")
    assert caught.value.remedy == "Nothing in them is known as an optimizer's."


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"decay": np.float32(0.01)}, "They hold decay, and no variable that is known as a rate."),
        ({"opt/beta1_power": np.float32(0.9), "opt/beta2_power": np.float32(0.999)},
         "They hold opt/beta1_power, opt/beta2_power, and no"),
        ({"w/Adam": np.ones(2), "w/Adam_1": np.ones(2), "decay": np.float32(0)},
         "They hold slots of an optimizer, and its rate in no tensor."),
        ({"opt/iterations": np.int64(4), "opt/decay": np.float32(0)}, "With a schedule"),
    ],
)  # fmt: skip
def test_what_is_kept_of_an_optimizer_without_its_rate(
    kept: dict[str, Any], told: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "ckpt-1", {"w": np.ones(2), **kept})
    with pytest.raises(VariableNotFoundError) as caught:
        track(open_run(tmp_path), "learning_rate")
    assert str(caught.value.remedy).startswith(told)


def test_a_rate_that_only_a_configuration_tells(fixtures_dir: Path, tmp_path: Path) -> None:
    path = shutil.copy(fixtures_dir / "keras_compiled" / "compiled.h5", tmp_path)
    with h5py.File(path, "a") as file:
        del file["optimizer_weights"]
    with pytest.raises(VariableNotFoundError) as caught:
        track(path, "learning_rate")
    told = "What the model was compiled with says 0.001, and is no variable."
    assert caught.value.remedy == told


def test_a_name_that_means_nothing(fixtures_dir: Path) -> None:
    with pytest.raises(VariableNotFoundError, match="no variable matches momentums"):
        track(open_run(fixtures_dir / "digits_run"), "momentums")


def test_a_variable_that_is_absent_or_smaller_somewhere(tmp_path: Path) -> None:
    rest = {f"c{i}": np.ones(2) for i in range(9)}
    write_bundle(tmp_path / "ckpt-1", {**rest, "w": np.ones(2)})
    write_bundle(tmp_path / "ckpt-2", rest)
    write_bundle(tmp_path / "ckpt-3", {**rest, "w": np.arange(5)})
    result = track(open_run(tmp_path), "w[4]")
    assert result.variables[0].values == (None, None, 4)
    assert len(result.notes) == 1
    assert result.to_dict()["variables"] == [{"name": "w[4]", "values": [None, None, 4.0]}]
