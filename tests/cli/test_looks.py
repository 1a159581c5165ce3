"""Pictures for papers: title, notes, size, dots per inch and font, and what is refused."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import pytest

from ckread.views.figures.style import LOOK, Look
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = str(FIXTURES / "digits_run" / "history.json")


@pytest.fixture(autouse=True)
def _house_style() -> Iterator[None]:
    yield
    LOOK.set(Look())


def drawn(call: Any, path: Path, *options: str) -> str:
    code, _, err = call("history", LOG, "--plot", str(path), *options)
    assert code == 0, err
    return path.read_text(encoding="utf-8")


def size_of(svg: str) -> tuple[float, float]:
    match = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg) or re.search(
        r'height="([\d.]+)pt".*?width="([\d.]+)pt"', svg, re.DOTALL
    )
    assert match is not None
    return float(match[1]) / 72, float(match[2]) / 72


def test_a_title_of_ones_own_none_and_no_notes(call: Any, tmp_path: Path) -> None:
    plain = drawn(call, tmp_path / "a.svg")
    assert "Upright line" in plain
    assert "ckread:title" in plain
    own = drawn(call, tmp_path / "b.svg", "--title", "Loss of $x^2$ & <b>")
    assert "Loss of $x^2$ &amp; &lt;b&gt;" in own
    bare = drawn(call, tmp_path / "c.svg", "--title", "none", "--note", "none")
    assert "ckread:title" not in bare
    assert "Upright line" not in bare
    assert size_of(bare)[1] < size_of(plain)[1] - 0.5


def test_size_and_dots(call: Any, tmp_path: Path) -> None:
    svg = drawn(call, tmp_path / "a.svg", "--size", "5x4.5")
    assert sorted(size_of(svg)) == [4.5, 5.0]
    png = tmp_path / "a.png"
    assert call("history", LOG, "--plot", str(png), "--size", "5x4", "--dpi", "100")[0] == 0
    assert struct.unpack(">II", png.read_bytes()[16:24]) == (500, 400)
    bare = tmp_path / "b.png"
    options = ("--size", "5x4", "--dpi", "100", "--title", "none")
    assert call("history", LOG, "--plot", str(bare), *options)[0] == 0
    assert struct.unpack(">II", bare.read_bytes()[16:24]) == (500, 400)


def test_a_font(call: Any, tmp_path: Path) -> None:
    assert "DejaVu Serif" in drawn(call, tmp_path / "a.svg", "--font", "DejaVu Serif")
    code, _, err = call("history", LOG, "--plot", str(tmp_path / "b.svg"), "--font", "Nope")
    assert code == 2
    assert "--font Nope: not installed" in err


@pytest.mark.parametrize(
    "options",
    [("--size", "0x3"), ("--size", "3"), ("--size", "99x3"), ("--dpi", "5"), ("--dpi", "1e9"),
     ("--note", "all")],
)  # fmt: skip
def test_what_is_no_look(call: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert call("history", LOG, "--plot", str(tmp_path / "a.svg"), *options)[0] == 2
    assert not list(tmp_path.iterdir())
