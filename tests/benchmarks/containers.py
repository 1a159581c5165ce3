"""A SavedModel and a .keras archive, beside `saved_model_cli` and Keras's file editor.

    python -m tests.benchmarks.run --only saved_model keras

The model is made by Keras in a child process: dense layers of 4 MiB each.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command

if TYPE_CHECKING:
    from pathlib import Path

N_LAYERS = 64
TARGET = 20.0

_MAKE = """
import sys
import keras

path, n_layers = sys.argv[1], int(sys.argv[2])
layers = [keras.layers.Dense(1024, activation="relu", name=f"dense_{i}") for i in range(n_layers)]
model = keras.Sequential([keras.Input([1024], name="features"), *layers])
if path.endswith(".keras"):
    model.save(path)
else:
    model.export(path, verbose=False)
"""
_SHOW_ALL = """
import sys
from tensorflow.python.tools.saved_model_cli import main

sys.argv = ["saved_model_cli", "show", "--dir", sys.argv[1], "--all"]
main()
"""
_SUMMARY = """
import sys
from keras.saving import KerasFileEditor

KerasFileEditor(sys.argv[1]).summary()
"""


def _make(path: Path, n_layers: int) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = python_command("-c", _MAKE, str(path), str(n_layers))
        subprocess.run(command, check=True, capture_output=True)
    return str(path)


def compare_saved_model(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """`info` of a SavedModel beside `saved_model_cli show --all`."""
    n_layers = 4 if is_quick else N_LAYERS
    path = _make(folder / f"saved_model_{n_layers}", n_layers)
    ours = python_command("-m", "ckread", "info", path)
    theirs = python_command("-c", _SHOW_ALL, path)
    measured = measure_in_turn(ours, theirs, is_quick=is_quick)
    work = f"info, SavedModel of {n_layers} layers"
    return [Comparison(work, *measured, TARGET, beside="saved_model_cli show")]


def compare_keras(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """`info` of a .keras archive beside `KerasFileEditor(...).summary()`."""
    n_layers = 4 if is_quick else N_LAYERS
    path = _make(folder / f"layers_{n_layers}.keras", n_layers)
    ours = python_command("-m", "ckread", "info", path)
    theirs = python_command("-c", _SUMMARY, path)
    measured = measure_in_turn(ours, theirs, is_quick=is_quick)
    work = f"info, .keras of {n_layers} layers"
    return [Comparison(work, *measured, TARGET, beside="KerasFileEditor")]
