"""Statuses, scope and metrics of whole checkpoints; damage; workers; the mirror image."""

from __future__ import annotations

import json
import math
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.records import CheckpointDiff, DiffStatus, PairedBy, distance_moved
from ckread.errors import ChecksumError, MissingDependencyError, TruncatedFileError, UsageError
from ckread.model.role import Role
from tests.analysis.array_checkpoint import ArrayReader, FileReader, checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STATUS = {
    DiffStatus.ADDED: DiffStatus.REMOVED,
    DiffStatus.REMOVED: DiffStatus.ADDED,
}


def values(seed: int, *shape: int) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def statuses(result: CheckpointDiff) -> dict[str, str | None]:
    return {variable.name: variable.status for variable in result.variables}


BEFORE = {
    "conv/kernel": values(1, 3, 3, 4),
    "conv/bias": values(2, 4),
    "head/kernel": values(3, 6, 5),
    "old/w": values(4, 7),
    "half": values(5, 9),
    "step": np.array(3, np.int64),
    "labels": np.array([b"cat", b"dog"], object),
}
AFTER = {
    "conv/kernel": BEFORE["conv/kernel"],
    "conv/bias": BEFORE["conv/bias"] * 2,
    "head/kernel": values(6, 6, 8),
    "new/w": values(7, 8),
    "half": BEFORE["half"].astype(np.float16),
    "step": np.array(4, np.int64),
    "labels": np.array([b"cat", b"fox"], object),
}


def test_every_status() -> None:
    result = diff_checkpoints(checkpoint(BEFORE, path="a"), checkpoint(AFTER, path="b"))
    assert statuses(result) == {
        "conv/kernel": "identical",
        "conv/bias": "changed",
        "head/kernel": "reshaped",
        "new/w": "added",
        "half": "retyped",
        "step": "changed",
        "labels": "changed",
        "old/w": "removed",
    }
    assert result.identical is False
    assert result.summary == {
        "added": 1, "removed": 1, "reshaped": 1, "retyped": 1, "changed": 3, "rounding": 0,
        "close": 0, "renamed": 0, "identical": 1,
    }  # fmt: skip
    by_name = {variable.name: variable for variable in result.variables}
    assert by_name["step"].old == 3
    assert by_name["step"].new == 4
    half, bias, labels = (by_name[name].metrics for name in ("half", "conv/bias", "labels"))
    assert half is not None
    assert half.exact_cast is True
    assert bias is not None
    assert bias.relative_l2 == pytest.approx(1, rel=1e-12)
    assert labels is not None
    assert labels.first_changed == (1,)
    assert by_name["head/kernel"].metrics is None


def test_the_index_alone_tells_the_same_statuses_and_reads_nothing() -> None:
    a, b = checkpoint(BEFORE), checkpoint(AFTER)
    result = diff_checkpoints(a, b, index_only=True)
    assert statuses(result) == statuses(diff_checkpoints(checkpoint(BEFORE), checkpoint(AFTER)))
    assert all(variable.metrics is None for variable in result.variables)
    for side in (a, b):
        assert isinstance(side.reader, ArrayReader)
        assert side.reader.n_read == 0


def test_what_did_not_change_is_not_read() -> None:
    a, b = checkpoint(BEFORE), checkpoint(BEFORE)
    result = diff_checkpoints(a, b)
    assert result.identical is True
    assert isinstance(a.reader, ArrayReader)
    assert a.reader.n_read == 0
    assert {v.metrics.relative_l2 for v in result.variables if v.metrics} == {0.0}


def test_exchanged_layers_are_found_by_their_norms_where_there_are_no_checksums() -> None:
    one, two = values(1, 4, 4), values(2, 4, 4)
    before = {"d1/w": one, "d2/w": two, "d3/w": values(3, 4, 4), "s/g": np.ones(4, np.float32)}
    after = {"d1/w": two, "d2/w": one, "d3/w": values(4, 4, 4), "s/g": np.ones(4, np.float32)}
    a, b = (checkpoint(side, has_checksums=False) for side in (before, after))
    result = diff_checkpoints(a, b)
    assert statuses(result) == {
        "d1/w": "renamed", "d2/w": "renamed", "d3/w": "changed", "s/g": "identical",
    }  # fmt: skip
    assert result["d1/w"].renamed_from == "d2/w"
    assert result["d1/w"].paired_by is PairedBy.VALUES


def test_a_scope_that_one_side_has_around_all_of_it() -> None:
    """Of a single variable too; where both sides have one, that would be a guess."""
    one, two = values(1, 4, 4), values(2, 4, 4)
    (found,) = diff_checkpoints(
        checkpoint({"model/w": one}), checkpoint({"w": two})
    ).variables  # fmt: skip
    assert (found.name, found.renamed_from, found.paired_by) == ("w", "model/w", PairedBy.SCOPE)
    (found,) = diff_checkpoints(checkpoint({"w": one}), checkpoint({"model/w": two})).variables
    assert (found.name, found.renamed_from, found.paired_by) == ("model/w", "w", PairedBy.SCOPE)
    both = diff_checkpoints(checkpoint({"net/w": one}), checkpoint({"model/w": two}))
    assert not any(variable.paired_by is PairedBy.SCOPE for variable in both.variables)


def test_a_copy_under_another_name_keeps_its_name() -> None:
    """A target network that was copied from the online one; fresh constants; equal norms."""
    online = values(1, 4, 4)
    before = {
        "online/w": online,
        "target/w": values(2, 4, 4),
        "x": values(5, 8),
        "y": -values(6, 8),
    }
    after = {"online/w": values(3, 4, 4), "target/w": online, "x": values(6, 8), "y": values(5, 8)}
    before |= {"u/g": np.ones(8, np.float32), "v/g": values(7, 8)}
    after |= {"u/g": values(7, 8) * 2, "v/g": np.ones(8, np.float32)}
    a, b = (checkpoint(side, has_checksums=False) for side in (before, after))
    result = diff_checkpoints(a, b)
    assert set(statuses(result).values()) == {"changed"}
    assert all(variable.renamed_from is None for variable in result.variables)


def test_without_checksums_values_are_compared_as_they_stream() -> None:
    a, b = (checkpoint(side, has_checksums=False) for side in (BEFORE, dict(BEFORE)))
    assert diff_checkpoints(a, b).identical is True
    only_index = diff_checkpoints(a, b, index_only=True)
    assert only_index.identical is None
    assert set(statuses(only_index).values()) == {None}
    c = checkpoint(AFTER, has_checksums=False)
    assert diff_checkpoints(a, c, index_only=True).identical is False


def test_bookkeeping_and_aliases_count_only_if_everything_does() -> None:
    roles = {"graph": Role.BOOKKEEPING, "copy": Role.ALIAS, "saves": Role.COUNTER}
    arrays = {name: np.array([1, 2]) for name in roles} | {"w": values(1, 3)}
    changed = {name: array + 1 for name, array in arrays.items() if name != "w"}
    a = checkpoint(arrays, roles=roles)
    b = checkpoint(arrays | changed, roles=roles)
    assert statuses(diff_checkpoints(a, b)) == {"saves": "changed", "w": "identical"}
    everything = diff_checkpoints(a, b, everything=True)
    assert everything.summary["changed"] == 3


def test_scope_by_role_looks_at_both_sides() -> None:
    a = checkpoint({"w": values(1, 3), "m": values(2, 3)}, roles={"m": Role.SLOT})
    b = checkpoint({"w": values(3, 3), "m": values(4, 3)}, roles={"m": Role.SLOT})
    assert list(statuses(diff_checkpoints(a, b, roles=[Role.WEIGHT]))) == ["w"]
    assert diff_checkpoints(a, b, roles=[Role.TABLE]).identical is True


