"""JSON from a checkpoint, as data: bounded in size and depth, never code.

Keras keeps Python code for Lambda layers in its configuration. Nothing here looks
at it, decodes it or builds anything from it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ckread.errors import CorruptCheckpointError

MAX_JSON_NBYTES = 64 << 20
MAX_DEPTH = 200

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def parse_object(data: bytes, where: str, *, path: str, name: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        data: the text, UTF-8.
        where: what it is, for messages: `config.json`.
        path: the file it lies in.
        name: what messages call that file.

    Raises:
        CorruptCheckpointError: it is too large, too deep, or not a JSON object.
    """
    if len(data) > MAX_JSON_NBYTES:
        what = f"{len(data)} bytes, expected at most {MAX_JSON_NBYTES}"
        raise CorruptCheckpointError(f"{name}: {where}: {what}", path=path)
    if _depth(data) > MAX_DEPTH:
        what = f"nested deeper than {MAX_DEPTH} levels"
        raise CorruptCheckpointError(f"{name}: {where}: {what}", path=path)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        message = f"{name}: {where}: not JSON ({reason[:100]})"
        raise CorruptCheckpointError(message, path=path) from None
    if not isinstance(value, dict):
        what = f"a JSON {type(value).__name__}, expected an object"
        raise CorruptCheckpointError(f"{name}: {where}: {what}", path=path)
    return value


def _depth(data: bytes) -> int:
    """Measure how deeply brackets outside strings nest."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(data):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest
