"""Every public name with the types that it is declared with: what type checkers see of ckread.

Nothing here runs; `tests/test_typing.py` has pyright read it, strictly, and mypy reads it with
all tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import ckread
from ckread import errors

PATH = Path("run")


def open_and_read() -> None:
    """Checkpoints, variables, trees and runs."""
    with ckread.open(PATH, reader="auto") as checkpoint:
        opened: ckread.Checkpoint = checkpoint
        names: list[str] = list(opened)
        variable: ckread.Variable = opened["w"]
        none: ckread.Variable | None = opened.get("w")
        whole: NDArray[np.generic] = variable.numpy()
        part: NDArray[np.generic] = variable[0, ..., ::2]
        chunks: Iterator[NDArray[np.generic]] = variable.chunks()
        numbers: tuple[int | float | bool, float, int] = variable.scalar(), float(variable), 1
        sizes: tuple[int, int, int, int] = variable.ndim, variable.size, len(variable), len(names)
        shape: tuple[int, ...] = variable.shape
        told: tuple[str, bool | None, str | None] = (
            variable.name,
            variable.trainable,
            variable.owner,
        )
        is_float: bool = variable.dtype == np.float32 or variable.dtype == "float32"
        tree: ckread.VariableTree = opened.tree("conv*", folds=True)
        child: ckread.VariableTree = tree["conv1"]
        leaf: ckread.Variable | None = child.variable
        document: dict[str, Any] = opened.to_dict()
    run: ckread.Run = ckread.open_run([PATH, "other"])
    last: ckread.Checkpoint = run[-1]
    third: ckread.Checkpoint = run["ckpt-3"]
    steps: tuple[int | None, ...] = run.steps
    print(none, whole, part, chunks, numbers, sizes, shape, told, is_float, leaf, document)
    print(last, third, steps, ckread.__version__)


def ask(checkpoint: ckread.Checkpoint, run: ckread.Run) -> None:
    """Answers and their records."""
    summary: ckread.CheckpointSummary = ckread.info(checkpoint)
    rate: float | None = summary.training.learning_rate
    measured: ckread.CheckpointStatistics = ckread.statistics(PATH, "conv1", roles="all")
    mean: float | None = measured["w"].mean
    counts: tuple[int, int | None] = len(measured), measured[0].zeros
    per_name: list[tuple[str, float | None]] = [(name, one.std) for name, one in measured.items()]
    over_run: ckread.RunStatistics = ckread.statistics_of_run(run, ["w"], n_jobs=None)
    stds: list[float | None] = [one.std for one in over_run["w"].statistics if one]
    diff: ckread.CheckpointDiff = ckread.diff(PATH, checkpoint, rtol=1e-3)
    changed: list[str] = [one.name for one in diff if one.status == "changed"]
    few: Sequence[Any] = diff[:3]
    drift: ckread.RunDrift = ckread.drift(run, "conv1")
    moved: float | None = drift["w"].moved
    track: ckread.RunTrack = ckread.track(run, ["learning_rate"])
    values: tuple[int | float | None, ...] = track[0].values
    history: ckread.TrainingHistory = ckread.history("history.json", run, best="val_loss")
    curves: dict[str, tuple[float | None, ...]] = {one.name: one.values for one in history}
    best: int | None = history.best.epoch if history.best else None
    report: ckread.CheckReport = ckread.check(checkpoint)
    sound: bool | None = report.sound
    messages: list[str] = [finding.message for finding in report]
    seams: list[str] = [seam.message for seam in ckread.seams(run)]
    forecast: ckread.RestoreForecast = ckread.compat(PATH, checkpoint)
    outcome: str = forecast["w"].outcome
    loading: ckread.OnLoading = ckread.loads(PATH)
    runs_code: bool = "Lambda" in loading
    audit: ckread.OptimizerAudit = ckread.optimizer(checkpoint)
    ratio: float | None = audit["w"].update_ratio
    along: ckread.RunOptimizerAudit = ckread.optimizer_of_run(run)
    ratios: dict[str, tuple[float | None, ...]] = along.ratios()
    kernels: ckread.Filters = ckread.filters(checkpoint, "conv1/kernel", top=16)
    tile: NDArray[np.float64] = kernels[0]
    maps: ckread.Responses = ckread.responses(checkpoint, None, np.eye(8), relu=True)
    output: NDArray[np.float64] = maps.output
    print(rate, mean, counts, per_name, stds, changed, few, moved, values, curves, best, sound)
    print(messages, seams, outcome, runs_code, ratio, ratios, tile, output, summary.to_pandas())


def draw(checkpoint: ckread.Checkpoint, run: ckread.Run, ax: Axes) -> list[Figure]:
    """Pictures, of answers and of what they are made of."""
    figures: list[Figure] = [
        ckread.plot_statistics(checkpoint, "w", ax=ax, log=True),
        ckread.plot_statistics(ckread.statistics_of_run(run, "w")),
        ckread.plot_filters(checkpoint["w"], per_kernel=True),
        ckread.plot_filters(PATH, "conv1/kernel", top=3),
        ckread.plot_diff(ckread.diff(PATH, PATH), page=2),
        ckread.plot_diff(PATH, checkpoint, "conv1", dark=True),
        ckread.plot_difference(PATH, checkpoint, "w"),
        ckread.plot_drift(run, "conv1", ax=ax),
        ckread.plot_track(PATH, "learning_rate"),
        ckread.plot_history("history.json", "loss", run=run, ax=ax),
        ckread.plot_optimizer(run),
    ]
    return figures


def catch(work: Callable[[], None]) -> str | None:
    """Errors, by class, by kind, by fields."""
    try:
        work()
    except (errors.CheckpointNotFoundError, errors.MissingShardError) as error:
        built_in: FileNotFoundError = error
        return str(built_in)
    except (errors.ChecksumError, errors.TruncatedFileError) as error:
        damaged: errors.CorruptCheckpointError = error
        return damaged.place
    except (errors.VariableNotFoundError, errors.UsageError, errors.NotACheckpointError) as error:
        return error.remedy
    except (errors.UnsupportedFeatureError, errors.MissingDependencyError) as error:
        return error.expected
    except ckread.CheckpointError as error:
        kind: errors.ErrorKind = error.kind
        return f"{kind} {error.path} {error.message}"
    return None
