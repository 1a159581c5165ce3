"""What people with TensorFlow checkpoints come for, end to end, beside numpy, TensorFlow, Keras.

Each story runs commands as they would be typed, with no option that a newcomer would not know,
and compares what they say with what the library says that wrote the files.
"""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.cli.terminal import Terminal
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RUN = str(FIXTURES / "digits_run")
KERAS, H5 = (str(FIXTURES / "digits_files" / name) for name in ("digits.keras", "digits.h5"))
EXPORT = str(FIXTURES / "digits_export")
pytestmark = [pytest.mark.oracle, pytest.mark.slow]


@pytest.fixture
def ckread(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


def _document(ckread: Terminal, *words: str) -> dict[str, Any]:
    result = ckread(*words, "--json")
    assert result.code in (0, 1), result.err
    document: dict[str, Any] = json.loads(result.out)
    return document


def _by_tensorflow(prefix: str, word: str) -> NDArray[Any]:
    """Read the one value whose key TensorFlow lists with this variable's name behind it."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    keys = [key for key in reader.get_variable_to_shape_map() if f"/{word}/" in f"/{key}/"]
    value: NDArray[Any] = np.asarray(reader.get_tensor(min(keys)))
    return value


def _shapes_by_tensorflow(prefix: str) -> dict[str, list[int]]:
    import tensorflow as tf

    return dict(tf.train.list_variables(prefix))


# 1. The weight histogram of a layer at epoch N, and how it changed over the training.


def test_the_weights_of_a_layer_at_an_epoch_and_over_the_training(ckread: Terminal) -> None:
    [at_seven] = _document(ckread, "stats", f"{RUN}/ckpt-7", "conv2/kernel")["variables"]
    weights = _by_tensorflow(f"{RUN}/ckpt-7", at_seven["key"].partition("/.")[0])
    counts, _ = np.histogram(weights, bins=at_seven["histogram"]["edges"])
    assert at_seven["histogram"]["counts"] == counts.tolist()
    assert at_seven["std"] == pytest.approx(weights.astype(float).std(), rel=1e-12)
    every = _document(ckread, "stats", RUN, "conv2/kernel", "--every")["checkpoints"]
    assert [one["step"] for one in every] == list(range(1, 11))
    for one in every:
        [found] = one["variables"]
        values = _by_tensorflow(one["path"], found["key"].partition("/.")[0]).astype(float)
        assert found["mean"] == pytest.approx(values.mean(), rel=1e-9, abs=1e-12)
        low, high = found["quantile_bounds"]["0.5"]
        assert low - 1e-12 <= np.quantile(values, 0.5) <= high + 1e-12
    assert "▇" in ckread("stats", RUN, "conv2/kernel", "--every", width=100).screen


# 2. The learning rate over the checkpoints; under a schedule there is none to be read.


def test_the_learning_rate_of_each_checkpoint(ckread: Terminal) -> None:
    found = _document(ckread, "track", RUN, "learning_rate")
    [rate] = found["variables"]
    paths = [one["path"] for one in found["checkpoints"]]
    live = [float(_by_tensorflow(path, "optimizer/_learning_rate")) for path in paths]
    assert rate["values"] == live
    np.testing.assert_allclose(live, 3e-3 * 0.85 ** np.arange(10), rtol=1e-6)


def test_a_schedule_is_declined_with_the_way_to_log_it(ckread: Terminal) -> None:
    schedule = str(FIXTURES / "schedule_run")
    result = ckread("track", schedule, "learning_rate")
    assert result.code == 2
    assert "With a schedule an optimizer computes it" in result.err
    assert "logs['learning_rate'] = float(optimizer.learning_rate)" in result.err
    keys = _shapes_by_tensorflow(f"{schedule}/ckpt-1")
    assert not any("learning_rate" in key for key in keys)


# 3. What a first convolution makes of an image.


@pytest.mark.parametrize("path", [KERAS, H5])
def test_the_activation_map_of_a_first_convolution(
    ckread: Terminal, tmp_path: Path, path: str
) -> None:
    import keras
    from PIL import Image

    pixels = np.random.default_rng(5).integers(0, 256, (8, 8), np.uint8)
    image, target = str(tmp_path / "digit.png"), str(tmp_path / "maps.npy")
    Image.fromarray(pixels).save(image)
    result = ckread("filters", path, "conv1/kernel", "--image", image, "-o", target)
    assert (result.code, result.out) == (0, "")
    assert "as conv1 computes them: stride 1, padding same, bias, relu, pixels 0 to 1" in result.err
    model = keras.models.load_model(path)
    layer = keras.Model(model.inputs[0], model.get_layer("conv1").output)
    expected = layer.predict(pixels[np.newaxis, ..., np.newaxis] / 255, verbose=0)
    np.testing.assert_allclose(np.load(target), expected[0], rtol=0, atol=1e-6)


# 4. What became of a training that was interrupted, and which checkpoint to take.


def test_the_history_of_an_interrupted_training(ckread: Terminal, tmp_path: Path) -> None:
    """The log of Keras's CSVLogger broke off in its ninth epoch, and a save did with it."""
    history = json.loads((FIXTURES / "digits_run" / "history.json").read_text())
    run, log = tmp_path / "run", tmp_path / "training.csv"
    shutil.copytree(RUN, run)
    for name in ("ckpt-9.index", "ckpt-10.index", "ckpt-10.data-00000-of-00001", "history.json"):
        (run / name).unlink()
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "loss", "val_loss"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows([one | {"epoch": one["epoch"] - 1} for one in history[:8]])
        file.write("8,0.04")
    found = _document(ckread, "history", str(log), "--run", str(run))
    val_loss = np.array([one["val_loss"] for one in history[:8]])
    assert found["metrics"]["val_loss"][:8] == val_loss.tolist()
    best = found["best"]
    assert best["value"] == val_loss.min()
    assert best["checkpoint"] == str(run / f"ckpt-{val_loss.argmin() + 1}")
    listed = _document(ckread, "runs", str(run))
    text = json.dumps(listed)
    assert "ckpt-8" in text
    result = ckread("check", best["checkpoint"])
    assert result.code == 0, result.out


# 5. What is in a file that somebody left: layers, signatures, shapes and weights.


def test_an_unknown_h5(ckread: Terminal) -> None:
    import h5py
    import keras

    found = _document(ckread, "layers", H5)
    model = keras.models.load_model(H5)
    expected = [(one.name, type(one).__name__, list(one.output.shape), one.count_params())
                for one in model.layers]  # fmt: skip
    layers = found["layers"]
    assert [(o["name"], o["class"], o["shape"], o["parameters"]) for o in layers] == expected
    assert found["parameters"] == model.count_params()
    [kernel] = [one for one in layers[1]["weights"] if one["name"] == "conv1/kernel"]
    with h5py.File(H5) as file:
        group = file["model_weights/conv1"]
        stored = next(group[name][()] for name in group.attrs["weight_names"])
    assert kernel["shape"] == list(stored.shape)
    shown = _document(ckread, "show", H5, "conv1/kernel", "--full")["values"]
    np.testing.assert_array_equal(np.array(shown, "f4"), stored)


def test_an_unknown_saved_model(ckread: Terminal) -> None:
    import tensorflow as tf

    found = _document(ckread, "info", EXPORT)
    loaded = tf.saved_model.load(EXPORT)
    signatures = {one["name"]: one for one in found["signatures"]}
    for name, function in loaded.signatures.items():
        _, inputs = function.structured_input_signature
        told = {one["name"]: (one["dtype"], one["shape"]) for one in signatures[name]["inputs"]}
        live = {key: (one.dtype.name, one.shape.as_list()) for key, one in inputs.items()}
        assert told == live
    shapes = sorted(list(variable.shape) for variable in loaded.variables)
    listed = _document(ckread, "ls", EXPORT)["variables"]
    own = [one for one in listed if one["role"] in ("weight", "statistic")]
    assert sorted(one["shape"] for one in own) == shapes


def test_an_unknown_checkpoint(ckread: Terminal) -> None:
    listed = _document(ckread, "ls", RUN)["variables"]
    live = _shapes_by_tensorflow(f"{RUN}/ckpt-10")
    assert {one["key"]: one["shape"] for one in listed} == live
    layers = _document(ckread, "layers", RUN)["layers"]
    names = ["conv1", "norm1", "conv2", "norm2", "hidden", "logits"]
    assert [one["name"] for one in layers] == names
    assert layers[0]["weights"][0]["shape"] == [3, 3, 1, 16]


# 6. Which of many checkpoints of TensorFlow 1 is best by a metric.


def test_the_best_of_many_checkpoints_of_tensorflow_1(ckread: Terminal, tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    accuracy = {100: 0.61, 200: 0.83, 300: 0.79, 400: 0.91, 500: 0.88}
    with tf.Graph().as_default():
        step, value = v1.placeholder(tf.int64, ()), v1.get_variable("w", (3,), use_resource=False)
        global_step = v1.train.get_or_create_global_step()
        assign = v1.assign(global_step, step)
        saver = v1.train.Saver(max_to_keep=None)
        with v1.Session() as session, v1.summary.FileWriter(str(tmp_path / "eval")) as writer:
            session.run(v1.global_variables_initializer())
            for at, number in accuracy.items():
                session.run([assign, v1.assign_add(value, [1, 1, 1])], {step: at})
                saver.save(session, str(tmp_path / "model.ckpt"), global_step=at)
                one = v1.Summary.Value(tag="accuracy", simple_value=number)
                writer.add_summary(v1.Summary(value=[one]), at)
    found = _document(
        ckread, "history", str(tmp_path / "eval"), "--run", str(tmp_path), "--best", "val_accuracy"
    )
    best = max(accuracy, key=lambda at: accuracy[at])
    assert found["best"]["mode"] == "max"
    assert found["best"]["checkpoint"] == str(tmp_path / f"model.ckpt-{best}")
    shown = _document(ckread, "show", found["best"]["checkpoint"], "w")["values"]
    live = _by_tensorflow(found["best"]["checkpoint"], "w")
    np.testing.assert_array_equal(np.array(shown, "f4"), live)


# 7. Will a restore for inference bring the weights?


def test_a_restore_for_inference_is_foretold(ckread: Terminal, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    model = keras.models.load_model(KERAS)
    images = np.random.default_rng(2).random((4, 8, 8, 1)).astype("f4")
    expected = model.predict(images, verbose=0)
    model.set_weights([np.zeros_like(one) for one in model.get_weights()])
    target = tf.train.Checkpoint(model=model).save(str(tmp_path / "fresh" / "ckpt"))
    result = ckread("compat", f"{RUN}/ckpt-10", target, width=80)
    assert result.code == 0
    assert "All 17 values come back" in result.screen
    counts = _document(ckread, "compat", f"{RUN}/ckpt-10", target)["counts"]
    tf.train.Checkpoint(model=model).restore(f"{RUN}/ckpt-10").expect_partial()
    assert counts["restored"] == len(model.weights) + 1  # the save counter
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    # Under another name of the root nothing of the model comes back, and restore() does not say.
    target = tf.train.Checkpoint(net=model).save(str(tmp_path / "other" / "ckpt"))
    model.set_weights([np.zeros_like(one) for one in model.get_weights()])
    assert ckread("compat", f"{RUN}/ckpt-10", target).code == 1
    counts = _document(ckread, "compat", f"{RUN}/ckpt-10", target)["counts"]
    tf.train.Checkpoint(net=model).restore(f"{RUN}/ckpt-10").expect_partial()
    moved = sum(bool(np.any(one)) for one in model.get_weights())
    assert (counts["restored"], moved) == (1, 0)
