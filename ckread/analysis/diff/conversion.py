"""Conversions: one model in the names and layout of two libraries.

Names are compared word by word once each library's words for the same thing are one:
`conv1/kernel` and `conv1.weight`, `norm/moving_mean` and `norm.running_mean`. Values are
compared as the other side has them: axes exchanged, gates in another order, cast to the other
type; or as parts of one tensor. What pairs by content is equal bit for bit after that.

Reference: torch.nn and keras.layers, attributes of the layers; the axes of a kernel are
    dense       [in, out]          Linear   [out, in]
    conv 1-3D   [..., in, out]     Conv     [out, in, ...]
    GRU gates   z, r, h            r, z, n
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.diff.records import PairedBy, Part
from ckread.readers.contract import DataType, numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.diff.metrics import Metrics, Tolerance
    from ckread.analysis.diff.pairing import Pairing
    from ckread.model.role import Role
    from ckread.model.variable import Variable

MAX_NBYTES = 1 << 30
"""A tensor that is turned is held whole, on both sides."""

MAX_PARTS = 8
_MAX_AXES = 5
_N_GATES = (3, 4)
_BY_CHANCE = 0.05
_FEW_LEFT = 8
"""Tensors of one size up to which each left over is held against each, for most equal values."""
_LEAVES = {
    "kernel": "weight", "weights": "weight", "gamma": "weight", "scale": "weight",
    "embeddings": "weight", "embedding": "weight", "w": "weight", "depthwise_kernel": "weight",
    "beta": "bias", "biases": "bias", "offset": "bias", "b": "bias",
    "moving_mean": "running_mean", "mean": "running_mean",
    "moving_variance": "running_var", "var": "running_var", "variance": "running_var",
    "recurrent_kernel": "weight_hh", "weight_hh_l0": "weight_hh",
    "weight_ih_l0": "weight", "bias_ih_l0": "bias",
}  # fmt: skip
_SKIPPED = frozenset({"model", "module", "network", "net", "state_dict", "params", "backbone"})
"""First words that wrap a model, and say nothing of what is in it."""

_WORD = re.compile(r"[^/.:_]+(?:_[^/.:_]+)*|_")
FLOATS = (DataType.FLOAT64, DataType.FLOAT32, DataType.BFLOAT16, DataType.FLOAT16,
          DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2)  # fmt: skip
"""Types that a conversion casts between, widest first."""


def canonical_name(name: str) -> tuple[str, ...]:
    """Give the words of a name as both libraries would have them."""
    words = [word for word in _WORD.findall(name) if word != "_"]
    while len(words) > 1 and words[0] in _SKIPPED:
        del words[0]
    if words and words[-1].isdecimal() and name.endswith(f":{words[-1]}"):
        del words[-1]
    return (*words[:-1], _LEAVES.get(words[-1], words[-1])) if words else ()


def take_translated(work: Pairing) -> None:
    """Pair parameters whose names are the same once translated, and that have as many elements.

    Leading words that all parameters of a side share may be left out.
    """
    sides: list[dict[tuple[str, ...], Variable | None]] = []
    for side in (work.a, work.b):
        names = {v.name: canonical_name(v.name) for v in side.values() if v.role.is_parameter}
        shared = _shared(list(names.values()))
        found: dict[tuple[str, ...], Variable | None] = {}
        for name, words in names.items():
            short = words[shared:]
            found[short] = side[name] if short not in found else None  # not one alone
        sides.append(found)
    for words, a in sides[0].items():
        b = sides[1].get(words)
        if a is not None and b is not None and a.role is b.role and a.elements == b.elements:
            work.take(a, b, PairedBy.TRANSLATED)


def _shared(names: Sequence[tuple[str, ...]]) -> int:
    """Count the leading words that all names have, their last one left out."""
    if len(names) < 2:
        return 0
    first, last = min(names), max(names)
    n = min(len(first), len(last)) - 1
    return next((i for i in range(n) if first[i] != last[i]), n)


def pair_by_turned_values(
    a: Sequence[Variable], b: Sequence[Variable]
) -> Iterator[tuple[Variable, Variable]]:
    """Pair parameters that hold the same in any arrangement, once the wider type is cast."""
    from ckread.analysis.diff.contents import fingerprint
    from ckread.analysis.diff.leftovers import pair_nearest

    sides: list[defaultdict[tuple[int, Role], list[Variable]]] = []
    for variables in (a, b):
        side = defaultdict(list)
        for variable in variables:
            if variable.dtype in FLOATS and variable.elements > 1 and variable.nbytes < MAX_NBYTES:
                side[variable.elements, variable.role].append(variable)
        sides.append(side)
    for block in sides[0].keys() & sides[1].keys():
        left, right = sides[0][block], sides[1][block]
        types = {v.dtype for v in (*left, *right)}
        if len(types) > 2:
            continue
        narrow = max(types, key=FLOATS.index)
        known: list[defaultdict[int, list[Variable]]] = []
        for variables in (left, right):
            by_print: defaultdict[int, list[Variable]] = defaultdict(list)
            for variable in variables:
                by_print[fingerprint(variable, narrow)].append(variable)
            known.append(by_print)
        taken: set[str] = set()
        for key in known[0].keys() & known[1].keys():
            for x, y in pair_nearest(known[0][key], known[1][key]):
                values = (v.numpy().astype(numpy_dtype(narrow), copy=False) for v in (x, y))
                if _same_bits(*values) is not None:
                    taken |= {x.key, y.key}
                    yield x, y
        first, second = ([v for v in side if v.key not in taken] for side in (left, right))
        yield from _mostly_equal(first, second, narrow)


def _mostly_equal(
    a: Sequence[Variable], b: Sequence[Variable], dtype: DataType
) -> Iterator[tuple[Variable, Variable]]:
    """Pair what has more than half of its values in common: a conversion that went wrong."""
    import numpy as np

    if not (a and b) or max(len(a), len(b)) > _FEW_LEFT:
        return
    left, right = ([v.numpy().astype(numpy_dtype(dtype), copy=False) for v in side]
                   for side in (a, b))  # fmt: skip
    shares = [
        (max((float(np.mean(turned == other)) for way, turned in _arrangements(one, other.shape)
              if way.gates is None), default=0.0), i, j)
        for i, one in enumerate(left)
        for j, other in enumerate(right)
    ]  # fmt: skip
    done: set[tuple[str, int]] = set()
    for share, i, j in sorted(shares, reverse=True):
        if share > 0.5 and not {("a", i), ("b", j)} & done:
            done |= {("a", i), ("b", j)}
            yield a[i], b[j]


class Arrangement(NamedTuple):
    """How the values of a stand in b.

    Attributes:
        axes: of `numpy.transpose`, before neighbours among them are joined to b's shape; None where
            they are in their order, or b has more of them.
        gates: which block of a each block of b is, along the axis of gates; None if as they are.
    """

    axes: tuple[int, ...] | None = None
    gates: tuple[int, ...] | None = None


class Turned(NamedTuple):
    """A pair compared as it stands in b: its arrangement and metrics."""

    arrangement: Arrangement
    metrics: Metrics


def compare_turned(a: Variable, b: Variable, tolerance: Tolerance) -> Turned | None:
    """Compare a pair of equally many elements in the arrangement that brings it nearest.

    None where none brings it nearer than the order it has, or it is too large to be held.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    import numpy as np

    from ckread.analysis.diff.kernels import PairComparison
    from ckread.analysis.diff.metrics import metrics_of

    if max(a.nbytes, b.nbytes) > MAX_NBYTES or not (a.dtype.is_plain and b.dtype.is_plain):
        return None
    left: Any = a.numpy()
    right: Any = b.numpy()
    wide = np.complex64 if right.dtype.kind == "c" else np.float32
    wanted = right.astype(wide)
    best: tuple[float, Arrangement, NDArray[Any]] | None = None
    for arrangement, turned in _arrangements(left, right.shape):
        with np.errstate(all="ignore"):
            far = float(np.nansum(np.abs(turned.astype(wide) - wanted), dtype=np.float64))
        # Gates in another order have to be told by more than a chance.
        if best is None or far < (_BY_CHANCE if arrangement.gates else 1.0) * best[0]:
            best = far, arrangement, turned
        if not far:
            break
    if best is None:
        return None
    comparison = PairComparison(tolerance)
    comparison.add(np.ascontiguousarray(best[2]).reshape(-1), right.reshape(-1))
    is_retyped = a.dtype != b.dtype
    return Turned(best[1], metrics_of(comparison.tally(), b.shape, is_retyped=is_retyped))


