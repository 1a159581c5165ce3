"""Integer codes against real numbers: they have no unit in common, but by a stored scale.

A layer that Keras quantized computes with `kernel / kernel_scale`; the scale lies beside the
codes, with a number per unit of the last dimensions, per row of an embedding, or per element
of axes of length 1. Codes with a zero point or a group index beside them are not read here.

Reference: keras/src/quantizers/quantizers.py, abs_max_quantize
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def scale_of(codes: Variable, among: Mapping[str, Variable]) -> Variable | None:
    """Give the scale that is stored beside codes; None if there is none that fits."""
    scale = among.get(f"{codes.name}_scale")
    if scale is None or f"{codes.name}_zero" in among or _is_integer(scale):
        return None
    return scale if _broadcast(codes, scale) is not None else None


def _broadcast(codes: Variable, scale: Variable) -> tuple[int, ...] | None:
    """Give the shape in which a scale spreads over the codes."""
    shape, n_axes = scale.shape, len(codes.shape)
    if codes.name.endswith("embeddings") and shape == codes.shape[:1]:
        return shape + (1,) * (n_axes - 1)
    if len(shape) <= n_axes and shape == codes.shape[n_axes - len(shape) :]:
        return (1,) * (n_axes - len(shape)) + shape
    fits = len(shape) == n_axes and all(
        size in (1, n) for size, n in zip(shape, codes.shape, strict=True)
    )
    return shape if fits else None


def compare_dequantised(
    a: Variable, b: Variable, scale: Variable, tolerance: Tolerance
) -> Metrics | None:
    """Compare what a layer computes with: the codes of one side, divided by their scale.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    from ckread.analysis.diff.kernels import PairComparison
    from ckread.analysis.diff.metrics import metrics_of
    from ckread.analysis.scan import side_by_side

    streams = (_dequantised(v, scale) if _is_integer(v) else v.chunks() for v in (a, b))
    comparison = PairComparison(tolerance)
    for left, right in side_by_side(*streams):
        comparison.add(left, right)
    return metrics_of(comparison.tally(), b.shape)


def _dequantised(codes: Variable, scale: Variable) -> Iterator[NDArray[Any]]:
    """Yield the real numbers that codes stand for, in C order, a few rows at a time."""
    import numpy as np

    spread = scale.numpy().astype(np.float32).reshape(_broadcast(codes, scale) or ())
    n_rows = codes.shape[0] if codes.shape else 1
    step = max(1, _BLOCK_NBYTES * n_rows // max(1, 4 * codes.elements))
    for start in range(0, n_rows if codes.shape else 0, step):
        rows = slice(start, start + step)
        divisor = spread[rows] if spread.shape and spread.shape[0] > 1 else spread
        with np.errstate(all="ignore"):
            yield (codes.read(rows).astype(np.float32) / divisor).reshape(-1)
