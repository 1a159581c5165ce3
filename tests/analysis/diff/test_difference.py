"""Differences of one variable, values in other arrangements, and diffs as documents: whole."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from ckread.analysis.diff import contents
from ckread.analysis.diff.contents import (
    find_permutation,
    fingerprint,
    is_same_in_order,
    is_uniform,
    pair_by_values,
)
from ckread.analysis.diff.diff import _placed, diff_checkpoints
from ckread.analysis.diff.difference import (
    Difference,
    differing_elements,
    measure_difference,
)
from ckread.analysis.diff.metrics import Tolerance
from ckread.analysis.diff.records import Conversion
from ckread.errors import ChecksumError, UsageError, VariableNotFoundError
from ckread.model.role import Role
from ckread.readers.contract import DataType
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.variable import Variable


def of(values: Any, dtype: Any = np.float32, **options: Any) -> Variable:
    array = np.array(values, dtype)
    return checkpoint({"w": array}, **options)["w"]


def test_histograms_of_both_sides_and_of_the_moves() -> None:
    found = measure_difference(of([0, 1, 2, 4, np.nan]), of([0, 1, 4, 0, 1]), n_bins=4)
    assert found == Difference(
        (0, 1, 2, 3, 4), (1, 1, 1, 1), (2, 2, 0, 1), found.moved_edges, (1, 0, 1, 0), 2, 1
    )
    reach = 4 * (1 + 1e-9)
    assert found.moved_edges == pytest.approx((-reach, -reach / 2, 0, reach / 2, reach))
    same = measure_difference(of([3, 3]), of([3, 3]), n_bins=2)
    assert same == Difference((0, 3, 6), (0, 2), (0, 2), same.moved_edges, (0, 0), 2, 0)
    assert same.moved_edges == pytest.approx((-1, 0, 1))
    zero = measure_difference(of([0]), of([0]), n_bins=2)
    assert (zero.edges, zero.after) == ((-1, 0, 1), (0, 1))
    nothing = measure_difference(of([np.nan, np.inf]), of([1, -np.inf]), n_bins=2)
    assert (nothing.edges, nothing.before, nothing.after) == ((0, 1, 2), (0, 0), (0, 1))
    assert (nothing.not_finite, nothing.unchanged) == (2, 0)
    none = measure_difference(of([np.nan]), of([np.inf]), n_bins=2)
    assert (none.edges, none.before, none.after, none.moved) == ((0, 0.5, 1), *((0, 0),) * 3)
    for n, n_bins in ((1, 8), (64, 8), (1000, 20), (27_000, 60), (64_000, 60)):
        one = of(np.arange(n))
        assert len(measure_difference(one, one).before) == n_bins
    with pytest.raises(UsageError, match="w: no distribution of complex64 values"):
        measure_difference(of([1]), of([1], np.complex64))
    with pytest.raises(UsageError, match="w: no distribution of string values"):
        measure_difference(of([b"a"], object), of([1]))
    with pytest.raises(UsageError, match="w: 1 elements before, 2 after"):
        measure_difference(of([1]), of([1, 2]))


def test_the_elements_that_differ_most() -> None:
    a, b = of([[1, 2, 3], [4, 5, 6]]), of([[1, 9, 3], [4, np.nan, 4]])
    told = [(e.index, float(e.a), float(e.distance or 0)) for e in differing_elements(a, b, 9)]
    assert [index for index, *_ in told] == [(1, 1), (0, 1), (1, 2)]
    assert [far for *_, far in told[1:]] == [7, 2]
    assert [e.index for e in differing_elements(a, b, 2)] == [(1, 1), (0, 1)]
    assert differing_elements(a, b, 0) == []
    few = differing_elements(a, b, 9, Tolerance(atol=2))
    assert [e.index for e in few] == [(1, 1), (0, 1)]
    assert few[1].to_dict() == {"index": [0, 1], "a": 2.0, "b": 9.0, "distance": 7.0}
    text, other = of([b"a", b"b", b"c"], object), of([b"x", b"b", b"y"], object)
    assert [e.to_dict() for e in differing_elements(text, other, 1)] == [
        {"index": [0], "a": b"a", "b": b"x", "distance": None}
    ]
    assert len(differing_elements(text, other, 5)) == 2
    with pytest.raises(UsageError, match=r"w: shape \(2, 3\) before, \(3,\) after: no elements"):
        differing_elements(a, text, 1)
    small = differing_elements(of([0.1], ml_dtypes.bfloat16), of([0.3], ml_dtypes.bfloat16), 1)
    shown = [small[0].to_dict()[side] for side in "ab"]
    assert np.array(shown).astype(ml_dtypes.bfloat16).tolist() == [small[0].a, small[0].b]
    assert max(len(str(x)) for x in shown) <= 8
    narrow = differing_elements(of([0.1]), of([0.3]), 1)[0].to_dict()
    assert (narrow["a"], narrow["b"]) == (0.1, 0.3)
    whole = differing_elements(of([1], np.int64), of([2], np.int64), 1)[0].to_dict()
    assert (whole["a"], type(whole["a"])) == (1, int)


def test_elements_of_several_chunks() -> None:
    x = np.zeros(300)
    y = x.copy()
    y[[5, 130, 299]] = [1, 3, 2]
    found = differing_elements(of(x, np.float64), of(y, np.float64), 2)  # chunks of 64
    assert [(e.index, e.distance) for e in found] == [((130,), 3), ((299,), 2)]
    told = measure_difference(of(x, np.float64), of(y, np.float64), n_bins=3)
    assert (sum(told.before), sum(told.after), told.unchanged) == (300, 300, 297)
    assert list(told.moved) == [0, 1, 2]


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (2, 3, 4), (2, 1, 3), (2, 2, 2, 3)])
@pytest.mark.parametrize("n_whole", [1 << 24, 20])
def test_axes_that_were_exchanged(
    shape: tuple[int, ...], n_whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_WHOLE_NBYTES", n_whole)
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    for axes in itertools.permutations(range(len(shape))):
        long_axes = [axis for axis in axes if shape[axis] > 1]
        found = find_permutation(of(x), of(x.transpose(axes)))
        if long_axes == sorted(long_axes):
            assert found is None, "no element moves"
        else:
            assert found is not None
            np.testing.assert_array_equal(x.transpose(found), x.transpose(axes))
    wrong = x.transpose(range(len(shape))[::-1]).copy()
    wrong.reshape(-1)[-1] += 1
    assert find_permutation(of(x), of(wrong)) is None


def test_what_has_no_axes_to_exchange() -> None:
    one = np.arange(6, dtype=np.float32)
    assert find_permutation(of(one), of(one[::-1])) is None
    assert find_permutation(of(one.reshape(2, 3)), of(one)) is None
    seven = np.zeros((1, 1, 1, 1, 1, 2, 3), np.float32)
    assert find_permutation(of(seven), of(seven.T)) is None


def test_a_fingerprint_is_of_values_in_any_order() -> None:
    random = np.random.default_rng(0)
    for dtype in ("f4", "f8", "f2", "i8", "c8", "c16", "u1"):
        x = (random.normal(size=300) * 50).astype(dtype)
        told = fingerprint(of(x, dtype))
        assert 0 <= told < 1 << 64
        assert fingerprint(of(x[::-1], dtype)) == fingerprint(of(x.reshape(3, 100), dtype)) == told
        other = x.copy()
        other[7] += 1
        assert fingerprint(of(other, dtype)) != told
    z = np.array([1 + 2j, 3 + 4j])
    assert fingerprint(of(z, "c16")) != fingerprint(of([1 + 4j, 3 + 2j], "c16"))
    x = random.normal(size=9)
    cast = fingerprint(of(x, "f8"), DataType.FLOAT16)
    assert cast == fingerprint(of(x.astype("f2"), "f2")) != fingerprint(of(x, "f8"))


def test_what_is_one_number_and_what_is_the_same() -> None:
    assert is_uniform(of(np.full(300, 3.0)))
    assert not is_uniform(of([*[3.0] * 299, 4]))
    assert not is_uniform(of([4.0, *[3.0] * 299]))
    assert is_same_in_order(of([1, 2, 3, 4]), of([[1, 2], [3, 4]]))
    assert not is_same_in_order(of([1, 2, 3, 4]), of([[1, 2], [3, 5]]))


def test_values_in_any_order_are_pairs() -> None:
    random = np.random.default_rng(0)
    x, y, z = (random.normal(size=(4, 5)).astype(np.float32) for _ in range(3))
    a = checkpoint({"a/x": x, "a/y": y, "a/v": x[0], "a/i": x.astype(np.int32)})
    b = checkpoint({"b/y": y.T.copy(), "b/x": x.reshape(2, 10), "b/z": z, "b/v": x[0]})
    found = {(p.name, q.name) for p, q in pair_by_values(list(a.values()), list(b.values()))}
    assert found == {("a/x", "b/x"), ("a/y", "b/y")}
    shuffled = checkpoint({"b/x": random.permutation(x.reshape(-1)).reshape(4, 5)})
    assert pair_by_values(list(a.values()), list(shuffled.values())) == []
    unknown = checkpoint({"b/v": x[0]}, has_checksums=False)
    assert [p.name for p, _ in pair_by_values(list(a.values()), list(unknown.values()))] == ["a/v"]
    other = checkpoint({"b/x": x.T.copy()}, roles={"b/x": Role.STATISTIC})
    assert pair_by_values(list(a.values()), list(other.values())) == []
    full = np.full((3, 4), 2.0, np.float32)
    one, two = checkpoint({"u/x": full}), checkpoint({"net/w": full.T.copy()})
    assert pair_by_values(list(one.values()), list(two.values())) == []


EMPTY: dict[str, Any] = dict.fromkeys(
    (
        "renamed_from", "paired_by", "confidence", "compared_as", "scale", "permutation", "gates",
        "part", "changed_elements", "first_changed", "max_abs", "mean_abs", "l2", "relative_l2",
        "cosine", "sign_flips", "exact_cast", "close_elements", "max_ulp", "max_ulp_of_largest",
    )
)  # fmt: skip
BY_NAME = {"paired_by": "name", "confidence": 1.0}
SAME: dict[str, Any] = {
    "changed_elements": 0, "max_abs": 0, "mean_abs": 0.0, "l2": 0.0, "relative_l2": 0.0,
    "cosine": 1.0, "sign_flips": 0, "close_elements": 0,
}  # fmt: skip


def side(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "key": name, "dtype": dtype, "shape": list(shape)}


def test_a_diff_as_a_document_and_a_table() -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3)
    a = {
        "same": np.ones(3), "moved": np.array([3.0, 4]), "cast": np.array([1.0, 0.1]),
        "gone": np.ones(2), "old": turned * 3, "t": turned, "n": np.array(3),
    }  # fmt: skip
    b = {
        "same": np.ones(3), "moved": np.array([6.0, -8]), "come": np.ones((2, 2)),
        "cast": np.array([1.0, 0.1], np.float32), "new": turned * 3, "t": turned.T.copy(),
        "n": np.array(5),
    }  # fmt: skip
    found = diff_checkpoints(checkpoint(a, path="a"), checkpoint(b, path="b"))
    document = found.to_dict()
    rows = {row["name"]: row for row in document["variables"]}
    summary = {"added": 1, "removed": 1, "reshaped": 1, "retyped": 1, "changed": 2,
               "rounding": 0, "close": 0, "renamed": 1, "identical": 1}  # fmt: skip
    assert {k: v for k, v in document.items() if k != "variables"} == {
        "a": "a", "b": "b", "identical": False, "equal": False, "index_only": False,
        "summary": summary, "conversion": None,
        "evidence": [claim.to_dict() for claim in found.evidence],
    }  # fmt: skip
    f8 = "float64"
    both = {"role": "weight", **EMPTY, **BY_NAME}
    assert rows["same"] == {
        **both, "name": "same", "status": "identical", "a": side("same", f8, 3),
        "b": side("same", f8, 3), **SAME,
    }  # fmt: skip
    assert rows["moved"] == {
        **both, "name": "moved", "status": "changed", "a": side("moved", f8, 2),
        "b": side("moved", f8, 2), "changed_elements": 2, "first_changed": [0], "max_abs": 12.0,
        "mean_abs": 7.5, "l2": math.sqrt(153), "relative_l2": math.sqrt(153) / 5,
        "cosine": pytest.approx(-14 / 50), "sign_flips": 1, "close_elements": 0,
    }  # fmt: skip
    cast = rows["cast"]
    assert (cast["status"], cast["exact_cast"], cast["changed_elements"]) == ("retyped", True, 1)
    assert (cast["a"]["dtype"], cast["b"]["dtype"]) == (f8, "float32")
    alone = {**EMPTY, "role": "weight"}
    assert rows["gone"] == {
        **alone, "name": "gone", "status": "removed", "a": side("gone", f8, 2), "b": None
    }  # fmt: skip
    assert rows["come"] == {
        **alone, "name": "come", "status": "added", "a": None, "b": side("come", f8, 2, 2)
    }  # fmt: skip
    assert rows["new"] == {
        **both, "name": "new", "status": "renamed", "a": side("old", "float32", 2, 3),
        "b": side("new", "float32", 2, 3), "renamed_from": "old", "paired_by": "content", **SAME,
    }  # fmt: skip
    assert rows["t"] == {
        **both, "name": "t", "status": "reshaped", "a": side("t", "float32", 2, 3),
        "b": side("t", "float32", 3, 2), "permutation": [1, 0], **SAME,
    }  # fmt: skip
    n = found["n"]
    assert (str(n.status), n.old, n.new, n.is_read) == ("changed", 3, 5, True)
    assert (found["same"].is_read, found["same"].old, found["come"].is_read) == (False, None, False)
    assert (found.verified, found.renames) == (True, {"old": "new"})
    assert list(found.conversion_map) == [v.a.name for v in found if v.a and v.b]
    assert found.conversion_map["t"] == {"name": "t", "axes": [1, 0]}
    assert repr(found) == (
        "<ckread.CheckpointDiff 'a', 'b': 1 added, 1 removed, 1 reshaped, 1 retyped, 2 changed, "
        "1 renamed, 1 identical>"
    )
    with pytest.raises(VariableNotFoundError, match="a, b"):
        found["nothing"]
    table = found.to_pandas()
    assert table.loc["moved", "max_abs"] == 12
    assert table.loc["moved", "elements"] == 2
    assert table.loc["come", "dtype"] == f8
    assert list(table.index) == [v.name for v in found]


def test_statuses_by_tolerance() -> None:
    x = np.linspace(1, 2, 9, dtype=np.float32)
    near, far = np.nextafter(x, np.float32(3)), x + np.float32(1e-3)
    a = checkpoint({"same": x, "near": x, "far": x})
    b = checkpoint({"same": x, "near": near, "far": far})
    options: Any
    for options, statuses, identical, equal in (
        ({}, ("identical", "changed", "changed"), False, False),
        ({"ulp": 1}, ("identical", "rounding", "changed"), False, False),
        ({"atol": 1e-5}, ("identical", "close", "changed"), False, False),
        ({"atol": 1e-2}, ("identical", "close", "close"), False, True),
        ({"index_only": True}, ("identical", "changed", "changed"), False, False),
    ):
        found = diff_checkpoints(a, b, **options)
        assert [str(found[name].status) for name in ("same", "near", "far")] == list(statuses)
        assert (found.identical, found.equal) == (identical, equal)
    unknown = checkpoint({"same": x}, has_checksums=False)
    untold = diff_checkpoints(unknown, unknown, index_only=True)
    assert (untold["same"].status, untold.identical, untold.equal) == (None, None, None)
    assert untold.verified is None
    read = diff_checkpoints(unknown, unknown)
    assert (read.identical, read.verified) == (True, False)


def test_patterns_and_roles_choose_pairs_of_either_side() -> None:
    x = np.arange(6.0)
    a = checkpoint({"p/w": x, "q/w": x + 1, "s": x}, roles={"s": Role.STATE})
    b = checkpoint({"r/w": x, "q/w": x + 2, "s": x}, roles={"s": Role.STATE})
    options: Any
    for options, names in (
        ({"patterns": "p"}, ["r/w"]), ({"patterns": "r"}, ["r/w"]),
        ({"patterns": ["q", "s"]}, ["q/w", "s"]), ({"roles": "state"}, ["s"]),
        ({"roles": ["state", "weight"], "patterns": "q"}, ["q/w"]),
    ):  # fmt: skip
        found = diff_checkpoints(a, b, **options)
        assert sorted(v.name for v in found) == names


def test_parts_are_looked_for_in_conversions_alone() -> None:
    random = np.random.default_rng(0)
    q, k = (random.normal(size=(3, 4)).astype(np.float32) for _ in range(2))
    whole, parts = {"a/qk/kernel": np.concatenate([q, k], 1)}, {"b/q/kernel": q, "b/k/kernel": k}
    found = diff_checkpoints(checkpoint(whole), checkpoint(parts))
    assert sorted(str(v.status) for v in found) == ["added", "added", "removed"]


@pytest.mark.parametrize(("one", "other"), [(3, 4), (4, 3)])
def test_other_sizes_are_not_compared(one: int, other: int) -> None:
    found = diff_checkpoints(checkpoint({"w": np.ones(one)}), checkpoint({"w": np.ones(other)}))
    assert (str(found["w"].status), found["w"].metrics) == ("reshaped", None)
    assert (found["w"].is_read, found.verified) == (False, None)


def test_how_much_of_a_model_was_found_again() -> None:
    a = checkpoint({"w": np.arange(6.0).reshape(2, 3), "b": np.ones(3), "gone": np.ones(4),
                    "odd": np.ones(5), "n": np.array(3)}, roles={"n": Role.COUNTER})  # fmt: skip
    b = checkpoint({"w": np.arange(6.0).reshape(2, 3), "b": np.full(3, 2.0), "come": np.ones(7),
                    "odd": np.ones(9), "n": np.array(3)}, roles={"n": Role.COUNTER})  # fmt: skip
    found = list(diff_checkpoints(a, b))
    told = Conversion.of(found)
    assert told.to_dict() == {
        "variables": 4, "found": 3, "bit_equal": 1, "transposed": 0, "cast": None,
        "exact_cast": None, "missing": ["gone"], "extra": ["come"],
    }  # fmt: skip
    assert told.is_exact_cast is False
    assert Conversion.told_by(found) == told
    moved = [v for v in found if v.name != "w"]
    assert Conversion.told_by(moved) is None, "nothing is the same"
    few = [v for v in found if v.name in ("w", "gone")]
    assert Conversion.told_by(few) is not None
    lone = next(v for v in found if v.name == "gone")
    assert Conversion.told_by([*few, lone._replace(a=lone.a and lone.a._replace(key="x"))]) is None
    half = checkpoint({"w": np.arange(6.0).reshape(2, 3).astype(np.float16),
                       "b": np.ones(3, np.float16), "gone": np.ones(4)})  # fmt: skip
    cast = Conversion.of(list(diff_checkpoints(a, half)))
    assert (cast.cast, cast.is_exact_cast, cast.bit_equal) == ("float16", True, 1)
    one = checkpoint({"w": np.arange(6.0).reshape(2, 3), "b": np.ones(3, np.float16),
                      "gone": np.ones(4)})  # fmt: skip
    assert Conversion.of(list(diff_checkpoints(a, one))).cast is None


def test_codes_have_the_role_of_the_weight_they_stand_for() -> None:
    real = checkpoint({"w": np.arange(6.0).reshape(2, 3), "x": np.ones(3)})
    codes = checkpoint(
        {"w": np.arange(6, dtype=np.int8).reshape(2, 3), "x": np.ones(4)},
        roles={"w": Role.STATE, "x": Role.STATE},
    )
    found = diff_checkpoints(real, codes)
    assert [str(found[name].role) for name in ("w", "x")] == ["weight", "state"]
    assert (found["w"].is_codes, found["w"].compared_as, found["w"].metrics) == (
        True, "codes", None,
    )  # fmt: skip
    back = diff_checkpoints(codes, real)
    assert [str(back[name].role) for name in ("w", "x")] == ["weight", "weight"]


@pytest.mark.parametrize("turn", [False, True])
def test_a_partitioned_variable_is_compared_as_a_whole(tmp_path: Path, turn: bool) -> None:
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    y = x.copy()
    y[1, 4] += 3
    sides = []
    for name, array, cuts in (("a", x, [(0, 2), (2, 4)]), ("b", y, [(0, 3), (3, 3)])):
        builder = BundleBuilder()
        slices = [((0, None), cut) for cut in cuts] if name == "b" else None
        if slices is None:
            builder.add("w", array, DataType.FLOAT32)
        else:
            builder.add_partitioned("w", array, DataType.FLOAT32, slices)
        sides.append(builder.write(tmp_path / name))
    found = diff_checkpoints(*(sides[::-1] if turn else sides))["w"].metrics
    assert found is not None
    assert (found.changed_elements, found.first_changed, found.max_abs) == (1, (1, 4), 3)


def test_errors_name_the_file_in_full_where_both_have_one_of_that_name() -> None:
    def side(*paths: str) -> Any:
        return SimpleNamespace(files=lambda: [SimpleNamespace(path=path) for path in paths])

    error = ChecksumError("odd bytes", path="a/x.data")
    assert _placed(error, (side("a/x.data"), side("b/y.data", "b/z.data"))) is error
    told = _placed(error, (side("a/x.data"), side("b/x.data")))
    assert "a/x.data" in str(told)
    bare = ChecksumError("odd bytes")
    assert _placed(bare, (side("a/x"), side("b/x"))) is bare


def test_what_may_have_moved_to_several_places_has_not() -> None:
    x, y, z = (np.arange(6.0) + i for i in range(3))
    a = checkpoint({"p": x, "q": x, "r": y}, has_checksums=False)
    b = checkpoint({"p": y, "q": z, "r": x}, has_checksums=False)
    found = diff_checkpoints(a, b)
    assert {v.name: str(v.paired_by) for v in found}["r"] == "name"
    one = checkpoint({"p": x, "r": y}, has_checksums=False)
    other = checkpoint({"p": y, "r": x}, has_checksums=False)
    assert {str(v.paired_by) for v in diff_checkpoints(one, other)} == {"values"}
