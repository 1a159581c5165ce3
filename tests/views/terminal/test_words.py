"""Numbers, sizes, shapes, shares and names as people and pipes see them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.model.display import Kind, safe_text, safe_word
from ckread.model.role import Role
from ckread.readers.contract import DataType
from ckread.views.terminal.words import (
    count_text,
    float_text,
    float_word,
    plural,
    shape_text,
    shape_word,
    share_in_words,
    share_text,
    size_cell,
    size_text,
    time_text,
    time_word,
    word_of,
    words_of,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"), (999, "999"), (38_474, "38,474"), (999_999, "999,999"),
        (1_000_000, "1.00M"), (12_704_544, "12.7M"), (999_499_999, "999M"),
        (999_500_000, "1.00G"), (1_200_000_000, "1.20G"), (10**24, "1,000,000E"), (-5, "-5"),
    ],
)  # fmt: skip
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"), (20, "20 B"), (1023, "1,023 B"), (1024, "1.00 KiB"), (2591, "2.53 KiB"),
        (466_944, "456 KiB"), (1_023_487, "999 KiB"), (1_023_488, "0.976 MiB"),
        (50_855_936, "48.5 MiB"), (1 << 31, "2.00 GiB"), (1 << 70, "1,024 EiB"),
    ],
)  # fmt: skip
def test_sizes(nbytes: int, text: str) -> None:
    assert size_text(nbytes) == text


def test_a_size_in_a_column_has_a_unit_of_three_characters() -> None:
    assert size_cell(64) == "64 B  "
    assert size_cell(18432) == "18.0 KiB"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (6.948508671484888e-4, "6.95e-4"), (0.001, "0.00100"),
        (0.0009996, "0.00100"), (0.0009994, "9.99e-4"), (0.00255, "0.00255"), (0.9996, "1.00"),
        (1.5, "1.50"), (-12.345, "-12.3"), (126.4, "126"), (12345.6, "12,346"),
        (99_999.4, "99,999"), (100_000.0, "1.00e5"), (1e300, "1.00e300"),
        (math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf"), (5e-324, "4.94e-324"),
    ],
)  # fmt: skip
def test_floats(value: float, text: str) -> None:
    assert float_text(value) == text


@given(st.floats(-1e300, 1e300))
def test_a_float_keeps_three_digits(value: float) -> None:
    shown = float(float_text(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=0.00501, abs=0)


def test_words_of_floats() -> None:
    assert float_word(None) == "-"
    assert float_word(math.nan) == "NaN"
    assert float_word(-math.inf) == "-inf"
    assert float_word(0.1234567) == "0.123457"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 7, "none"), (7, 7, "all"), (1, 3, "33.3 %"), (1, 5000, "<0.1 %"),
        (4999, 5000, ">99.9 %"), (1, 0, "–"), (3.27, 1, "327.0 %"), (12.9, 0.1, "129 ×"),
        (math.nan, 1, "–"),
    ],
)  # fmt: skip
def test_shares(part: float, whole: float, text: str) -> None:
    assert share_text(part, whole) == text


def test_shares_in_sentences_have_two_digits() -> None:
    told = [share_in_words(part / 1000) for part in (0, 0.5, 30, 131, 994, 999, 1000)]
    assert told == ["0.0 %", "<0.1 %", "3.0 %", "13 %", "99 %", ">99 %", "100 %"]


def test_shapes() -> None:
    assert [shape_text(s) for s in ((3, 3, 1), (), (0,), (None, 8), (-1, 8), None)] == [
        "3×3×1", "scalar", "0", "?×8", "?×8", "?",
    ]  # fmt: skip
    assert [shape_word(s) for s in ((3, 3, 1), (), None)] == ["3x3x1", "-", "?"]


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert time_text(1795240235.06) == "2026-11-21 05:50:35"
    assert time_word(1795240235.06) == "2026-11-21T05:50:35Z"


def test_plurals() -> None:
    assert plural(1, "variable") == "1 variable"
    assert plural(0, "variable") == "0 variables"
    assert plural(12_000_000, "entry", nouns="entries") == "12.0M entries"


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("conv1/kernel", "conv1/kernel", "conv1/kernel"),
        ("a b", "a b", r"a\x20b"),
        ("", "", '""'),
        ("# x", "# x", r"\x23\x20x"),
        ("red\x1b[31m", r"red\x1b[31m", r"red\x1b[31m"),
        ("line\nbreak", r"line\nbreak", r"line\nbreak"),
        ("no\xa0break", r"no\xa0break", r"no\xa0break"),
        ("right\u202eleft", r"right\u202eleft", r"right\u202eleft"),
        ("byte\udc80", r"byte\x80", r"byte\x80"),
        ("lone\ud800", r"lone\ud800", r"lone\ud800"),
        ("[bold]x[/bold]", "[bold]x[/bold]", "[bold]x[/bold]"),
        ("über/☃/😀", "über/☃/😀", "über/☃/😀"),
    ],
)
def test_names_are_made_safe(name: str, text: str, word: str) -> None:
    assert safe_text(name) == text
    assert safe_word(name) == word


@given(st.text(st.characters()))
def test_no_name_reaches_a_terminal_raw(name: str) -> None:
    assert safe_text(name).isprintable()
    word = safe_word(name)
    assert word.isprintable()
    assert word.split() == [word]
    assert not re.match("#", word)


_MANY: dict[Kind, list[list[Any]]] = {
    Kind.FIGURE: [
        [1.5, -0.0, math.nan, math.inf, 1e300],
        [1.0, None],
        [3, 12345678],
        [3, None, 2.5],
    ],
    Kind.COUNT: [[3, 12345678], [3, None], [2.5, 0.1234567]],
    Kind.TEXT: [
        ["a", "b/c"],
        ["a b", "#", "", "a\n"],
        ["a", None],
        [DataType.FLOAT32, Role.SLOT],
        [],
    ],
    Kind.SHAPE: [[(2, 3), (), None]],
    Kind.TRUTH: [[True, None, False]],
}


@pytest.mark.parametrize("kind", _MANY)
def test_words_of_many_are_those_of_each(kind: Kind) -> None:
    for values in _MANY[kind]:
        assert words_of(kind, values) == [word_of(kind)(one) for one in values]
