"""Which variable is which: every stage, and what must not be paired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.diff import leftovers
from ckread.analysis.diff.contents import fingerprint, pair_by_values
from ckread.analysis.diff.matching import Matching, match_variables
from ckread.analysis.diff.records import PairedBy
from ckread.analysis.diff.renaming import parse_rule
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    import pytest
    from numpy.typing import NDArray

    from ckread.model.checkpoint import Checkpoint


def values(seed: int, *shape: int) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def match(a: Checkpoint, b: Checkpoint, **options: Any) -> Matching:
    return match_variables(list(a.values()), list(b.values()), **options)


def paired(matching: Matching) -> dict[str, tuple[str, PairedBy]]:
    return {pair.a.name: (pair.b.name, pair.paired_by) for pair in matching.pairs}


def test_same_names_pair_whatever_changed() -> None:
    a = checkpoint({"x/w": values(1, 3, 4), "y/w": values(2, 5)})
    b = checkpoint({"x/w": values(3, 7), "y/w": values(4, 5), "z/w": values(5, 9)})
    matching = match(a, b)
    assert paired(matching) == {
        "x/w": ("x/w", PairedBy.NAME),
        "y/w": ("y/w", PairedBy.NAME),
    }
    assert [variable.name for variable in matching.added] == ["z/w"]
    assert matching.removed == ()


def test_a_rule_that_is_given_comes_before_the_name() -> None:
    a = checkpoint({"x/w": values(1, 3), "y/w": values(2, 3)})
    b = checkpoint({"x/w": values(3, 3), "y/w": values(4, 3)})
    matching = match(a, b, rules=[parse_rule("s/^x/y/")])
    assert paired(matching)["x/w"] == ("y/w", PairedBy.RENAME)


def test_a_map_may_use_names_or_keys() -> None:
    a = checkpoint({"k1": values(1, 3), "k2": values(2, 4)}, names={"k1": "x", "k2": "y"})
    b = checkpoint({"k3": values(3, 3), "k4": values(4, 4)}, names={"k3": "u", "k4": "v"})
    matching = match(a, b, renames={"k1": "u", "y": "k4", "gone": "u"})
    assert paired(matching) == {"x": ("u", PairedBy.RENAME), "y": ("v", PairedBy.RENAME)}


def test_same_key_under_another_name() -> None:
    a = checkpoint({"layer/0": values(1, 3)}, names={"layer/0": "a/kernel"})
    b = checkpoint({"layer/0": values(2, 3)}, names={"layer/0": "stem/b"})
    assert paired(match(a, b)) == {"a/kernel": ("stem/b", PairedBy.KEY)}
    other = checkpoint({"layer/0": values(2, 9)}, names={"layer/0": "stem/b"})
    assert paired(match(a, other)) == {}


def test_a_scope_that_all_parameters_share_is_removed() -> None:
    slots = {"opt/sequential/x/w/m": ("sequential/x/w", "m")}
    a = checkpoint(
        {"sequential/x/w": values(1, 3), "sequential/y/w": values(2, 4),
         "opt/sequential/x/w/m": values(5, 3)},
        owners=slots,
    )  # fmt: skip
    b = checkpoint(
        {"x/w": values(3, 3), "y/w": values(4, 5), "opt/x/w/m": values(6, 3)},
        owners={"opt/x/w/m": ("x/w", "m")},
    )
    there, back = match(a, b), match(b, a)
    assert paired(there) == {
        "sequential/x/w": ("x/w", PairedBy.SCOPE),
        "sequential/y/w": ("y/w", PairedBy.SCOPE),
        "opt/sequential/x/w/m": ("opt/x/w/m", PairedBy.OWNER),
    }
    assert {pair.b.name: pair.a.name for pair in back.pairs} == {
        pair.a.name: pair.b.name for pair in there.pairs
    }
    assert [str(rule) for rule in there.rules] == ["s|^sequential/||"]


def test_content_finds_a_renamed_layer() -> None:
    weights = values(1, 4, 5), values(2, 5)
    a = checkpoint({"dense/kernel": weights[0], "dense/bias": weights[1]})
    b = checkpoint({"hidden/kernel": weights[0], "hidden/bias": weights[1]})
    assert paired(match(a, b)) == {
        "dense/kernel": ("hidden/kernel", PairedBy.CONTENT),
        "dense/bias": ("hidden/bias", PairedBy.CONTENT),
    }
    assert [str(rule) for rule in match(a, b).rules] == ["s|^dense/|hidden/|"]


def test_exchanged_layers_are_found_though_their_names_live_on() -> None:
    one, two = values(1, 4, 4), values(2, 4, 4)
    a = checkpoint({"d1/w": one, "d2/w": two, "d3/w": values(3, 4, 4)})
    b = checkpoint({"d1/w": two, "d2/w": one, "d3/w": values(4, 4, 4)})
    assert paired(match(a, b)) == {
        "d1/w": ("d2/w", PairedBy.CONTENT),
        "d2/w": ("d1/w", PairedBy.CONTENT),
        "d3/w": ("d3/w", PairedBy.NAME),
    }


def test_shifted_layers_are_found_where_one_came_in() -> None:
    layers = [values(i, 4, 4) for i in range(3)]
    a = checkpoint({"d1/w": layers[0], "d2/w": layers[1], "d3/w": layers[2]})
    b = checkpoint(
        {"d1/w": values(9, 4, 4), "d2/w": layers[0], "d3/w": layers[1], "d4/w": layers[2]}
    )
    matching = match(a, b)
    assert paired(matching) == {f"d{i}/w": (f"d{i + 1}/w", PairedBy.CONTENT) for i in range(1, 4)}
    assert [variable.name for variable in matching.added] == ["d1/w"]


def test_a_copied_target_network_keeps_its_name() -> None:
    online = values(1, 4, 4)
    a = checkpoint({"online/w": online, "target/w": values(2, 4, 4)})
    b = checkpoint({"online/w": values(3, 4, 4), "target/w": online})
    assert {old: new for old, (new, _) in paired(match(a, b)).items()} == {
        "online/w": "online/w",
        "target/w": "target/w",
    }


def test_fresh_constants_are_no_evidence() -> None:
    a = checkpoint({"x/bias": np.zeros(8, np.float32), "y/bias": values(1, 8)})
    b = checkpoint({"x/bias": values(2, 8), "y/bias": np.zeros(8, np.float32)})
    assert {new for new, _ in paired(match(a, b)).values()} == {"x/bias", "y/bias"}
    assert all(by is PairedBy.NAME for _, by in paired(match(a, b)).values())
    swapped = checkpoint({"u/g": np.ones(8, np.float32), "x/bias": values(2, 8)})
    assert paired(match(a, swapped))["x/bias"] == ("x/bias", PairedBy.NAME)


def test_equal_scalars_are_no_evidence() -> None:
    a = checkpoint({"beta": np.array(0.9, np.float32)})
    b = checkpoint({"momentum": np.array(0.9, np.float32)})
    assert match(a, b).pairs == ()


def test_slots_follow_their_owners() -> None:
    weight = values(1, 4, 4)
    a = checkpoint(
        {"dense/w": weight, "dense/w/Adam": values(2, 4, 4), "dense/w/Adam_1": values(3, 4, 4)},
        owners={"dense/w/Adam": ("dense/w", "m"), "dense/w/Adam_1": ("dense/w", "v")},
    )
    b = checkpoint(
        {"fc/kernel": weight, "opt/v/0": values(4, 4, 4), "opt/m/0": values(5, 4, 4)},
        owners={"opt/v/0": ("fc/kernel", "v"), "opt/m/0": ("fc/kernel", "m")},
    )
    assert paired(match(a, b)) == {
        "dense/w": ("fc/kernel", PairedBy.CONTENT),
        "dense/w/Adam": ("opt/m/0", PairedBy.OWNER),
        "dense/w/Adam_1": ("opt/v/0", PairedBy.OWNER),
    }


def test_values_find_what_checksums_cannot() -> None:
    weight = values(1, 4, 6)
    a = checkpoint({"x/w": weight}, has_checksums=False)
    for other in (weight.T, weight.reshape(1, 24), weight):
        b = checkpoint({"y/kernel": other}, has_checksums=False)
        assert paired(match(a, b, by_values=pair_by_values)) == {
            "x/w": ("y/kernel", PairedBy.VALUES)
        }
    shuffled = checkpoint({"y/kernel": weight.ravel()[::-1].reshape(2, 12)}, has_checksums=False)
    assert match(a, shuffled, by_values=pair_by_values).pairs == ()


def test_the_smallest_kernels_that_are_transposed_are_found_beside_checksums() -> None:
    for shape in ((2, 5), (2, 2)):
        weight = values(1, *shape)
        a, b = checkpoint({"x/w": weight}), checkpoint({"y/kernel": weight.T.copy()})
        found = {"x/w": ("y/kernel", PairedBy.VALUES)}
        assert paired(match(a, b, by_values=pair_by_values)) == found


def test_a_transposed_layer_is_found_beside_checksums() -> None:
    a = checkpoint({"x/w": values(1, 4, 6), "x/b": values(2, 6)})
    b = checkpoint({"y/kernel": values(1, 4, 6).T.copy(), "y/offset": values(2, 6)})
    assert paired(match(a, b, by_values=pair_by_values)) == {
        "x/w": ("y/kernel", PairedBy.VALUES),
        "x/b": ("y/offset", PairedBy.CONTENT),
    }


def test_a_fingerprint_depends_on_values_not_on_order() -> None:
    for dtype in (np.float32, np.float64, np.int8, np.complex64, np.complex128, np.bool_):
        array = (values(1, 5, 7) * 10).astype(dtype)
        other = array.copy()
        other[2, 3] = not other[2, 3]
        found = [fingerprint(checkpoint({"w": x})["w"]) for x in (array, array.T.copy(), other)]
        assert found[0] == found[1] != found[2], dtype


def test_proposals_go_by_shape_role_and_name() -> None:
    before = {
        "enc/l0/attention/query/w": values(1, 4, 4),
        "enc/l0/attention/key/w": values(2, 4, 4),
        "enc/l0/norm/g": values(3, 4),
    }
    after = {
        "encoder/layer_0/self/key/w": values(4, 4, 4),
        "encoder/layer_0/self/query/w": values(5, 4, 4),
        "enc/norm/g": values(6, 5),
    }
    a, b = checkpoint(before), checkpoint(after)
    matching = match(a, b)
    assert {(pair.a.name.split("/")[3], pair.b.name.split("/")[3]) for pair in matching.pairs} == {
        ("query", "query"),
        ("key", "key"),
    }
    assert all(pair.paired_by is PairedBy.SHAPE for pair in matching.pairs)
    assert all(0.3 < pair.confidence < 1 for pair in matching.pairs)
    assert [variable.name for variable in matching.removed] == ["enc/l0/norm/g"]


def test_a_role_is_never_crossed() -> None:
    weight = values(1, 4, 4)
    a = checkpoint({"x/w": weight})
    b = checkpoint({"y/w": weight}, roles={"y/w": Role.AVERAGE})
    assert match(a, b).pairs == ()


def test_a_found_rule_pairs_what_changed_its_shape() -> None:
    a = checkpoint({"n/old/a/w": values(1, 4), "n/old/b/w": values(2, 5), "n/old/c/w": values(3, 6),
                    "k": values(7, 2)})  # fmt: skip
    b = checkpoint({"n/new/a/w": values(1, 4), "n/new/b/w": values(2, 5), "n/new/c/w": values(4, 9),
                    "k": values(7, 2)})  # fmt: skip
    matching = match(a, b)
    assert paired(matching)["n/old/c/w"] == ("n/new/c/w", PairedBy.RULE)
    assert [str(rule) for rule in matching.rules] == ["s|/old/|/new/|"]


def test_no_variable_is_used_twice_and_none_is_lost() -> None:
    random = np.random.default_rng(3)
    for seed in range(20):
        arrays = [values(int(i), *[(2, 3), (6,), (3, 2)][i % 3]) for i in random.integers(0, 6, 8)]
        sides = [
            checkpoint({f"{'xyz'[int(random.integers(3))]}{i}/w": array for i, array in
                        enumerate(arrays)}, has_checksums=bool(seed % 2))
            for _ in range(2)
        ]  # fmt: skip
        matching = match(*sides, by_values=pair_by_values)
        left = [pair.a.name for pair in matching.pairs] + [v.name for v in matching.removed]
        right = [pair.b.name for pair in matching.pairs] + [v.name for v in matching.added]
        assert sorted(left) == sorted(sides[0])
        assert sorted(right) == sorted(sides[1])


def test_ten_thousand_leftovers_are_not_all_held_against_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overlap = leftovers._overlap
    calls: list[None] = []

    def counted(a: Any, b: Any) -> float:
        calls.append(None)
        return overlap(a, b)

    monkeypatch.setattr(leftovers, "_overlap", counted)
    tiny = np.zeros((2, 3), np.float32)
    a = checkpoint({f"net/block_{i}/part_{i % 7}/w": tiny + i for i in range(10_000)})
    b = checkpoint({f"model/layer{i}/piece{i % 7}/w": tiny - i - 1 for i in range(10_000)})
    pairs = match(a, b).pairs
    assert len(pairs) == 10_000
    assert all(pair.a.name.split("/")[1][6:] == pair.b.name.split("/")[1][5:] for pair in pairs)
    assert len(calls) < 100_000, "a square of 10,000 names would be 100 million"
