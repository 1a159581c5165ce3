"""Findings about values: damaged bytes, and what is not finite; all read in one pass.

Which byte changed, if only one did, the two checksums of a damaged tensor tell alone:
CRC-32C is linear: the difference of two checksums is that of the changed bytes, carried
on over the bytes behind them. Carried back byte by byte, it becomes an entry of the
table of single bytes where the change lies.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ckread.analysis.check.finite import Look, joined, look, look_at_all, look_many
from ckread.analysis.check.index import is_damage
from ckread.analysis.findings import Code, Finding, Level
from ckread.analysis.scan import Item, extent_of, item_of, plain_extents, scan
from ckread.analysis.small import AllAtOnce, grouped, scan_together
from ckread.analysis.workers import ALONE
from ckread.errors import CheckpointError, ChecksumError
from ckread.model.role import Role
from ckread.model.variable import is_whole
from ckread.readers.bundle.reader import verify_variant
from ckread.readers.contract import DataType
from ckread.readers.files import COPY_AGAIN
from ckread.readers.slices import index_in, unravelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.scan import Found
    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent


_MUST_BE_FINITE = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE)
_NARROWED = 16
"""Damaged tensors of which the changed byte is looked for: of more, it is not one byte each."""


@dataclass(slots=True)
class ValueCheck:
    """What came of looking at values.

    Attributes:
        findings: what was wrong.
        looks: what was seen, by name, of variables that are intact.
        n_verified: variables read whole and right.
        nbytes: bytes of these.
        n_blank: damaged variables of which nothing but zeros is left.
    """

    findings: list[Finding] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)
    n_verified: int = 0
    nbytes: int = 0
    n_blank: int = 0


def check_values(
    variables: Sequence[Variable], work: Work = ALONE, *, shards: Sequence[str] = ()
) -> ValueCheck:
    """Read every value of these variables once."""
    items: list[Item] = []
    places: dict[int, range] = {}
    looks: dict[int, Look] = {}
    groups, rest = grouped([variables])
    for rows in scan_together(groups, partial(AllAtOnce, look_many), work):
        for at, i in zip(*rows.done, strict=True):
            looks[i] = rows.result[at]
        rest += rows.left
    for i in sorted(rest):
        variable = variables[i]
        sources: Sequence[Extent | Variable] | None = (variable,)
        if not is_whole(variable):
            try:
                sources = plain_extents(variable)
            except CheckpointError:  # told when it is read
                continue
        if sources is not None:
            places[i] = range(len(items), len(items) + len(sources))
            items += [item_of(j, source) for j, source in zip(places[i], sources, strict=True)]
    found = {item.number: found for item, found in scan(items, look, work)}
    result = ValueCheck()
    for i, variable in enumerate(variables):
        if i in looks:
            first = unravelled(looks[i].first or 0, variable.shape) if looks[i].not_finite else ()
            _add_intact(result, variable, looks[i], first)
            continue
        try:
            if i in places:
                _add(result, variable, [(items[j].sources[0], found[j]) for j in places[i]])
                continue
        except CheckpointError:  # its entry is impossible: told when it is read
            pass
        _check_here(result, variable, shards)
        work.advance(variable.nbytes)
    # Say so where most of the checksums of a checkpoint are wrong: two saves were mixed.
    n_wrong = len({f.variable for f in result.findings if f.code is Code.CHECKSUM})
    if n_wrong > 3 and 2 * n_wrong > len(variables):
        message = f"{n_wrong} of {len(variables)} tensors have other checksums than the index says"
        remedy = "As where shard and index are of different saves: copy both again, from one place."
        if result.n_blank > 3 and 2 * result.n_blank > n_wrong:
            message = f"{result.n_blank} of {len(variables)} tensors are nothing but zero bytes"
            remedy = (
                "As where the data was never written out, after a power loss: use another save."
            )
        result.findings.insert(
            0, Finding(Level.ERROR, Code.SHARD_MIXED, None, None, message, remedy)
        )
    return result


def _add(result: ValueCheck, variable: Variable, seen: Sequence[tuple[Any, Found]]) -> None:
    """Add what was found in the extents of a variable."""
    is_sound = all(found.error is None for _, found in seen)
    looks = [joined(found.partials) for _, found in seen]
    if is_sound:
        first: tuple[int, ...] = ()
        for (source, _), look in zip(seen, looks, strict=True):
            if look.first is not None and not first:
                first = index_in(extent_of(source).region, look.first)
        _add_intact(result, variable, joined(looks), first)
        return
    for source, found in seen:
        if found.error is not None:
            extent = extent_of(source)
            start, stop = extent.offset, extent.offset + extent.nbytes
            place = f"{os.path.basename(extent.path)}, bytes {start} to {stop}"
            is_checksum = isinstance(found.error, ChecksumError)
            message = found.error.told if is_checksum else found.error.message
            if len(seen) > 1:
                cut = ", ".join(f"{start}:{stop}" for start, stop in extent.region)
                message = f"slice [{cut}]: {message}"
            if found.crc32c and len(result.findings) < _NARROWED:
                at = changed_byte(extent.crc32c or 0, found.crc32c[0], extent.nbytes)
                if at is not None:
                    message += f", as if only byte {extent.offset + at} had changed"
            code = Code.CHECKSUM if is_checksum else Code.DAMAGED
            remedy = found.error.remedy or COPY_AGAIN
            result.findings.append(
                Finding(Level.ERROR, code, variable.name, place, message, remedy)
            )
    is_read = all(found.crc32c for _, found in seen)
    result.n_blank += is_read and all(look.is_zero for look in looks)


def _add_intact(result: ValueCheck, variable: Variable, look: Look, first: tuple[int, ...]) -> None:
    result.n_verified += 1
    result.nbytes += variable.nbytes
    result.looks[variable.name] = look
    if not look.not_finite:
        return
    is_all = look.not_finite == look.elements
    if is_all:
        kinds = ["NaN"] if look.nan else []
        kinds += ["infinities"] if look.infinite else []
        message = f"holds nothing but {' and '.join(kinds)}"
    else:
        kinds = [f"{look.nan} NaN"] if look.nan else []
        kinds += [f"{look.infinite} infinite"] if look.infinite else []
        at = ", ".join(map(str, first))
        message = f"{' and '.join(kinds)} of {look.elements} elements, the first at [{at}]"
    is_trained = variable.role in (*_MUST_BE_FINITE, Role.SLOT)
    broken = "As where training broke down: find the last good checkpoint of the run."
    remedy = broken if is_trained else None
    level = Level.ERROR if variable.role in _MUST_BE_FINITE else Level.WARNING
    result.findings.append(
        Finding(level, Code.NOT_FINITE, variable.name, None, message, remedy, is_all=is_all)
    )


def _check_here(result: ValueCheck, variable: Variable, shards: Sequence[str]) -> None:
    """Read what lies nowhere plainly: strings, compressed or foreign formats."""
    try:
        look = Look()
        is_known = variable.shard is not None and variable.shard < len(shards)
        if variable.dtype is DataType.VARIANT and is_known:
            # What it holds cannot be read, its checksums can.
            verify_variant(variable.record, shards[variable.shard or 0])
        if variable.dtype is DataType.STRING:
            variable.numpy()
            look = Look(variable.elements, is_zero=False)
        else:
            look = look_at_all(variable.chunks(), variable.dtype)
    except CheckpointError as error:
        if is_damage(error):
            code = Code.CHECKSUM if isinstance(error, ChecksumError) else Code.DAMAGED
            found = Finding(
                Level.ERROR, code, variable.name, None, error.message, error.remedy or COPY_AGAIN
            )
        else:
            found = Finding(
                Level.NOTE, Code.UNREADABLE, variable.name, None, error.message, error.remedy
            )
        result.findings.append(found)
        return
    _add_intact(result, variable, look, unravelled(look.first or 0, variable.shape))


MAX_NBYTES = 1 << 16
"""Longest run of bytes in which this is tried: in a longer one other damage may look so too."""
_POLYNOMIAL = 0x82F63B78


def changed_byte(stored: int, computed: int, nbytes: int) -> int | None:
    """Give the place of the one byte whose change explains two checksums.

    Returns:
        Its offset from the first byte; None if no single byte does, or more than one.
    """
    if nbytes > MAX_NBYTES or stored == computed:
        return None
    table, by_top, singles = _tables()
    difference, found = stored ^ computed, []
    for offset in range(nbytes - 1, -1, -1):
        if difference in singles:
            found.append(offset)
        low = by_top[difference >> 24]
        difference = ((difference ^ table[low]) << 8 | low) & 0xFFFFFFFF
    return found[0] if len(found) == 1 else None


@cache
def _tables() -> tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]:
    """Give the checksums of single bytes, their order by the highest byte, and their set."""
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    by_top = sorted(range(256), key=lambda byte: table[byte] >> 24)
    return tuple(table), tuple(by_top), frozenset(table[1:])
