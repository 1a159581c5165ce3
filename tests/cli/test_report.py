"""The report: what is in it, that nothing of a file is active in it, and how large it gets."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

RUN = str(FIXTURES / "digits_run")


class Seen(HTMLParser):
    """Tags, ids and links of a page, and whether it is well formed."""

    VOID = frozenset({"meta", "wbr", "br", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def made(call: Any, path: Path, *words: str) -> str:
    code, out, err = call("report", *words, "-o", str(path))
    assert (code, out) == (0, ""), err
    return path.read_text(encoding="utf-8")


def test_a_run_is_answered_question_by_question(call: Any, tmp_path: Path) -> None:
    text = made(call, tmp_path / "r.html", RUN)
    for answer in (
        "A Keras 3 model of 38,474 parameters, saved with Adam after 900 iterations.",
        "44 tensors, 456 KiB read, every checksum right, every value finite.",
        "norm1/beta moved most: 1.7 times its first norm.",
        "Best val_loss 0.0353 at epoch 8",
        "All 43 variables changed; the weights moved 3.4 %.",
        "The last update moved the weights by 0.12 %",
        "43 variables, 450 KiB.",
    ):
        assert answer in text, answer
    assert len(text.encode()) < 400_000


def test_the_page_is_well_formed_and_fetches_nothing(call: Any, tmp_path: Path) -> None:
    text = made(call, tmp_path / "r.html", RUN)
    seen = Seen(text)
    assert not seen.open
    assert len(seen.ids) == len(set(seen.ids))
    own = {f"#{one}" for one in seen.ids}
    assert all(link in own or link.startswith("data:image/png") for link in seen.links)
    assert seen.tags.count("script") == 1
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    assert len(script[1]) < 10_000
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_two_paths_and_one_checkpoint(call: Any, tmp_path: Path) -> None:
    text = made(call, tmp_path / "a.html", f"{RUN}/ckpt-10", f"{RUN}/ckpt-3")
    assert 'id="change"' in text
    assert 'id="run"' not in text
    assert 'id="change"' not in made(call, tmp_path / "b.html", f"{RUN}/ckpt-10")
    partner = str(FIXTURES / "partners" / "digits.safetensors")
    assert "all 16 variables found again" in made(call, tmp_path / "c.html", partner, RUN)


@pytest.mark.parametrize(
    "path", ["dtypes/every", "odd_names/odd", "strings/plain", "digits_export", "dtypes/smallest",
             "sharded/by_size/ckpt-1", "tf012_v1/model.ckpt-5"],
)  # fmt: skip
def test_any_checkpoint_has_a_page(call: Any, tmp_path: Path, path: str) -> None:
    seen = Seen(made(call, tmp_path / "r.html", str(FIXTURES / path)))
    assert not seen.open
    assert not seen.handlers
    assert seen.tags.count("script") == 1


HOSTILE = [
    "<script>alert(1)</script>", "</style><script>x</script>", '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)", "\u202eright to left", "&lt;b&gt;", "{{7*7}}", "a" * 5000,
    "<!--", "]]>", "'onclick='x", "\x1b[31mred", "line\nbreak",
]  # fmt: skip


def test_names_are_never_markup(call: Any, tmp_path: Path) -> None:
    tensors = {name: np.full((2, 3), at, "f4") for at, name in enumerate(HOSTILE)}
    prefix = write_bundle(tmp_path / "ckpt-1", tensors)
    text = made(call, tmp_path / "r.html", prefix)
    seen = Seen(text)
    assert not seen.open
    assert not seen.handlers
    assert seen.tags.count("script") == 1
    assert "img" not in seen.tags
    assert "\u202e" not in text
    assert "\x1b" not in text


@pytest.mark.slow
def test_many_variables_are_summed(call: Any, tmp_path: Path) -> None:
    tensors = {f"layer_{i}/w": np.full(3, i, "f4") for i in range(1500)}
    prefix = write_bundle(tmp_path / "ckpt-1", tensors)
    text = made(call, tmp_path / "r.html", prefix)
    assert "… and 500 variables more" in text
    assert len(text.encode()) < 5_000_000


def test_what_cannot_be_written_is_told_first(call: Any, tmp_path: Path) -> None:
    assert call("report", RUN)[0] == 2
    assert call("report", RUN, "-o", str(tmp_path / "x.txt"))[0] == 2
    code, _, err = call("report", RUN, "-o", str(tmp_path / "no" / "x.html"))
    assert code == 2
    assert "no such directory" in err
    (tmp_path / "x.html").write_text("mine")
    assert call("report", RUN, "-o", str(tmp_path / "x.html"))[0] == 2
    assert (tmp_path / "x.html").read_text() == "mine"
    code, out, _ = call("report", RUN, "-o", str(tmp_path / "x.html"), "--force", "--json")
    assert code == 0
    assert '"sections":["what","sound","run","curves","change","optimizer","values"]' in out