def test_a_renamed_layer_of_the_same_values() -> None:
    weight = values(1, 4, 4)
    result = diff_checkpoints(checkpoint({"x/w": weight}), checkpoint({"y/kernel": weight}))
    (only,) = result.variables
    assert only.status is DiffStatus.RENAMED
    assert only.renamed_from == "x/w"
    assert only.paired_by is PairedBy.CONTENT
    assert result.renames == {"x/w": "y/kernel"}
    assert result.identical is False


def test_a_rename_that_is_given_pairs_and_still_counts() -> None:
    a, b = checkpoint({"x/w": values(1, 3)}), checkpoint({"y/w": values(2, 3)})
    (only,) = diff_checkpoints(a, b, rename=["s/^x/y/"]).variables
    assert (only.status, only.renamed_from) == ("changed", "x/w")
    mapped = diff_checkpoints(a, b, rename_map={"x/w": "y/w"})
    assert mapped.variables[0].paired_by is PairedBy.RENAME


@pytest.mark.parametrize("has_checksums", [True, False])
def test_a_transposed_layer_is_found_and_named(has_checksums: bool) -> None:
    arrays = {"wide": values(1, 4, 6), "square": values(2, 5, 5), "deep": values(3, 2, 3, 4)}
    turned = {
        "wide": arrays["wide"].T.copy(),
        "square": arrays["square"].T.copy(),
        "deep": arrays["deep"].transpose(2, 0, 1).copy(),
    }
    a, b = (checkpoint(side, has_checksums=has_checksums) for side in (arrays, turned))
    found = {variable.name: variable for variable in diff_checkpoints(a, b).variables}
    assert {name: v.permutation for name, v in found.items()} == {
        "wide": (1, 0), "square": (1, 0), "deep": (2, 0, 1),
    }  # fmt: skip
    assert {name: v.status for name, v in found.items()} == {
        "wide": "reshaped", "square": "changed", "deep": "reshaped",
    }  # fmt: skip
    assert found["wide"].metrics is not None
    assert found["wide"].metrics.changed_elements == 0


def test_a_large_transpose_is_confirmed_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckread.analysis.diff.contents._WHOLE_NBYTES", 400)
    array = values(1, 1, 40, 30)
    other = array.transpose(2, 0, 1).copy()
    (found,) = diff_checkpoints(checkpoint({"w": array}), checkpoint({"w": other})).variables
    assert found.permutation == (2, 0, 1)
    other[3, 0, 35] += 1
    (lost,) = diff_checkpoints(checkpoint({"w": array}), checkpoint({"w": other})).variables
    assert lost.permutation is None
    assert lost.metrics is None


def test_a_reshape_keeps_its_figures_where_order_means_something() -> None:
    a = checkpoint({"x": values(1, 4), "y": values(2, 6, 2), "z": values(3, 6, 2)})
    b = checkpoint(
        {"x": 2 * values(1, 4).reshape(1, 1, 4), "y": values(2, 3, 4), "z": values(9, 2, 2, 3)}
    )
    found = {variable.name: variable for variable in diff_checkpoints(a, b).variables}
    assert set(statuses(diff_checkpoints(a, b)).values()) == {"reshaped"}
    assert found["x"].metrics is not None
    assert found["x"].metrics.relative_l2 == pytest.approx(1)
    assert found["y"].metrics is not None
    assert found["y"].metrics.changed_elements == 0
    assert found["z"].metrics is None