def _arrangements(
    values: NDArray[Any], shape: tuple[int, ...]
) -> Iterator[tuple[Arrangement, NDArray[Any]]]:
    """Yield the ways to have some values in a shape: as they are, turned, with gates exchanged."""
    import numpy as np

    turned: list[tuple[tuple[int, ...] | None, NDArray[Any]]] = []
    for axes in itertools.permutations(range(values.ndim)) if values.ndim <= _MAX_AXES else ():
        sizes = [values.shape[axis] for axis in axes]
        if _is_finer(sizes, shape):
            is_moved = axes != tuple(range(values.ndim))
            moved = values.transpose(axes).reshape(shape)
            turned.append((axes if is_moved else None, moved))
    if len(shape) > values.ndim and len(shape) <= _MAX_AXES:
        for axes in itertools.permutations(range(len(shape))):
            sizes = [shape[axis] for axis in axes]
            if _is_finer(sizes, values.shape):
                turned.append((None, values.reshape(sizes).transpose(np.argsort(axes))))
    for way, one in turned:
        yield Arrangement(way), one
    for way, one in turned:
        if one.ndim > 2:
            continue
        for n_gates in _N_GATES:
            for axis in range(one.ndim):
                if one.shape[axis] % n_gates or one.shape[axis] == n_gates:
                    continue
                blocks = np.split(one, n_gates, axis)
                for gates in itertools.permutations(range(n_gates)):
                    if gates != tuple(range(n_gates)):
                        whole = np.concatenate([blocks[i] for i in gates], axis)
                        yield Arrangement(way, gates), whole


