"""What is foretold for many pairs, whole, beside its golden: no TensorFlow, every commit.

That the forecasts are right is shown by TensorFlow and Keras themselves, in the slow tests
beside this one; here it is held that they stay what they were.
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder
from tests.places import FIXTURES
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckread.analysis.compat.records import RestoreForecast

Program = dict[str, tuple[tuple[int, ...], str]]
STEP: Program = {"step": ((), "int64")}
BY_NAME: dict[str, Program] = {
    "plain": {"a/w": ((2, 3), "float32"), "a/b": ((3,), "float32")} | STEP,
    "more": {"a/w": ((2, 3), "float32"), "a/b": ((3,), "float32"), "c/w": ((3, 2), "float32")},
    "scoped": {"net/a/w": ((2, 3), "float32"), "net/a/b": ((3,), "float32")},
    "wide": {"a/w": ((2, 5), "float32"), "a/b": ((5,), "float32")} | STEP,
    "double": {"a/w": ((2, 3), "float64"), "a/b": ((3,), "float32")} | STEP,
}
MAPS: list[dict[str, str] | None] = [None, {"a/": "net/a/"}, {"net/": "/"}, {"a/w": "a/w"}]
_DTYPES = {str(dtype): dtype for dtype in DataType}
MAPPED = [("plain", "scoped"), ("scoped", "plain"), ("plain", "wide"), ("plain", "more")]
OBJECTS = [
    "restoring/pretrained/ckpt-1", "restoring/mine/ckpt-1", "tf23_keras2/subclassed/ckpt-1",
    "six_ways/functional/object/ckpt-1", "six_ways/functional/name/model.ckpt",
]  # fmt: skip
KERAS = ["six_ways/functional/tiny.h5", "tf23_keras2/model.h5", "keras_compiled/compiled.keras"]


def _word(value: Any) -> str:
    return str(value["key"]) if isinstance(value, dict) else str(value)


def _told(saved: str, target: str, **options: Any) -> list[str]:
    """Give a forecast as lines: what becomes of each value, and all else as one document."""
    try:
        found: RestoreForecast = ckread.compat(saved, target, **options)
    except CheckpointError as error:
        return [f"  {type(error).__name__}: {error.detail}", f"  {error.remedy}"]
    document = found.to_dict()
    values = document.pop("values")
    lines = ["  " + " ".join(_word(one) for one in value.values()) for value in values]
    lines = [line for line in lines if " restored " not in line] + [f"  of {len(lines)}"]
    rest = {
        name: value
        for name, value in document.items()
        if value and name not in ("saved", "target", "evidence", "left_over")
    }
    rest["left_over"] = [_word(one) for one in document["left_over"]]
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in rest.items()]
    return [*lines, *(f"  > {line}" for line in found.python)]


def _check(name: str, blocks: Iterable[tuple[str, list[str]]]) -> None:
    text = "".join("\n".join([f"{title}\n", *lines, "\n"]) for title, lines in blocks)
    check_golden(name, text)


@pytest.fixture
def by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write checkpoints of names, without graphs, where they have short paths."""
    monkeypatch.chdir(tmp_path)
    for program, variables in BY_NAME.items():
        builder = BundleBuilder()
        for i, (name, (shape, dtype)) in enumerate(variables.items()):
            builder.add(name, np.full(shape, i + 1).astype(dtype), _DTYPES[dtype])
        builder.write(tmp_path / program)


@pytest.mark.usefixtures("by_name")
@pytest.mark.parametrize("way", ["saver", "init_from_checkpoint", "warm_start"])
def test_programs_of_names(way: str) -> None:
    cases = [
        (a, b, names)
        for a, b in product(BY_NAME, BY_NAME)
        for names in (MAPS if way == "init_from_checkpoint" and (a, b) in MAPPED else MAPS[:1])
    ]
    blocks = [
        (f"{a} into {b} by {way} with {names}", _told(a, b, way=way, names=names))
        for a, b, names in cases
    ]
    _check(f"forecasts_{way}.txt", blocks)


def test_programs_of_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)  # lines are as long as paths
    blocks = [(f"{a} into {b}", _told(a, b)) for a, b in product(OBJECTS, OBJECTS)]
    _check("forecasts_objects.txt", blocks)


def test_files_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    ways: list[dict[str, Any]] = [
        {}, {"skip_mismatch": True}, {"way": "h5-by-name"},
        {"way": "h5-by-name", "skip_mismatch": True}, {"way": "h5-in-order"},
    ]  # fmt: skip
    blocks = [
        (f"{a} into {b} {options or ''}", _told(a, b, **options))
        for a, b in product(KERAS, KERAS)
        for options in ways
        if a.endswith(".h5") or "way" not in options
    ]
    _check("forecasts_keras.txt", blocks)


def test_the_metrics_that_keras_2_stores_beside_its_layers_are_no_layer() -> None:
    saved, target = FIXTURES / "tf23_keras2" / "model.h5", FIXTURES / "keras2_new" / "tiny.keras"
    found = ckread.compat(saved, target, way="h5-by-name", skip_mismatch=True)
    outcomes = {one.name: str(one.outcome) for one in found.values}
    assert outcomes.pop("head/kernel") == "kept", "64 rows there, 4 here"
    assert list(outcomes.values()) == ["restored"] * 7
