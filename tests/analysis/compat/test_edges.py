"""Single rules of a forecast, each by the smallest program that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckread
from ckread.analysis.compat.code import _quoted
from ckread.analysis.compat.records import Asserts, Code, Outcome, Raised, Stored, ValueForecast
from ckread.analysis.compat.restoring import Objects
from ckread.analysis.compat.sameness import Sameness, _renumbered
from ckread.analysis.compat.scopes import common, in_scopes, stem
from ckread.model.evidence import Claim, ObjectGraph, Strength
from ckread.model.role import Role
from ckread.readers.contract import DataType
from ckread.readers.graphs.object_graph import Attribute, TrackableObject
from tests.analysis.array_checkpoint import checkpoint
from tests.analysis.compat.recorded import graph_bytes
from tests.builders import BundleBuilder
from tests.graphs import GRAPH_KEY, SUFFIX, Holder, Var, make

if TYPE_CHECKING:
    from ckread.analysis.compat.records import RestoreForecast


def written(root: Holder, prefix: Path, content: int) -> str:
    """Write a graph of objects as a checkpoint, with numbers of its own."""
    made = make(root)
    builder = BundleBuilder()
    for key, record in made.tensors.items():
        if key != GRAPH_KEY:
            content += 1
            array = np.full(record.shape, content).astype(str(record.dtype))
            array.reshape(-1)[0] -= 1
            builder.add(key, array, record.dtype)
    objects = [
        {
            "children": {name: child for child, name in node.children},
            "attributes": [list(one) for one in node.attributes],
            "slots": [list(one) for one in node.slot_variables],
        }
        for node in made.graph.nodes
    ]
    builder.add_strings(GRAPH_KEY, [graph_bytes(objects)], ())
    return builder.write(prefix)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the forecast of one graph of objects into another."""
    monkeypatch.chdir(tmp_path)

    def compat(saved: Holder, target: Holder, **options: Any) -> RestoreForecast:
        there = written(saved, Path("there"), 100)
        return ckread.compat(there, written(target, Path("here"), 200), **options)

    return compat


def counter() -> Var:
    return Var("save_counter", (), DataType.INT64)


def test_a_counter_that_restore_makes(told: Any) -> None:
    found = told({"a": Var("a"), "save_counter": counter()}, {"a": Var("a")})
    assert found.values == (
        ValueForecast(
            Stored("a", f"a{SUFFIX}", "float32", (3, 2), "weight"), Outcome.RESTORED,
            Stored("a", f"a{SUFFIX}", "float32", (3, 2), "weight"), path="a",
        ),
        ValueForecast(
            Stored("save_counter", None, "int64", (), "counter"), Outcome.RESTORED,
            Stored("save_counter", f"save_counter{SUFFIX}", "int64", (), "counter"),
            path="save_counter",
        ),
    )  # fmt: skip
    assert (found.complete, found.asserts, found.notes) == (True, Asserts(True, True), ())
    assert found.evidence == (
        Claim("way", "checkpoint", Strength.STORED, "the formats of both sides"),
    )
    found = told({"a": Var("a")}, {"a": Var("a"), "save_counter": counter()}, way="checkpoint")
    kept = found["save_counter"]
    assert (kept.outcome, kept.code, kept.reason) == (
        Outcome.KEPT, Code.NO_SUCH_PATH, "no save_counter there",
    )  # fmt: skip
    assert (found.complete, found.asserts, found.notes) == (False, Asserts(False, False), ())
    assert found.evidence == (Claim("way", "checkpoint", Strength.NAMED, "as asked"),)


def test_no_counter_on_either_side(told: Any) -> None:
    found = told({"a": Var("a")}, {"a": Var("a")})
    assert (found.complete, found.asserts, len(found)) == (True, Asserts(False, False), 1)
    [note] = found.notes
    assert note.startswith("restore() makes a save_counter, which this file does not have")
    found = told({"a": Var("a")}, {"a": Var("a", (2,))})
    assert (found.asserts, len(found.notes)) == (Asserts(None, None), 1)
    assert found.raises == (
        Raised(
            "ValueError",
            "Received incompatible tensor with shape (3, 2) when attempting to restore variable "
            "with shape (2,) and name a:0.", "a",
        ),
    )  # fmt: skip


