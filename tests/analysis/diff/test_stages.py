"""Single stages of pairing and comparing, from variables made by hand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.diff import conversion
from ckread.analysis.diff.codes import (
    compare_dequantised,
    decoding_of,
    have_no_common_unit,
)
from ckread.analysis.diff.conversion import (
    Arrangement,
    canonical_name,
    compare_turned,
    find_parts,
    pair_by_turned_values,
)
from ckread.analysis.diff.leftovers import (
    EXACT_SIZE,
    assign,
    pair_by_content,
    pair_nearest,
    propose,
)
from ckread.analysis.diff.matching import _closed, is_same_content, match_variables
from ckread.analysis.diff.metrics import Tolerance, may_be_exchanged
from ckread.analysis.diff.renaming import _substitution, infer_rules, parse_rule
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.model.variable import Variable

EXACTLY = Tolerance()


def some(arrays: dict[str, Any], **options: Any) -> list[Variable]:
    """Give variables in the order of their arrays; numbers become float32."""
    made = checkpoint({k: np.asarray(x) for k, x in arrays.items()}, **options)
    return [made[name] for name in arrays]


def floats(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# Arrangements.


def turned(a: Any, b: Any) -> tuple[Any, Any, Any]:
    [left], [right] = some({"x": a}), some({"x": b})
    found = compare_turned(left, right, EXACTLY)
    assert found is not None
    return found.arrangement.axes, found.arrangement.gates, found.metrics.changed_elements


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (3, 3, 2, 4), (1, 2, 3, 4, 5)])
def test_axes_that_were_exchanged_are_found(shape: tuple[int, ...]) -> None:
    x = floats(*shape)
    for axes in list(itertools.permutations(range(len(shape))))[::7]:
        found, gates, changed = turned(x, x.transpose(axes))
        assert (gates, changed) == (None, 0)
        moved = x.transpose(found or range(x.ndim)).reshape(x.transpose(axes).shape)
        assert np.array_equal(moved, x.transpose(axes))
        assert 1 in shape or (found is None) == (axes == tuple(range(len(shape))))


def test_axes_that_were_joined_or_cut() -> None:
    x = floats(2, 3, 4)
    assert turned(x, x.reshape(6, 4)) == (None, None, 0)
    assert turned(x, x.transpose(2, 0, 1).reshape(4, 6)) == ((2, 0, 1), None, 0)
    assert turned(x.reshape(6, 4), x) == (None, None, 0)
    assert turned(x.transpose(2, 0, 1).reshape(4, 6), x) == (None, None, 0)
    assert turned(x.reshape(-1), x)[1:] == (None, 0)
    x = floats(2, 2)
    x_near = x.T.copy()
    x_near[0, 0] += 1
    assert turned(x, x_near) == ((1, 0), None, 1)
    [six] = some({"x": np.zeros((1, 1, 1, 1, 2, 3), np.float32)})
    [other] = some({"x": np.zeros((3, 2, 1, 1, 1, 1), np.float32)})
    assert compare_turned(six, other, EXACTLY) is None
    [text] = some({"x": np.array([b"a"], object)})
    assert compare_turned(text, text, EXACTLY) is None


@pytest.mark.parametrize("n_gates", [3, 4])
def test_gates_that_were_exchanged(n_gates: int) -> None:
    x = floats(2, 2 * n_gates)
    blocks = np.split(x, n_gates, 1)
    order = (*range(1, n_gates), 0)
    moved = np.concatenate([blocks[i] for i in order], 1)
    assert turned(x, moved) == (None, order, 0)
    assert turned(x, moved.T) == ((1, 0), order, 0)
    x = floats(2 * n_gates)
    blocks = np.split(x, n_gates)
    assert turned(x, np.concatenate([blocks[i] for i in order])) == (None, order, 0)
    short = floats(n_gates)  # one element each is an order of elements, not of gates
    assert turned(short, short[list(order)])[1] is None
    noise = moved = np.concatenate([blocks[i] for i in order]) + floats(2 * n_gates, seed=1)
    assert turned(x, noise)[1] is None, "by more than a chance"


def test_what_is_one_after_a_cast_is_compared_as_such() -> None:
    x = floats(3, 4).astype(np.float64)
    found = turned(x, x.T.astype(np.float16))
    assert found[:2] == ((1, 0), None)
    [a], [b] = some({"x": x}), some({"x": x.T.astype(np.float16)})
    cast = compare_turned(a, b, EXACTLY)
    assert cast is not None
    assert cast.metrics.exact_cast is True
    same = compare_turned(a, a, EXACTLY)
    assert same is not None
    assert (same.arrangement, same.metrics.exact_cast) == (Arrangement(), None)


@pytest.mark.parametrize(
    ("sizes", "shape", "is_finer"),
    [
        ((2, 3), (6,), True), ((2, 3), (2, 3), True), ((2, 3), (3, 2), False),
        ((2, 3, 4), (6, 4), True), ((2, 3, 4), (2, 12), True), ((2, 3, 4), (8, 3), False),
        ((6,), (2, 3), False), ((1, 2), (2,), True), ((2, 1), (2,), True), ((2, 3), (2,), False),
        ((2,), (2, 3), False), ((), (), True), ((), (1,), True),
    ],
)  # fmt: skip
def test_neighbours_that_give_a_shape(sizes: Any, shape: Any, is_finer: bool) -> None:
    assert conversion._is_finer(sizes, shape) is is_finer


def test_equal_values_in_any_arrangement_are_paired() -> None:
    one, two = floats(4, 3), floats(4, 3, seed=1)
    a = some({"p": one, "q": two, "step": np.float32(3), "n": np.arange(12)})
    b = some({"r": two.T.copy(), "s": one.T.copy(), "t": np.float32(3), "m": np.arange(12)})
    found = {(x.name, y.name) for x, y in pair_by_turned_values(a, b)}
    assert found == {("p", "s"), ("q", "r")}
    cast = some({"r": two.T.astype(np.float16), "s": one.astype(np.float16)})
    assert {(x.name, y.name) for x, y in pair_by_turned_values(a, cast)} == found
    mixed = some({"r": two.T.astype(np.float16), "s": one.astype(np.float64)})
    assert list(pair_by_turned_values(a, mixed)) == [], "three types"
    other = some({"r": two.T}, roles={"r": Role.STATISTIC})
    assert list(pair_by_turned_values(a, other)) == []


def test_what_is_mostly_equal_is_paired() -> None:
    one, two = floats(4, 5), floats(4, 5, seed=1)
    near, half = one.T.copy(), two.copy()
    near.reshape(-1)[:9] += 1
    half.reshape(-1)[:10] += 1
    a = some({"p": one, "q": two})
    b = some({"x": half, "y": near})
    assert [(x.name, y.name) for x, y in pair_by_turned_values(a, b)] == [("p", "y")]
    nearer = two.copy()
    nearer.reshape(-1)[:5] += 1
    b = some({"x": nearer, "y": near})
    assert [(x.name, y.name) for x, y in pair_by_turned_values(a, b)] == [("q", "x"), ("p", "y")]
    crowd = {f"c{i}": floats(4, 5, seed=9 + i) for i in range(6)}
    wanted = [("q", "x"), ("p", "y")]
    full = some({"p": one, "q": two, **crowd})
    assert [(x.name, y.name) for x, y in pair_by_turned_values(full, b)] == wanted
    over = some({"p": one, "q": two, **crowd, "c9": floats(4, 5, seed=99)})
    assert list(pair_by_turned_values(over, b)) == []


# Parts.


def test_one_tensor_is_several_of_the_other_side() -> None:
    q, k, v = floats(3, 4), floats(3, 2, seed=1), floats(3, 4, seed=2)
    whole = some({"a/qkv/kernel": np.concatenate([k, v, q], 1), "a/free/kernel": floats(2, 2)})
    parts = some({"b/q/kernel": q, "b/k/kernel": k, "b/v/kernel": v})
    found = [(*p[:2], (p.part.whole, p.part.axis, p.part.start, p.part.stop), p.axes)
             for p in find_parts(whole, parts)]  # fmt: skip
    assert [(a.name, b.name, *rest) for a, b, *rest in found] == [
        ("a/qkv/kernel", "b/k/kernel", ("a", 1, 0, 2), None),
        ("a/qkv/kernel", "b/v/kernel", ("a", 1, 2, 6), None),
        ("a/qkv/kernel", "b/q/kernel", ("a", 1, 6, 10), None),
    ]
    back = find_parts(parts, whole)
    assert [(p.a.name, p.b.name, p.part.whole) for p in back] == [
        (b.name, a.name, "b") for a, b, *_ in found
    ]
    turned_parts = some({"b/q/kernel": q.T, "b/k/kernel": k.T, "b/v/kernel": v.T})
    assert [p.axes for p in find_parts(whole, turned_parts)] == [(1, 0)] * 3
    rows = some({"a/all/kernel": np.concatenate([q.T, v.T])})
    assert [(p.part.axis, p.part.start, p.part.stop) for p in find_parts(rows, [
        parts[0], parts[2]])] == [(0, 0, 4), (0, 4, 8)]  # fmt: skip


def test_what_are_no_parts() -> None:
    q, k = floats(3, 4), floats(3, 4, seed=1)
    both = np.concatenate([q, k], 1)
    parts = {"b/q/kernel": q, "b/k/kernel": k}
    whole = some({"a/qk/kernel": both})
    assert len(find_parts(whole, some(parts))) == 2
    for other in (
        {"b/q/kernel": q, "b/k/bias": k},
        {"b/q/kernel": q, "b/k/kernel": k.astype(np.float64)},
        {"b/q/kernel": q, "c/k/kernel": k},
        {"b/q/kernel": q, "b/k/kernel": k + 1},
        {"b/q/kernel": both},
        {**parts, "b/v/kernel": q},
    ):
        assert find_parts(whole, some(other)) == []
    average = {"roles": {"a/qk/kernel": Role.HYPERPARAMETER}}
    assert find_parts(some({"a/qk/kernel": both}, **average), some(parts)) == []
    roles = dict.fromkeys(parts, Role.HYPERPARAMETER)
    assert find_parts(whole, some(parts, roles=roles)) == []
    eight = {f"b/{i}/kernel": floats(3, 2, seed=i) for i in range(9)}
    for n in (8, 9):
        few = dict(list(eight.items())[:n])
        found = find_parts(some({"a/k/kernel": np.concatenate([*few.values()], 1)}), some(few))
        assert len(found) == (8 if n == 8 else 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model/conv1/kernel", ("conv1", "weight")), ("conv1.weight", ("conv1", "weight")),
        ("norm/moving_mean:0", ("norm", "running_mean")), ("net", ("net",)),
        ("module.module.a.gamma", ("a", "weight")), ("a/3", ("a", "3")), ("", ()),
        ("a/_/b", ("a", "bias")), ("x/y:12", ("x", "y")),
    ],
)  # fmt: skip
def test_names_in_the_words_of_both(name: str, words: tuple[str, ...]) -> None:
    assert canonical_name(name) == words


def test_leading_words_that_all_share() -> None:
    for names, n in (
        ([("a", "b", "x"), ("a", "b", "y")], 2), ([("a", "x"), ("b", "y")], 0),
        ([("a", "x")], 0), ([], 0), ([("a", "b"), ("a", "b", "c")], 1),
        ([("a", "b", "x"), ("a", "c", "x"), ("a", "d")], 1),
    ):  # fmt: skip
        assert conversion._shared(names) == n


# Leftovers.


def pairs(found: Any) -> list[tuple[Any, ...]]:
    return [(x.name, y.name, *rest) for x, y, *rest in found]


def test_proposals_have_a_confidence() -> None:
    a = some({"net/one/kernel": floats(3, 4), "net/two/kernel": floats(3, 4, seed=1)})
    b = some({"net/uno/kernel": floats(3, 4, seed=2), "net/two_b/kernel": floats(3, 4, seed=3)})
    # Words and numbers in common, the last one fourfold, of 2 · 6 and of 6 + 7.
    assert pairs(propose(a, b)) == [
        ("net/one/kernel", "net/uno/kernel", 0.83), ("net/two/kernel", "net/two_b/kernel", 0.92),
    ]  # fmt: skip
    assert pairs(propose(a[:1], b[:1])) == [("net/one/kernel", "net/uno/kernel", 0.93)]
    assert pairs(propose(a[1:], b[1:])) == [("net/two/kernel", "net/two_b/kernel", 0.95)]
    assert pairs(propose(a[1:], b[:1]))[0][2] == 0.93
    wide = some({"net/uno/kernel": floats(3, 4).astype(np.float64)})
    assert pairs(propose(a[:1], wide)) == [("net/one/kernel", "net/uno/kernel", 0.77)]
    assert pairs(propose(a, wide)) == [("net/one/kernel", "net/uno/kernel", 0.67)]
    assert propose(a, some({"net/one/bias": floats(4, 3)})) == []
    assert propose(some({"q": floats(3, 4)}), some({"w": floats(3, 4)})) == []
    assert propose(some({"n/s": np.float32(1)}), some({"m/s": np.float32(2)})) == []
    counter = {"roles": {"n/s": Role.COUNTER}}
    one, two = some({"n/s": np.float32(1)}, **counter), some({"n/s": np.float32(2)}, **counter)
    assert len(propose(one, two)) == 1
    blank = {"net/abc/bias": np.zeros(6, np.float32)}
    assert propose(some(blank), some({"net/def/gamma": np.zeros(6, np.float32)})) == []
    assert len(propose(some(blank), some({"net/abc/bias": np.ones(6, np.float32)}))) == 1


def test_equal_content_is_paired_by_the_nearest_name() -> None:
    x, y = floats(5), floats(5, seed=1)
    a = some({"a/one": x, "a/two": x, "b": y, "c": floats(6)})
    b = some({"q/two": x, "q/one": x, "z": y, "d": floats(2, 3)})
    assert pairs(pair_by_content(a, b)) == [
        ("a/one", "q/one"), ("a/two", "q/two"), ("b", "z"), ("c", "d")
    ]  # fmt: skip
    three = {"k": floats(3)}
    assert pair_by_content(some(three), some({"other": floats(3)})) == []
    assert len(pair_by_content(some({"k/w": floats(3)}), some({"j/w": floats(3)}))) == 1
    ones = np.ones(9, np.float32)
    assert pair_by_content(some({"net/x/gamma": ones}), some({"net/y/gamma": ones})) != []
    assert pair_by_content(some({"u/x/gamma": ones}), some({"net/y/scale": ones})) == []
    assert pair_nearest([], b) == pair_nearest(a, []) == []
    assert pair_nearest(a[:1], b[2:3]) != []
    assert pair_nearest(a[:1], b[2:3], is_uniform=True) == []


def test_large_blocks_are_paired_by_number_and_last_word() -> None:
    n = 101
    x = np.zeros((2, 2), np.float32)
    a = [*some({f"net/block{i}/w": x + i for i in range(n)})]
    b = [*some({f"mod/part{i}/w": x - i - 1 for i in reversed(range(n))})]
    found = pairs(propose(a, b))
    assert len(found) == n
    assert all(p[len("net/block"):] == q[len("mod/part"):] for p, q, _ in found)  # fmt: skip


def test_the_best_of_all_whatever_the_prices() -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        for shape in ((3, 5), (5, 3), (4, 4)):
            scores = random.random(shape).tolist()
            found = assign(scores)
            total = sum(scores[i][j] for i, j in found)
            turn = shape[0] > shape[1]
            table = list(zip(*scores, strict=True)) if turn else scores
            best = max(
                sum(table[i][j] for i, j in enumerate(columns))
                for columns in itertools.permutations(range(max(shape)), min(shape))
            )
            assert total == pytest.approx(best)
            assert found == sorted(found)


def test_several_rules_explain_what_is_left() -> None:
    renames = [
        ("a/x/w", "a/y/w"), ("b/x/w", "b/y/w"), ("c/x/w", "c/y/w"),
        ("a/k/m", "a/k/n"), ("z/k/m", "z/k/n"), ("a/q", "p/q"),
    ]  # fmt: skip
    assert [str(rule) for rule in infer_rules(renames)] == ["s|/x/|/y/|", "s|/m$|/n|"]
    assert infer_rules(renames[:1]) == ()
    many = [(f"{c}{i}/{c}", f"{c}{i}/new{c}") for c in "abcdef" for i in range(3)]
    assert len(infer_rules(many)) == 4


def test_norms_of_what_may_be_exchanged() -> None:
    assert may_be_exchanged(2.0, 2.0)
    assert may_be_exchanged(2.0, 2.0 * (1 + 9e-13))
    assert not may_be_exchanged(2.0, 2.0 * (1 + 2e-12))
    assert not may_be_exchanged(0.0, 0.0)
    assert not may_be_exchanged(None, 1.0)
    assert not may_be_exchanged(1.0, None)


def test_content_that_is_evidence() -> None:
    x, y = some({"x": floats(4)})[0], some({"y": floats(4)})[0]
    assert is_same_content(x, y)
    assert not is_same_content(x, some({"y": floats(4, seed=1)})[0])
    assert not is_same_content(*some({"x": floats(3), "y": floats(3)}))
    assert not is_same_content(*some({"x": np.ones(8, "f4"), "y": np.ones(8, "f4")}))


def test_averages_are_not_turned_round() -> None:
    a = some({"w": floats(4)})
    found = match_variables(a, some({"w": floats(4)}))
    assert [(p.a.name, p.b.name, str(p.paired_by), p.confidence) for p in found.pairs] == [
        ("w", "w", "name", 1.0)
    ]
    other = match_variables(a, some({"w": floats(5)}))
    assert [(p.a.name, p.b.name) for p in other.pairs] == [("w", "w")]


# Codes.


def test_what_decodes_codes() -> None:
    def found(name: str = "d/kernel", shape: Any = (3, 4), **beside: Any) -> Any:
        codes = np.ones(shape, np.int8)
        made = checkpoint({name: codes, **{k.replace("_in_", "/"): v for k, v in beside.items()}})
        decoding = decoding_of(made[name], made)
        return decoding and tuple(one and one.name for one in decoding)

    for shape in ((4,), (1, 4), (3, 4), (3, 1), (1, 1, 4), (), (1,)):
        scale = np.ones(shape, np.float32)
        expected = None if shape == (1,) else ("d/kernel_scale", None, None)
        assert found(d_in_kernel_scale=scale) == expected, shape
    for shape in ((3,), (5,), (2, 4), (2, 1, 4), (3, 4, 1)):
        assert found(d_in_kernel_scale=np.ones(shape, np.float32)) is None
    assert found(d_in_kernel_scale=np.ones(4, np.int32)) is None
    assert found() is None
    table = found("e/embeddings", e_in_embeddings_scale=np.ones(3, np.float32))
    assert table == ("e/embeddings_scale", None, None)
    groups: dict[str, Any] = {
        "d_in_kernel_scale": np.ones((2, 4), np.float32), "d_in_g_idx": np.zeros(3, np.float32),
        "d_in_kernel_zero": np.ones((2, 4), np.uint8),
    }  # fmt: skip
    assert found(**groups) == ("d/kernel_scale", "d/kernel_zero", "d/g_idx")
    for wrong in (
        {"d_in_kernel_zero": np.ones((1, 4), np.uint8)}, {"d_in_g_idx": np.zeros(4, np.float32)},
        {"d_in_g_idx": np.zeros((3, 1), np.float32)}, {"d_in_kernel_scale": np.ones(4, "f4")},
        {"d_in_kernel_scale": np.ones((2, 3), "f4"), "d_in_kernel_zero": np.ones((2, 3), "u1")},
    ):  # fmt: skip
        assert found(**{**groups, **wrong}) is None
    assert found(**{k: v for k, v in groups.items() if "g_idx" not in k}) is None
    turned_groups = {
        "e_in_embeddings_scale": np.ones((3, 2), np.float32), "e_in_g_idx": np.zeros(4, "f4"),
        "e_in_embeddings_zero": np.ones((3, 2), np.uint8),
    }  # fmt: skip
    assert found("e/embeddings", **turned_groups) is not None
    real = checkpoint({"k": floats(2), "k_scale": floats(2)})
    assert decoding_of(real["k"], real) is None


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 1), (3, 4), ()])
def test_codes_are_divided_by_their_scale(shape: Any) -> None:
    codes = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    scale = 2.0 ** np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(np.float32)
    made = checkpoint({"k": codes, "k_scale": scale, "real": (codes / scale).astype(np.float32)})
    decoding = decoding_of(made["k"], made)
    assert decoding is not None
    for a, b in (("k", "real"), ("real", "k")):
        found = compare_dequantised(made[a], made[b], decoding, EXACTLY)
        assert found is not None
        assert (found.changed_elements, found.max_abs) == (0, 0)


def test_codes_in_groups_are_shifted_and_scaled() -> None:
    codes = np.arange(12, dtype=np.uint8)
    scale, zero = floats(2, 4), np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)
    index = np.array([1, 0, 1], np.float32)
    rows = index.astype(int)
    kernel = codes.reshape(3, 4)
    real = (kernel.astype(np.float32) - zero[rows].astype(np.float32)) * scale[rows]
    for name, turn in (("d/kernel", False), ("d/embeddings", True)):
        arrays = {name: kernel, f"{name}_scale": scale, f"{name}_zero": zero, "real": real}
        arrays = {key: np.ascontiguousarray(x.T if turn else x) for key, x in arrays.items()}
        made = checkpoint({**arrays, "d/g_idx": index})
        decoding = decoding_of(made[name], made)
        assert decoding is not None
        found = compare_dequantised(made[name], made["real"], decoding, EXACTLY)
        assert found is not None
        assert found.changed_elements == 0
        assert found.l2_a == pytest.approx(float(np.linalg.norm(real)))


def test_codes_have_no_unit_in_common_with_numbers() -> None:
    def told(x: str, y: str, role: Role = Role.WEIGHT) -> bool:
        a, b = (some({"w": np.ones(2).astype(t)}, roles={"w": role})[0] for t in (x, y))
        return have_no_common_unit(a, b)

    assert told("int8", "float32")
    assert told("float32", "uint8")
    assert told("bool", "float64")
    assert not told("int8", "int32")
    assert not told("float32", "float16")
    assert not told("int64", "float32", Role.COUNTER)
    assert not told("float32", "int64", Role.HYPERPARAMETER)


def test_averages_of_weights_that_are_not_there() -> None:
    a = checkpoint({"a": floats(3), "b": floats(4)})
    owners = {"b/ema": ("b", "ema")}
    roles = {"x/odd": Role.AVERAGE, "a/ema": Role.AVERAGE, "b/ema": Role.AVERAGE}
    arrays = {"x/odd": floats(3), "a/ema": floats(3, seed=1), "b/ema": floats(4, seed=2)}
    b = checkpoint(arrays, roles=roles, owners={**owners, "a/ema": ("a", "ema")})
    for left, right in ((a, b), (b, a)):
        found = match_variables(list(left.values()), list(right.values()))
        told = {(p.a.name, p.b.name, str(p.paired_by)) for p in found.pairs}
        wanted = {("a", "a/ema", "average-of"), ("b", "b/ema", "average-of")}
        kinds = {kind for *_, kind in told}
        assert len(kinds) == 1
        names = {(x, y) if left is a else (y, x) for x, y, _ in told}
        assert names == {(x, y) for x, y, _ in wanted}


def test_no_arrangement_is_nothing_in_common() -> None:
    a, b = some({"p": floats(4, 6)}), some({"x": floats(3, 8, seed=1)})
    assert list(pair_by_turned_values(a, b)) == []
    one, two = some({"p": floats(4, 6)}), some({"y": floats(3, 8)})
    assert [(x.name, y.name) for x, y in pair_by_turned_values(one, two)] in ([], [("p", "y")])


def test_one_of_two_is_not_certain() -> None:
    a = some({"net/one/kernel": floats(3, 4)})
    b = some({"net/uno/kernel": floats(3, 4, seed=2), "net/uno/b/q": floats(3, 4, seed=3)})
    assert pairs(propose(a, b)) == [("net/one/kernel", "net/uno/kernel", 0.83)]
    assert pairs(propose(b, a)) == [("net/uno/kernel", "net/one/kernel", 0.83)]


def test_codes_of_two_rows_and_groups_of_too_few() -> None:
    codes = np.arange(-4, 4, dtype=np.int8).reshape(2, 4)
    scale = 2.0 ** np.arange(8, dtype=np.float32).reshape(2, 4)
    made = checkpoint({"k": codes, "k_scale": scale, "real": codes / scale})
    decoding = decoding_of(made["k"], made)
    assert decoding is not None
    found = compare_dequantised(made["k"], made["real"], decoding, EXACTLY)
    assert found is not None
    assert found.max_abs == 0
    few: dict[str, Any] = {
        "d/kernel": np.ones((3, 4), np.int8), "d/kernel_scale": np.ones((2, 4), np.float32),
        "d/kernel_zero": np.ones((2, 4), np.uint8), "d/g_idx": np.zeros(2, np.float32),
    }  # fmt: skip
    grouped = checkpoint(few)
    assert decoding_of(grouped["d/kernel"], grouped) is None


# Names.


def matched(a: dict[str, Any], b: dict[str, Any], **options: Any) -> dict[str, tuple[str, str]]:
    """Give the name of b, and why, by that of a."""
    left, right = some(a), some(b)
    found = match_variables(left, right, **options)
    assert len(found.pairs) + len(found.removed) == len(a)
    assert len(found.pairs) + len(found.added) == len(b)
    order = [v.name for v in right]
    places = [order.index(p.b.name) for p in found.pairs]
    assert places == sorted(places)
    return {p.a.name: (p.b.name, str(p.paired_by)) for p in found.pairs}


X, Y, Z = (floats(4, 5, seed=i) for i in (1, 2, 3))


def test_layers_that_changed_places() -> None:
    assert matched({"p": X, "q": Y}, {"p": Y, "q": X}) == {
        "p": ("q", "content"), "q": ("p", "content")
    }  # fmt: skip
    shifted = matched({"l1": X, "l2": Y}, {"l1": Z, "l2": X, "l3": Y})
    assert shifted == {"l1": ("l2", "content"), "l2": ("l3", "content")}
    copied = matched({"on": X, "off": Y}, {"on": Z, "off": X})
    assert copied == {"on": ("on", "name"), "off": ("off", "name")}, "both names live on"
    twice = matched({"p": X, "q": Y}, {"p": Y, "q": Y})
    assert twice == {"p": ("p", "name"), "q": ("q", "name")}
    ones = np.ones(20, np.float32)
    assert matched({"p": ones, "q": Y}, {"p": Y + 1, "q": ones})["p"] == ("p", "name")
    few = {"p": floats(3), "q": floats(3, seed=1)}
    assert matched(few, {"p": few["q"], "q": few["p"]})["p"] == ("p", "name")
    renamed = matched({"p": X, "q": Y}, {"p": Y, "r": X})
    assert renamed == {"p": ("r", "content"), "q": ("p", "content")}


def test_renames_that_are_given_come_first() -> None:
    a, b = {"p": X, "q": Y}, {"p": X, "q": Y}
    assert matched(a, b, renames={"p": "q"})["p"] == ("q", "rename")
    assert matched(a, b, moved={"p": "q", "q": "p"}) == {
        "p": ("q", "values"), "q": ("p", "values")
    }  # fmt: skip
    rule = parse_rule("s/p/q/")
    assert matched({"p": X}, {"q": X}, rules=[rule]) == {"p": ("q", "rename")}
    assert matched({"p": X}, {"p": X}, rules=[rule]) == {"p": ("p", "name")}


def test_scopes_that_all_share() -> None:
    a = {"net/a/w": X, "net/b/w": Y, "net/c/w": Z}
    b = {"a/w": X + 1, "b/w": Y + 1, "c/w": Z + 1}
    found = matched(a, b)
    assert found == {name: (name[4:], "scope") for name in a}
    assert matched(b, a) == {name: (f"net/{name}", "scope") for name in b}
    both = matched(a, {f"model/{name}": x for name, x in b.items()})
    assert both == {name: (f"model/{name[4:]}", "scope") for name in a}
    assert matched({"net/w": X}, {"model/w": X + 1})["net/w"][1] == "shape"
    odd = {"model/a/w": X + 1, "model/b/w": floats(3, 2), "model/c/w": floats(2, 3)}
    assert matched(a, odd).get("net/b/w") is None


def test_chains_that_are_closed() -> None:
    def closed(moved: dict[str, str], a: str, b: str) -> list[tuple[str, str]]:
        return sorted(_closed(moved, {*a}, {*b}))

    assert closed({"p": "q", "q": "p"}, "pq", "pq") == [("p", "q"), ("q", "p")]
    assert closed({"p": "p"}, "p", "p") == []
    assert closed({"p": "q", "q": "r"}, "pq", "pqr") == [("p", "q"), ("q", "r")]
    assert closed({"p": "q", "q": "r"}, "pqr", "qr") == [("p", "q"), ("q", "r")]
    assert closed({"p": "q", "q": "r"}, "pqr", "pqr") == []
    assert closed({"p": "q"}, "pq", "pq") == []
    assert closed({"p": "q", "s": "t"}, "pqs", "pqst") == [("s", "t")]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("a/b/c", "x/b/c", ("^a/", "x/")), ("b/c", "x/y/b/c", ("^", "x/y/")),
        ("x/b", "b", ("^x/", "")), ("a/b/c", "a/b/d", ("/c$", "/d")),
        ("a/b", "a/b/c", ("$", "/c")), ("a/b/c", "a/b", ("/c$", "")),
        ("a/b/c", "a/x/c", ("/b/", "/x/")), ("a/c", "a/x/c", ("^a/", "a/x/")),
        ("a/b/c", "a/c", ("/b/", "/")), ("a.b/c", "d/c", (r"^a\.b/", "d/")),
        ("a/b", r"a/\1", ("/b$", r"/\\1")), ("a/b/b/c", "a/b/c", ("/b/", "/")),
    ],
)  # fmt: skip
def test_what_two_names_differ_in(old: str, new: str, rule: tuple[str, str]) -> None:
    assert _substitution(old, new) == rule


def test_rules_contradict_nothing_that_stayed() -> None:
    renames = [("a/x/w", "a/y/w"), ("b/x/w", "b/y/w")]
    assert len(infer_rules(renames, ["c/z/w"])) == 1
    assert infer_rules(renames, ["c/x/w"]) == ()
    assert infer_rules([("a/x/w", "a/y/w"), ("b/q/w", "b/r/w")]) == ()
    assert infer_rules([*renames, ("c/x/w", "c/z/w")]) == ()


def numbered(*numbers: int, leaf: str = "kernel", seed: int = 0) -> dict[str, Any]:
    return {
        f"dense{f'_{n}' if n else ''}/{leaf}": floats(4, 4, seed=seed + i)
        for i, n in enumerate(numbers)
    }


def test_layers_that_keras_numbered() -> None:
    a, b = numbered(0, 1), numbered(7, 8, seed=50)
    assert matched(a, b) == {
        "dense/kernel": ("dense_7/kernel", "order"), "dense_1/kernel": ("dense_8/kernel", "order")
    }  # fmt: skip
    overlap = numbered(1, 2, seed=50)
    assert matched(a, overlap)["dense/kernel"] == ("dense_1/kernel", "order")
    held = {"dense_1/kernel": a["dense_1/kernel"], "dense_2/kernel": floats(4, 4, seed=9)}
    assert matched(a, held)["dense_1/kernel"] == ("dense_1/kernel", "name")
    wide = {"dense_7/kernel": floats(4, 5), "dense_8/kernel": floats(4, 4)}
    assert all(why != "order" for _, why in matched(a, wide).values())
    three = numbered(7, 8, 9, seed=50)
    assert all(why != "order" for _, why in matched(a, three).values())
    other = numbered(7, 8, leaf="bias", seed=50)
    assert all(why != "order" for _, why in matched(a, other).values())


def test_what_stands_beside_a_proposed_pair() -> None:
    a = {"net/old/kernel": X, "net/old/bias": floats(5), "net/far/scale": floats(2)}
    b = {"net/new/kernel": Y, "net/new/bias": floats(5, seed=9), "net/other/scale": floats(3)}
    found = matched(a, b)
    assert found["net/old/kernel"] == ("net/new/kernel", "shape")
    assert found["net/old/bias"] == ("net/new/bias", "shape")
    one = {"p/kernel": X, "p/q": floats(1), "r/q": floats(1, seed=2)}
    other = {"s/kernel": Y, "s/q": floats(1, seed=3), "t/q": floats(1, seed=4)}
    assert matched(one, other)["p/q"] == ("s/q", "shape")


def test_of_two_arrangements_the_nearer_is_taken() -> None:
    x = np.array([[0, 1], [1.1, 3]], np.float32)
    y = np.array([[0.25, 1], [1.1, 3]], np.float32)
    assert turned(x, y) == (None, None, 1)
    assert turned(x, y.T.copy()) == ((1, 0), None, 1)


@pytest.mark.parametrize("n", [EXACT_SIZE, EXACT_SIZE + 1])
def test_large_groups_take_the_highest_first(n: int) -> None:
    scores = np.eye(n)
    scores[:2, :2] = [[1.0, 0.9], [0.9, 0.0]]
    found = assign(scores.tolist(), at_least=0.5)
    rest = [(i, i) for i in range(2, n)]
    assert found == ([(0, 1), (1, 0), *rest] if n <= EXACT_SIZE else [(0, 0), *rest])


def test_rules_of_what_is_no_parameter() -> None:
    names = ("a/x/s", "b/x/s")
    a = {name: floats(5, seed=i) for i, name in enumerate(names)}
    b = {name.replace("/x/", "/y/"): x for name, x in a.items()}
    left, right = (some(side, roles=dict.fromkeys(side, Role.STATE)) for side in (a, b))
    found = match_variables(left, right)
    assert [str(rule) for rule in found.rules] == ["s|/x/|/y/|"]


def test_slots_of_one_name() -> None:
    roles = {"w/m": Role.SLOT}
    one = some({"w/m": floats(4), "q": floats(2)}, roles=roles)
    other = some({"w/m": floats(4, seed=1), "r": floats(3)}, roles=roles)
    found = match_variables(one, other)
    assert [(p.a.name, str(p.paired_by)) for p in found.pairs] == [("w/m", "name")]
    wide = some({"w/m": floats(5, seed=1), "r": floats(3)}, roles=roles)
    assert all(str(p.paired_by) != "name" for p in match_variables(one, wide).pairs)


def test_slots_of_another_size_follow_only_where_the_owner_is_of_another() -> None:
    def found(n: int, m: int) -> set[tuple[str, str]]:
        sides = (
            some({"w": floats(k), f"s/{i}": floats(size, seed=i)}, owners={f"s/{i}": ("w", "m")})
            for i, (k, size) in enumerate(((4, 4), (n, m)))
        )
        return {(p.a.name, p.b.name) for p in match_variables(*sides).pairs}

    assert found(4, 4) == found(5, 5) == found(5, 7) == {("w", "w"), ("s/0", "s/1")}
    assert found(4, 5) == {("w", "w")}
