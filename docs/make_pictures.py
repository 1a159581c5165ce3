"""Draws the pictures of README.md, each by the command that stands above it there.

    python docs/make_pictures.py [FOLDER]

FOLDER is `docs/pictures` unless given. A picture `docs/pictures/NAME.png` is what the
command of the page that writes `NAME.png` makes of the fixtures, so page and pictures
cannot tell different stories. `docs/report.png` is the beginning of the page that
`ckread report` writes of them, as Chromium shows it; without Chromium it stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"

_PICTURE = re.compile(r"!\[[^\]]+\]\(docs/pictures/(\w+\.png)\)")
_COMMAND = re.compile(r"^ckread (.* (?:--plot|-o) (\w+\.png))$", re.MULTILINE)


def commands(page: str) -> dict[str, list[str]]:
    """Give the arguments that write each picture of a page, by its file name.

    Raises:
        ValueError: a picture has no command, or a command's picture is not shown.
    """
    written = {found[2]: found[1].split() for found in _COMMAND.finditer(page)}
    shown = set(_PICTURE.findall(page))
    if shown != set(written):
        raise ValueError(f"pictures {sorted(shown)}, commands for {sorted(written)}")
    return written


def draw(page: str, folder: Path) -> list[Path]:
    """Draw every picture of a page into a folder; give their files."""
    made = []
    with tempfile.TemporaryDirectory() as workplace:
        (Path(workplace) / "fixtures").symlink_to(ROOT / "fixtures")
        for name, arguments in commands(page).items():
            command = [sys.executable, "-m", "ckread", *arguments, "-q"]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run(
                command, check=True, cwd=workplace, env=environment, stdout=subprocess.DEVNULL
            )
            made.append(Path(shutil.copy(Path(workplace) / name, folder)))
    return made


_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
_SHOT = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]


def photograph_report(target: Path) -> None:
    """Make the picture of the report."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        words = ["report", "digits_run", "-o", str(page), "-q"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-m", "ckread", *words],
            check=True, cwd=ROOT / "fixtures", env=environment,
        )  # fmt: skip
        shot = [f"--screenshot={target}", "--window-size=1100,1750", page.as_uri()]
        subprocess.run([str(_BROWSER), *_SHOT, *shot], check=True, stderr=subprocess.DEVNULL)
    with Image.open(target) as picture:
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(target, optimize=True)


if __name__ == "__main__":
    if _BROWSER and len(sys.argv) < 2:
        photograph_report(ROOT / "docs" / "report.png")
    draw(
        (ROOT / "README.md").read_text(encoding="utf-8"),
        Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES,
    )