def test_all_is_read_before_anything_is_assigned(told: Any) -> None:
    """So a type that differs raises before a shape that differs, whatever their order."""
    there = {"a": Var("a"), "m": Var("m"), "z": Var("z")}
    found = told(there, {"a": Var("a", (5,)), "m": Var("m"), "z": Var("z", dtype=DataType.FLOAT64)})
    assert [one.type for one in found.raises] == ["InvalidArgumentError", "ValueError"]
    assert found.assigned_before == 0
    found = told(there, {"a": Var("a"), "m": Var("m", (5,)), "z": Var("z")})
    assert (found.counts["restored"], found.assigned_before) == (2, 1)


def test_what_the_root_has_yet_to_make_is_left_over(told: Any) -> None:
    """Of the root nobody knows whether it makes more; an object below it may."""
    there = {"a": Var("a"), "b": {"w": Var("w")}}
    found = told(there, {"c": {}})
    assert [one.name for one in found.left_over] == ["a", "b/w"]
    assert found.values == ()
    found = told(there, {"b": {}})
    [value] = found.values
    assert (value.name, value.outcome, value.target.key) == ("b/w", Outcome.DEFERRED, None)
    assert [one.name for one in found.left_over] == ["a"]


def test_an_object_with_values_of_two_kinds() -> None:
    attributes = tuple(Attribute(name, "", f"k/{name}") for name in ("one", "two", "three"))
    graph = ObjectGraph((TrackableObject(attributes=attributes),))
    variables = checkpoint(
        {"k/one": np.ones(2, "f4"), "k/three-keys": np.ones(2, "f4"), "k/three_X": np.ones(1, "f4"),
         "k/threes": np.ones(1, "f4")},
    ).values()  # fmt: skip
    assert Objects(graph, variables).values(0) == {
        "one": "k/one", "two": "k/two", "three-keys": "k/three-keys", "three_X": "k/three_X",
    }  # fmt: skip


# Cures.


def test_a_name_that_no_call_can_give_is_passed_over(told: Any) -> None:
    there = {"_x": Var("x"), "y": Var("w", (4,)), "save_counter": counter()}
    found = told(there, {"a": Var("w", (4,)), "save_counter": counter()})
    [cure] = found.cures
    assert cure == ("tf.train.Checkpoint(y=a)", 2, 2, None, "tf.train.Checkpoint(y=a)")
    assert found.python == (
        "# there: 2 of 2 values come back with this root.", "import tensorflow as tf", "",
        "checkpoint = tf.train.Checkpoint(y=a)", 'checkpoint.restore("there")',
    )  # fmt: skip


def test_a_shape_alone_pairs_only_what_is_of_one_kind(told: Any) -> None:
    """The one kernel there for the one here; never one that is called otherwise."""
    inner = {"k": {"kernel": Var("old/kernel", (4, 5))}, "save_counter": counter()}
    same = told(inner, {"q": {"z": Var("new/kernel", (4, 5))}, "save_counter": counter()})
    assert [(a.name, b.name) for a, b in same.renames][:1] == [("old/kernel", "new/kernel")]
    other = told(inner, {"q": {"z": Var("new/bias", (4, 5))}, "save_counter": counter()})
    assert [(a.name, b.name) for a, b in other.renames] == [("save_counter", "save_counter")]
    assert other.cures[-1].way == "nothing there fits new/bias"


