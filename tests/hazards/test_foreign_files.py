"""Logs, maps, images and state files of others: what they may claim, hold and be."""

from __future__ import annotations

import json
import os
import signal
import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from ckread.analysis.history.history import history
from ckread.cli.main import main
from ckread.readers.state import known_time
from tests.builders import bytes_field, fixed32_field, masked_crc32c, varint_field
from tests.hazards.bounded import refused
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEN, NINE = (str(FIXTURES / "digits_run" / f"ckpt-{step}") for step in (10, 9))


@pytest.fixture(autouse=True)
def is_prompt() -> Iterator[None]:
    """Kill what blocks."""
    signal.alarm(60)
    yield
    signal.alarm(0)


# Tables that are far larger than what is written of them.

N = 12_000
WIDE: dict[str, Any] = {
    "a name of its own in each row": [{f"m{i}": i} for i in range(N)],
    "lists of one value beside a long one": {f"m{i}": [1] for i in range(N)} | {"loss": [1] * N},
    "pandas, a row for each column": {f"m{i}": {str(i): 1} for i in range(N)},
    "pandas by rows": {str(i): {f"m{i}": 1} for i in range(N)},
    "split": {"columns": [f"m{i}" for i in range(N)], "data": [[None] * 9, *[[1]] * N]},
}


@pytest.mark.parametrize("form", WIDE)
def test_rows_times_columns_are_bounded_by_what_is_written(tmp_path: Path, form: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps(WIDE[form]))
    if form == "split":  # rows shorter than the header have no cells
        assert list(history(path).metrics) == ["m0"]
        return
    message = refused(lambda: history(path), limit=80 << 20)
    assert message.startswith(f"{path}: 12,000 rows and 12,00")
    assert message.endswith(" values, expected a table")