def test_tolerance_changes_the_status_not_the_figures() -> None:
    a = checkpoint({"w": np.array([1.0, 2.0])})
    b = checkpoint({"w": np.array([1.0, 2.0 + 1e-9])})
    assert diff_checkpoints(a, b).identical is False
    result = diff_checkpoints(a, b, rtol=1e-6)
    assert (result.identical, result.equal) == (False, True)
    assert statuses(result) == {"w": "close"}
    assert result.variables[0].metrics is not None
    assert result.variables[0].metrics.max_abs == pytest.approx(1e-9)
    assert result.variables[0].metrics.close_elements == 1
    same = diff_checkpoints(a, a, rtol=1e-6)
    assert (same.identical, same.equal, statuses(same)) == (True, True, {"w": "identical"})


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_none(bad: float) -> None:
    a = checkpoint({"w": np.array([1.0])})
    with pytest.raises(UsageError) as caught:
        diff_checkpoints(a, a, atol=bad)
    assert str(caught.value) == f"atol={bad}: expected a finite number of 0 or more"


def test_files_are_read_in_parallel_with_the_same_bits(tmp_path: Path) -> None:
    big = values(1, 3000, 2000)
    other = big + 1e-3 * values(2, 3000, 2000)
    before = {"big": big, **{f"s{i}": values(i, i) for i in range(1, 30)}}
    after = {"big": other, **{f"s{i}": values(i + 50, i) for i in range(1, 30)}}
    a, b = (checkpoint(side, directory=str(tmp_path)) for side in (before, after))
    alone = diff_checkpoints(a, b, n_jobs=1)
    read: list[int] = []
    forked = diff_checkpoints(a, b, n_jobs=3, progress=read.append)
    with ThreadPoolExecutor(2) as executor:
        threads = diff_checkpoints(a, b, executor=executor)
    assert alone == forked == threads
    assert sum(read) == sum(v.nbytes for side in (a, b) for v in side.values())
    assert alone.variables[0].metrics is not None
    wide = big.astype(np.float64), other.astype(np.float64)
    expected = np.linalg.norm(wide[1] - wide[0]) / np.linalg.norm(wide[0])
    assert alone.variables[0].metrics.relative_l2 == pytest.approx(float(expected), rel=1e-12)


def test_through_readers_and_through_extents_the_figures_agree(tmp_path: Path) -> None:
    before = {"w": values(1, 300, 7), "half": values(2, 50).astype(ml_dtypes.bfloat16)}
    after = {"w": values(3, 300, 7), "half": values(4, 50)}
    on_disk = [checkpoint(side, directory=str(tmp_path)) for side in (before, after)]
    in_memory = [checkpoint(side) for side in (before, after)]
    first, second = diff_checkpoints(*on_disk), diff_checkpoints(*in_memory)
    for x, y in zip(first.variables, second.variables, strict=True):
        assert x.metrics is not None
        assert y.metrics is not None
        assert x.metrics.changed_elements == y.metrics.changed_elements
        assert x.metrics.l2 == pytest.approx(y.metrics.l2, rel=1e-13)