def test_an_object_that_has_one_name_of_keras_is_no_model(told: Any) -> None:
    operations = {"0": {"w": Var("w", (4, 5))}}
    target = {"net": {"_operations": operations}, "save_counter": counter()}
    found = told({"b": {"w": Var("w", (4, 5))}, "save_counter": counter()}, target)
    assert "    ('net', '_operations', '0', 'w')" not in found.python
    assert '    ("net", "_operations", "0", "w"): "b/w/.ATTRIBUTES/VARIABLE_VALUE",' in found.python
    assert found.python[0].startswith("# there into `root`, the object that the program saves")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a/b", '"a/b"'), ('a"b', "'a\"b'"), ("a\\b", r"'a\\b'"), ("a\n", r"'a\n'"),
        ("ü", r"'\xfc'"), ("it's", '"it\'s"'), (("a", "b"), '("a", "b")'), (("a",), '("a",)'),
        ((("a",), "b"), '(("a",), "b")'), (3, "3"), ((), "()"), ('\\"', "'\\\\\"'"),
    ],
)  # fmt: skip
def test_names_as_python(value: object, text: str) -> None:
    assert _quoted(value) == text


@given(st.recursive(st.text(max_size=5), lambda inner: st.tuples(inner) | st.tuples(inner, inner)))
def test_names_as_python_are_read_back(value: object) -> None:
    text = _quoted(value)
    assert eval(text) == value
    assert text.isascii()
    assert text.isprintable()


# Scopes in few words.


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a/kernel"], "a/kernel"),
        (["kernel"], "kernel"),
        (["a/kernel", "a/bias"], "a/**"),
        (["block8_conv/kernel", "block8_norm/beta"], "block8_*/**"),
        (["x/b_1/kernel", "x/b_2/kernel"], "x/b_*/**"),
        ([f"c{i}/{leaf}" for i in range(1, 3) for leaf in "kb"], "c1/**, c2/**"),
        ([f"c{i}/{leaf}" for i in range(1, 4) for leaf in "kb"], "c1/** to c3/**"),
        ([f"c{i}/k" for i in (2, 4, 5, 9)], "c2/k to c9/k"),
        (["a/k", "b/k", "a/k"], "a/k, b/k"),
        ([*"abcdefg"], "a, b, c, d, e, f, g"),
        ([*"abcdefgh"], "a, b, c, d, e, f, 2 more"),
    ],
)
def test_many_names_in_few_words(names: list[str], text: str) -> None:
    assert in_scopes(names) == text


