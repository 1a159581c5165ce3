"""Savers, assignment maps and files of names, against graphs of TensorFlow 1."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.analysis.compat.records import Outcome, Way
from tests.analysis.compat.named import (
    GRAPHS,
    INIT_CASES,
    NAMES_PAIRS,
    OBJECT_PAIRS,
    SAVER_PAIRS,
    WARM_CASES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ckread.analysis.compat.records import RestoreForecast

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    programs = pytest.importorskip("tests.analysis.compat.programs")

tf, np = programs.tf, programs.np
v1 = tf.compat.v1


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def variables(name: str, *, resource: bool = True) -> dict[str, Any]:
    """Make the variables of a graph, by name."""
    return {
        full: v1.get_variable(
            full, shape, tf.as_dtype(dtype), v1.zeros_initializer(), use_resource=resource
        )
        for full, (shape, dtype) in GRAPHS[name].items()
    }


def numbers(name: str) -> dict[str, Any]:
    random = np.random.default_rng(len(name) * 17 + 1)
    return {
        full: (random.standard_normal(shape) * 9).astype(dtype)
        for full, (shape, dtype) in GRAPHS[name].items()
    }


def write(name: str, path: str, *, resource: bool = True) -> str:
    """Save a graph with a Saver; give the prefix."""
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables(name, resource=resource)
        session.run(v1.global_variables_initializer())
        for full, value in numbers(name).items():
            made[full].load(value, session)
        saved: str = v1.train.Saver().save(session, path)
        return saved


def as_objects(name: str, path: str) -> str:
    """Save the same variables with `tf.train.Checkpoint`; give the prefix."""
    root = tf.train.Checkpoint()
    for at, (full, value) in enumerate(numbers(name).items()):
        setattr(root, f"v{at}", tf.Variable(value, name=full))
    prefix: str = root.write(path)
    return prefix


def foretold(forecast: RestoreForecast, saved: Mapping[str, Any]) -> dict[str, Any]:
    return {
        one.target.key or "": saved[one.saved.key or ""]
        for one in forecast.values
        if one.outcome in (Outcome.RESTORED, Outcome.OTHER) and one.saved is not None
    }


def read(prefix: str) -> dict[str, Any]:
    with ckread.open(prefix) as checkpoint:
        return {variable.key: variable.numpy() for variable in checkpoint.values()}


def check(after: Mapping[str, Any], expected: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    for name, value in after.items():
        wanted = expected.get(name, before[name])
        assert np.asarray(value).tobytes() == np.asarray(wanted).tobytes(), name


def check_code(
    forecast: RestoreForecast, source: str, session: Any, made: Mapping[str, Any]
) -> None:
    """Run the code in the graph, and see that it brings all that it promises, bit for bit."""
    exec(compile("\n".join(forecast.python), "<forecast>", "exec"), {"session": session})
    after, there = session.run(dict(made)), read(source)
    promised = {b.key or "": a.key or "" for a, b in forecast.renames}
    for name, key in promised.items():
        assert after[name].tobytes() == there[key].tobytes(), name
    assert f": {len(promised)} of its " in " ".join(forecast.python).replace(" # ", " ")
    cures = [cure.brings for cure in forecast.cures if (cure.command or "").endswith("--python")]
    assert cures in ([], [len(promised)])


@pytest.mark.parametrize("resource", [True, False])
@pytest.mark.parametrize(("saved", "target"), SAVER_PAIRS)
def test_a_saver_restores_what_is_foretold(
    saved: str, target: str, resource: bool, tmp_path: Path
) -> None:
    source = write(saved, str(tmp_path / "a"))
    sample = write(target, str(tmp_path / "b"), resource=resource)
    forecast = ckread.compat(source, sample, way="saver")
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables(target, resource=resource)
        session.run(v1.global_variables_initializer())
        before = session.run(made)
        error = None
        try:
            v1.train.Saver().restore(session, source)
        except tf.errors.OpError as raised:
            error = type(raised).__name__
        assert (forecast.raises[0].type if forecast.raises else None) == error
        if forecast.assigned_before is not None or not error:
            expected = {} if error else foretold(forecast, read(source))
            check(session.run(made), expected, before)
        if all(a.shape == b.shape for a, b in forecast.renames):
            check_code(forecast, source, session, made)


def test_a_saver_of_some_variables_under_other_names(tmp_path: Path) -> None:
    source, sample = write("plain", str(tmp_path / "a")), write("renamed", str(tmp_path / "b"))
    names = {"a/w": "z/w", "a/b": "z/b"}
    forecast = ckread.compat(source, sample, way="saver", names=names)
    assert {one.name: one.outcome for one in forecast} == {
        "z/w": Outcome.RESTORED, "z/b": Outcome.RESTORED, "step": Outcome.KEPT,
    }  # fmt: skip
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables("renamed")
        session.run(v1.global_variables_initializer())
        before = session.run(made)
        v1.train.Saver({a: made[b] for a, b in names.items()}).restore(session, source)
        check(session.run(made), foretold(forecast, read(source)), before)


@pytest.mark.parametrize(("saved", "target"), OBJECT_PAIRS)
def test_a_saver_reads_an_object_based_file(saved: str, target: str, tmp_path: Path) -> None:
    source = as_objects(saved, str(tmp_path / "a"))
    sample = write(target, str(tmp_path / "b"))
    forecast = ckread.compat(source, sample)
    assert forecast.way is Way.SAVER
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables(target)
        session.run(v1.global_variables_initializer())
        before = session.run(made)
        error = None
        try:
            v1.train.Saver().restore(session, source)
        except tf.errors.OpError as raised:
            error = type(raised).__name__
        assert (forecast.raises[0].type if forecast.raises else None) == error
        check(session.run(made), {} if error else foretold(forecast, read(source)), before)
        check_code(forecast, source, session, made)


@pytest.mark.parametrize(("saved", "target", "names"), INIT_CASES)
def test_assignment_maps(
    saved: str, target: str, names: dict[str, str] | None, tmp_path: Path
) -> None:
    source, sample = write(saved, str(tmp_path / "a")), write(target, str(tmp_path / "b"))
    forecast = ckread.compat(source, sample, way="init_from_checkpoint", names=names)
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables(target)
        error = None
        try:
            v1.train.init_from_checkpoint(source, names or {"/": "/"})
            session.run(v1.global_variables_initializer())
        except (ValueError, tf.errors.OpError) as raised:
            error = type(raised).__name__
        assert (forecast.raises[0].type if forecast.raises else None) == error
        if not error:
            zeros = {name: np.zeros(*spec) for name, spec in GRAPHS[target].items()}
            check(session.run(made), foretold(forecast, read(source)), zeros)
            check_code(forecast, source, session, made)


@pytest.mark.parametrize(("saved", "target", "chosen", "names"), WARM_CASES)
@pytest.mark.parametrize("is_object_based", [False, True])
def test_warm_starts(
    saved: str,
    target: str,
    chosen: Any,
    names: dict[str, str] | None,
    is_object_based: bool,
    tmp_path: Path,
) -> None:
    if is_object_based and names is not None:
        pytest.skip("names of an object-based file are looked up by TensorFlow itself")
    source = (as_objects if is_object_based else write)(saved, str(tmp_path / "a"))
    sample = write(target, str(tmp_path / "b"))
    forecast = ckread.compat(
        source, sample, way="warm_start", names=names, vars_to_warm_start=chosen
    )
    with tf.Graph().as_default(), v1.Session() as session:
        made = variables(target)
        error = None
        earlier = None if names is None else {here: there for there, here in names.items()}
        try:
            v1.train.warm_start(source, chosen, var_name_to_prev_var_name=earlier)
            session.run(v1.global_variables_initializer())
        except (ValueError, tf.errors.OpError) as raised:
            error = type(raised).__name__
        assert (forecast.raises[0].type if forecast.raises else None) == error
        if not error:
            zeros = {name: np.zeros(*spec) for name, spec in GRAPHS[target].items()}
            check(session.run(made), foretold(forecast, read(source)), zeros)
            check_code(forecast, source, session, made)


@pytest.mark.parametrize(("saved", "target"), NAMES_PAIRS)
def test_a_file_of_names_into_a_program_of_objects(saved: str, target: str, tmp_path: Path) -> None:
    source = write(saved, str(tmp_path / "a"))
    root = tf.train.Checkpoint()
    for at, (full, value) in enumerate(numbers(target).items()):
        setattr(root, f"v{at}", tf.Variable(value + 1, name=full))
    before = root.save(str(tmp_path / "before"))
    forecast = ckread.compat(source, before)
    error = passes = None
    try:
        status = root.restore(source)
        try:
            status.assert_consumed()
            passes = True
        except AssertionError:
            passes = False
    except (ValueError, tf.errors.OpError) as raised:
        error = type(raised).__name__
    assert (forecast.raises[0].type if forecast.raises else None) == error
    assert forecast.asserts.assert_consumed == passes
    expected = foretold(forecast, read(source))
    if error:
        graph = ckread.open(before).evidence.graph
        assert graph is not None
        order = [graph.variables[node] for node in graph.walk() if node in graph.variables]
        kept = [key for key in order if key in expected][: forecast.assigned_before]
        expected = {key: expected[key] for key in kept}
    after, unchanged = read(root.write(str(tmp_path / "after"))), read(before)
    after.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
    check(after, expected, unchanged)