def test_damage_on_one_side_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    a = checkpoint({"w": values(1, 400), "u": values(5, 3)}, directory=str(tmp_path))
    b = checkpoint({"w": values(2, 400), "u": values(5, 3)}, directory=str(tmp_path))
    assert isinstance(b.reader, FileReader)
    shard = b.reader.shard
    with open(shard, "r+b") as file:
        file.seek(801)
        file.write(b"\xff\xff")
    with pytest.raises(ChecksumError) as caught:
        diff_checkpoints(a, b)
    assert caught.value.path == shard
    assert ": w: bytes 1 to 1601: stored CRC-32C 0x" in str(caught.value)
    with open(shard, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(TruncatedFileError):
        diff_checkpoints(a, b)
    assert diff_checkpoints(a, b, index_only=True).summary["changed"] == 1


def test_the_json_document_has_the_promised_fields() -> None:
    after = AFTER | {"conv/bias": BEFORE["conv/bias"] + np.float32(np.nan)}
    document = diff_checkpoints(checkpoint(BEFORE), checkpoint(after)).to_dict()
    assert list(document) == [
        "a", "b", "identical", "equal", "index_only", "summary", "conversion",
        "variables", "evidence",
    ]  # fmt: skip
    rows = {row["name"]: row for row in document["variables"]}
    assert {
        "name", "status", "role", "a", "b", "renamed_from", "changed_elements", "first_changed",
        "max_abs", "mean_abs", "l2", "relative_l2", "cosine", "sign_flips", "exact_cast",
        "close_elements", "max_ulp", "max_ulp_of_largest",
    } <= set(rows["step"])  # fmt: skip
    assert rows["step"]["first_changed"] == []
    assert rows["new/w"]["a"] is None
    assert rows["new/w"]["b"] == {
        "name": "new/w", "key": "new/w", "dtype": "float32", "shape": [8],
    }  # fmt: skip
    assert rows["new/w"]["max_abs"] is None
    json.dumps(document)


def test_variables_together() -> None:
    a = checkpoint({"x": np.array([3.0]), "y": np.array([4.0])})
    b = checkpoint({"x": np.array([3.0 + 1]), "y": np.array([4.0 + 1])})
    moved = distance_moved(diff_checkpoints(a, b).variables)
    assert moved == pytest.approx(math.sqrt(2) / 5)
    assert distance_moved([]) is None


@st.composite
def checkpoints(draw: st.DrawFn) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name in draw(st.sets(st.sampled_from(["a/w", "a/b", "b/w", "b/b", "c"]))):
        shape = draw(st.sampled_from([(2, 3), (3, 2), (6,), (4,), ()]))
        dtype = draw(st.sampled_from(["f4", "f8", "i4", "c8"]))
        array = values(draw(st.integers(0, 3)), *shape) * 8
        arrays[name] = np.asarray(array).astype(dtype)
    return arrays


@given(checkpoints(), checkpoints(), st.booleans(), st.sampled_from([0.0, 0.1]))
@settings(deadline=None)
def test_the_mirror_image(
    first: dict[str, NDArray[Any]],
    second: dict[str, NDArray[Any]],
    has_checksums: bool,
    rtol: float,
) -> None:
    a, b = (checkpoint(side, has_checksums=has_checksums) for side in (first, second))
    there, back = diff_checkpoints(a, b, rtol=rtol), diff_checkpoints(b, a, rtol=rtol)
    assert there.identical == back.identical
    mirrored = {(v.b and v.b.name, v.a and v.a.name): v for v in back.variables}
    assert len(mirrored) == len(there.variables)
    for variable in there.variables:
        other = mirrored[variable.a and variable.a.name, variable.b and variable.b.name]
        assert variable.status is not None
        assert other.status == STATUS.get(variable.status, variable.status)
        if variable.metrics is None or other.metrics is None:
            assert variable.metrics is other.metrics
            continue
        assert variable.metrics.changed_elements == other.metrics.changed_elements
        assert variable.metrics.max_abs == other.metrics.max_abs
        assert variable.metrics.l2 == pytest.approx(other.metrics.l2, rel=1e-12)
        assert variable.metrics.cosine == pytest.approx(other.metrics.cosine, abs=1e-14)


@given(checkpoints(), st.booleans())
@settings(deadline=None)
def test_a_checkpoint_is_identical_with_itself(
    arrays: dict[str, NDArray[Any]], has_checksums: bool
) -> None:
    a, b = (checkpoint(arrays, has_checksums=has_checksums) for _ in range(2))
    assert diff_checkpoints(a, b).identical is True


def test_one_pattern_and_one_rule_may_stand_alone() -> None:
    a, b = checkpoint({"x/w": values(1, 3), "z": values(2, 4)}), checkpoint({"y/w": values(2, 3)})
    (only,) = diff_checkpoints(a, b, patterns="y/*", rename="s/x/y/").variables
    assert only.renamed_from == "x/w"


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    result = diff_checkpoints(checkpoint(BEFORE), checkpoint(AFTER))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pandas is not installed"):
        result.to_pandas()


def test_the_result_pickles() -> None:
    result = diff_checkpoints(checkpoint(BEFORE), checkpoint(AFTER))
    assert pickle.loads(pickle.dumps(result)) == result
