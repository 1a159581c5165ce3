"""What is foretold for many pairs, whole, beside its golden: no TensorFlow, every commit.

That the forecasts are right is shown by TensorFlow and Keras themselves, in the slow tests
beside this one; here it is held that they stay what they were.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError
from ckread.readers.contract import DataType
from tests.analysis.compat import recorded
from tests.builders import BundleBuilder
from tests.places import FIXTURES
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        if value is not None and value != []
    }
    for name in ("saved", "target", "left_over"):
        rest.pop(name, None)
    rest["evidence"] = [f"{one.claim}: {one.value} ({one.source})" for one in found.evidence[1:]]
    beside = found.call, found.notes, found.shift, found.optimizers, found.rates
    rest["left_over"] = [_word(one) for one in document["left_over"]]
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in rest.items()]
    lines.append(f"  beside: {beside}")
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


@pytest.mark.parametrize("part", range(6))
def test_recorded_programs(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = []
    pairs = recorded.pairs()
    for saved, target in pairs[part * len(pairs) // 6 : (part + 1) * len(pairs) // 6]:
        there = recorded.write(saved, Path(saved))
        here = recorded.write(target, Path(f"{target}_here"), is_target=True)
        blocks.append((f"{saved} into {target}", _told(there, here)))
    _check(f"forecasts_recorded_{part}.txt", blocks)


LAYERS = [
    ("plain", "extra"), ("plain", "no_norm"), ("plain", "wide"), ("plain", "five"),
    ("plain", "swapped"), ("tower", "tower_inserted"), ("nested", "nested_flat"),
    ("nested", "nested_deeper"), ("nested_deeper", "nested"), ("shared", "unshared"),
    ("lstm", "gru"), ("lstm", "lstm"), ("adam", "plain"), ("adam", "adam_five"),
]  # fmt: skip
BY_PATH: list[dict[str, Any]] = [{}, {"skip_mismatch": True}]
BY_NAME_TOO = [*BY_PATH, *({"way": "h5-by-name", **one} for one in BY_PATH)]
SUBCLASSED = [("sub", "sub_renamed"), ("sub", "sub_list"), ("sub_list", "sub")]
RECORDED: dict[str, tuple[list[tuple[str, str]], list[dict[str, Any]]]] = {
    "keras .weights.h5": ([*LAYERS, *SUBCLASSED, ("adam", "momentum")], BY_PATH),
    "keras .keras": (LAYERS[2:5], BY_PATH[:1]),
    "keras .h5": (LAYERS, BY_NAME_TOO),
    "tf_keras .h5": (LAYERS, BY_NAME_TOO),
    "tf_keras -weights.h5": ([*LAYERS[:3], *LAYERS[10:12]], BY_NAME_TOO),
    "tf_keras .weights.h5": ([*LAYERS[:3], ("plain", "plain"), LAYERS[13]], BY_PATH[:1]),
    "tf_keras .keras": (LAYERS[2:5], BY_PATH[:1]),
}


@pytest.mark.parametrize("kind", RECORDED)
def test_recorded_files_of_keras(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (library, suffix), (pairs, ways) = kind.split(), RECORDED[kind]
    blocks = []
    for saved, target in pairs:
        there = recorded.write_keras(f"{library}_{saved}{suffix}", Path(f"{saved}{suffix}"))
        name, path = f"{library}_{target}{suffix}", Path(f"here_{target}{suffix}")
        here = recorded.write_keras(name, path, is_target=True)
        for way in ways:
            told = _told(there, here, **way)
            shown = told if not way else [line for line in told if not line.startswith("  >")]
            blocks.append((f"{there} into {here} {way or ''}", shown))
    _check(f"forecasts_recorded_{library}{suffix.replace('.', '_')}.txt", blocks)


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
