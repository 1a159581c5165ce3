"""Runs of a training that numpy makes: names as TensorFlow 1 gives them, Adam, ten saves."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 20


@dataclass
class Training:
    """Adam on the squares of the distances from a target, with noise; float32 throughout."""

    folder: Path
    seed: int = 0
    rate: float = 0.003
    step: int = 0
    iterations: int = 0
    n_saved: int = 0
    weights: dict[str, Any] = field(default_factory=dict)
    m: dict[str, Any] = field(default_factory=dict)
    v: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        target = np.random.default_rng(9)
        self.weights = {
            "a/kernel": rng.normal(size=(12, 16)).astype(np.float32),
            "a/bias": np.zeros(16, np.float32),
            "b/kernel": rng.normal(size=(16, 4)).astype(np.float32),
        }
        self.target = {k: target.normal(size=w.shape) for k, w in self.weights.items()}
        self.began_anew()

    def began_anew(self) -> None:
        """Take a new Adam."""
        self.iterations = 0
        self.m = {name: np.zeros_like(w) for name, w in self.weights.items()}
        self.v = {name: np.zeros_like(w) for name, w in self.weights.items()}

    def epochs(self, n: int) -> Training:
        """Train, and save after each epoch."""
        for _ in range(n):
            rng = np.random.default_rng(self.n_saved)
            for _ in range(EPOCH):
                self.step, self.iterations = self.step + 1, self.iterations + 1
                t = self.iterations
                for name, w in self.weights.items():
                    g = (w - self.target[name] + rng.normal(size=w.shape)).astype(np.float32)
                    self.m[name] = np.float32(0.9) * self.m[name] + np.float32(0.1) * g
                    self.v[name] = np.float32(0.999) * self.v[name] + np.float32(0.001) * g * g
                    alpha = self.rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                    move = np.float32(alpha) * self.m[name] / (np.sqrt(self.v[name]) + 1e-8)
                    self.weights[name] = (w - move).astype(np.float32)
            self.save()
        return self

    def save(self, **others: Any) -> None:
        """Save the next checkpoint; others replace or, as None, take away what is saved."""
        self.n_saved += 1
        tensors = dict(self.weights)
        tensors |= {f"{name}/Adam": m for name, m in self.m.items()}
        tensors |= {f"{name}/Adam_1": v for name, v in self.v.items()}
        tensors |= {
            "beta1_power": np.float32(0.9 ** (self.iterations + 1)),
            "beta2_power": np.float32(0.999 ** (self.iterations + 1)),
            "global_step": np.int64(self.step),
            "learning_rate": np.float32(self.rate),
        }
        tensors |= {key.replace("__", "/"): value for key, value in others.items()}
        kept = {key: np.asarray(value) for key, value in tensors.items() if value is not None}
        prefix = self.folder / f"model.ckpt-{self.n_saved}"
        write_bundle(prefix, dict(sorted(kept.items())))
        for path in self.folder.glob(f"{prefix.name}.*"):
            os.utime(path, (1e9 + self.n_saved, 1e9 + self.n_saved))

    def copy(self) -> Training:
        """Give the state as it is, to be restored."""
        return deepcopy(self)

    def restored(self, old: Training) -> Training:
        """Go on from an earlier state, with the saves counted on."""
        fresh = deepcopy(old)
        fresh.n_saved = self.n_saved
        return fresh
