"""Mutations of protobuf messages: of their structure, so that lengths stay right.

`mutated_wire` knows no schema and takes what parses for a message; `mutated_message` walks
a message of protobuf's own classes by its descriptor.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError
from ckread.readers.protobuf import iter_fields
from tests.builders import varint
from tests.fuzz.mutation import EDGES, mutated

if TYPE_CHECKING:
    from random import Random

Fields = list[tuple[int, int, Any]]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 6
NAMES = (
    b"", b"a", b"a/b", b"/", b"..", b"\n", b"\x1b[31m", b"\xff", "ü".encode(), b"x" * 300,
    b"kernel", b"bias", b"optimizer", b"save_counter", b"VARIABLE_VALUE", b"_CHECKPOINTABLE_OBJECT",
    b"a/.ATTRIBUTES/VARIABLE_VALUE", b"error: all is lost", b"0", b"-1", b"1e999",
)  # fmt: skip
"""Texts that stand where a name does."""


def fields_of(data: bytes) -> Fields | None:
    """Take a message apart; None where it is none."""
    try:
        return [
            (number, kind, data[slice(*value)] if kind == _BYTES else value)
            for number, kind, value in iter_fields(data)
        ]
    except CheckpointError:
        return None


def joined(fields: Fields) -> bytes:
    """Put a message together again."""
    out = bytearray()
    for number, kind, value in fields:
        out += varint(number << 3 | kind)
        if kind == _VARINT:
            out += varint(value)
        elif kind == _BYTES:
            out += varint(len(value)) + value
        else:
            width = "Q" if kind == _FIXED64 else "I"
            out += struct.pack(f"<{width}", value % (1 << (64 if kind == _FIXED64 else 32)))
    return bytes(out)


def mutated_wire(data: bytes, rng: Random, depth: int = 0) -> bytes:
    """Change a field somewhere in a message; where it is none, its bytes."""
    fields = fields_of(data)
    if not fields:
        if not data and rng.random() < 0.5:
            return joined([(rng.randrange(1, 9), _VARINT, rng.choice(EDGES))])
        return rng.choice(NAMES) if rng.random() < 0.3 else mutated(data, [data], rng)
    at = rng.randrange(len(fields))
    number, kind, value = fields[at]
    what = rng.randrange(12)
    if what == 0:
        del fields[at]
    elif what == 1:
        fields[at:at] = [fields[at]] * rng.choice((1, 1, 2, 300))
    elif what == 2:
        other = rng.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    elif what == 3:
        fields[at] = (rng.choice((1, 2, 3, 4, 5, 6, 7, 8, number + 1, 1 << 20)), kind, value)
    elif what == 4:
        fields.insert(at, (rng.randrange(1, 9), _VARINT, rng.choice(EDGES)))
    elif what == 5 and depth == 0:
        nested = data
        for _ in range(rng.choice((1, 2, 60, 1000))):
            nested = joined([(number, _BYTES, nested)])
            if len(nested) > 1 << 16:
                break
        fields[at] = (number, _BYTES, nested)
    elif kind == _BYTES:
        deeper = depth < _MAX_DEPTH and rng.random() < 0.85
        changed = mutated_wire(value, rng, depth + 1) if deeper else mutated(value, [value], rng)
        fields[at] = (number, kind, changed)
    else:
        near = (value + 1, value - 1, value ^ 1 << rng.randrange(64), value * 2)
        fields[at] = (number, kind, rng.choice((*near, *EDGES)) % (1 << 64))
    return joined(fields)


def mutated_message(message: Any, rng: Random) -> None:
    """Change a message of protobuf's classes in place, somewhere at any depth."""
    while True:
        held = message.ListFields()
        inner = [(field, value) for field, value in held if field.message_type is not None]
        if not inner or rng.random() < 0.3:
            break
        field, value = rng.choice(inner)
        if _is_map(field):
            _mutate_map(value, field, rng)
            return
        if field.is_repeated:
            if not len(value) or rng.random() < 0.15:
                _mutate_repeated(value, rng)
                return
            message = rng.choice(value)
        else:
            message = value
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    present = [field for field, _ in message.ListFields()]
    field = rng.choice(present) if present and rng.random() < 0.8 else rng.choice(fields)
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif _is_map(field):
        _mutate_map(getattr(message, field.name), field, rng)
    elif field.is_repeated:
        values = getattr(message, field.name)
        if field.message_type is not None:
            if len(values) and rng.random() < 0.7:
                _mutate_repeated(values, rng)
            else:
                values.add()
        elif len(values) and rng.random() < 0.8:
            at = rng.randrange(len(values))
            values[at] = _scalar(field, values[at], rng)
        else:
            values.extend([_scalar(field, None, rng)] * rng.choice((1, 1, 3, 100)))
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _scalar(field, getattr(message, field.name), rng))


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return bool(kind is not None and kind.GetOptions().map_entry)


def _mutate_map(values: Any, field: Any, rng: Random) -> None:
    keys = sorted(values)
    value_field = field.message_type.fields_by_name["value"]
    key = rng.choice(keys) if keys and rng.random() < 0.7 else _scalar(
        field.message_type.fields_by_name["key"], None, rng
    )  # fmt: skip
    if keys and rng.random() < 0.2:
        del values[rng.choice(keys)]
    elif value_field.message_type is not None:
        mutated_message(values[key], rng)
    else:
        values[key] = _scalar(value_field, values.get(key), rng)


def _mutate_repeated(values: Any, rng: Random) -> None:
    if not len(values):
        return
    at = rng.randrange(len(values))
    what = rng.randrange(3)
    if what == 0:
        del values[at]
    elif what == 1:
        for _ in range(rng.choice((1, 1, 2, 50))):
            values.add().CopyFrom(values[at])
    else:
        values[at].CopyFrom(values[rng.randrange(len(values))])


def _scalar(field: Any, value: Any, rng: Random) -> Any:
    """Give a value that the type of a field can hold."""
    kind = field.cpp_type
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf"), 1e-30))
    if kind == field.CPPTYPE_BOOL:
        return not value
    if kind == field.CPPTYPE_ENUM:
        return rng.choice([one.number for one in field.enum_type.values])
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return mutated_wire(value or b"", rng)
        if value and rng.random() < 0.5:
            return mutated(value.encode(), NAMES, rng).decode(errors="replace")
        return rng.choice(NAMES).decode(errors="replace")
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    is_signed = kind in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    number = rng.choice((*EDGES, (value or 0) + 1, (value or 0) - 1, rng.randrange(300)))
    number %= 1 << bits
    return number - (1 << bits) if is_signed and number >> (bits - 1) else number
