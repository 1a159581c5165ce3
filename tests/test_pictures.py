"""The pictures of README.md are there, small, and what its commands draw today."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PICTURES = ROOT / "docs" / "pictures"
NAMES = sorted(path.name for path in PICTURES.glob("*"))
MAX_NBYTES = 150_000
BLOCK = 8
"""Pixels of a side of the squares that are compared: letters may differ, words may not."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with every picture drawn anew."""
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([sys.executable, ROOT / "docs" / "make_pictures.py", folder], check=True)
    return folder


def blocks(path: Path) -> NDArray[np.float64]:
    """Give a picture as the mean grey of its squares, white being 255."""
    with Image.open(path) as image:
        reduced = image.convert("L").reduce(BLOCK)
        return np.asarray(reduced, dtype=np.float64)


def test_the_page_shows_each_picture() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(docs/pictures/(.+?)\)", page)) == NAMES
    assert len(NAMES) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_and_not_blank(name: str) -> None:
    assert (PICTURES / name).stat().st_size <= MAX_NBYTES
    picture = blocks(PICTURES / name)
    assert np.count_nonzero(picture < 250) > 0.05 * picture.size


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_what_its_command_draws(name: str, drawn: Path) -> None:
    kept, new = blocks(PICTURES / name), blocks(drawn / name)
    assert kept.shape == new.shape, "python docs/make_pictures.py draws it anew"
    assert np.count_nonzero(np.abs(kept - new) > 16) < 0.005 * kept.size


def test_pictures_come_out_equal(drawn: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "make_pictures.py", tmp_path], check=True)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()
