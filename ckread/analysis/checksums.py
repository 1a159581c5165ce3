"""What the indexes alone tell of equal contents: by CRC-32C, no value is read.

Two tensors of one type and size with one checksum are taken for equal: they differ
all the same once in 2^32. A tensor that is stored in slices has a checksum per
slice; where the slices follow each other in C order these are joined to the one of
the whole, so that partitioned and whole variables compare.
"""

from __future__ import annotations

import itertools
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.model.role import Role
from ckread.readers import crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType, Extent


class ContentKey(NamedTuple):
    """Equal for tensors of equal contents, whatever their names and shapes."""

    dtype: DataType
    elements: int
    crc32c: int


def content_key(variable: Variable) -> ContentKey | None:
    """Give the key of a variable's content, None where its file keeps no checksum of it.

    Only keys of checkpoints of one byte order can be compared.
    """
    checksum = variable.crc32c
    if checksum is None:
        slices = sorted(_slices(variable), key=lambda extent: extent.region)
        known = [(part.crc32c, part.nbytes) for part in slices if part.crc32c is not None]
        if not slices or len(known) < len(slices):
            return None
        if not _is_split_by_rows([part.region for part in slices], variable.shape):
            return None
        checksum = crc32c.joined(known)
    return ContentKey(variable.dtype, variable.elements, checksum)


def has_checksum(variable: Variable) -> bool:
    """Tell whether the file keeps checksums of all the bytes of a variable."""
    if variable.crc32c is not None:
        return True
    extents = _slices(variable)
    return bool(extents) and all(extent.crc32c is not None for extent in extents)


def _slices(variable: Variable) -> Sequence[Extent]:
    """Give the extents of a variable; none where they lie nowhere plainly, or make no whole."""
    try:
        return variable.extents() or ()
    except (CorruptCheckpointError, UnsupportedFeatureError):
        return ()


def is_big_endian(variables: Iterable[Variable]) -> bool:
    """Tell the byte order of a checkpoint by its first variable that shows it."""
    for variable in variables:
        if variable.dtype.itemsize > 1:
            for extent in _slices(variable):
                return extent.big_endian
    return False


def content_comparison(
    a: Sequence[Variable], b: Sequence[Variable]
) -> Callable[[Sequence[tuple[Variable, ...]]], list[bool | None]]:
    """Give a function that tells of pairs whether they have equal contents; None: not known."""
    same_order = is_big_endian(a) == is_big_endian(b)

    def is_same_content(left: Variable, right: Variable) -> bool | None:
        if left.dtype != right.dtype or left.elements != right.elements:
            return False
        if not same_order and left.dtype.itemsize > 1:
            return None
        key, other = content_key(left), content_key(right)
        if key is not None and other is not None:
            return key == other
        # Where both sides are cut alike, slice by slice.
        slices, others = ({e.region: e.crc32c for e in _slices(v)} for v in (left, right))
        if not slices or slices.keys() != others.keys():
            return None
        if None in slices.values() or None in others.values():
            return None
        return slices == others

    def are_same_content(pairs: Sequence[tuple[Variable, ...]]) -> list[bool | None]:
        known: list[bool | None] = []
        for left, right in pairs:
            one, other = left.record, right.record
            is_alike = same_order and one.dtype is other.dtype and one.shape == other.shape
            if is_alike and one.crc32c is not None is not other.crc32c:
                known.append(one.crc32c == other.crc32c)
            else:
                known.append(is_same_content(left, right))
        return known

    return are_same_content


def _is_split_by_rows(
    regions: Sequence[tuple[tuple[int, int], ...]], shape: tuple[int, ...]
) -> bool:
    """Tell whether regions differ in one dimension only, before which all sizes are 1."""
    axis = next((axis for axis, size in enumerate(shape) if size > 1), 0)
    is_whole_elsewhere = all(
        start == 0 and stop == size
        for region in regions
        for i, ((start, stop), size) in enumerate(zip(region, shape, strict=True))
        if i != axis
    )
    if not is_whole_elsewhere or not shape:
        return is_whole_elsewhere
    bounds = [region[axis] for region in regions]
    touches = all(left[1] == right[0] for left, right in itertools.pairwise(bounds))
    return touches and bounds[0][0] == 0 and bounds[-1][1] == shape[axis]


_CONSTANTS = {
    "float32": ("00000000", "0000803f"),
    "float64": ("0000000000000000", "000000000000f03f"),
    "float16": ("0000", "003c"),
    "bfloat16": ("0000", "803f"),
}


def is_constant(key: ContentKey) -> bool:
    """Tell whether content is all zeros or all ones, as fresh variables have it.

    Such contents are equal without having anything to do with each other.
    """
    itemsize = max(1, key.dtype.itemsize)
    patterns = _CONSTANTS.get(key.dtype, ("00" * itemsize, "01" + "00" * (itemsize - 1)))
    return any(key.crc32c == _repeated(bytes.fromhex(p), key.elements) for p in patterns)


class Shared(NamedTuple):
    """What is stored once and stands in several places, or twice and is equal.

    Attributes:
        tied: other places in the model of one variable, by its name.
        equal: names of parameters and averages with equal checksums, a group each; zeros, ones,
            scalars and what is known to be a copy are left out.
    """

    tied: dict[str, tuple[str, ...]]
    equal: tuple[tuple[str, ...], ...]


_IN_MODEL = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE)


def find_shared(variables: Sequence[Variable]) -> Shared:
    """Find tied variables and equal contents by what the index lists; no value is read."""
    tied: dict[str, tuple[str, ...]] = {}
    groups: dict[ContentKey, list[str]] = {}
    met = Counter(variable.record.crc32c for variable in variables)
    for variable in variables:
        if variable.identity.tied:
            tied[variable.name] = variable.tied
        crc32c = variable.record.crc32c
        if crc32c is None or met[crc32c] < 2:
            continue
        if variable.role in _IN_MODEL and variable.elements > 1:
            key = ContentKey(variable.dtype, variable.elements, crc32c)
            groups.setdefault(key, []).append(variable.name)
    equal = [(key, tuple(names)) for key, names in groups.items() if len(names) > 1]
    return Shared(tied, tuple(names for key, names in equal if not is_constant(key)))


def find_shared_in(checkpoint: Checkpoint) -> Shared:
    """Find the same among the parameters and averages of a checkpoint, however many they are."""
    columns = checkpoint.columns
    if columns is None:
        return find_shared(checkpoint.of_role(*_IN_MODEL))
    equal = []
    for group in columns.alike(_IN_MODEL):
        key = content_key(columns.at(int(group[0])))
        if key is not None and not is_constant(key):
            equal.append(tuple(columns.names[place] for place in group.tolist()))
    tied = {variable.name: variable.tied for variable in columns.some(columns.tied)}
    return Shared(tied, tuple(equal))


def is_blank(variable: Variable) -> bool:
    """Tell whether the checksum of a variable says that all of it is zero; False without one."""
    key = content_key(variable)
    return key is not None and is_zero(key)


def is_zero(key: ContentKey) -> bool:
    """Tell whether content is all zero bytes."""
    return key.crc32c == _repeated(bytes(max(1, key.dtype.itemsize)), key.elements)


@lru_cache(maxsize=4096)
def _repeated(pattern: bytes, count: int) -> int:
    """Give the checksum of a pattern, so many times in a row."""
    whole, block, nbytes = 0, crc32c.crc32c(pattern), len(pattern)
    while count:
        if count & 1:
            whole = crc32c.combine(whole, block, nbytes)
        block, nbytes = crc32c.combine(block, block, nbytes), 2 * nbytes
        count >>= 1
    return whole
