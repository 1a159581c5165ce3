"""Small tensors together give the figures, bit for bit, that each of them gives alone."""

from __future__ import annotations

import os
import pickle
import re
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckread.analysis import small
from ckread.analysis.check.check import check
from ckread.analysis.check.values import check_values
from ckread.analysis.diff.diff import diff_checkpoints as diff
from ckread.analysis.drift.drift import drift
from ckread.analysis.statistics.statistics import statistics
from ckread.analysis.track import track
from ckread.analysis.workers import MAX_JOB_NBYTES, Work, job_nbytes, workers_of
from ckread.model.columns.variables import SomeVariables
from ckread.model.opening import open_checkpoint
from ckread.readers import crc32c, extents, files
from ckread.readers.contract import DataType, Extent, numpy_dtype
from tests.builders import BundleBuilder, write_bundle
from tests.model.columns.test_variables import columns_above

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = [
    DataType.FLOAT32, DataType.FLOAT64, DataType.FLOAT16, DataType.BFLOAT16, DataType.INT8,
    DataType.INT32, DataType.INT64, DataType.UINT64, DataType.BOOL, DataType.COMPLEX64,
    DataType.COMPLEX128, DataType.FLOAT8_E4M3FN, DataType.INT4,
]  # fmt: skip
KINDS = ["plain", "constant", "special", "bits"]
SPECIAL = [0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 1e-45, 3e38, 1e200, 1e-200, -7.0]


def tensor(random: np.random.Generator, dtype: DataType, n: int, kind: str) -> Any:
    """Make a tensor: of ordinary numbers, a constant, special numbers, or any bits at all."""
    target = numpy_dtype(dtype)
    if kind == "bits" and dtype not in (DataType.BOOL, DataType.INT4):
        return random.integers(0, 256, n * target.itemsize, np.uint8).view(target)
    values = random.standard_normal(n) * 3
    if kind == "constant":
        values[:] = random.choice(SPECIAL)
    if kind == "special":
        values[random.random(n) < 0.3] = random.choice(SPECIAL)
    with np.errstate(all="ignore"):
        if target.kind in "iub" or dtype is DataType.INT4:
            values = np.nan_to_num(values, posinf=3, neginf=-3).clip(-3, 3)
            values = np.abs(values) if target.kind == "u" else values
        return values.astype(target)


def write(directory: Path, seed: int, dtype: DataType, n: int, kinds: list[str]) -> None:
    """Write three checkpoints of the same tensors; some change, some stay."""
    random = np.random.default_rng(seed)
    tensors = [tensor(random, dtype, n, kind) for kind in kinds]
    for step in range(1, 4):
        builder = BundleBuilder()
        for i, array in enumerate(tensors):
            builder.add(f"layer_{i}/kernel", array, dtype)
            builder.add_gap(i % 3 * 3000)
        builder.write(directory / f"ckpt-{step}")
        tensors = [
            array if random.random() < 0.4 else tensor(random, dtype, n, kind)
            for array, kind in zip(tensors, kinds, strict=True)
        ]


def found(directory: Path) -> list[Any]:
    """Give everything that the four analyses say of the checkpoints."""
    a, b = directory / "ckpt-1", directory / "ckpt-2"
    with open_checkpoint(a) as checkpoint:
        looked = check_values(list(checkpoint.values()))
    # Only of those that go together zeros are looked for.
    looks = {name: look._replace(may_have_zero=True) for name, look in looked.looks.items()}
    said = [repr((f.code, f.message)) for f in looked.findings], repr(looks)
    return [
        repr(statistics(a).to_dict()),
        repr(diff(a, b).to_dict()),
        repr(drift(directory).to_dict()),
        said,
    ]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from(TYPES),
    n=st.sampled_from([1, 2, 7, 8, 9, 127, 128, 130, 1000, 1023, 1024, 2500]),
    kinds=st.lists(
        st.sampled_from(["plain", "constant", "special", "bits"]), min_size=2, max_size=7
    ),
)
def test_rows_have_the_bits_of_tensors_alone(
    seed: int, dtype: DataType, n: int, kinds: list[str]
) -> None:
    with TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        write(Path(temporary), seed, dtype, n, kinds)
        together = found(Path(temporary))
        with pytest.MonkeyPatch.context() as few:
            few.setattr(small, "MAX_OPEN_SHARDS", 2)  # checkpoint by checkpoint
            assert found(Path(temporary)) == together
        patch.setattr(small, "SMALL_ELEMENTS", 0)
        assert found(Path(temporary)) == together


