"""`ckread stats` and `ckread filters` on real files: screens, streams, pictures, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.cli.output import ProgressBar
from ckread.cli.terminal import figures_text
from ckread.model.opening import open_checkpoint
from tests.builders import write_bundle
from tests.corruption import flip
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from pathlib import Path

RUN = FIXTURES / "digits_run"
TEN = str(RUN / "ckpt-10")


@pytest.fixture
def run(call: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that runs ckread and gives exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "80")
    return call


def _damaged(tmp_path: Path) -> str:
    for name in ("ckpt-10.index", "ckpt-10.data-00000-of-00001"):
        shutil.copy(RUN / name, tmp_path / name)
    prefix = tmp_path / "ckpt-10"
    with open_checkpoint(str(prefix)) as checkpoint:
        offset = checkpoint["hidden/kernel"].offset
    flip(f"{prefix}.data-00000-of-00001", (offset or 0) + 100_000)
    return str(prefix)


def test_piped_every_weight_is_a_row_of_words(run: Any) -> None:
    code, out, err = run("stats", TEN)
    assert (code, err) == (0, "")
    header, *rows = out.splitlines()
    assert header.split() == [
        "#", "name", "shape", "min", "max", "mean", "std", "l1", "l2", "zeros", "nan", "inf",
        "median",
    ]  # fmt: skip
    assert len(rows) == 16
    assert {len(row.split()) for row in rows} == {12}
    assert rows[0].split()[:2] == ["conv1/kernel", "3x3x1x16"]


def test_a_terminal_shows_distributions_and_what_is_left_out(run: Any) -> None:
    code, out, _ = run("stats", TEN, "--color", "always")
    assert code == 0
    assert "▇" in out
    assert "16 weights, 38,474 elements, all finite, checksums right. Left out:" in out
    assert "(--role all)" in out


def test_one_variable_is_a_histogram(run: Any) -> None:
    code, out, _ = run("stats", TEN, "hidden/kernel", "--bins", "4")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if not line.startswith("#")]
    assert len(rows) == 4
    assert sum(int(row[2]) for row in rows) == 512 * 64
    code, out, _ = run("stats", TEN, "hidden/kernel", "--color", "always")
    assert "█" in out
    assert "cross at the median" in out


def test_json_has_the_figures(run: Any) -> None:
    code, out, _ = run("stats", TEN, "conv1", "--json", "--bins", "7")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "ckread.stats/1"
    assert document["damaged"] == []
    kernel, bias = document["variables"]
    assert (kernel["name"], bias["name"]) == ("conv1/kernel", "conv1/bias")
    assert len(kernel["histogram"]["counts"]) == 7
    assert sum(kernel["histogram"]["counts"]) == kernel["elements"] == 144
    assert list(kernel["quantiles"]) == ["0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"]


def test_sorting_and_top(run: Any) -> None:
    _, out, _ = run("stats", TEN, "--sort", "std", "--top", "3")
    stds = [float(line.split()[5]) for line in out.splitlines()[1:]]
    assert len(stds) == 3
    assert stds == sorted(stds, reverse=True)


def test_roles(run: Any) -> None:
    _, out, _ = run("stats", TEN, "--role", "slot")
    assert len(out.splitlines()) == 25
    assert run("stats", TEN, "--role", "all")[0] == 0


def test_a_damaged_tensor_is_told_and_the_exit_code_is_2(run: Any, tmp_path: Path) -> None:
    prefix = _damaged(tmp_path)
    code, out, _ = run("stats", prefix, "--color", "always")
    assert code == 2
    assert "damaged:" in out
    assert "1 of 16 weights could not be read." in out
    assert "stored CRC-32C" in " ".join(out.split())
    code, out, _ = run("stats", prefix, "--json")
    assert code == 2
    document = json.loads(out)
    assert len(document["variables"]) == 15
    assert len(document["damaged"]) == 1


def test_a_missing_shard_is_an_error(run: Any, tmp_path: Path) -> None:
    shutil.copy(RUN / "ckpt-10.index", tmp_path / "ckpt-10.index")
    code, out, err = run("stats", str(tmp_path / "ckpt-10"))
    assert (code, out) == (2, "")
    assert err.startswith("error: ckpt-10.data-00000-of-00001: missing data shard (0 of 1)")


def test_values_that_are_not_finite_are_the_verdict(run: Any, tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 40)
    bad = np.where(values > 0.9, np.nan, values)
    prefix = write_bundle(tmp_path / "x", {"a": values, "b": bad, "c": np.full(5, np.nan)})
    code, out, _ = run("stats", prefix, "--color", "never")
    assert code == 0
    verdict = "# not finite: 1 of 3 weights is all NaN and 1 of 3 weights has NaN or Inf."
    assert verdict in out.splitlines()


def test_every_checkpoint_of_a_run(run: Any) -> None:
    code, out, _ = run("stats", str(RUN), "conv1/kernel", "--every")
    assert code == 0
    steps = [int(line.split()[0]) for line in out.splitlines() if not line.startswith("#")]
    assert steps == list(range(1, 11))
    code, out, _ = run("stats", str(RUN), "conv1", "--every", "--json")
    checkpoints = json.loads(out)["checkpoints"]
    assert [checkpoint["step"] for checkpoint in checkpoints] == steps
    assert [v["name"] for v in checkpoints[0]["variables"]] == ["conv1/kernel", "conv1/bias"]


def test_pictures_are_written_once(run: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "x.png")
    code, _, err = run("stats", TEN, "conv", "--plot", target)
    assert code == 0
    assert err == f"wrote {target}: 4 weights of {TEN}\n"
    code, out, err = run("stats", TEN, "--plot", target)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"error: {target}: exists already."
    assert run("stats", TEN, "--plot", target, "--force", "--dark", "--shared")[0] == 0
    ridge = str(tmp_path / "ridge.svg")
    assert run("stats", str(RUN), "conv1/kernel", "--every", "--plot", ridge)[0] == 0
    code, _, err = run("stats", str(RUN), "conv1", "--every", "--plot", str(tmp_path / "y.png"))
    assert code == 2
    assert "2 variables over a run do not fit one picture" in err
    words = ("--every", "--plot", str(tmp_path / "y.png"), "--json")
    code, out, err = run("stats", str(RUN), "conv1", *words)
    assert (code, json.loads(out)["schema"]) == (2, "ckread.stats/1")  # one document, and no other
    assert err.startswith("error: 2 variables over a run do not fit one picture.")


def test_more_than_a_page_is_said(run: Any, tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "many", {f"v{i}": np.arange(4.0) for i in range(200)})
    _, _, err = run("stats", prefix, "--plot", str(tmp_path / "x.png"))
    assert "page 1 of 2; a .pdf holds all" in err


def test_filters(run: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "f.png")
    code, out, err = run("filters", TEN, "conv1/kernel", "-o", target, "--json")
    assert code == 0
    assert err.startswith(f"wrote {target}: 16 kernels of conv1/kernel, 3×3, scale ±")
    assert json.loads(out) == {
        "schema": "ckread.filters/1",
        "file": target,
        "variables": ["conv1/kernel"],
        "left_out": [],
        "layer": None,
        "evidence": [],
    }


def test_responses_to_an_image(run: Any, tmp_path: Path) -> None:
    from PIL import Image

    image, target = str(tmp_path / "i.png"), str(tmp_path / "r.png")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(image)
    words = ["--image", image, "--bias", "conv1/bias", "--relu", "-o", target]
    code, _, err = run("filters", TEN, "conv1/kernel", *words)
    how = "stride 1, padding same, bias, relu, pixels 0 to 1"
    how += "; the file does not tell stride and padding"
    assert (code, err) == (0, f"wrote {target}: 16 responses of conv1/kernel to {image}, {how}\n")
    code, _, err = run("filters", TEN, "conv2/kernel", *words, "--force")
    assert code == 2
    assert err.splitlines()[0] == "error: conv2/kernel: takes 16 input channels."
    assert "tf.train.Checkpoint(model=model).restore(" in err
    words[1] = str(tmp_path / "absent.png")
    assert "no such image" in run("filters", TEN, "conv1/kernel", *words, "--force")[2]
    words[1] = f"{TEN}.index"
    assert "not an image" in run("filters", TEN, "conv1/kernel", *words, "--force")[2]


@pytest.mark.parametrize(
    ("name", "said", "listed"),
    [
        ("conv", "4 variables match conv, expected one", ["conv1/kernel", "conv2/kernel"]),
        ("norm1", "2 variables match norm1, expected a kernel of 2 to 5 dimensions",
         ["conv1/kernel", "conv2/kernel", "hidden/kernel", "logits/kernel"]),
        ("bias", "4 variables match bias, expected a kernel",
         ["conv1/kernel", "conv2/kernel", "hidden/kernel", "logits/kernel"]),
    ],
)  # fmt: skip
def test_filters_lists_what_can_be_drawn(run: Any, name: str, said: str, listed: list[str]) -> None:
    code, _, err = run("filters", TEN, name)
    assert code == 2
    assert said in " ".join(err.split())
    assert sorted(line.strip() for line in err.splitlines() if line.startswith("  ")) == listed


def test_a_response_has_a_name_of_its_own(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for image in ("a.npy", "b.npy"):
        np.save(image, np.eye(8)[..., None])
        assert run("filters", TEN, "conv1", "--image", image)[0] == 0  # the layer's only kernel
    assert run("filters", TEN, "conv1/kernel")[0] == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "conv1-kernel-response-to-a.png", "conv1-kernel-response-to-b.png", "conv1-kernel.png",
    ]  # fmt: skip


def test_filters_declines_what_is_no_kernel(run: Any, tmp_path: Path) -> None:
    code, _, err = run("filters", TEN, "conv1/bias", "-o", str(tmp_path / "x.png"))
    assert code == 2
    assert err.startswith("error: conv1/bias: 1 dimension, expected a kernel.")


def test_help_imports_neither_numpy_nor_matplotlib() -> None:
    script = (
        "import sys; from ckread.cli.main import main; main(['stats', '--help']);"
        "main(['filters', '--help']);"
        "print([m for m in ('numpy', 'matplotlib', 'ml_dtypes', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_stats_imports_neither_matplotlib_nor_tensorflow() -> None:
    script = (
        "import sys; from ckread.cli.main import main; main(['stats', sys.argv[1]]);"
        "heavy = 'matplotlib', 'tensorflow', 'rich', 'h5py', 'numpy.ma';"
        "print([module for module in heavy if module in sys.modules])"
    )
    command = [sys.executable, "-c", script, TEN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("done", "seconds", "line"),
    [
        (1_200_000_000, 0.6, "1.12 of 2.79 GiB  1.86 GiB/s  1 s left"),
        (3_000_000_000, 2.0, "2.79 of 2.79 GiB  1.40 GiB/s  0 s left"),
    ],
)
def test_the_figures_beside_the_bar(done: int, seconds: float, line: str) -> None:
    assert figures_text(done, 3_000_000_000, seconds) == line.replace(" of", " GiB of")


def test_no_bar_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from ckread.cli.output import Output

    with ProgressBar(10, Output()) as progress:
        progress._start -= 10
        progress._drawn -= 10
        progress(5)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not REAL.exists(), reason="the real checkpoints are not there")
def test_an_index_without_its_shards(run: Any) -> None:
    indexes = sorted(REAL.joinpath("index_only").rglob("*.index"))
    code, out, err = run("stats", os.fspath(indexes[0]))
    assert (code, out) == (2, "")
    assert "missing data shard" in err
