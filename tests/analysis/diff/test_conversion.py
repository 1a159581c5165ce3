"""Conversions: files that real converters wrote, layouts by hand, and one element changed."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import ckread
from ckread.analysis.diff.conversion import canonical_name
from ckread.analysis.diff.records import PairedBy
from ckread.cli.main import main
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.analysis.diff.records import CheckpointDiff

RUN = FIXTURES / "digits_run" / "ckpt-10"
FOLDER = FIXTURES / "partners"
CONVERTED = FOLDER / "converted"

Arrays = dict[str, np.ndarray[Any, Any]]


def call(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("tensorflow", "other", "variables", "transposed", "parts"),
    [
        ("transformers-bert.h5", "transformers-bert", 39, 13, 0),
        ("transformers-gpt2.h5", "transformers-gpt2", 28, 0, 0),
        ("keras-hub-bert.weights.h5", "keras-hub-bert", 39, 13, 0),
        ("keras-hub-gpt2.weights.h5", "keras-hub-gpt2", 36, 0, 12),
    ],
)
def test_every_weight_that_a_converter_moved_is_found(
    tensorflow: str, other: str, variables: int, transposed: int, parts: int
) -> None:
    found = ckread.diff(CONVERTED / tensorflow, CONVERTED / f"{other}.safetensors")
    conversion = found.conversion
    assert conversion is not None
    assert (conversion.variables, conversion.found, conversion.bit_equal) == (variables,) * 3
    assert (conversion.transposed, conversion.missing) == (transposed, ())
    assert sum(v.part is not None for v in found.variables) == parts


def test_weights_under_other_names_and_axes_are_the_same() -> None:
    found = ckread.diff(RUN, FOLDER / "digits.safetensors")
    assert found.conversion is not None
    assert found.conversion.to_dict() == {
        "variables": 16, "found": 16, "bit_equal": 16, "transposed": 4, "cast": None,
        "exact_cast": None, "missing": [], "extra": [],
    }  # fmt: skip
    assert found["conv1.weight"].permutation == (3, 2, 0, 1)
    assert found["norm1.running_var"].paired_by is PairedBy.TRANSLATED
    other = ckread.diff(FOLDER / "digits.pt", RUN)
    assert other.conversion is not None
    assert (other.conversion.found, other.conversion.bit_equal) == (16, 16)


def test_a_cast_is_judged_by_its_own_rounding(tmp_path: Path) -> None:
    found = ckread.diff(RUN, FOLDER / "digits-bf16.safetensors").conversion
    assert found is not None
    assert (found.cast, found.is_exact_cast, found.found, found.bit_equal) == (
        "bfloat16", True, 16, 0,
    )  # fmt: skip
    arrays = load_file(FOLDER / "digits.safetensors")
    cast = {name: values.astype(ml_dtypes.bfloat16) for name, values in arrays.items()}
    step = cast["hidden.weight"].view(np.uint16)
    step[3, 5] += 1  # not the nearest
    save_file(cast, tmp_path / "x.safetensors")
    wrong = ckread.diff(RUN, tmp_path / "x.safetensors")
    assert wrong.conversion is not None
    assert not wrong.conversion.is_exact_cast
    _, screen, _ = call("diff", str(RUN), str(tmp_path / "x.safetensors"))
    assert "a conversion to bfloat16 with 1 difference" in screen
    assert "hidden/kernel" in screen.splitlines()[0]


@pytest.mark.parametrize("name", ["conv2.weight", "hidden.weight", "norm1.running_mean"])
def test_one_element_that_changed_is_named(tmp_path: Path, name: str) -> None:
    arrays = {key: one.copy() for key, one in load_file(FOLDER / "digits.safetensors").items()}
    at = tuple(n // 2 for n in arrays[name].shape)
    arrays[name][at] += 0.01
    save_file(arrays, tmp_path / "x.safetensors")
    found = ckread.diff(RUN, tmp_path / "x.safetensors")
    assert found.conversion is not None
    assert (found.conversion.found, found.conversion.bit_equal) == (16, 15)
    metrics = found[name].metrics
    assert metrics is not None
    assert (metrics.changed_elements, metrics.first_changed) == (1, at)
    code, screen, _ = call("diff", str(RUN), str(tmp_path / "x.safetensors"))
    assert code == 1
    assert "a conversion with 1 difference: 15 of 16 variables are bit-equal" in screen
    assert "differs in 1 of" in screen


@pytest.mark.parametrize(
    ("tensorflow", "other", "name"),
    [
        (
            "transformers-bert.h5",
            "transformers-bert",
            "encoder.layer.1.attention.self.query.weight",
        ),
        ("transformers-gpt2.h5", "transformers-gpt2", "h.0.mlp.c_fc.weight"),
        (
            "keras-hub-bert.weights.h5",
            "keras-hub-bert",
            "bert.encoder.layer.0.attention.self.key.weight",
        ),
        ("keras-hub-gpt2.weights.h5", "keras-hub-gpt2", "h.1.mlp.c_proj.weight"),
    ],
)  # fmt: skip
def test_one_element_that_a_converter_got_wrong(
    tmp_path: Path, tensorflow: str, other: str, name: str
) -> None:
    arrays = {k: v.copy() for k, v in load_file(CONVERTED / f"{other}.safetensors").items()}
    arrays[name][3, 5] += 0.5
    save_file(arrays, tmp_path / "x.safetensors")
    found = ckread.diff(CONVERTED / tensorflow, tmp_path / "x.safetensors")
    assert found.conversion is not None
    assert found.conversion.found == found.conversion.variables == found.conversion.bit_equal + 1
    metrics = found[name].metrics
    assert metrics is not None
    assert (metrics.changed_elements, metrics.first_changed) == (1, (3, 5))


def compared(tmp_path: Path, ours: Arrays, theirs: Arrays) -> CheckpointDiff:
    prefix = write_bundle(tmp_path / "ckpt-1", ours)
    path = tmp_path / "x.safetensors"
    save_file({name: np.ascontiguousarray(one) for name, one in theirs.items()}, path)
    return ckread.diff(prefix, path)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("f4")


def test_kernels_of_every_kind_are_turned(tmp_path: Path) -> None:
    ours = {
        "a/kernel": normal(3, 4, 5), "b/kernel": normal(3, 3, 4, 4),
        "c/kernel": normal(2, 3, 3, 4, 5),
        "d/depthwise_kernel": normal(3, 3, 4, 1), "e/kernel": normal(6, 6),
        "f/embeddings": normal(7, 7),
    }  # fmt: skip
    axes = {"a": (2, 1, 0), "b": (3, 2, 0, 1), "c": (4, 3, 0, 1, 2), "d": (2, 3, 0, 1), "e": (1, 0)}
    theirs = {
        f"{name[0]}.weight": one.transpose(axes[name[0]]) if name[0] in axes else one
        for name, one in ours.items()
    }
    found = compared(tmp_path, ours, theirs)
    for name, wanted in axes.items():
        assert found[f"{name}.weight"].permutation == wanted
    assert found["f.weight"].permutation is None
    assert found.conversion is not None
    assert found.conversion.bit_equal == 6


def test_gates_in_another_order_are_told(tmp_path: Path) -> None:
    kernel, recurrent = normal(5, 12), normal(4, 12)
    order = [1, 0, 2]  # Keras: z, r, h; PyTorch: r, z, n

    def turned(one: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.concatenate([np.split(one.T, 3)[i] for i in order])

    ours = {"gru/kernel": kernel, "gru/recurrent_kernel": recurrent}
    theirs = {"gru.weight_ih_l0": turned(kernel), "gru.weight_hh_l0": turned(recurrent)}
    found = compared(tmp_path, ours, theirs)
    for name in theirs:
        assert (found[name].permutation, found[name].gates) == ((1, 0), (1, 0, 2))
    assert found.conversion is not None
    assert found.conversion.bit_equal == 2


@pytest.mark.parametrize("is_merged", [True, False])
def test_one_tensor_may_be_several_of_the_other_side(tmp_path: Path, is_merged: bool) -> None:
    q, k, v = normal(8, 8), normal(8, 8) * 2, normal(8, 8) * 3
    whole = {"attention/qkv/kernel": np.concatenate([q, k, v], 1), "head/bias": normal(9)}
    apart = {
        "attn.q.weight": q.T,
        "attn.k.weight": k.T,
        "attn.v.weight": v.T,
        "head.bias": normal(9),
    }
    if is_merged:
        ours = {
            name.replace(".", "/").replace("weight", "kernel"): one for name, one in apart.items()
        }
        theirs = {
            name.replace("/", ".").replace("kernel", "weight"): one for name, one in whole.items()
        }
    else:
        ours, theirs = whole, apart
    found = compared(tmp_path, ours, theirs)
    parts = [one.part for one in found.variables if one.part is not None]
    assert sorted((part.axis, part.start, part.stop) for part in parts) == [
        (1, 0, 8), (1, 8, 16), (1, 16, 24),
    ]  # fmt: skip
    assert {part.whole for part in parts} == {"b" if is_merged else "a"}
    assert found.conversion is not None
    assert (found.conversion.missing, found.conversion.extra) == ((), ())
    _, screen, _ = call("diff", "--json", found.a, found.b)
    assert json.loads(screen)["conversion"]["bit_equal"] == found.conversion.bit_equal


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    ours = {"a/kernel": normal(3, 4), "b/bias": normal(11)}
    found = compared(tmp_path, ours, {"a.weight": normal(3, 4).T, "c.weight": normal(2, 2)})
    assert found.conversion is not None
    assert (found.conversion.missing, found.conversion.extra) == (("b/bias",), ("c.weight",))
    _, screen, _ = call("diff", found.a, found.b)
    assert "1 of 2 variables found again" in screen
    assert "b/bias of a has no partner." in screen


def test_other_weights_are_no_conversion_of_these(tmp_path: Path) -> None:
    ours = {"a/kernel": normal(30, 40), "a/bias": normal(40)}
    theirs = {"a.weight": normal(40, 30) + 1, "a.bias": normal(40) + 1}
    found = compared(tmp_path, ours, theirs)
    assert found.conversion is None
    assert all(one.gates is None for one in found.variables)
    strange = ckread.diff(FOLDER / "training.pt", RUN)
    assert strange.conversion is None


def test_a_map_is_written_read_and_used_by_export(tmp_path: Path) -> None:
    other, path = str(FOLDER / "digits.safetensors"), str(tmp_path / "F.json")
    call("diff", str(RUN), other, "--map", path)
    written = json.loads((tmp_path / "F.json").read_text())
    assert written["conv1/kernel"] == {"name": "conv1.weight", "axes": [3, 2, 0, 1]}
    assert written["conv1/bias"] == "conv1.bias"
    _, _, notes = call("diff", str(RUN), other, "--map", path)
    assert "16 names were read" in notes
    made = str(tmp_path / "made.safetensors")
    code, _, told = call(
        "export", str(RUN), "--role", "weight", "--role", "statistic", "--map", path, "-o", made
    )
    assert (code, "16 variables" in told) == (0, True)
    ours, theirs = load_file(made), load_file(other)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_every_type_that_safetensors_knows_comes_back(tmp_path: Path) -> None:
    made = str(tmp_path / "x.safetensors")
    source = FOLDER / "dtypes.safetensors"
    assert call("export", str(source), "-o", made)[0] == 0
    assert ckread.diff(source, made).identical
    code, _, told = call("export", str(FIXTURES / "dtypes" / "every"), "-o", made, "--force")
    assert code == 2
    assert "has no place in a safetensors file" in told


def test_a_name_is_that_of_the_other_library() -> None:
    pairs = [
        ("conv1/kernel", "conv1.weight"),
        ("bert/encoder/layer_._0/LayerNorm/gamma:0", "bert.encoder.layer.0.LayerNorm.weight"),
        ("model/bn/moving_variance", "module.bn.running_var"),
        ("emb/embeddings", "emb.weight"),
    ]
    for ours, theirs in pairs:
        left, right = canonical_name(ours), canonical_name(theirs)
        assert left == right or left[-1] == right[-1]


@given(st.text(max_size=30))
def test_any_name_has_words(name: str) -> None:
    assert all(isinstance(word, str) for word in canonical_name(name))
