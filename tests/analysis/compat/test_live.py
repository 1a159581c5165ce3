"""The forecast of a restore against what TensorFlow does: bits, assertions, exceptions."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.analysis.compat.records import Outcome
from ckread.analysis.compat.restoring import forecast_restore
from ckread.model.opening import open_checkpoint
from tests.analysis.compat import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ckread.analysis.compat.records import RestoreForecast

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    programs = pytest.importorskip("tests.analysis.compat.programs")
    tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Let TensorFlow's own warnings alone: they are not what is tried here."""
    logging.disable(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Give the checkpoint of a program, written once."""
    folder: Path = tmp_path_factory.mktemp("compat")
    known: dict[str, str] = {}

    def write(name: str) -> str:
        if name not in known:
            known[name] = programs.make(name).save(str(folder / name / "ckpt"))
        return known[name]

    return write


def tensors(prefix: str) -> dict[str, Any]:
    """Read all values with TensorFlow, which gives none of an iterator."""
    reader = tf.train.load_checkpoint(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    keys = [key for key, dtype in dtypes.items() if dtype != tf.variant]
    return {key: reader.get_tensor(key) for key in keys if not key.startswith("_CHECK")}


def bits(value: Any) -> tuple[Any, bytes]:
    is_text = str(getattr(value, "dtype", "object")) == "object"
    return ((), repr(value).encode()) if is_text else (value.shape, value.tobytes())


def contents(key: str, value: Any) -> Any:
    """Give the bits; of a hash table, which has no order, its entries sorted."""
    return sorted(value.ravel().tolist()) if "table-" in key else bits(value)


def restore(program: Any, prefix: str) -> tuple[str | None, bool | None, bool | None]:
    """Restore as a user does; give the exception's class and which assertions pass."""
    try:
        status = program.restore(prefix)
    except Exception as error:
        return type(error).__name__, None, None
    passes = []
    for check in (status.assert_consumed, status.assert_existing_objects_matched):
        try:
            check()
            passes.append(True)
        except AssertionError:
            passes.append(False)
    status.expect_partial()
    return None, passes[0], passes[1]


def assigned(forecast: RestoreForecast) -> dict[str, str]:
    """Give the keys that are assigned, with the saved keys they come from."""
    fine = (Outcome.RESTORED, Outcome.OTHER)
    pairs = {
        one.target.key: one.saved.key
        for one in forecast.values
        if one.outcome in fine and one.saved is not None and one.saved.key and one.target.key
    }
    if forecast.raises:
        made = sum(one.target.key is None for one in forecast.values if one.outcome in fine)
        assert not made or not forecast.assigned_before
        order = sorted(pairs, key=lambda key: pairs[key].split(".ATTRIBUTES/")[0])
        pairs = {key: pairs[key] for key in order[: forecast.assigned_before]}
    return pairs


def expected_state(
    forecast: RestoreForecast, before: Mapping[str, Any], saved: Mapping[str, Any]
) -> dict[str, Any]:
    state = dict(before)
    pairs = assigned(forecast).items()
    state |= {key: saved[source] for key, source in pairs if source in saved}
    return state


@pytest.mark.parametrize(("saved", "target"), programs.PAIRS)
def test_what_is_foretold_is_what_tensorflow_does(
    saved: str, target: str, written: Callable[[str], str], tmp_path: Path
) -> None:
    source = written(saved)
    program = programs.make(target)
    before = program.save(str(tmp_path / "before"))
    forecast = ckread.compat(source, before)
    error, consumed, existing = restore(program, source)
    assert (forecast.raises[0].type if forecast.raises else None) == error
    assert forecast.asserts == (consumed, existing)
    after = tensors(program.write(str(tmp_path / "after")))
    state = expected_state(forecast, tensors(before), tensors(source))
    for key, value in state.items():
        assert contents(key, after[key]) == contents(key, value), key
    with open_checkpoint(str(tmp_path / "after")) as now:
        made = {key for key in after if key not in state}
        foretold = [one for one in forecast.values if one.target.key is None]
        arrived = [one for one in foretold if one.outcome is Outcome.RESTORED]
        untold = any(one.outcome is Outcome.UNFORESEEN for one in forecast.values)
        if not error and not untold:
            assert {now[key].name for key in made} == {one.name for one in arrived}
    check_code(forecast, program, source, tmp_path)
    there = recorded.write(saved, tmp_path / "there")
    again = ckread.compat(there, recorded.write(target, tmp_path / "here", is_target=True))
    assert recorded.outcomes(again) == recorded.outcomes(forecast)


def names_of(program: Any) -> dict[str, Any]:
    """Give what the code that a forecast writes finds: the parts of the program by their names."""
    parts = dict(program._kwargs)
    root = parts.pop("root", None)
    whole = {"checkpoint": program, "root": program if root is None else root}
    if root is not None:
        whole["model"] = root
    return {**parts, **whole}


def check_code(forecast: RestoreForecast, program: Any, source: str, folder: Path) -> None:
    """Run the code, and see that it brings what it says, bit for bit."""
    code = "\n".join(forecast.python)
    assert code
    exec(compile(code, "<forecast>", "exec"), names_of(program))
    after, there = tensors(program.write(str(folder / "brought"))), tensors(source)
    promised = [(a.key, b.key, b) for a, b in forecast.renames if a.key in there and b.key in after]
    if any(line.startswith("checkpoint") for line in forecast.python):
        n = sum(contents(at, after[at]) == contents(at, there[key]) for key, at, _ in promised)
        promises = max((cure.brings for cure in forecast.cures), default=len(forecast.values))
        made = sum(one.target.key is None for one in forecast.values)
        assert n + made >= min(promises, len(promised))
        return
    by_model = "model.weights}" in code
    for key, at, here in promised:
        if here.name != "save_counter" and (not by_model or here.role in ("weight", "statistic")):
            assert contents(at, after[at]) == contents(at, there[key]), here.name


@pytest.mark.parametrize(
    ("saved", "target", "counts"),
    [
        ("tower", "tower_inserted", {"other": 12, "raises": 2, "kept": 6, "restored": 13}),
        ("tower", "tower_renamed", {"other": 0, "kept": 0, "restored": 27}),
        ("plain", "renamed", {"other": 0, "kept": 0, "restored": 9}),
        ("auto", "auto", {"other": 0, "kept": 0, "restored": 9}),
        ("adam", "adamw", {"other": 0, "kept": 0, "restored": 23}),
        ("adam", "adam_renamed", {"other": 0, "kept": 0, "restored": 23}),
        ("adam", "adam_net", {"other": 0, "kept": 2, "restored": 21}),
        ("old_adam", "old_sgd", {"other": 0, "kept": 1, "restored": 16}),
        ("sub", "sub_unbuilt", {"restored": 1, "unforeseen": 4}),
        ("stack", "stack_unbuilt", {"restored": 1, "deferred": 4}),
        ("adam", "untrained_adam", {"restored": 11, "deferred": 12}),
        ("module_shared", "module", {"kept": 1}),
        ("generator", "generator", {"kept": 0, "unforeseen": 0, "restored": 3}),
    ],
)
def test_whose_value_it_is(
    saved: str, target: str, counts: dict[str, int], written: Callable[[str], str]
) -> None:
    found = ckread.compat(written(saved), written(target))
    assert {name: found.counts[name] for name in counts} == counts
    for one in found.values:
        if one.outcome is Outcome.OTHER:
            assert one.saved is not None
            assert one.saved.name.split("/")[0] != one.name.split("/")[0]


@pytest.mark.parametrize(
    ("saved", "target", "n"), [("adam", "untrained_adam", 12), ("stack", "stack_unbuilt", 4)]
)
def test_what_is_deferred_comes_when_it_is_made(
    saved: str, target: str, n: int, written: Callable[[str], str], tmp_path: Path
) -> None:
    source = written(saved)
    program = programs.make(target)
    with (
        open_checkpoint(source) as there,
        open_checkpoint(program.save(str(tmp_path / "before"))) as here,
    ):
        forecast = forecast_restore(there, here)
    program.restore(source)
    if target == "untrained_adam":
        program.optimizer.build(program.model.trainable_variables)
    else:
        x = tf.ones([1, 4])
        for layer in program.net.layers:
            x = layer(x)
    after, values = tensors(program.write(str(tmp_path / "after"))), tensors(source)
    deferred = [one for one in forecast.values if one.outcome is Outcome.DEFERRED]
    assert len(deferred) == n
    arrived = {bits(value) for value in after.values()}
    for one in deferred:
        assert one.saved is not None
        assert bits(values[one.saved.key or ""]) in arrived


def test_ten_thousand_objects_without_numpy(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    root = tf.train.Checkpoint(layers=[])
    for number in range(1000):
        layer = tf.Module()
        for name in ("kernel", "bias", "gamma", "beta"):
            setattr(layer, name, tf.Variable([float(number)], name=f"layer{number}/{name}"))
        layer.parts = [tf.Module() for _ in range(4)]
        root.layers.append(layer)
    prefix = root.save(str(tmp_path / "large"))
    turned = tf.train.Checkpoint(layers=list(reversed(root.layers))).save(str(tmp_path / "turned"))
    code = (
        "import json, sys; import ckread; found = ckread.compat(*sys.argv[1:]);"
        "print(json.dumps([found.complete, 'numpy' in sys.modules]))"
    )
    for target in (prefix, turned):  # where nothing lies where it was, cures are tried too
        done = subprocess.run(
            [sys.executable, "-c", code, prefix, target], capture_output=True, check=True
        )
        is_complete, has_numpy = json.loads(done.stdout)
        assert is_complete == (target == prefix)
        assert not has_numpy


def test_a_file_without_a_save_counter(tmp_path: Path) -> None:
    source = programs.make("plain").write(str(tmp_path / "written"))
    program = programs.make("plain")
    found = ckread.compat(source, program)
    assert found.complete
    assert len(found) == 8
    assert found.asserts == (False, False)
    assert restore(program, source) == (None, False, False)
    status = programs.make("plain").read(source)
    status.assert_consumed()
    assert "read() makes none" in str(found)