@pytest.mark.slow
def test_a_table_of_many_columns_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "h.csv"
    path.write_text(",".join(f"m{i}" for i in range(20_000)) + "\n" + ",".join("1" * 20_000))
    assert main(["history", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    path.write_text("a,b\n" + "1,2\n" * 100_000)
    assert len(history(path).epochs) == 100_000


@pytest.mark.slow
def test_logs_that_are_joined_are_bounded_together(tmp_path: Path) -> None:
    for i in range(20):
        rows = [
            {"epoch": 1000 * i + j + 1, **{f"m{i}-{k}": 1 for k in range(40)}} for j in range(200)
        ]
        (tmp_path / f"{i}.json").write_text(json.dumps(rows))
    paths = [str(tmp_path / f"{i}.json") for i in range(20)]
    assert len(history(paths[:2]).metrics) == 80
    assert "4,000 rows and 801 columns" in refused(lambda: history(paths), limit=300 << 20)


def _event(step: int, tag: str, rest: bytes = b"") -> bytes:
    value = bytes_field(1, tag.encode()) + fixed32_field(2, struct.unpack("<I", b"\0\0\x80?")[0])
    summary = bytes_field(5, bytes_field(1, value)) if tag else b""
    data = struct.pack("<Bd", 9, 1.0) + varint_field(2, step) + summary + rest
    head = struct.pack("<Q", len(data))
    crc = struct.pack("<I", masked_crc32c(data))
    return head + struct.pack("<I", masked_crc32c(head)) + data + crc


@pytest.mark.slow
def test_event_files_of_many_tags_or_long_records(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(_event(i + 1, f"m{i}") for i in range(2000)))
    assert "2,000 rows and 2,000 columns" in refused(lambda: history(path), limit=80 << 20)
    graph = bytes_field(4, bytes(20 << 20))  # a graph, which is skipped
    path.write_bytes(_event(0, "", graph) + _event(1, "loss"))
    assert history(path).metrics == {"loss": (1.0,)}
    data = bytearray(path.read_bytes())
    data[10 << 20] ^= 1
    path.write_bytes(data)
    assert "wrong checksum" in refused(lambda: history(path))
    path.write_bytes(_event(1, "loss", bytes_field(6, bytes(20 << 20))))
    message = refused(lambda: history(path))
    assert message.endswith("bytes, expected at most 16,777,216 bytes of measurements")


# Numbers: of any number of digits, and any size.

DIGITS = {
    "400 digits": "9" * 400, "4,301 digits": "9" * 4301, "1e300": "1e300", "2**60": str(1 << 60),
    "NaN": "NaN", "Infinity": "Infinity",
}  # fmt: skip


@pytest.mark.parametrize("kind", DIGITS)
@pytest.mark.parametrize("form", ["json", "csv", "lines"])
def test_epochs_that_count_nothing_are_said_to(tmp_path: Path, kind: str, form: str) -> None:
    path = tmp_path / f"h.{form}"
    number = DIGITS[kind]
    texts = {
        "json": f'[{{"epoch": 1, "loss": 3}}, {{"epoch": {number}, "loss": 2}}]',
        "lines": f'{{"epoch": 1, "loss": 3}}\n{{"epoch": {number}, "loss": 2}}\n',
        "csv": f"epoch,loss\n1,3\n{number},2\n",
    }
    path.write_text(texts[form])
    found = history(path)
    assert (found.epochs, found.metrics) == ((1, 2), {"loss": (3.0, 2.0)})
    told = "epoch holds numbers that count nothing: rows are numbered without it."
    assert found.notes == (told,)


def test_steps_stay_exact_as_far_as_they_count(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps([{"step": 1, "loss": 2}, {"step": (1 << 53) - 1, "loss": 1}]))
    assert history(path).epochs == (1, 9_007_199_254_740_991)
    assert history(path).notes == ()


@pytest.mark.parametrize("width", [None, "80"])
@pytest.mark.parametrize(
    "values", [(1e308, -1e308), (1e308, 1.0), (1e308, 1e-300), (5e-324, 1e-323), (1.7e308,) * 2]
)
def test_losses_of_any_size_on_screens_and_in_pictures(
    tmp_path: Path,
    values: tuple[float, ...],
    width: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, picture = tmp_path / "h.json", tmp_path / "h.svg"
    path.write_text(json.dumps([{"epoch": i + 1, "loss": v} for i, v in enumerate(values)]))
    if width is not None:
        monkeypatch.setenv("COLUMNS", width)
        monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["history", str(path), "--plot", str(picture)]) == 0
    assert "Best loss" in capsys.readouterr().out
    beyond = any(abs(value) > 1e300 for value in values)
    assert ("Values beyond 1e300 are not drawn." in picture.read_text()) is beyond


@pytest.mark.parametrize("time", ["nan", "inf", "1e300", "-1e300", "1e18", "-1", "9" * 400])
def test_times_that_are_none(tmp_path: Path, time: str, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        os.symlink(f"{TEN}{suffix}", tmp_path / f"ckpt-10{suffix}")
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-10"\nall_model_checkpoint_paths: "ckpt-10"\n'
        f"all_model_checkpoint_timestamps: {time}\nlast_preserved_timestamp: {time}\n"
    )
    for words in (["runs"], ["runs", "--json"], ["info"], ["check", "--quick"]):
        assert main([words[0], str(tmp_path), *words[1:]]) == 0
    shown = capsys.readouterr()
    assert "5138" not in shown.out
    assert shown.err.count("error") == 0
    assert known_time(float(time)) is None
    assert known_time(1763676000.25) == 1763676000.25


# Files that are none, or would be far larger than they are.


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
@pytest.mark.parametrize(
    "words",
    [
        ["history", "FILE"],
        ["diff", TEN, NINE, "--rename-map", "FILE"],
        ["compat", TEN, NINE, "--map", "FILE"],
        ["filters", TEN, "conv1/kernel", "-o", "OUT", "--image", "FILE"],
    ],
    ids=lambda words: words[0],
)
def test_what_a_person_gives_must_be_a_regular_file(
    tmp_path: Path, words: list[str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "given"
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path) if kind == "pipe" else os.symlink("/dev/zero", path)
    given = {"FILE": str(path), "OUT": str(tmp_path / "out.png")}
    assert main([given.get(word, word) for word in words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: ")
    assert os.listdir(tmp_path) == ["given"]


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


DDS = b"DDS " + struct.pack("<7I", 124, 0x1007, 4, 4, 0, 0, 0) + bytes(44)
IMAGES = {
    "below Pillow's limit": (_png(4000, 2000), "too large an image"),
    "above Pillow's limit": (_png(20_000, 10_000), "too large an image"),
    "many responses": (_png(1000, 1000), "16 responses of 1000×1000"),
    "avif": (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B" + bytes(64), "not an image"),
    "dds": (DDS + struct.pack("<8I", 32, 4, 0x58585858, 0, 0, 0, 0, 0) + bytes(20), "not an image"),
    "short dds": (DDS[:5], "not an image"),
    "webp": (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40), "not an image"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_within_bounds(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image"
    data, message = IMAGES[kind]
    path.write_bytes(data)
    out = str(tmp_path / "out.png")
    tracemalloc.start()
    assert main(["filters", TEN, "conv1/kernel", "--image", str(path), "-o", out]) == 2
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    said = capsys.readouterr().err
    assert message in said
    assert "fault" not in said


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 100_000, '{"a":' + "9" * 5000 + "}", "\xff", "[]", '{"a": 1}']
)
def test_maps_that_are_none(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "map.json"
    path.write_text(text, encoding="latin-1")
    assert main(["diff", TEN, NINE, "--rename-map", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: not a ")
    assert "fault" not in said


def test_rules_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", TEN, NINE, "--rename", "s/kernel/bias/"]) == 1  # names that collide
    assert main(["diff", TEN, NINE, "--rename", "s/kernel/bias/", "--json"]) == 1
    assert "fault" not in capsys.readouterr().err
    for rule in ("s/a{99999999999}/b/", r"s/a/\9/", "s/(/b/", "s/.*/x/"):
        assert main(["diff", TEN, NINE, "--rename", rule]) == 2
        assert capsys.readouterr().err.startswith("error: --rename")
    assert main(["diff", TEN, NINE, "--rename", f"s/e/{'ab' * 40_000}/"]) == 2
    assert "more than 65,536 characters" in capsys.readouterr().err
