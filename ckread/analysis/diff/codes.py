"""Integer codes against real numbers: they have no unit in common, but by a stored scale.

A layer that Keras quantized computes with `kernel / kernel_scale`; the scale lies beside the
codes, with a number per unit of the last dimensions, per row of an embedding, or with axes of
length 1. In groups it is `(kernel - kernel_zero[g_idx]) * kernel_scale[g_idx]`.

Reference: keras/src/quantizers/quantizers.py, abs_max_quantize, dequantize_with_sz_map
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from ckread.analysis.diff.metrics import Metrics, Tolerance
    from ckread.model.variable import Variable

_BLOCK_NBYTES = 1 << 22
_COUNTS = (Role.COUNTER, Role.HYPERPARAMETER)
"""Roles of numbers that mean the same in either type."""


def have_no_common_unit(a: Variable, b: Variable) -> bool:
    """Tell whether one side holds integers and the other real numbers: codes, not a cast."""
    return b.role not in _COUNTS and _is_integer(a) is not _is_integer(b) and a.dtype != b.dtype


def _is_integer(variable: Variable) -> bool:
    return str(variable.dtype).lstrip("qu").startswith(("int", "bool"))


class Decoding(NamedTuple):
    """What makes real numbers of codes, as it lies beside them.

    Attributes:
        scale: divides the codes; with a zero point it multiplies them instead.
        zero: is taken from them before.
        groups: which row of scale and zero each row of a kernel has, each column of a table.
    """

    scale: Variable
    zero: Variable | None = None
    groups: Variable | None = None


def decoding_of(codes: Variable, among: Mapping[str, Variable]) -> Decoding | None:
    """Find what makes real numbers of codes; None if nothing that fits is stored."""
    if not _is_integer(codes):
        return None
    scale, zero = (among.get(f"{codes.name}_{word}") for word in ("scale", "zero"))
    if scale is None or _is_integer(scale):
        return None
    if zero is None:
        return Decoding(scale) if _spread(codes, scale.shape) is not None else None
    groups = among.get(f"{codes.name.rpartition('/')[0]}/g_idx")
    axis = _group_axis(codes)
    fits = (
        groups is not None
        and len(codes.shape) == len(scale.shape) == 2
        and zero.shape == scale.shape
        and groups.shape == (codes.shape[axis],)
        and scale.shape[1 - axis] == codes.shape[1 - axis]
    )
    return Decoding(scale, zero, groups) if fits else None


def _group_axis(codes: Variable) -> int:
    return 1 if codes.name.endswith("embeddings") else 0


def _spread(codes: Variable, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Give the shape in which a scale spreads over the codes."""
    n_axes = len(codes.shape)
    if codes.name.endswith("embeddings") and shape == codes.shape[:1]:
        return shape + (1,) * (n_axes - 1)
    while len(shape) > n_axes and shape[0] == 1:
        shape = shape[1:]
    if len(shape) <= n_axes and shape == codes.shape[n_axes - len(shape) :]:
        return (1,) * (n_axes - len(shape)) + shape
    fits = len(shape) == n_axes and all(
        size in (1, n) for size, n in zip(shape, codes.shape, strict=True)
    )
    return shape if fits else None


def compare_dequantised(
    a: Variable, b: Variable, decoding: Decoding, tolerance: Tolerance
) -> Metrics | None:
    """Compare what a layer computes with: the real numbers that the codes of one side stand for."""
    from ckread.analysis.diff.kernels import PairComparison
    from ckread.analysis.diff.metrics import metrics_of
    from ckread.analysis.scan import side_by_side

    streams = (_dequantised(v, decoding) if _is_integer(v) else v.chunks() for v in (a, b))
    comparison = PairComparison(tolerance)
    for left, right in side_by_side(*streams):
        comparison.add(left, right)
    return metrics_of(comparison.tally(), b.shape)


def _dequantised(codes: Variable, decoding: Decoding) -> Iterator[NDArray[Any]]:
    """Yield the real numbers that codes stand for, in C order, a few rows at a time."""
    import numpy as np

    scale: Any = decoding.scale.numpy().astype(np.float32)
    spread: Any = None
    zero: Any = None
    groups: Any = None
    if decoding.zero is None or decoding.groups is None:
        spread = scale.reshape(_spread(codes, scale.shape) or ())
    else:
        zero = decoding.zero.numpy().astype(np.float32)
        last = scale.shape[_group_axis(codes)] - 1  # a file may say anything
        groups = np.clip(decoding.groups.numpy().astype(np.int64), 0, last)
    n_rows = codes.shape[0] if codes.shape else 0
    step = max(1, _BLOCK_NBYTES * n_rows // max(1, 4 * codes.elements))
    for start in range(0, n_rows, step):
        rows = slice(start, start + step)
        values = codes.read(rows).astype(np.float32)
        with np.errstate(all="ignore"):
            if spread is not None:
                values /= spread[rows] if spread.shape and spread.shape[0] > 1 else spread
            elif _group_axis(codes):
                values = (values - zero[rows][:, groups]) * scale[rows][:, groups]
            else:
                values = (values - zero[groups[rows]]) * scale[groups[rows]]
        yield values.reshape(-1)