def test_what_groups_have_in_common() -> None:
    assert in_scopes([*"abcd"], limit=3) == "a, b, 2 more"
    assert (
        in_scopes([chr(97 + i // 26) + chr(97 + i % 26) for i in range(676)], 2)[-8:] == "675 more"
    )
    assert [stem(name) for name in ("k", "a/k", "a_b/k", "x/a_b_c/k")] == ["k", "/a", "/a", "x/a"]
    assert common(["k", "b"]) == "**"
    assert common(["ab/k", "ac/k"]) == "a*/**"
    assert common(["ab/k", "xc/k"]) == "*/**"


# Whose value it is.


def test_layers_that_keras_counts_up_are_told_by_their_rank() -> None:
    some = checkpoint({name: np.ones(1, "f4") for name in (
        "dense_3/kernel", "dense_7/kernel", "dense_7/bias", "model_1/dense_9/kernel",
        "my_dense_2/kernel", "dense_4", "head/conv2d/kernel", "head/conv2d_2/kernel",
    )})  # fmt: skip
    assert _renumbered({one.name: one for one in some.values()}) == {
        "dense_3/kernel": "dense#0/kernel", "dense_7/kernel": "dense#1/kernel",
        "dense_7/bias": "dense#1/bias", "model_1/dense_9/kernel": "model#0/dense#0/kernel",
        "head/conv2d/kernel": "head/conv2d#0/kernel",
        "head/conv2d_2/kernel": "head/conv2d#1/kernel",
    }  # fmt: skip


def _is_another(there: dict[str, Any], here: dict[str, Any], a: str, b: str) -> bool:
    sides = []
    for k, names in enumerate((there, here)):
        arrays = {name: np.arange(40.0) + i + 50 * k for i, name in enumerate(names)}
        owners = {name: one for name, one in names.items() if isinstance(one, tuple)}
        roles = {name: one for name, one in names.items() if isinstance(one, Role)}
        sides.append(checkpoint(arrays, owners=owners, roles=roles))
    same = Sameness(sides[0].values(), sides[1].values())
    answers = [same.is_another(sides[0][a], sides[1][b]) for _ in range(2)]
    assert answers[0] == answers[1]  # what is known is as it was found
    return answers[0]


W = Role.WEIGHT
TWO = {"dense_3/kernel": W, "dense_4/kernel": W}, {"dense/kernel": W, "dense_1/kernel": W}
M = {"x/kernel": W, "y/kernel": W}


@pytest.mark.parametrize(
    ("there", "here", "a", "b", "is_another"),
    [
        (*TWO, "dense_3/kernel", "dense/kernel", False),
        (*TWO, "dense_4/kernel", "dense_1/kernel", False),
        (*TWO, "dense_4/kernel", "dense/kernel", True),
        (*TWO, "dense_3/kernel", "dense_1/kernel", True),
        # Its own is there too, or it has its own here; else it is taken for renamed.
        ({"old/kernel": W, "dense_7/kernel": W}, {"dense/kernel": W}, "old/kernel",
         "dense/kernel", True),
        ({"dense/kernel": W}, {"new/kernel": W, "dense_7/kernel": W}, "dense/kernel",
         "new/kernel", True),
        ({"old/kernel": W}, {"new/kernel": W}, "old/kernel", "new/kernel", False),
        ({"old/kernel": W}, {"new/bias": W}, "old/kernel", "new/bias", True),
        ({"old/kernel": W}, {"new/w": W}, "old/kernel", "new/w", False),
        # Slots by their owner and word; Keras 2 and 3 have words of their own for one.
        (M | {"m": ("x/kernel", "m")}, M | {"s": ("x/kernel", "momentum")}, "m", "s", False),
        (M | {"m": ("x/kernel", "v")}, M | {"s": ("x/kernel", "velocity")}, "m", "s", False),
        (M | {"m": ("x/kernel", "a")}, M | {"s": ("x/kernel", "accumulator")}, "m", "s", False),
        (M | {"m": ("x/kernel", "m")}, M | {"s": ("x/kernel", "velocity")}, "m", "s", True),
        (M | {"m": ("x/kernel", "m")}, M | {"s": ("y/kernel", "m")}, "m", "s", True),
        ({"m": ("x/kernel", "m")}, {"s": ("x/kernel", "m")}, "m", "s", False),
        ({"m": ("x/kernel", "m")}, {"s": ("y/kernel", "m")}, "m", "s", True),
        ({"m": ("old/kernel", "m"), "old/kernel": W}, {"s": ("new/kernel", "m"), "new/kernel": W},
         "m", "s", False),
        ({"m": Role.SLOT}, {"s": Role.SLOT}, "m", "s", False),
        ({"m": Role.SLOT}, M | {"s": ("x/kernel", "m")}, "m", "s", True),
        ({"m": Role.AVERAGE}, {"s": Role.SLOT}, "m", "s", True),
        ({"m": Role.AVERAGE}, {"s": Role.AVERAGE}, "m", "s", False),
        ({"m": Role.SLOT}, {"s": W}, "m", "s", True),
        # Owners in a circle are no reason.
        ({"m": ("n", "m"), "n": ("m", "m")}, {"s": ("t", "m"), "t": ("s", "m")}, "m", "s", False),
    ],
)  # fmt: skip
def test_whose_value_it_is(
    there: dict[str, Any], here: dict[str, Any], a: str, b: str, is_another: bool
) -> None:
    assert _is_another(there, here, a, b) is is_another


def test_equal_content_is_the_same_whatever_it_is_called() -> None:
    sides = [checkpoint({name: np.arange(40.0)}) for name in ("old/kernel", "new/bias")]
    same = Sameness(sides[0].values(), sides[1].values())
    assert not same.is_another(sides[0]["old/kernel"], sides[1]["new/bias"])
