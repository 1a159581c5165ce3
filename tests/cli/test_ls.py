"""`ls`: what is listed, in what order, under which names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import ckread as package
from ckread.cli.arguments import Parser, add_common
from ckread.cli.commands import Command, Group, Positional
from ckread.errors import UsageError, VariableNotFoundError
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.terminal import Terminal

TEN = str(FIXTURES / "digits_run" / "ckpt-10")


def names(ckread: Terminal, *options: str, path: str = TEN) -> list[str]:
    result = ckread("ls", path, "-q", *options)
    assert result.code == 0
    return result.out.splitlines()


def test_parameters_come_first_in_the_order_of_the_model_where_it_is_told(ckread: Terminal) -> None:
    listed = names(ckread)
    assert len(listed) == 43
    assert listed[:3] == ["conv1/kernel", "conv1/bias", "norm1/gamma"]
    assert listed[15] == "logits/bias"
    assert listed[16] == "optimizer/iterations"
    assert listed[-1] == "save_counter"
    for path in ("digits.keras", "digits.h5", "digits_weights_only.h5"):
        assert names(ckread, path=str(FIXTURES / "digits_files" / path)) == listed[:16]
    listed = names(ckread, "--sort", "name")
    assert listed[:3] == ["conv1/bias", "conv1/kernel", "conv2/bias"]
    assert listed[15] == "norm2/moving_variance"
    assert listed[16] == "optimizer/conv1/bias/momentum"
    crafted = str(FIXTURES / "crafted" / "snappy")  # its order is not told
    assert names(ckread, path=crafted) == names(ckread, "--sort", "name", path=crafted)


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
        "optimizer/conv1/kernel/momentum",
        "optimizer/conv1/bias/momentum",
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


PATH, NAME = Positional("PATH"), Positional("NAME", tail="[SLICE]")
RUN, SOME, ANY = Positional("RUN"), Positional("PATTERN", "+"), Positional("PATTERN", "*")
A, B, LINE = Positional("A"), Positional("B"), Positional("LINE", "?")
SHELL = Positional("SHELL", choices=("bash", "zsh"))


def bound(positionals: tuple[Positional, ...], *words: str) -> dict[str, object]:
    """Give what a command with these positional arguments makes of words."""
    parser = Parser(Command("x", positionals, "", Group.SHELL))
    add_common(parser)
    given = vars(parser.parse(words))
    return {name: given[name] for name in given if name not in vars(parser.parse(["--help"]))}


@pytest.mark.parametrize(
    ("positionals", "usage", "words", "expected"),
    [
        ((PATH,), "PATH", ["a"], {"path": "a"}),
        ((PATH, ANY), "PATH [PATTERN…]", ["a"], {"path": "a", "patterns": []}),
        ((PATH, ANY), "PATH [PATTERN…]", "abc", {"path": "a", "patterns": ["b", "c"]}),
        ((PATH, ANY), "PATH [PATTERN…]", ["a", "-q", "b"], {"path": "a", "patterns": ["b"]}),
        ((PATH, ANY), "PATH [PATTERN…]", ["--", "-a", "-b"], {"path": "-a", "patterns": ["-b"]}),
        ((PATH, NAME), "PATH NAME[SLICE]", ["a", "b"], {"path": "a", "name": "b"}),
        ((RUN, SOME), "RUN PATTERN…", ["a", "b"], {"run": "a", "patterns": ["b"]}),
        ((A, B, ANY), "A B [PATTERN…]", ["a", "b"], {"a": "a", "b": "b", "patterns": []}),
        ((SHELL, LINE), "SHELL [LINE]", ["zsh"], {"shell": "zsh", "line": None}),
        ((SHELL, LINE), "SHELL [LINE]", ["zsh", "--", "-x"], {"shell": "zsh", "line": "-x"}),
    ],
)
def test_words_are_bound_to_the_positional_arguments(
    positionals: tuple[Positional, ...],
    usage: str,
    words: Sequence[str],
    expected: dict[str, object],
) -> None:
    assert bound(positionals, *words) == expected
    assert Command("x", positionals, "", Group.SHELL).usage == usage


@pytest.mark.parametrize(
    ("positionals", "words", "message"),
    [
        ((PATH,), [], "x: PATH is missing"),
        ((A, B, ANY), ["a"], "x: B is missing"),
        ((RUN, SOME), ["a"], "x: PATTERN is missing"),
        ((PATH, NAME), [TEN, "b", "c"], "x: c: one argument too many"),
        ((SHELL, LINE), ["bsh"], "SHELL: 'bsh', did you mean bash?"),
        ((PATH, NAME), ["a", "--", "--"], "the following arguments are required: NAME"),
    ],
)
def test_words_that_do_not_fit(
    positionals: tuple[Positional, ...], words: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bound(positionals, *words)
    assert str(caught.value) == message
    if message.startswith("x: "):
        usage = Command("x", positionals, "", Group.SHELL).usage
        assert caught.value.remedy == f"Usage: ckread x {usage}"


def test_where_the_bytes_lie(ckread: Terminal) -> None:
    lines = ckread("ls", TEN, "logits/bias", "--where", "--role", "weight").out.splitlines()
    head, row = (line.split() for line in lines)
    assert head[1:] == ["name", "dtype", "shape", "file", "offset", "bytes", "crc32c"]
    with open(f"{TEN}.data-00000-of-00001", "rb") as file:
        file.seek(int(row[4]))
        values = np.frombuffer(file.read(int(row[5])), "<f4")
    opened = package.open(TEN)["logits/bias"]
    assert values.tolist() == opened.numpy().tolist()
    assert row[-1] == f"{opened.crc32c:08x}"


def test_checksums_line_by_line_need_the_index_alone(ckread: Terminal, tmp_path: Path) -> None:
    whole = ckread("ls", TEN, "--crc")
    alone = tmp_path / "x.index"
    alone.write_bytes(Path(f"{TEN}.index").read_bytes())
    assert ckread("ls", str(alone), "--crc").out == whole.out
    assert len(whole.out.splitlines()) == 44
    crc, dtype, shape, key = whole.out.splitlines()[-1].split()
    assert (len(crc), dtype, shape) == (8, "int64", "-")
    assert key == "save_counter/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.mark.parametrize("command", ["show", "stats", "ls", "tree", "export", "filters"])
def test_a_name_is_missed_after_what_took_it(
    ckread: Terminal, tmp_path: Path, command: str
) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        (tmp_path / f"x{suffix}").write_bytes(Path(f"{TEN}{suffix}").read_bytes())
    shard = tmp_path / "x.data-00000-of-00001"
    options = ["-o", str(tmp_path / "x.npy")] if command == "export" else []
    words = [command, str(tmp_path / "x"), "conv1/kernel", *options]
    shard.write_bytes(shard.read_bytes()[:99])
    found = " ".join(ckread(*words).err.split())
    assert re.search(r"x.data\S+ ends at byte 99.* Variables go by their keys here: no var", found)
    shard.unlink()
    found = " ".join(ckread(*words).err.split())
    assert "x.data-00000-of-00001 is missing. Variables go by their keys here: no var" in found
    with pytest.raises(VariableNotFoundError, match="Variables go by their keys"):
        package.open(str(tmp_path / "x"))["conv1/kernel"]


@pytest.mark.parametrize(
    ("width", "shown"),
    [(80, "kernel 3×3×1×16, bias 16"), (60, "kernel, bias"), (60, "gamma, beta, 2 more")],
)
def test_layers_name_their_weights_where_shapes_have_no_room(
    ckread: Terminal, width: int, shown: str
) -> None:
    result = ckread("layers", str(FIXTURES / "digits_files" / "digits.h5"), width=width)
    assert shown in result.out
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", result.out).splitlines())) <= width
