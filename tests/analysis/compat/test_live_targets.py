"""`compat` and `diff` against the objects of a running program: as against what it saves."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    programs = pytest.importorskip("tests.analysis.compat.programs")

tf = programs.tf


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(
    ("saved", "target"),
    [
        ("plain", "extra"), ("adam", "adam"), ("adam", "momentum"), ("adam", "adam_net"),
        ("old_adam", "old_adam"), ("old_adam", "new_adam"), ("v1_adam", "v1_adam"),
        ("module_shared", "module"), ("stack", "stack_deep"), ("sub", "sub_unbuilt"),
        ("root", "root"), ("in_list", "in_dict"), ("float32", "float64"),
    ],
)  # fmt: skip
def test_a_live_program_is_as_what_it_saves(saved: str, target: str, tmp_path: Path) -> None:
    source = programs.make(saved).save(str(tmp_path / "a"))
    program = programs.make(target)
    written = program.save(str(tmp_path / "b"))
    from_file = ckread.compat(source, written)
    found = ckread.compat(source, program)
    assert found.target == "live Checkpoint"
    same = replace(from_file, target=found.target, cures=found.cures)
    assert found == same
    assert len(found.cures) == len(from_file.cures)
    assert "the live Checkpoint." in str(found) or found.complete


def test_nothing_of_the_program_is_changed(tmp_path: Path) -> None:
    source = programs.make("adam").save(str(tmp_path / "a"))
    program = programs.make("momentum")
    before = ckread.open(program.write(str(tmp_path / "before")))
    names = {name for name, _ in vars(program).items()}
    ckread.compat(source, program)
    ckread.diff(source, program)
    assert {name for name, _ in vars(program).items()} == names
    assert ckread.diff(before, program.write(str(tmp_path / "after"))).identical


@pytest.mark.parametrize("target", ["plain", "module", "stack"])
def test_models_modules_and_dicts(target: str, tmp_path: Path) -> None:
    program = programs.make(target)
    parts = dict(program._kwargs)
    source = program.save(str(tmp_path / "a"))
    if "root" in parts:
        found = ckread.compat(source, parts["root"])
        assert found.counts["kept"] == 0
    else:
        assert ckread.compat(source, parts).complete
        [model] = parts.values()
        alone = tf.train.Checkpoint(model).save(str(tmp_path / "alone"))
        assert ckread.compat(alone, model).complete


def test_values_of_a_live_program_are_compared(tmp_path: Path) -> None:
    program = programs.make("plain")
    source = program.save(str(tmp_path / "a"))
    assert ckread.diff(source, program).identical
    [kernel] = [one for one in program.model.weights if one.path == "a/kernel"]
    kernel.assign(kernel.value + 1)
    found = ckread.diff(source, program)
    assert [one.name for one in found.variables if one.status == "changed"] == ["a/kernel"]
    assert found["a/kernel"].metrics is not None
    assert found["a/kernel"].metrics.max_abs == pytest.approx(1)


@pytest.mark.parametrize("target", [3, None, [1]])
def test_what_tensorflow_does_not_track_is_refused(target: Any, tmp_path: Path) -> None:
    source = programs.make("float32").save(str(tmp_path / "a"))
    with pytest.raises((TypeError, UsageError)):
        ckread.compat(source, target)
    with pytest.raises(UsageError, match="cannot track"):
        ckread.compat(source, {"a": object()})
