"""JSON documents: numbers, words for what is not finite, the quick way equal to the plain one."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ckread.model.evidence import Identity
from ckread.model.role import Role
from ckread.model.variable import Variable
from ckread.readers.contract import DataType, TensorRecord
from ckread.views.json_document import encode, encode_variable, encode_variables, schema
from ckread.views.terminal.page import Span
from ckread.views.terminal.words import bar, common_prefix, muted_repeats, sparkline

TEXTS = st.text(st.characters())
RECORDS = st.builds(
    TensorRecord, TEXTS, st.sampled_from(DataType), st.lists(st.integers(0, 9)).map(tuple),
    st.integers(0), st.none() | st.integers(0, 2**32 - 1), st.none() | st.integers(0),
    st.none() | st.integers(0),
)  # fmt: skip
IDENTITIES = st.builds(
    Identity, TEXTS, st.sampled_from(Role), st.none() | st.booleans(), st.none() | TEXTS,
    st.none() | TEXTS, st.lists(TEXTS, max_size=3).map(tuple),
)  # fmt: skip


def variable(record: TensorRecord, identity: Identity) -> Variable:
    reader: Any = None
    return Variable(record, identity, reader)


@given(RECORDS, IDENTITIES)
def test_the_quick_way_says_what_the_dictionary_says(
    record: TensorRecord, identity: Identity
) -> None:
    made = variable(record, identity)
    text = encode_variable(made)
    assert text == encode(made.to_dict())
    assert text.isascii()
    assert json.loads(text) == made.to_dict()


def test_a_list_of_variables_is_one_document() -> None:
    record = TensorRecord("k", DataType.FLOAT32, (2,), 8, None, None, None)
    made = [variable(record, Identity(name, Role.WEIGHT)) for name in "ab"]
    text = "".join(encode_variables({"schema": schema("ls"), "path": "p"}, made))
    document = json.loads(text)
    assert list(document) == ["schema", "path", "variables"]
    assert document["schema"] == "ckread.ls/1"
    assert document["variables"] == [one.to_dict() for one in made]
    assert json.loads("".join(encode_variables({"a": 1}, []))) == {"a": 1, "variables": []}


def test_values_become_json_s_own() -> None:
    document = {
        "nan": math.nan, "inf": math.inf, "minus": -math.inf, "role": Role.SLOT, "tuple": (1, 2),
        "bytes": b"a\xff", "complex": 1j, "none": None, "yes": True, "numpy": np.float32(0.5),
        "int": np.int64(7), "nested": {1: [math.nan]},
    }  # fmt: skip
    assert json.loads(encode(document)) == {
        "nan": "NaN", "inf": "Infinity", "minus": "-Infinity", "role": "slot", "tuple": [1, 2],
        "bytes": "a\udcff", "complex": [0.0, 1.0], "none": None, "yes": True, "numpy": 0.5,
        "int": 7, "nested": {"1": ["NaN"]},
    }  # fmt: skip


def test_bars_are_drawn_in_halves() -> None:
    assert [bar(share, 4) for share in (0, 0.06, 0.07, 0.5, 0.9, 1, 7, math.nan)] == [
        "", "", "╸", "━━", "━━━╸", "━━━━", "━━━━", "",
    ]  # fmt: skip


def test_sparklines_are_blank_only_for_none() -> None:
    assert sparkline([0, 1e-9, 1, 2, math.inf, math.nan]) == " ▁▄▇××"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


def test_what_names_share_is_whole_components_of_some_length() -> None:
    assert common_prefix(["RGB/inception/a", "RGB/inception/b"]) == "RGB/inception/"
    assert common_prefix(["RGB/inception_1/a", "RGB/inception_2/b"]) == ""
    assert common_prefix(["a/b", "a/c"]) == ""
    assert common_prefix(["only/one/of/these"]) == ""
    assert common_prefix(["same/name/x", "same/name/x"]) == "same/name/"


def test_what_repeats_the_row_above_is_muted() -> None:
    assert list(muted_repeats(["conv1/bias", "conv1/kernel", "conv1", "a/b/c", "a/b/d"])) == [
        (Span("conv1/bias"),),
        (Span("conv1/", "muted"), Span("kernel")),
        (Span("conv1"),),
        (Span("a/b/c"),),
        (Span("a/b/", "muted"), Span("d")),
    ]
