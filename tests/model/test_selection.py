"""PATTERN and natural order, each rule with its counter-example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckread
from ckread.errors import UsageError, VariableNotFoundError
from ckread.model.display import is_spelled, safe_text, safe_word
from ckread.model.selection import Regex, compile_pattern, find_variable, natural_key, select
from tests.analysis.array_checkpoint import checkpoint
from tests.places import FIXTURES


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("conv", "a/conv1/kernel", True),
        ("conv", "a/Conv1/kernel", False),
        ("", "anything", True),
        ("*", "kernel", True),
        ("*", "conv/kernel", False),
        ("conv*/kernel", "conv1/kernel", True),
        ("conv*/kernel", "conv1/x/kernel", False),
        ("conv*", "conv1/kernel", False),
        ("conv1/**", "conv1/kernel", True),
        ("conv1/**", "conv1/a/b", True),
        ("conv1/**", "conv11/kernel", False),
        ("**/kernel", "kernel", True),
        ("**/kernel", "a/b/kernel", True),
        ("**/kernel", "a/mykernel", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("layer_?/w", "layer_1/w", True),
        ("layer_?/w", "layer_10/w", False),
        ("a?b", "a/b", False),
        ("x[0]", "ax[0]", True),
        ("x[0]*", "x[0]y", True),
        ("x[0]*", "x0y", False),
        ("a.b*", "axb", False),
        ("line*", "line\nbreak", True),
        ("w?", "w\udc80", True),
        (r"a\x20b", "a b", True),
        (r"a\x20b", r"a\x20b", True),
        (r"a\x20b", "a_b", False),
        (r"a b\x1b", "a b\x1b", True),
        (r"right\u202e*", "right\u202eleft", True),
        (r"new\nl", "a new\nline", True),
        (r"\x80", "w\udc80", True),
        (r"back\slash", r"back\slash", True),
    ],
)
def test_patterns(pattern: str, name: str, is_match: bool) -> None:
    assert compile_pattern(pattern)(name) is is_match


def test_a_raw_key_matches_too() -> None:
    with ckread.open(FIXTURES / "digits_run" / "ckpt-10") as opened:
        [kernel] = select(opened.values(), "optimizer/_trainable_variables/0/**")
    assert kernel.name == "conv1/kernel"


@given(st.text())
def test_every_name_is_found_by_what_is_shown_of_it(name: str) -> None:
    wildcards = any(character in name for character in "*?")
    for shown in (safe_text(name), safe_word(name)) if name and not wildcards else ():
        assert compile_pattern(shown)(name)
        assert shown == name or is_spelled(name, shown)


@given(st.text(st.characters(exclude_characters="*?")))
def test_without_wildcards_a_pattern_is_a_part_of_the_name(text: str) -> None:
    assert compile_pattern(text)(f"before{text}after")


def test_selection_keeps_the_order_and_takes_each_once() -> None:
    ck = checkpoint({name: np.zeros(1) for name in ("b/w", "a/w", "a/v")})
    assert [v.name for v in select(ck.values(), [])] == ["b/w", "a/w", "a/v"]
    assert [v.name for v in select(ck.values(), ["w", "a/*"])] == ["b/w", "a/w", "a/v"]
    assert [v.name for v in select(ck.values(), ["*/v"])] == ["a/v"]


def test_a_pattern_that_means_nothing_names_what_is_near() -> None:
    ck = checkpoint({name: np.zeros(1) for name in ("dense/kernel", "dense/bias")})
    with pytest.raises(VariableNotFoundError) as caught:
        select(ck.values(), ["kernel", "kernal"])
    assert str(caught.value) == "no variable matches kernal"
    assert caught.value.remedy == "Nearest names:\n  kernel\n  dense/kernel"
    with pytest.raises(VariableNotFoundError) as caught:
        select(ck.values(), ["zzzzzz"])
    assert caught.value.remedy == "No name is near it; list(checkpoint) lists those there are."


def test_natural_order() -> None:
    names = ["a_1/x", "layer_10/w", "a/x", "layer_2/w", "layer_2/b", "layer", "layer_2", "a/x/y"]
    assert sorted(names, key=natural_key) == [
        "a/x", "a/x/y", "a_1/x", "layer", "layer_2", "layer_2/b", "layer_2/w", "layer_10/w",
    ]  # fmt: skip


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_order_as_numbers(one: int, two: int) -> None:
    assert (natural_key(f"x{one}y") < natural_key(f"x{two}y")) == (one < two)


NAMES = ("a/conv1/kernel", "a/conv1/bias", "a/dense/kernel", "b/{x,y}", "!odd")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["a/{conv1,dense}/kernel"], [0, 2]),
        (["{conv1,dense}/b"], [1]),
        (["{x,y}"], [3]),
        (["a/*"], [0, 1, 2]),
        (["*/conv?"], [0, 1]),
        (["!kernel"], [1, 3, 4]),
        (["a/**", "!a/conv*"], [2]),
        (["!a", "!b/**"], [4]),
        (["!odd"], [4]),
        (["!!odd"], [0, 1, 2, 3]),
        ([Regex(r"^a/\w+1/"), Regex("!s$")], [0]),
        ([Regex("!^a/")], [3, 4]),
    ],
)
def test_exclusions_braces_scopes_and_regular_expressions(
    patterns: list[str], found: list[int]
) -> None:
    ck = checkpoint({name: np.zeros(1) for name in NAMES})
    assert [v.name for v in select(ck.values(), patterns)] == [NAMES[i] for i in found]


@pytest.mark.parametrize("pattern", ["nothing", "!nothing", "c/*", Regex("^conv"), Regex("!x{3}")])
def test_what_matches_nothing_is_an_error(pattern: str) -> None:
    ck = checkpoint({name: np.zeros(1) for name in NAMES})
    with pytest.raises(VariableNotFoundError, match="no variable matches"):
        select(ck.values(), ["a", pattern])


@pytest.mark.parametrize(
    "pattern", [Regex("("), "{" + ",".join("abcdefghijkl") + "}" * 1 + "{a,b}" * 9]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(UsageError):
        select(checkpoint({"a": np.zeros(1)}).values(), pattern)


def test_another_case_is_told() -> None:
    ck = checkpoint({name: np.zeros(1) for name in NAMES})
    for pattern, meant in (("CONV1", "conv1"), ("A/Conv1/**", "a/conv1/**"), ("!KERNEL", "kernel")):
        with pytest.raises(VariableNotFoundError) as caught:
            select(ck.values(), pattern)
        assert caught.value.remedy == f"Did you mean {meant}? Upper and lower case count."
    with pytest.raises(VariableNotFoundError) as caught:
        ck["a/CONV1/kernel"]
    assert caught.value.remedy == "Did you mean a/conv1/kernel? Upper and lower case count."


def test_keys_are_tried_where_no_name_matches() -> None:
    with ckread.open(FIXTURES / "digits_run" / "ckpt-10") as opened:
        slots = select(opened.values(), "optimizer/**")
        assert "conv1/kernel" not in {variable.name for variable in slots}
        found = find_variable(opened.values(), "conv1/kernel")
        assert found is not None
        assert found.name == "conv1/kernel"
        assert find_variable(opened.values(), "kernel") is None, "four weights"
        assert find_variable(opened.values(), "kernel/momentum") is None
        momentum = find_variable(opened.values(), "conv1/kernel/momentum")
        assert momentum is not None
        assert momentum.name == "optimizer/conv1/kernel/momentum"
