"""Every public name has an example that does what it shows; docs/api.md is made of them."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import os
import re
from typing import Any

import pytest

import ckread
from tests.places import ROOT

NAMES = [name for name in ckread.__all__ if name != "__version__"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
each = pytest.mark.parametrize("name", NAMES)


def examples(name: str) -> list[doctest.DocTest]:
    """Give the examples of a public object and of its methods."""
    found = doctest.DocTestFinder().find(getattr(ckread, name), name, globs={"ckread": ckread})
    return [test for test in found if test.examples]


@each
def test_the_examples_of_a_public_name_are_true(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(ROOT)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    tests = examples(name)
    assert tests, f"ckread.{name} has no example"
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


def test_an_untrue_example_is_found() -> None:
    test = doctest.DocTestParser().get_doctest(
        ">>> ckread.__version__\n'0'", {"ckread": ckread}, "x", None, None
    )
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    runner.run(test, out=said.append)
    assert runner.failures == 1


@each
def test_every_argument_is_described(name: str) -> None:
    """An argument that a docstring leaves out is one that a user has to guess."""
    public = getattr(ckread, name)
    if inspect.isclass(public):
        return
    parameters = list(inspect.signature(public).parameters)
    text = inspect.getdoc(public) or ""
    for parameter in parameters:
        assert re.search(rf"^    {parameter}: ", text, re.MULTILINE), parameter
    assert "Raises:\n" in text


def public_methods(public: Any) -> list[Any]:
    members = inspect.getmembers(public, inspect.isfunction)
    ours = [member for _, member in members if member.__module__.startswith("ckread.")]
    return [member for member in ours if not member.__name__.startswith("_")]


@each
def test_everything_public_is_documented_and_typed(name: str) -> None:
    public = getattr(ckread, name)
    assert inspect.getdoc(public)
    for member in [public] if not inspect.isclass(public) else public_methods(public):
        assert inspect.getdoc(member), member
        assert inspect.signature(member).return_annotation is not inspect.Signature.empty, member


def api_maker() -> Any:
    """Import docs/make_api.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_is_what_the_docstrings_say() -> None:
    """`pytest --update-goldens` or `python docs/make_api.py` writes it anew."""
    maker = api_maker()
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        maker.PAGE.write_text(maker.page(), encoding="utf-8")
    assert maker.PAGE.read_text(encoding="utf-8") == maker.page()


def test_the_api_page_has_every_public_name_once() -> None:
    listed = [name for names in api_maker().CHAPTERS.values() for name in names]
    assert sorted(listed) == sorted(NAMES)


def test_the_example_at_the_head_of_the_api_page_is_true(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    fenced = re.search(r"```pycon\n(.*?)```", api_maker().INTRODUCTION, re.DOTALL)
    assert fenced is not None
    test = doctest.DocTestParser().get_doctest(fenced[1], {}, "api.md", None, None)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out
