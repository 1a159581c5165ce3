"""What is foretold for many pairs, whole, beside its golden: no TensorFlow, every commit.

That the forecasts are right is shown by TensorFlow and Keras themselves, in the slow tests
beside this one; here it is held that they stay what they were.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import chdir
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.errors import CheckpointError
from tests.analysis.compat import named, recorded
from tests.places import FIXTURES
from tests.views.golden_files import check_block_golden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckread.analysis.compat.records import RestoreForecast

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
    rest = {name: value for name, value in document.items() if value is not None and value != []}
    for name in ("saved", "target", "left_over"):
        rest.pop(name, None)
    rest["evidence"] = [f"{one.claim}: {one.value} ({one.source})" for one in found.evidence[1:]]
    beside = found.call, found.notes, found.shift, found.optimizers, found.rates
    rest["left_over"] = [_word(one) for one in document["left_over"]]
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in rest.items()]
    lines.append(f"  beside: {beside}")
    return [*lines, *(f"  > {line}" for line in found.python)]


# Golden files of blocks: what is told of one pair each.


Case = tuple[str, "Callable[[], list[str]]"]


def _by_name() -> Iterator[tuple[str, Case]]:
    def case(make: Any, there: str, here: str, title: str, **options: Any) -> Case:
        def told() -> list[str]:
            made = make[0](there, Path(there)), make[1](here, Path(f"here_{here}"))
            return _told(*made, **options)

        return f"{there} into {here} {title}", told

    names, objects = named.write, named.write_objects
    for a, b in named.SAVER_PAIRS:
        for resource in (True, False, None) if "wide" in (a, b) else (None,):
            graph = partial(names, resource=resource)
            yield "saver", case((names, graph), a, b, f"{resource}", way="saver")
    some = {"a/w": "z/w", "a/b": "z/b"}
    yield "saver", case((names, names), "plain", "renamed", f"{some}", way="saver", names=some)
    for a, b in named.OBJECT_PAIRS:
        yield "saver", case((objects, names), a, b, "from objects")
    for a, b, wanted in named.INIT_CASES:
        options: dict[str, Any] = {"way": "init_from_checkpoint", "names": wanted}
        yield "init_from_checkpoint", case((names, names), a, b, f"with {wanted}", **options)
    graph = partial(names, resource=True)
    for a, b, chosen, wanted in named.WARM_CASES:
        title = f"{chosen} with {wanted}"
        options = {"way": "warm_start", "names": wanted, "vars_to_warm_start": chosen}
        for here, word in ((graph, ""), (names, "no meta, ")):
            yield "warm_start", case((names, here), a, b, f"{word}{title}", **options)
    for a, b, wanted in named.OF_AN_OPTIMIZER:
        options = {"way": "init_from_checkpoint", "names": wanted or None}
        yield "of_an_optimizer", case((names, names), a, b, f"with {wanted}", **options)
        yield "of_an_optimizer", case((names, names), a, b, f"warm, {wanted}", way="warm_start")
        yield "of_an_optimizer", case((names, names), a, b, f"saver, {wanted}", way="saver")
    for a, b in named.NAMES_PAIRS:
        yield "names_into_objects", case((names, objects), a, b, "")


def _objects() -> Iterator[tuple[str, Case]]:
    def told(saved: str, target: str) -> list[str]:
        here = recorded.write(target, Path(f"{target}_here"), is_target=True)
        return _told(recorded.write(saved, Path(saved)), here)

    for saved, target in recorded.pairs():
        yield "recorded", (f"{saved} into {target}", partial(told, saved, target))


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


def _keras_files() -> Iterator[tuple[str, Case]]:
    def told(saved: str, target: str, suffix: str, **way: Any) -> list[str]:
        there = recorded.write_keras(saved, Path(f"there{suffix}"))
        here = recorded.write_keras(target, Path(f"here{suffix}"), is_target=True)
        lines = _told(there, here, **way)
        return lines if not way else [line for line in lines if not line.startswith("  >")]

    for kind, (pairs, ways) in RECORDED.items():
        library, suffix = kind.split()
        for saved, target in pairs:
            there, here = f"{library}_{saved}{suffix}", f"{library}_{target}{suffix}"
            for way in ways:
                title = f"{there} into {here} {way or ''}"
                yield f"{library}{suffix}", (title, partial(told, there, here, suffix, **way))


def _keras_versions() -> Iterator[tuple[str, Case]]:
    """Files of other versions, of models with weights of their own, and into other formats."""

    def told(
        saved: str, target: str, there: dict[str, Any], here: dict[str, Any], **way: Any
    ) -> list[str]:
        source = recorded.write_keras(saved, Path(f"there_{saved}"), **there)
        place = recorded.write_keras(target, Path(f"here_{target}"), is_target=True, **here)
        return [line for line in _told(source, place, **way) if not line.startswith("  >")]

    def case(*parts: Any, **way: Any) -> tuple[str, Case]:
        return "keras_versions", (f"{parts} {way}", partial(told, *parts, **way))

    for version in ("3.7.0", "3.8.0", "3.10.0", "3.11.0"):
        here: dict[str, Any] = {"version": version}
        for way in BY_NAME_TOO:
            yield case("keras_plain.h5", "keras_wide.h5", here, here, **way)
    for n_there, n_here in ((0, 1), (1, 0), (1, 1), (1, 2)):
        there = {"n_top": n_there}
        for library, version in (("keras", "3.7.0"), ("keras", "3.15.1"), ("tf_keras", "2.21.0")):
            here = {"n_top": n_here, "version": version}
            for way in BY_NAME_TOO:
                file = f"{library}_plain.h5"
                yield case(file, file, there | {"version": version}, here, **way)
    for saved, target in (
        ("keras_plain.h5", "keras_plain.keras"), ("keras_wide.h5", "keras_adam.keras"),
        ("keras_nested.h5", "keras_nested.keras"), ("keras_plain.h5", "keras_plain.weights.h5"),
        ("tf_keras_plain.h5", "tf_keras_plain.keras"), ("keras_sequential.h5", "keras_extra.keras"),
    ):  # fmt: skip
        for way in ({}, {"way": "h5-by-name"}):
            yield case(saved, target, {}, {}, **way)
    old = {"version": "1.2.2"}
    for way in BY_NAME_TOO:
        yield case("tf_keras_plain.h5", "tf_keras_wide.h5", old, {}, **way)


def _fixtures() -> Iterator[tuple[str, Case]]:
    def told(saved: str, target: str, **way: Any) -> list[str]:
        with chdir(FIXTURES):  # lines are as long as paths
            return _told(saved, target, **way)

    for a, b in product(OBJECTS, OBJECTS):
        yield "objects", (f"{a} into {b}", partial(told, a, b))
    ways: list[dict[str, Any]] = [
        {}, {"skip_mismatch": True}, {"way": "h5-by-name"},
        {"way": "h5-by-name", "skip_mismatch": True}, {"way": "h5-in-order"},
    ]  # fmt: skip
    for a, b in product(KERAS, KERAS):
        for way in ways:
            if a.endswith(".h5") or "way" not in way:
                yield "keras", (f"{a} into {b} {way or ''}", partial(told, a, b, **way))


CASES: defaultdict[str, list[Case]] = defaultdict(list)
for kind, one in (*_by_name(), *_objects(), *_keras_files(), *_keras_versions(), *_fixtures()):
    CASES[kind].append(one)
N_CASES = 4
"""Cases of a test: few, so that what a fault changes is soon found."""


@pytest.mark.parametrize(
    ("kind", "at"),
    [(kind, at) for kind, cases in CASES.items() for at in range(0, len(cases), N_CASES)],
)
def test_what_is_foretold(
    kind: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_block_golden(f"forecasts_{kind}.txt", CASES[kind], slice(at, at + N_CASES))


def test_the_metrics_that_keras_2_stores_beside_its_layers_are_no_layer() -> None:
    saved, target = FIXTURES / "tf23_keras2" / "model.h5", FIXTURES / "keras2_new" / "tiny.keras"
    found = ckread.compat(saved, target, way="h5-by-name", skip_mismatch=True)
    outcomes = {one.name: str(one.outcome) for one in found.values}
    assert outcomes.pop("head/kernel") == "kept", "64 rows there, 4 here"
    assert list(outcomes.values()) == ["restored"] * 7
