"""The Python that a forecast writes, run against live programs: it brings what it promises."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

import ckread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckread.analysis.compat.records import RestoreForecast

pytestmark = [pytest.mark.oracle, pytest.mark.slow]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    programs = pytest.importorskip("tests.analysis.compat.programs")
    live = pytest.importorskip("tests.analysis.compat.test_live")

tf = programs.tf


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def namespace(program: Any) -> dict[str, Any]:
    """Give what the code finds: the parts of the program by their names."""
    parts = dict(program._kwargs)
    root = parts.pop("root", None)
    whole = {"checkpoint": program, "root": program if root is None else root}
    if root is not None:
        whole["model"] = root
    return {**parts, **whole}


def run(forecast: RestoreForecast, names: dict[str, Any]) -> Any:
    code = "\n".join(forecast.python)
    exec(compile(code, "<forecast>", "exec"), names)
    return names["checkpoint"]


@pytest.mark.parametrize(("saved", "target"), programs.PAIRS)
def test_the_code_brings_what_it_says(saved: str, target: str, tmp_path: Path) -> None:
    source = programs.make(saved).save(str(tmp_path / "a"))
    program = programs.make(target)
    before = program.save(str(tmp_path / "b"))
    forecast = ckread.compat(source, before)
    assert forecast.python
    run(forecast, namespace(program))
    after = live.tensors(program.write(str(tmp_path / "after")))
    there = live.tensors(source)
    promised = [(a, b) for a, b in forecast.renames if a.key is not None and b.key is not None]
    is_root = any(line.startswith("checkpoint") for line in forecast.python)
    if is_root:
        n = sum(live.bits(after[b.key]) == live.bits(there[a.key]) for a, b in promised)
        promises = max((cure.brings for cure in forecast.cures), default=len(forecast.values))
        made = sum(one.target.key is None for one in forecast.values)
        assert n + made >= min(promises, len(promised))
        return
    by_model = "model.weights}" in "\n".join(forecast.python)
    for a, b in promised:
        if b.name != "save_counter" and (not by_model or b.role in ("weight", "statistic")):
            assert live.bits(after[b.key]) == live.bits(there[a.key]), b.name
