"""JSON documents: one per command, compact, whole, and the same on every machine.

Numbers are exact integers or shortest round-trip floats; NaN and the infinities are
the strings "NaN", "Infinity" and "-Infinity". Everything is ASCII: a byte of a name
that is not UTF-8 is the lone surrogate that Python's `surrogateescape` gives it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ckread.errors import SafeText

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.statistics.statistics import CheckpointStatistics
    from ckread.model.columns.variables import VariableColumns
    from ckread.model.variable import Variable

_text = json.encoder.encode_basestring_ascii


def encode(document: Any) -> SafeText:
    """Give a document as one line of JSON, which escapes what is not safe."""
    try:
        return SafeText(_ENCODER.encode(document))
    except ValueError:  # what is not finite is to be a word, which only a copy can have
        return SafeText(_ENCODER.encode(plain_value(document)))


def encode_value(value: Any) -> str:
    """Give a value as JSON."""
    if type(value) is int:
        return int.__repr__(value)
    if type(value) is float and math.isfinite(value):
        return float.__repr__(value)
    return encode(value)


def schema(command: str, *, version: int = 1) -> str:
    """Name the schema of a command's document."""
    return f"ckread.{command}/{version}"


def plain_value(value: Any) -> Any:
    """Give a value in JSON's own types: enums as text, NaN and infinities as words."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, complex):
        return [plain_value(value.real), plain_value(value.imag)]
    if isinstance(value, Iterable):
        return [plain_value(item) for item in value]
    return plain_value(value.item())  # a numpy scalar


_ENCODER = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False, check_circular=False, default=plain_value
)
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def encode_statistics(statistics: CheckpointStatistics) -> Iterator[SafeText]:
    """Give the document of `stats` in pieces, a variable each: its histogram has 65 edges."""
    from dataclasses import replace

    empty = replace(statistics, variables=statistics.damaged).to_dict()
    # Within a text quotes are escaped: this stands nowhere else.
    head, variables, tail = encode({"schema": schema("stats"), **empty}).partition('"variables":[')
    yield SafeText(head + variables)
    for at, variable in enumerate(statistics.measured):
        yield SafeText(("," if at else "") + encode(variable.to_dict(statistics.n_bins)))
    yield SafeText(tail)


def encode_variables(head: Mapping[str, Any], variables: Iterable[Variable]) -> Iterator[SafeText]:
    """Give a document that ends in a list of variables, in pieces, for 100,000 of them."""
    yield SafeText(encode(head)[:-1])
    yield SafeText(',"variables":[')
    yield SafeText(",".join(map(encode_variable, variables)))
    yield SafeText("]}")


def encode_columns(
    head: Mapping[str, Any], columns: VariableColumns, places: NDArray[Any]
) -> Iterator[SafeText]:
    """Give what `encode_variables` gives of the variables at some places, for a million of them."""
    yield SafeText(encode(head)[:-1])
    yield SafeText(',"variables":[')
    tensors, identities = columns.tensors, columns.identities
    names, keys = columns.names, tensors.keys_in_order
    alike = identities.relation.astype("int64") * len(tensors.kinds) + tensors.kind
    known: dict[int, str] = {}
    parts: dict[int, tuple[str, str]] = {}  # before and after the owner
    for at in range(0, len(places), _AT_ONCE):
        some = places[at : at + _AT_ONCE]
        rows, numbers = some.tolist(), alike[some].tolist()
        name_texts = [_text(names[i]) for i in rows]
        key_texts = name_texts if names is keys else [_text(keys[i]) for i in rows]
        for number in set(numbers).difference(known):
            relation, kind = divmod(number, len(tensors.kinds))
            role, trainable, owner, slot, paths, _ = identities.relations[relation]
            before, after = _relations(role, trainable, slot, paths)
            parts[number] = _type_and_size(*tensors.kinds[kind]) + before, f'{after},"crc32c":"'
            known[number] = _owner(owner).join(parts[number])
        digits = tensors.crc32c[some].astype(">u4").tobytes().hex()
        crcs = [digits[i : i + 8] for i in range(0, len(digits), 8)]
        fields_of = [known[number] for number in numbers]
        owners = identities.owner[some]
        [owned] = (owners >= 0).nonzero()
        for i, of in zip(owned.tolist(), owners[owned].tolist(), strict=True):
            fields_of[i] = _text(names[of]).join(parts[numbers[i]])
        shards, offsets = tensors.shard[some].tolist(), tensors.offset[some].tolist()
        cells = zip(name_texts, key_texts, fields_of, crcs, shards, offsets, strict=True)
        yield SafeText("," if at else "")
        some_texts = [
            f'{{"name":{name},"key":{key}{fields}{crc32c}","shard":{shard},"offset":{offset}}}'
            for name, key, fields, crc32c, shard, offset in cells
        ]
        yield SafeText(",".join(some_texts))
    yield SafeText("]}")


_AT_ONCE = 1 << 16


def encode_variable(variable: Variable) -> str:
    """Give `variable.to_dict()` as JSON, eight times as fast as by way of the dict."""
    key, dtype, shape, nbytes, crc32c, shard, offset = variable.record
    name, role, trainable, owner, slot, paths, _ = variable.identity
    before, after = _relations(role, trainable, slot, paths)
    name_text = _text(name)
    key_text = name_text if key == name else _text(key)
    checksum = "null" if crc32c is None else f'"{crc32c:08x}"'
    return (
        f'{{"name":{name_text},"key":{key_text}{_type_and_size(dtype, shape, nbytes)}'
        f'{before}{_owner(owner)}{after},"crc32c":{checksum}'
        f',"shard":{"null" if shard is None else shard}'
        f',"offset":{"null" if offset is None else offset}}}'
    )


def _owner(owner: str | None) -> str:
    return "null" if owner is None else _text(owner)


@lru_cache(maxsize=1024)
def _relations(
    role: str, trainable: bool | None, slot: str | None, paths: tuple[str, ...]
) -> tuple[str, str]:
    """Give what stands before and after the owner."""
    truth = "null" if trainable is None else "true" if trainable else "false"
    slot_text = "null" if slot is None else _text(slot)
    paths_text = ",".join(map(_text, paths))
    return (
        f',"role":"{role}","trainable":{truth},"owner":',
        f',"slot":{slot_text},"paths":[{paths_text}]',
    )


@lru_cache(maxsize=4096)
def _type_and_size(dtype: str, shape: tuple[int, ...], nbytes: int) -> str:
    sizes = ",".join(map(str, shape))
    return (
        f',"dtype":{_text(str(dtype))},"shape":[{sizes}],"elements":{math.prod(shape)}'
        f',"nbytes":{nbytes}'
    )