def _is_finer(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    """Tell whether neighbours among some sizes, multiplied, give a shape."""
    at = 0
    for size in shape:
        product = 1
        while at < len(sizes) and product * sizes[at] <= size:
            product *= sizes[at]
            at += 1
        if product != size:
            return False
    return at == len(sizes)


# One tensor that is several on the other side.


class PartPair(NamedTuple):
    """A whole tensor and a part of it; `axes` turn the part of a into b."""

    a: Variable
    b: Variable
    part: Part
    axes: tuple[int, ...] | None


def find_parts(a: Sequence[Variable], b: Sequence[Variable]) -> list[PartPair]:
    """Find tensors of one side that are several of the other, laid side by side along an axis."""
    found: list[PartPair] = []
    for wholes, others, side in ((a, b, "a"), (b, a, "b")):
        groups: defaultdict[tuple[object, ...], list[Variable]] = defaultdict(list)
        for other in others:
            if other.role.is_parameter and other.shape:
                words = canonical_name(other.name)
                groups[words[:-2], words[-1], other.dtype].append(other)
        for whole in wholes:
            if not whole.role.is_parameter or whole.nbytes > MAX_NBYTES:
                continue
            for (_, _, dtype), members in groups.items():
                fits = (
                    2 <= len(members) <= MAX_PARTS
                    and dtype == whole.dtype
                    and sum(member.elements for member in members) == whole.elements
                )
                parts = _laid(whole, members) if fits else None
                if parts is not None:
                    for member, axis, start, stop, axes in parts:
                        pair = (whole, member) if side == "a" else (member, whole)
                        found.append(PartPair(*pair, Part(side, axis, start, stop), axes))
                    members.clear()
                    break
    return found


def _laid(
    whole: Variable, members: Sequence[Variable]
) -> list[tuple[Variable, int, int, int, tuple[int, ...] | None]] | None:
    """Cut a tensor along each axis into these members, in whatever order they come."""
    import numpy as np

    values: Any = whole.numpy()
    held: list[Any] = [member.numpy() for member in members]
    for axis in range(values.ndim):
        left = list(range(len(members)))
        start, laid = 0, []
        while left:
            for i in left:
                n = held[i].size * values.shape[axis] // values.size
                cut = np.take(values, range(start, min(start + n, values.shape[axis])), axis)
                axes = _same_bits(cut, held[i]) if n else None
                if axes is not None:
                    laid.append((members[i], axis, start, start + n, axes or None))
                    left.remove(i)
                    start += n
                    break
            else:
                break
        if not left:
            return laid
    return None


def _same_bits(cut: NDArray[Any], other: NDArray[Any]) -> tuple[int, ...] | None:
    """Give the axes that make one array the other, bit for bit; () as it is, None if none do."""
    for arrangement, turned in _arrangements(cut, other.shape):
        if arrangement.gates is None and turned.tobytes() == other.tobytes():
            return arrangement.axes or ()
    return None
