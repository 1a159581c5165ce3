"""Servers on this machine: S3 as `moto` plays it, and a web server that knows ranges, or none."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import FOUR, WORDS
from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

FOLDERS = ("digits_run", "digits_export", "digits_files", "partners", "sharded", "tf012_v1")
PREFIXES = [
    "info {}/digits_run/ckpt-10", "ls {}/digits_run/ckpt-10", "tree {}/digits_run/ckpt-10",
    "show {}/digits_run/ckpt-10 conv1/kernel[0]", "stats {}/digits_run/ckpt-10",
    "stats {}/digits_run/ckpt-10 --jobs 2", "check {}/digits_files/digits.keras",
    "diff {}/digits_run/ckpt-2 {}/digits_run/ckpt-3", "optimizer {}/digits_run/ckpt-10",
    "info {}/digits_files/digits.keras", "stats {}/digits_files/digits.weights.h5",
    "info {}/digits_export/",
]  # fmt: skip
LISTED = [
    "info {}/digits_run", "drift {}/digits_run", "drift {}/digits_run --index-only",
    "track {}/digits_run learning_rate", "check {}/digits_run/ckpt-10",
    "check {}/digits_run --every", "info {}/digits_files",
    "info {}/digits_export", "info {}/digits_run/ckpt-11",
    "compat {}/digits_run/ckpt-2 {}/digits_export",
]  # fmt: skip


class _Handler(SimpleHTTPRequestHandler):
    """Gives files, in ranges where its server knows them."""

    knows_ranges = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Tell of a file."""
        self._answer()

    def do_GET(self) -> None:
        """Give a file, or a range of it."""
        self._answer()

    def _answer(self) -> None:
        path = Path(self.translate_path(self.path))
        if "denied" in self.path or not path.is_file():
            self.send_error(403 if "denied" in self.path else 404)
            return
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.knows_ranges:
            start, stop = int(wanted[1]), int(wanted[2] or len(data) - 1) + 1
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        else:
            self.send_response(200)
        if self.knows_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


class _Whole(_Handler):
    knows_ranges = False


