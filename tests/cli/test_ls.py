"""`ls`: what is listed, in what order, under which names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import ckread as package
from ckread.cli.arguments import bind_words
from ckread.errors import UsageError
from tests.places import FIXTURES

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

TEN = str(FIXTURES / "digits_run" / "ckpt-10")


def names(ckread: Terminal, *options: str) -> list[str]:
    result = ckread("ls", TEN, "-q", *options)
    assert result.code == 0
    return result.out.splitlines()


def test_parameters_come_first_in_natural_order(ckread: Terminal) -> None:
    listed = names(ckread)
    assert len(listed) == 43
    assert listed[:3] == ["conv1/bias", "conv1/kernel", "conv2/bias"]
    assert listed[15] == "norm2/moving_variance"
    assert listed[16] == "optimizer/conv1/bias/momentum"
    assert listed[-1] == "save_counter"


def test_sorting(ckread: Terminal) -> None:
    assert names(ckread, "--sort", "bytes", "--top", "2") == [
        "hidden/kernel",
        "optimizer/hidden/kernel/momentum",
    ]
    assert names(ckread, "--sort", "elements", "--top", "1") == ["hidden/kernel"]
    with package.open(TEN) as checkpoint:
        assert names(ckread, "--sort", "file", "--all") == list(checkpoint)


def test_choosing(ckread: Terminal) -> None:
    assert names(ckread, "--role", "statistic") == [
        f"norm{i}/moving_{what}" for i in (1, 2) for what in ("mean", "variance")
    ]
    assert names(ckread, "--role", "counter,hyperparameter") == names(
        ckread, "--role", "counter", "--role", "hyperparameter"
    )
    assert names(ckread, "--owner", "conv1/*", "momentum") == [
        "optimizer/conv1/bias/momentum",
        "optimizer/conv1/kernel/momentum",
    ]
    assert len(names(ckread, "--role", "all")) == len(names(ckread, "--all")) == 44
    assert names(ckread, "--role", "table") == []
    assert names(ckread, "-p", "conv1/", "-p", "conv2/k") == names(ckread, "conv1/", "conv2/k")


def test_keys(ckread: Terminal) -> None:
    keys = names(ckread, "--keys", "conv1/kernel")
    assert keys[0] == "optimizer/_trainable_variables/0/.ATTRIBUTES/VARIABLE_VALUE"
    assert ckread("ls", TEN, "--keys").out.startswith("# key ")


def test_json_holds_all_and_names_are_whole(ckread: Terminal) -> None:
    document = json.loads(ckread("ls", TEN, "--json").out)
    assert len(document["variables"]) == 44
    with package.open(TEN) as checkpoint:
        by_name = {v.name: v.to_dict() for v in checkpoint.values()}
    assert {v["name"]: v for v in document["variables"]} == json.loads(json.dumps(by_name))


def test_the_last_line_counts(ckread: Terminal) -> None:
    def last(*words: str) -> str:
        return ckread("ls", TEN, *words, width=80).screen.splitlines()[-1]

    assert last() == "43 variables, 450 KiB; 1 bookkeeping entry left out (--all)"
    assert last("conv1/kernel") == "3 of 43 variables, 1.69 KiB of 450 KiB"
    assert last("--role", "table") == "0 of 43 variables, 0 B of 450 KiB"


@pytest.mark.parametrize(
    ("usage", "words", "bound"),
    [
        ("PATH", ["a"], {"path": "a"}),
        ("PATH [PATTERN…]", ["a"], {"path": "a", "patterns": []}),
        ("PATH [PATTERN…]", ["a", "b", "c"], {"path": "a", "patterns": ["b", "c"]}),
        ("PATH NAME[SLICE]", ["a", "b"], {"path": "a", "name": "b"}),
        ("RUN PATTERN…", ["a", "b"], {"run": "a", "patterns": ["b"]}),
        ("PATH [PATTERN…] -o FILE", ["a"], {"path": "a", "patterns": []}),
        ("A B [PATTERN…]", ["a", "b"], {"a": "a", "b": "b", "patterns": []}),
    ],
)
def test_words_are_bound_as_usage_says(
    usage: str, words: list[str], bound: dict[str, object]
) -> None:
    assert bind_words(usage, words, "x") == bound


@pytest.mark.parametrize(
    ("usage", "words", "message"),
    [
        ("PATH", [], "x: PATH is missing"),
        ("A B [PATTERN…]", ["a"], "x: B is missing"),
        ("RUN PATTERN…", ["a"], "x: PATTERN is missing"),
        ("PATH NAME[SLICE]", [TEN, "b", "c"], "x: c: one argument too many"),
    ],
)
def test_words_that_do_not_fit(usage: str, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        bind_words(usage, words, "x")
    assert str(caught.value) == message
    assert caught.value.remedy == f"Usage: ckread x {usage}"
