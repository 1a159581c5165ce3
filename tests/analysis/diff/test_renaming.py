"""Renaming rules as a person writes them, as they are found, and as a file keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.diff.renaming import infer_rules, parse_rule, rename_all
from ckread.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("s/dense/hidden/", "dense/kernel", "hidden/kernel"),
        ("s|^RGB/inception_i3d/||", "RGB/inception_i3d/Logits/w", "Logits/w"),
        (r"s#layer(\d+)#block_\1#", "net/layer3/w", "net/block_3/w"),
        ("s/a/b/", "a/a", "b/a"),
        ("s/a/b/g", "a/a", "b/b"),
        (r"s/x\/y/z/", "x/y/w", "z/w"),
        ("s,none,some,", "other", "other"),
    ],
)
def test_a_rule_is_a_substitution(text: str, name: str, expected: str) -> None:
    assert parse_rule(text).apply(name) == expected


REMEDY = "Give s/old/new/ with a regular expression for old, or s|old|new| for names with /."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense=hidden", "rename dense=hidden: not of the form s/old/new/"),
        ("", "rename : not of the form s/old/new/"),
        ("sabcbd", "rename sabcbd: not of the form s/old/new/"),
        ("s/a/b", "rename s/a/b: 2 times the delimiter /, expected 3"),
        ("s/a/b/c/d", "rename s/a/b/c/d: 4 times the delimiter /, expected 3"),
        ("s/a/b/i", "rename s/a/b/i: flag i, expected g or none"),
        (
            "s/(/b/",
            "rename s/(/b/: not a regular expression,"
            " missing ), unterminated subpattern at position 0",
        ),
        (
            r"s/a/\1/",
            r"rename s/a/\1/: not a regular expression,"
            " invalid group reference 1 at position 1",
        ),
    ],
)
def test_what_is_no_rule_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text)
    assert str(caught.value) == message
    assert caught.value.remedy == REMEDY


def test_rules_apply_one_after_the_other() -> None:
    rules = [parse_rule("s/a/b/"), parse_rule("s/b/c/")]
    assert rename_all(["a/x", "d"], rules) == {"a/x": "c/x"}


def test_two_names_must_not_become_one() -> None:
    with pytest.raises(UsageError) as caught:
        rename_all(["a/w", "b/w"], [parse_rule("s/[ab]/c/")])
    assert str(caught.value) == "rename: a/w and b/w both become c/w"


@pytest.mark.parametrize(
    ("renames", "unchanged", "expected"),
    [
        ([("RGB/i3d/a/w", "a/w"), ("RGB/i3d/b/w", "b/w")], [], ["s|^RGB/i3d/||"]),
        ([("a/w", "net/a/w"), ("b/w", "net/b/w")], [], ["s|^|net/|"]),
        ([("n/block/w", "n/stage/w"), ("n/block/b", "n/stage/b")], [], ["s|/block/|/stage/|"]),
        ([("a/w", "a/kernel"), ("b/w", "b/kernel")], ["c/bias"], ["s|/w$|/kernel|"]),
        ([("a/w", "x/w"), ("b/w", "y/w")], [], []),
        ([("net/a", "a"), ("net/b", "b")], ["net/c"], []),
        ([("a/w", "b/w")], [], []),
    ],
)
def test_rules_are_found_in_pairs(
    renames: list[tuple[str, str]], unchanged: list[str], expected: list[str]
) -> None:
    rules = infer_rules(renames, unchanged)
    assert [str(rule) for rule in rules] == expected


names = st.lists(st.sampled_from(["a", "b", "c", "x.y", "w+1", "\\d"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(names, names), min_size=2, max_size=6))
def test_found_rules_do_what_their_text_says_and_contradict_nothing(
    renames: list[tuple[list[str], list[str]]],
) -> None:
    pairs = [("/".join(old), "/".join(new)) for old, new in renames]
    for rule in infer_rules(pairs):
        again = parse_rule(str(rule))
        for old, new in pairs:
            assert rule.apply(old) in (old, new)
            assert again.apply(old) == rule.apply(old)