@pytest.mark.parametrize("damage", [lambda data: data[:-3004], lambda data: b"\1" + data[1:]])
def test_what_is_damaged_among_small_ones_is_told_of_it_alone(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    write(tmp_path, 0, DataType.FLOAT32, 10, ["plain"] * 5)
    shard = tmp_path / "ckpt-1.data-00000-of-00001"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.MonkeyPatch.context() as patch, open_checkpoint(tmp_path / "ckpt-1") as checkpoint:
        together = statistics(checkpoint), check_values(list(checkpoint.values()))
        patch.setattr(small, "SMALL_ELEMENTS", 0)
        alone = statistics(checkpoint), check_values(list(checkpoint.values()))
    assert [str(v.error) for v in together[0].damaged] == [str(v.error) for v in alone[0].damaged]
    assert len(together[0].damaged) == 1
    assert together[1].findings == alone[1].findings
    assert len(together[1].findings) == 1


def test_a_job_that_is_sent_is_small_and_touches_few_checkpoints(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for step in range(1, 51):
        write_bundle(tmp_path / f"ckpt-{step}", {f"w{i}": random.random(3) for i in range(20)})
    sent: list[tuple[int, int]] = []

    class Sending(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **named: Any) -> Any:
            data = pickle.dumps((fn, args))
            sent.append((len(data), len(set(re.findall(rb"ckpt-\d+\.data", data)))))
            return super().submit(*pickle.loads(data)[0:1], *pickle.loads(data)[1], **named)

    alone = drift(tmp_path).to_dict()
    with Sending(4) as executor:
        assert drift(tmp_path, executor=executor).to_dict() == alone
        n_drift = len(sent)
        statistics(tmp_path / "ckpt-1", executor=executor)
        diff(tmp_path / "ckpt-1", tmp_path / "ckpt-2", executor=executor)
        check_values(list(open_checkpoint(tmp_path / "ckpt-3").values()), Work(executor=executor))
    assert n_drift == 4
    assert max(nbytes for nbytes, _ in sent) < 100_000
    assert max(n for _, n in sent) <= 18


def test_jobs_follow_the_bytes_and_the_workers() -> None:
    mib = 1 << 20
    assert job_nbytes(1000 * mib, 1) == MAX_JOB_NBYTES
    assert job_nbytes(1000 * mib, 10) == 25 * mib
    assert job_nbytes(10 * mib, 100) == mib
    assert job_nbytes(1 << 40, 8) == MAX_JOB_NBYTES
    with ThreadPoolExecutor(7) as executor:
        assert workers_of(executor) == 7
    assert workers_of(Mock(_max_workers=None, _client=Mock(nthreads=lambda: {"a": 3, "b": 5}))) == 8
    assert workers_of(Mock(spec=Executor)) == 32


def test_what_a_run_costs_grows_with_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files opened and listed, and names compared: as many for each of 18 as for each of 6."""
    costs = []
    for n in (6, 18):
        directory = tmp_path / str(n)
        directory.mkdir()
        for step in range(1, n + 1):
            values = {"a/kernel": np.full(5, step, np.float32), "rate": np.array(step, np.float32)}
            write_bundle(directory / f"ckpt-{step}", values)
        with pytest.MonkeyPatch.context() as patch:
            calls = [Mock(side_effect=function) for function in (files.open_regular, os.listdir)]
            patch.setattr(files, "open_regular", calls[0])
            patch.setattr(os, "listdir", calls[1])
            drift(directory)
            drift(directory, index_only=True)
            track(directory, "rate")
            with files.found_out_once():
                for step in range(1, n + 1):
                    check(directory / f"ckpt-{step}")
            costs.append([call.call_count / n for call in calls])
    assert costs[1][0] <= costs[0][0] * 1.05
    assert costs[1][1] <= costs[0][1] * 1.05


def test_a_long_run_opens_each_shard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    sizes = [10, 10, 30, 1500, 1500, 40]
    for step in range(1, 13):
        tensors = {f"w{i}": random.standard_normal(n) for i, n in enumerate(sizes)}
        write_bundle(tmp_path / f"ckpt-{step}", tensors)
    whole = drift(tmp_path).to_dict()
    opened = Mock(side_effect=extents.open_shard)
    monkeypatch.setattr(extents, "open_shard", opened)
    monkeypatch.setattr(small, "MAX_OPEN_SHARDS", 5)
    assert drift(tmp_path).to_dict() == whole
    assert opened.call_count == 12


def extents_at(*places: tuple[str, int, int, DataType], crc: int | None = 5) -> list[Extent]:
    return [Extent(p, at, n, dtype, False, crc, ((0, n),)) for p, at, n, dtype in places]


F4, F8, I1 = DataType.FLOAT32, DataType.FLOAT64, DataType.INT8


def test_groups_are_of_one_size_and_one_type() -> None:
    one = extents_at(
        ("a", 0, 8, F4), ("b", 8, 8, F4), ("a", 16, 8, I1), ("a", 24, 0, F4), ("a", 32, 4096, F4),
        ("a", 40, 4092, F4), ("a", 50, 16, F8),
    )  # fmt: skip
    groups, rest = small.grouped([[*one, None]])
    assert rest == [3, 4, 7]
    assert [(g.numbers.tolist(), g.elements) for g in groups] == [
        ([0, 1], 2), ([2], 8), ([5], 1023), ([6], 2),
    ]  # fmt: skip
    [column] = groups[0].columns
    assert (column.paths, column.offsets.tolist(), column.crc32c.tolist()) == (
        ("a", "b"), [0, 8], [5, 5],
    )  # fmt: skip
    assert column.files is not None
    assert (column.files.tolist(), column.dtype, column.big_endian) == ([0, 1], F4, False)
    assert [g.nbytes for g in groups] == [16, 8, 4092, 16]
    [alone], _ = small.grouped([extents_at(("a", 0, 8, F4), ("a", 8, 8, F4), crc=None)])
    assert alone.columns[0].files is None
    assert alone.columns[0].crc32c.tolist() == [-1, -1]
    few, rest = small.grouped([one], limit=2)
    assert ([g.numbers.tolist() for g in few], rest) == ([[0, 1], [6]], [2, 3, 4, 5])
    assert small.grouped([]) == small.grouped([[]]) == ([], [])


def test_pairs_are_grouped_by_both_sides() -> None:
    left = extents_at(("a", 0, 8, F4), ("a", 8, 8, F4), ("a", 16, 8, F4), ("a", 24, 8, F4))
    right = extents_at(("b", 0, 8, F4), ("b", 8, 16, F8), ("b", 24, 12, F4), ("b", 36, 8, F4))
    groups, rest = small.grouped([left, right])
    assert ([g.numbers.tolist() for g in groups], rest) == ([[0, 3], [1]], [2])
    assert [c.dtype for c in groups[1].columns] == [F4, F8]
    assert groups[0].nbytes == 32
    assert groups[1].nbytes == 24
    assert [c.offsets.tolist() for c in groups[0].columns] == [[0, 24], [0, 36]]
    some = groups[0].of(slice(1, 2))
    assert (some.numbers.tolist(), some.columns[1].offsets.tolist()) == ([3], [36])
    big = [e._replace(big_endian=True) for e in left]
    assert len(small.grouped([[*left, *big]])[0]) == 2
    assert small.grouped([[*left, *big]])[0][1].columns[0].big_endian


def test_a_column_that_is_sent_names_its_own_files_alone() -> None:
    lying = extents_at(*((name, 8 * i, 8, F4) for i, name in enumerate("abcab")))
    [group], _ = small.grouped([lying])
    sent = pickle.loads(pickle.dumps(group.columns[0].of([2, 4])))
    assert sent.paths == ("b", "c")
    assert (sent.files.tolist(), sent.offsets.tolist()) == ([1, 0], [16, 32])
    [whole], _ = small.grouped([lying[:1] * 3])
    again = pickle.loads(pickle.dumps(whole.columns[0]))
    assert (again.paths, again.files, again.offsets.tolist()) == (("a",), None, [0, 0, 0])


@pytest.mark.parametrize(
    ("offsets", "pieces"),
    [
        ([0, 10, 20], None),
        ([7], None),
        ([0, 10, 21], [(0, 31, [(0, 0), (1, 10), (2, 21)])]),
        ([20, 0, 10], [(0, 30, [(1, 0), (2, 10), (0, 20)])]),
        ([0, 10 + 4096], [(0, 4116, [(0, 0), (1, 4106)])]),
        ([0, 10 + 4097], [(0, 10, [(0, 0)]), (4107, 10, [(1, 0)])]),
        ([9000, 0, 20], [(0, 30, [(1, 0), (2, 20)]), (9000, 10, [(0, 0)])]),
    ],
)
def test_near_tensors_are_read_in_one_go(offsets: list[int], pieces: Any) -> None:
    assert small._plan(np.array(offsets, np.int64).tobytes(), 10) == pieces


def test_blocks_are_neither_large_nor_many() -> None:
    def sizes(elements: int, n: int, n_columns: int, places: int | None) -> list[int]:
        column = small.grouped([extents_at(*[("a", 0, 4, F4)] * n)])[0][0].columns[0]
        group = small.Group(np.arange(n), [column] * n_columns, elements)
        blocks = list(small._blocks(group, places))
        assert np.concatenate([b.numbers for b in blocks]).tolist() == list(range(n))
        return [len(b.numbers) for b in blocks]

    assert sizes(1 << 16, 10, 1, None) == [4, 4, 2]
    assert sizes(1 << 18, 2, 1, None) == sizes(1 << 20, 2, 1, None) == [1, 1]
    assert sizes(1, 10, 1, None) == sizes(1, 10, 1, 10) == [10]
    assert sizes(1, 10, 2, 8) == [4, 4, 2]
    assert sizes(1, 3, 20, 8) == [1, 1, 1]
    assert small.limit_of(257, 5000) == 5000
    assert small.limit_of(256, 5000) == 1023


@pytest.mark.parametrize("big_endian", [False, True])
def test_rows_that_are_read_are_verified(tmp_path: Path, big_endian: bool) -> None:
    random = np.random.default_rng(0)
    stored: list[tuple[Any, Extent]] = []
    for name in ("a", "b"):
        data = b"\0"
        for i in range(4):
            row = random.normal(size=3).astype(">f4" if big_endian else "<f4")
            place = len(data), row.nbytes
            data += row.tobytes() + bytes(5000 * (i % 2))
            right_one = crc32c.crc32c(row.tobytes())
            crc = [right_one, 7, None, right_one][i]
            stored.append((row, Extent(str(tmp_path / name), *place, F4, big_endian, crc, ())))
        (tmp_path / name).write_bytes(data)
    lying = [extent for _, extent in stored]
    gone = lying[0]._replace(path=str(tmp_path / "gone"))
    for sources in (lying, lying[:4], lying[:1]):
        groups, _ = small.grouped([sources])
        told: list[int] = []
        [rows] = small.scan_together(groups, taking, Work(progress=told.append))
        right = [i % 4 != 1 for i in range(len(sources))]
        assert rows.is_done.tolist() == right
        assert rows.left == [i for i, is_right in enumerate(right) if not is_right]
        at = [i for i, is_right in enumerate(right) if is_right]
        assert [list(x) for x in rows.done] == [at, at]
        for i in at:
            assert rows.result[i].tolist() == stored[i][0].tolist()
        assert told == [12 * len(at)]
    [group], _ = small.grouped([[*lying[:2], gone]])
    [rows] = small.scan_together([group], taking, Work())
    assert (rows.result, rows.left) == (None, [0, 1, 2])
    careful = [small.Rows(group, None, np.array(x)) for x in ([True] * 3, [False, True, False])]
    assert [list(x) for x in careful[1].done] == [[1], [1]]
    assert careful[0].left == []


def taking(dtypes: Any) -> Any:
    def measure(_: Any, arrays: Any) -> tuple[Any, Any]:
        return arrays[0].copy(), np.ones(len(arrays[0]), np.bool_)

    return small.AllAtOnce(measure, dtypes)


def test_tensors_of_several_shards_are_grouped_by_columns_too(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    builder = BundleBuilder(2)
    for i in range(12):
        wide = i % 3 == 0
        array = random.normal(size=5 + i % 2).astype("f8" if wide else "f4")
        dtype = DataType.FLOAT64 if wide else DataType.FLOAT32
        builder.add(f"w{i:02}", array, dtype, shard=i % 5 % 2)
    prefix = builder.write(tmp_path / "x")
    with open_checkpoint(prefix) as made:
        listed = list(made.values())
        groups, rest = small.grouped([listed])
    with columns_above(-1), open_checkpoint(prefix) as made:
        assert made.columns is not None
        places = np.arange(12)
        found, left = small.grouped([SomeVariables(made.columns, places)])
    assert rest == left == []
    assert len(groups) == len(found) == 4
    for one, other in zip(groups, found, strict=True):
        assert one.numbers.tolist() == other.numbers.tolist()
        [mine], [theirs] = one.columns, other.columns
        lying = [
            [c.paths[k] for k in ([0] * len(one.numbers) if c.files is None else c.files.tolist())]
            for c in (mine, theirs)
        ]
        assert lying[0] == lying[1]
        assert mine.offsets.tolist() == theirs.offsets.tolist()
        assert mine.crc32c.tolist() == theirs.crc32c.tolist()
