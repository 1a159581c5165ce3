"""The `checkpoint` state file, with protobuf's own text parser as the oracle."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckread.errors import CheckpointError, CheckpointNotFoundError, CorruptCheckpointError
from ckread.readers.state import MAX_STATE_NBYTES, CheckpointState, parse_state, read_state

if TYPE_CHECKING:
    from pathlib import Path

LATEST = "model_checkpoint_path"
ALL = "all_model_checkpoint_paths"
TIMES = "all_model_checkpoint_timestamps"
PRESERVED = "last_preserved_timestamp"


def test_what_checkpoint_manager_writes() -> None:
    text = (
        b'model_checkpoint_path: "ckpt-10"\n'
        b'all_model_checkpoint_paths: "ckpt-9"\n'
        b'all_model_checkpoint_paths: "ckpt-10"\n'
        b"all_model_checkpoint_timestamps: 1763676000.25\n"
        b"all_model_checkpoint_timestamps: 1763676060.5\n"
        b"last_preserved_timestamp: 1763675999.125\n"
    )
    assert parse_state(text) == CheckpointState(
        "ckpt-10", ("ckpt-9", "ckpt-10"), (1763676000.25, 1763676060.5), 1763675999.125
    )


@pytest.mark.parametrize(
    ("literal", "path"),
    [
        (rb'"a\"b\'c\\d\n"', "a\"b'c\\d\n"),
        (rb"'single \"quotes\"'", 'single "quotes"'),
        (rb'"\303\251"', "é"),
        (rb'"\xc3\xA9 \XC3\XA9"', "é é"),
        (rb'"\u00e9\U0001F600"', "é😀"),
        ("'é'".encode(), "é"),
        (rb'"\0a\7"', "\0a\a"),
        (rb'"\1234"', "S4"),
        (b"\"one\" # and\n 'two'", "onetwo"),
        (rb'"\377"', "\udcff"),
        (b'"\xff"', "\udcff"),
        (rb'"C:\Users\me\runs\ckpt-1"', "C:\\Users\\me\runs\\ckpt-1"),
        (rb'"C:\\runs\\ckpt-1"', "C:\\runs\\ckpt-1"),
        (rb'"\ud800 \Uffffffff"', "\\ud800 \\Uffffffff"),
        (b'""', ""),
    ],
)
def test_string_literals(literal: bytes, path: str) -> None:
    assert parse_state(b"model_checkpoint_path:" + literal).model_checkpoint_path == path


def test_a_path_that_is_not_utf8_names_its_file_again() -> None:
    path = parse_state(b'model_checkpoint_path: "run-\xff/ckpt-1"').model_checkpoint_path
    assert os.fsencode(path) == b"run-\xff/ckpt-1"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# nothing but a comment",
        b"\xef\xbb\xbf\r\n",
        b"later_field: 3 another: 'x' 'y', third: -inf; fourth: ENUM",
        b'message { a: 1 b < c: "}" > [1, 2] } other: { }',
        b"[package.extension] { x: 1 }",
        b"list: [1, {a: 2}, <b: 3>]",
    ],
)
def test_unknown_fields_and_comments_are_skipped(text: bytes) -> None:
    assert parse_state(text) == CheckpointState()
    assert parse_state(text + b"\nmodel_checkpoint_path: 'x'").model_checkpoint_path == "x"


def test_lists_and_separators() -> None:
    text = b'all_model_checkpoint_paths: ["a", "b" "c"]; all_model_checkpoint_paths: "d",'
    text += b"all_model_checkpoint_timestamps: [1, -2.5e1, .5f, 3., inf, - 4] " + ALL.encode()
    assert parse_state(text + b": []") == CheckpointState(
        "", ("a", "bc", "d"), (1.0, -25.0, 0.5, 3.0, float("inf"), -4.0)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\n\x00\xff", "line 2: '\\x00', expected the name of a field"),
        (b"\xff{{{", "line 1: '\\\\xff', expected the name of a field"),
        (b"model_checkpoint_path", "line 1: the end of the text, expected ':' after " + LATEST),
        (b"model_checkpoint_path 'x'", "line 1: \"'x'\", expected ':' after " + LATEST),
        (b"model_checkpoint_path: 3", "line 1: '3', expected a string in quotes"),
        (b"model_checkpoint_path: 'x", 'line 1: "\'", expected a string in quotes'),
        (b"model_checkpoint_path: 'x\ny'", 'line 1: "\'", expected a string in quotes'),
        (b"model_checkpoint_path:'x'\n" * 2, f"line 2: '{LATEST}', expected it only once"),
        (b"last_preserved_timestamp: 0x10", "line 1: '0x10', expected a number"),
        (b"last_preserved_timestamp: 'x'", "line 1: \"'x'\", expected a number"),
        (b"all_model_checkpoint_paths: ['a' 3", "line 1: '3', expected ',' or ']' in a list"),
        (b"other { a: [ }", "line 1: '}', expected the bracket that closes the last one opened"),
        (b"other {{", "line 1: the end of the text, expected '}'"),
        (b"other: ]", "line 1: ']', expected a value"),
        (b"}", "line 1: '}', expected the name of a field"),
    ],
)
def test_what_is_not_text_format_is_told_by_line(text: bytes, message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        parse_state(text, "run/checkpoint")
    assert str(caught.value) == f"run/checkpoint: {message}"
    assert caught.value.path == "run/checkpoint"


def test_nesting_is_not_bounded_by_the_stack() -> None:
    deep = 100_000
    assert parse_state(b"x" + b"{a" * deep + b":1" + b"}" * deep) == CheckpointState()


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(b"#" * MAX_STATE_NBYTES)
    assert read_state(str(path)) == CheckpointState()
    path.write_bytes(b"#" * (MAX_STATE_NBYTES + 1))
    with pytest.raises(CorruptCheckpointError) as caught:
        read_state(str(path))
    assert str(caught.value) == f"{path}: more than 1,048,576 bytes, expected a short text"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError) as absent:
        read_state(str(tmp_path / "checkpoint"))
    assert str(absent.value) == f"{tmp_path}/checkpoint: no such file"
    with pytest.raises(CheckpointError) as directory:
        read_state(str(tmp_path))
    assert str(directory.value) == f"{tmp_path}: a directory, expected a regular file"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError) as pipe:
        read_state(str(tmp_path / "pipe"))
    assert str(pipe.value) == f"{tmp_path}/pipe: a named pipe, expected a regular file"


@given(
    st.binary(max_size=60) | st.text("model_checkpoint_path:'\"\\x0{}[]<>#\n -1.e").map(str.encode)
)
def test_any_bytes_give_a_state_or_an_error(text: bytes) -> None:
    with contextlib.suppress(CorruptCheckpointError):
        assert isinstance(parse_state(text), CheckpointState)


paths = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.floats(allow_nan=False)


@st.composite
def literals(draw: st.DrawFn, text: str) -> str:
    """Write a string as one or more literals, each character in one of its spellings."""
    pieces = []
    quote = draw(st.sampled_from("\"'"))
    for character in text:
        spelt = [f"\\{byte:03o}" for byte in character.encode()]
        hexadecimal = [f"\\x{byte:02x}" for byte in character.encode()]
        plain = {"\n": "\\n", "\\": "\\\\", quote: f"\\{quote}", "\0": "\\000"}
        forms = ["".join(spelt), "".join(hexadecimal), plain.get(character, character)]
        pieces.append(draw(st.sampled_from(forms)))
        if draw(st.integers(0, 9)) == 0:
            pieces.append(f'{quote} # it\'s "cut"\n{quote}')
    return quote + "".join(pieces) + quote


@st.composite
def state_texts(draw: st.DrawFn) -> str:
    """Write the fields of a state in any order, with separators and unknown fields."""
    lines = [f"{ALL}: {draw(literals(path))}" for path in draw(st.lists(paths, max_size=3))]
    lines += [f"{TIMES}:{time!r}" for time in draw(st.lists(times, max_size=3))]
    if draw(st.booleans()):
        lines.append(f"{LATEST} : {draw(literals(draw(paths)))}")
    if draw(st.booleans()):
        lines.append(f"{PRESERVED}: {draw(times)!r}")
    lines += draw(st.lists(st.sampled_from(["x: 1", "y { z: 'a' }", "# note", "m < n: 2.5 >"])))
    return draw(st.sampled_from(["\n", " \r\n", "\n\n\t"])).join(draw(st.permutations(lines)))


@pytest.mark.oracle
@given(state_texts())
@example("model_checkpoint_path: \"\\303\\251\" '\\n'")
def test_protobuf_reads_the_same(text: str) -> None:
    text_format: Any = pytest.importorskip("google.protobuf.text_format")
    messages: Any = pytest.importorskip("tensorflow.python.training.checkpoint_state_pb2")
    message = messages.CheckpointState()
    text_format.Parse(text.encode(), message, allow_unknown_field=True)
    state = parse_state(text.encode())
    assert state.model_checkpoint_path == message.model_checkpoint_path
    assert state.all_model_checkpoint_paths == tuple(message.all_model_checkpoint_paths)
    assert state.all_model_checkpoint_timestamps == tuple(message.all_model_checkpoint_timestamps)
    assert (state.last_preserved_timestamp or 0.0) == message.last_preserved_timestamp


@pytest.mark.oracle
@given(st.lists(paths, max_size=3), paths, st.lists(times, max_size=3))
def test_what_protobuf_writes_is_read_back(kept: list[str], latest: str, when: list[float]) -> None:
    text_format: Any = pytest.importorskip("google.protobuf.text_format")
    messages: Any = pytest.importorskip("tensorflow.python.training.checkpoint_state_pb2")
    message = messages.CheckpointState(
        model_checkpoint_path=latest,
        all_model_checkpoint_paths=kept,
        all_model_checkpoint_timestamps=when,
    )
    expected = CheckpointState(latest, tuple(kept), tuple(when))
    for options in (
        {},
        {"as_utf8": True},
        {"as_one_line": True},
        {"use_short_repeated_primitives": True},
    ):
        text = text_format.MessageToString(message, **options)
        assert parse_state(text.encode()) == expected
