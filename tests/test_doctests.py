"""Every public name has an example that does what it shows; docs/api.md is made of them."""

from __future__ import annotations

import ast
import doctest
import enum
import importlib.util
import inspect
import os
import re
import types
from typing import Any

import pytest

import ckread
from ckread import errors
from tests.places import ROOT

NAMES = [name for name in ckread.__all__ if name != "__version__"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
each = pytest.mark.parametrize("name", NAMES)


def api_maker() -> Any:
    """Import docs/make_api.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PUBLIC: dict[str, Any] = {
    **{name: getattr(ckread, name) for name in NAMES},
    **{f"errors.{name}": getattr(errors, name) for name in errors.__all__},
    **{
        name: getattr(importlib.import_module(module), name)
        for module, names in api_maker().RECORDS
        for name in names
    },
}
"""What the page of the API lists: public names, errors, and what answers are made of."""


def examples(name: str, public: Any) -> list[doctest.DocTest]:
    """Give the examples of a public object and of its methods."""
    found = doctest.DocTestFinder().find(public, name, globs={"ckread": ckread})
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_a_public_name_are_true(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(ROOT)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    tests = examples(name, PUBLIC[name])
    assert ">>>" in (PUBLIC[name].__doc__ or ""), f"{name} has no example"
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


def members_of(kind: Any) -> set[str]:
    """Give what a class has for its users: fields, properties and methods."""
    fields = getattr(kind, "_fields", ())
    found = {*getattr(kind, "__dataclass_fields__", ())}
    found |= set(fields) if isinstance(fields, tuple) else set()
    shown = (property, staticmethod, classmethod, types.FunctionType)
    found |= {name for name, member in vars(kind).items() if isinstance(member, shown)}
    return {name for name in found if not name.startswith("_")}


def test_every_member_of_a_public_class_is_in_an_example() -> None:
    """A member of the same name elsewhere counts too: what `path` is need not be shown twice."""
    used = {
        node.attr
        for name, public in PUBLIC.items()
        for test in examples(name, public)
        for example in test.examples
        for node in ast.walk(ast.parse(example.source))
        if isinstance(node, ast.Attribute)
    }
    missing = {
        name: sorted(members_of(public) - used)
        for name, public in PUBLIC.items()
        if inspect.isclass(public) and not issubclass(public, enum.Enum)
    }
    untold = {name: members for name, members in missing.items() if members}
    assert not untold, f"show these in the Example of their class: {untold}"


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
