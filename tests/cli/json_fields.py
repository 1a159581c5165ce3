"""The fields of JSON documents as `docs/json.md` publishes them, and what differs from them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "json.md"

_BLOCK = re.compile(r"^### ([^\n]+)\n(?:(?!^###).)*?^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_OR_NULL = " or null"


@cache
def published() -> dict[str, Any]:
    """Give the fields by the title of their block: of documents, and of records in them."""
    return {title: json.loads(block) for title, block in _BLOCK.findall(PAGE.read_text())}


def differences(value: Any, fields: Any, place: str = "$") -> list[str]:
    """Say where a value has other fields, or fields of another type, than was published."""
    if isinstance(fields, dict):
        return _of_record(value, fields, place)
    if isinstance(fields, list):
        if not isinstance(value, list):
            return [f"{place}: {value!r:.40}, published: a list"]
        found = (differences(item, fields[0], f"{place}[{i}]") for i, item in enumerate(value))
        return [difference for each in found for difference in each]
    kind = fields.removesuffix(_OR_NULL)
    if value is None and fields.endswith(_OR_NULL):
        return []
    if kind in published():
        return differences(value, published()[kind], place)
    return [] if _is_kind(value, kind) else [f"{place}: {value!r:.40}, published: {fields}"]


def _of_record(value: Any, fields: dict[str, Any], place: str) -> list[str]:
    if value is None and fields.get("or null"):
        return []
    if not isinstance(value, dict):
        return [f"{place}: {value!r:.40}, published: a record"]
    if "*" in fields:
        named = [differences(item, fields["*"], f"{place}.{key}") for key, item in value.items()]
        return [difference for each in named for difference in each]
    names = fields.keys() - {"or null"}
    found = [f"{place}.{name}: not published" for name in sorted(value.keys() - names)]
    found += [f"{place}.{name}: absent" for name in sorted(names - value.keys())]
    for name in sorted(names & value.keys()):
        found += differences(value[name], fields[name], f"{place}.{name}")
    return found


def _is_kind(value: Any, kind: str) -> bool:
    if kind == "any":
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number or value in _NOT_FINITE
    assert kind == "text", f"{kind}: no such kind of value"
    return isinstance(value, str)
