"""Values as numpy prints them, as rows for a pipe, as JSON, as files."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckread.errors import UsageError
from ckread.views import array_files
from ckread.views.array_files import (
    member_name,
    storable,
    suffix_of,
    write_csv,
    write_npy,
    write_npz,
)
from ckread.views.json_document import encode
from ckread.views.terminal.page import Paper, plain
from ckread.views.values import Values, nested, piped_rows, values_page
from tests.analysis.array_checkpoint import checkpoint

ARRAYS = hnp.arrays(
    st.sampled_from(
        [np.float32, np.float64, np.int64, np.uint8, np.bool_, np.complex64, np.float16]
    ),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
)


def page_of(array: Any, *, full: bool = False, width: int = 80) -> list[str]:
    variable = checkpoint({"w": array})["w"]
    page = values_page(Values(variable, "", array, array.shape), full=full)
    return [plain(line) for line in page.lines(Paper(width))]


def test_a_small_array_is_printed_whole() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert page_of(array) == ["w  int64 2×3", "[[0 1 2]", " [3 4 5]]"]


def test_a_large_array_is_abbreviated_and_says_so() -> None:
    array = np.arange(1000, dtype=np.int64).reshape(100, 10)
    lines = page_of(array)
    with np.printoptions(threshold=0):
        assert lines[1:-1] == str(array).split("\n")
    assert lines[-1] == "36 of 1,000 elements shown; --full prints all, -o FILE.npy saves them"
    with np.printoptions(threshold=1000):
        assert page_of(array, full=True)[1:] == str(array).split("\n")


@given(ARRAYS)
def test_what_is_piped_reads_back(array: Any) -> None:
    rows = [row for row in piped_rows(array.shape, [array]) if not row.startswith("# ")]
    read = np.array([element for row in rows for element in row.split()])
    values = read == "True" if array.dtype == bool else read.astype(array.dtype)
    assert np.array_equal(values, array.ravel(), equal_nan=array.dtype.kind in "fc")


def test_numpy_reads_what_is_piped() -> None:
    array = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    read = np.loadtxt(io.StringIO("\n".join(piped_rows(array.shape, [array]))), dtype=np.float32)
    assert np.array_equal(read, array)


def test_each_matrix_of_more_dimensions_is_named() -> None:
    rows = list(piped_rows((2, 2, 1, 3), [np.zeros((2, 2, 1, 3), np.int64)]))
    assert rows == [
        "# [0, 0, :, :]", "0 0 0", "# [0, 1, :, :]", "0 0 0",
        "# [1, 0, :, :]", "0 0 0", "# [1, 1, :, :]", "0 0 0",
    ]  # fmt: skip


def test_strings_are_one_safe_word_each() -> None:
    array = np.array([b"", b"a b", b"\x1b[31m", b"\xff", "é".encode()], dtype=object)
    assert list(piped_rows(array.shape, [array])) == ['""', r"a\x20b", r"\x1b[31m", r"\xff", "é"]


@given(ARRAYS)
def test_json_holds_every_value(array: Any) -> None:
    values = json.loads(encode({"values": nested(array)}))["values"]
    if array.dtype.kind == "c":
        return
    flat = np.array(values, dtype=object).ravel().tolist() if array.size else []
    read = np.array([float(v) if isinstance(v, str) else v for v in flat], dtype=array.dtype)
    assert np.array_equal(read, array.ravel(), equal_nan=array.dtype.kind == "f")


def test_json_of_complex_numbers_are_pairs_and_of_floats_the_shortest() -> None:
    assert encode({"v": nested(np.array([1 + 2j], np.complex64))}) == '{"v":[[1.0,2.0]]}'
    assert encode({"v": nested(np.array([0.1, np.nan], np.float32))}) == '{"v":[0.1,"NaN"]}'
    assert encode({"v": nested(np.array([b"a\xff"], dtype=object))}) == '{"v":["a\\udcff"]}'


def chunks_of(array: Any, size: int = 3) -> list[Any]:
    flat = array.ravel()
    return [flat[at : at + size] for at in range(0, flat.size, size)] or [flat]


@given(ARRAYS)
def test_npy_reads_back_from_chunks(array: Any) -> None:
    file = io.BytesIO()
    write_npy(file, array.shape, chunks_of(array))
    file.seek(0)
    read = np.load(file, allow_pickle=False)
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "name", ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4", "int2", "float4_e2m1fn"]
)
def test_types_that_numpy_lacks_are_widened_exactly(name: str) -> None:
    array = np.array([0, 1, 1, 0]).astype(getattr(ml_dtypes, name))
    wide = storable(array)
    assert wide.dtype.name in ("float32", "int8", "uint8")
    assert np.array_equal(wide.astype(array.dtype), array)
    file = io.BytesIO()
    write_npy(file, (2, 2), [array])
    file.seek(0)
    assert np.array_equal(np.load(file, allow_pickle=False), wide.reshape(2, 2))


def test_an_archive_holds_the_array_under_its_name() -> None:
    file = io.BytesIO()
    write_npz(file, "a/../b/kernel", (2, 2), chunks_of(np.arange(4.0)))
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        assert archive["a/_/b/kernel"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("name", "member"),
    [("a/b", "a/b"), ("/etc/passwd", "_/etc/passwd"), ("..\\x", "_/x"), ("a\nb", "a_b"), ("", "_")],
)
def test_no_member_leaves_its_directory(name: str, member: str) -> None:
    assert member_name(name) == member


def test_csv_has_a_row_per_row_and_indices_above_two_dimensions() -> None:
    def text(array: Any) -> str:
        file = io.BytesIO()
        write_csv(file, array.shape, chunks_of(array))
        return file.getvalue().decode()

    assert text(np.array(1.5)) == "1.5\n"
    assert text(np.arange(3)) == "0\n1\n2\n"
    assert text(np.arange(4).reshape(2, 2)) == "0,1\n2,3\n"
    assert text(np.arange(8).reshape(2, 2, 2)) == "0,0,0,1\n0,1,2,3\n1,0,4,5\n1,1,6,7\n"
    assert text(np.zeros((2, 0))) == ""


def test_csv_of_strings_is_quoted_and_holds_no_formula() -> None:
    file = io.BytesIO()
    strings = np.array([b"=cmd()", b"a,b", b'say "x"', b"new\nline", b"\xff"], dtype=object)
    write_csv(file, strings.shape, [strings])
    rows = list(csv.reader(io.StringIO(file.getvalue().decode(), newline="")))
    assert rows == [["'=cmd()"], ["a,b"], ['say "x"'], ["new\nline"], ["\\xff"]]


def test_strings_become_bytes_of_fixed_length_or_are_refused() -> None:
    file = io.BytesIO()
    write_npy(file, (2,), [np.array([b"ab", b""], dtype=object)])
    file.seek(0)
    assert np.load(file, allow_pickle=False).tolist() == [b"ab", b""]
    with pytest.raises(UsageError, match="strings that end in a NUL byte"):
        storable(np.array([b"a\0"], dtype=object))
    uneven = np.array([b"x" * (1 << 20)] + [b""] * 1000, dtype=object)
    with pytest.raises(UsageError, match="too uneven for an array of fixed length"):
        storable(uneven)


def test_the_suffix_says_how() -> None:
    assert suffix_of("a.b/K.NPY") == ".npy"
    with pytest.raises(UsageError, match=r"x\.txt: no suffix that says how to write it"):
        suffix_of("x.txt")


@pytest.mark.parametrize("dtype", ["f2", "bfloat16", "float8_e4m3fn", "f4", "f8", "i1", "u8", "?"])
def test_each_element_is_written_as_numpy_writes_it(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: of narrow types each value is then written once."""
    numbers = np.random.default_rng(0).integers(0, 256, 5000, "u1")
    kind = getattr(ml_dtypes, dtype) if "float" in dtype else dtype
    values = (numbers % 2 if dtype == "?" else numbers[:4992]).view(kind)
    expected = [str(one) for one in array_files.storable(values).tolist()]
    if np.dtype(kind).kind != "b" and dtype != "f8" and "f" in dtype:
        expected = [str(one) for one in array_files.storable(values)]
    for many in (1, 1 << 17):
        monkeypatch.setattr(array_files, "_MANY", many)
        for n in (0, 1, len(values)):
            assert array_files.element_texts(values[:n]) == expected[:n]


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (3, 1), (2, 1, 3), (0,), (0, 2), (2, 0)])
@pytest.mark.parametrize("cut", [1, 2, 4, 6])
def test_rows_of_a_csv_however_its_chunks_are_cut(shape: tuple[int, ...], cut: int) -> None:
    values = np.arange(math.prod(shape), dtype="f4")
    file = io.BytesIO()
    array_files.write_csv(file, shape, [values[i : i + cut] for i in range(0, values.size, cut)])
    rows: Any = values.reshape(-1, shape[-1] if len(shape) > 1 else 1) if values.size else []
    places = np.ndindex(shape[:-1]) if len(shape) > 2 else itertools.repeat(())
    expected = [
        ",".join(map(str, (*place, *row))) for place, row in zip(places, rows, strict=False)
    ]
    assert file.getvalue().decode().splitlines() == expected