@pytest.fixture(scope="module", params=[_Handler, _Whole], ids=["ranges", "whole"])
def web(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of a web server of the fixtures."""
    handler = partial(request.param, directory=str(FIXTURES))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the address of a bucket of the fixtures, and the environment that finds it."""
    server_module = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        for name, value in found.items():
            patched.setenv(name, value)
        client = boto3.client("s3", endpoint_url=found["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="runs")
        for folder in FOLDERS:
            for path in (FIXTURES / folder).rglob("*"):
                if path.is_file():
                    client.put_object(
                        Bucket="runs", Key=str(path.relative_to(FIXTURES)), Body=path.read_bytes(),
                        ACL="public-read" if folder == "digits_export" else "private",
                    )  # fmt: skip
    yield "s3://runs", found
    server.stop()


def _run(words: str, **environment: str) -> tuple[int, str, str]:
    """Run ckread as a user does; times of files are left out, which a store has of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ckread", *words.split()],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "HOME": "/nonexistent", **environment},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    out = re.sub(r",? ?file of [\d-]+ [\d:]+", "", done.stdout)
    return done.returncode, out, done.stderr


def _same(words: str, address: str, **environment: str) -> None:
    code, out, err = _run(words.replace("{}", address), **environment)
    here = str(FIXTURES)
    assert (code, out.replace(address, here), err.replace(address, here)) == _run(
        words.replace("{}", here)
    )


@pytest.mark.parametrize("words", PREFIXES)
def test_a_web_server(words: str, web: str) -> None:
    _same(words, web)


@pytest.mark.parametrize("words", [*PREFIXES, *LISTED])
def test_a_bucket(words: str, bucket: tuple[str, dict[str, str]]) -> None:
    _same(words, bucket[0], **bucket[1])


WORK = """
import sys, ckread
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

RUN = sys.argv[1] + "/digits_run"
TEN, TWO, THREE = (f"{RUN}/ckpt-{step}" for step in (10, 2, 3))


def shown(**how):
    return [
        ckread.statistics(TEN, **how).to_dict(),
        ckread.diff(TWO, THREE, **how).to_dict(),
        ckread.drift(RUN, **how).to_dict(),
        ckread.check(TEN, **how).to_dict(),
    ]


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert shown(executor=executor) == shown()
    print("same")
"""


def test_executors_open_addresses_where_they_work(
    bucket: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK, encoding="utf-8")
    assert _python(tmp_path, bucket[1], str(script), bucket[0]) == "same\n"


def test_a_cluster_gives_the_bits_of_one_process(
    bucket: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    places = str(FIXTURES), bucket[0]
    told = _python(tmp_path, bucket[1], "-m", "tests.cluster", *places).splitlines()
    same = [f"same {words}" for words in (*WORDS, *FOUR)]
    assert told == [*same, *["same without a worker"] * 2, "interrupted 130 0 tasks left"]


def test_the_recipe_for_mpi(bucket: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    [start] = (Path(f.locate()) for f in metadata.files("mpich") or () if f.name == "mpiexec")
    page = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    [script] = re.findall(r"(?s)```python\n(import ckread\nfrom mpi4py.+?)```", page)
    (tmp_path / "moved.py").write_text(script, encoding="utf-8")
    words = "-n", "3", sys.executable, "-m", "mpi4py.futures", "moved.py"
    found = bucket[1] | {"LD_LIBRARY_PATH": str(start.parent.parent / "lib")}
    shown = _python(tmp_path, found, *words, program=str(start))
    alone = f"import ckread; print(ckread.drift('{bucket[0]}/digits_run'))"
    assert shown == _python(tmp_path, bucket[1], "-c", alone)


def _python(home: Path, found: dict[str, str], *words: str, program: str = sys.executable) -> str:
    done = subprocess.run(
        [program, *words],
        capture_output=True, text=True, check=False, cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)} | found,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_page_shows_what_is_shown(bucket: tuple[str, dict[str, str]]) -> None:
    text = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    shown = re.findall(r"(?ms)^\$ ckread (s3:[^\n]*|[a-z]+ s3:[^\n]*)\n(.*?)(?=^\$ |^```)", text)
    assert len(shown) >= 4
    for words, wanted in shown:
        code, out, err = _run(words, **bucket[1])
        assert code in (0, 1)
        assert err + out == wanted


def test_what_a_web_server_has_not(web: str) -> None:
    code, _, err = _run(f"info {web}/digits_run/ckpt-11")
    assert code == 2
    assert "no such checkpoint.\nWhat is there cannot be listed: name a prefix" in err
    code, out, _ = _run(f"check {web}/digits_run/ckpt-10")
    assert code == 0
    assert "state-stale" not in out
    code, out, _ = _run(f"info {web}/digits_run/")
    assert code == 0
    assert "ckpt-10" in out  # as its state file says
    code, out, _ = _run(f"runs {web}/digits_run/")
    assert code == 0
    assert out.count("/ckpt-") == 10
    code, _, err = _run(f"info {web}/denied/ckpt-1")
    assert code == 2
    assert "access is denied (403)" in err


def test_a_bucket_without_credentials_or_that_is_not_there(
    bucket: tuple[str, dict[str, str]],
) -> None:
    address, found = bucket
    code, _, err = _run(f"info {address}/digits_run", AWS_ENDPOINT_URL=found["AWS_ENDPOINT_URL"],
                        AWS_EC2_METADATA_DISABLED="true")  # fmt: skip
    assert code == 2
    assert "credentials" in err
    public = err[err.index("FSSPEC_S3='") + len("FSSPEC_S3='") : err.rindex("'")]
    assert f"`export FSSPEC_S3='{public}'`" in (ROOT / "docs" / "remote.md").read_text()
    code, out, _ = _run(f"info {address}/digits_export", AWS_ENDPOINT_URL=found["AWS_ENDPOINT_URL"],
                        FSSPEC_S3=public)  # fmt: skip
    assert code == 0
    assert "digits_export" in out
    code, _, err = _run("info s3://no-such-bucket/ckpt-1", **found)
    assert code == 2
    assert "very-secret" not in err


def test_a_server_that_is_not_there() -> None:
    code, _, err = _run("info http://127.0.0.1:9/ckpt-1")
    assert code == 2
    assert "the server cannot be reached" in err
