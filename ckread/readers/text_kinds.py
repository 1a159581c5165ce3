"""What a text is about: history, configuration, a web page, a pointer, or just text."""

from __future__ import annotations

import json
import re
from typing import Any

from ckread.readers.kinds import Kind

# A comment ends with its line: if it could end earlier, "####…" would match in 2**n ways.
_STATE = re.compile(
    r"\s*(?:#[^\n]*(?:\n\s*|\Z))*(?:all_)?model_checkpoint_(?:path|timestamp)s?\s*:"
)
_LFS_POINTER = "version https://git-lfs.github.com/spec/"
_HTML = re.compile(r"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HISTORY_HEADER = re.compile(
    r"(?m)\A(?:[\w ./-]+,)*(?:epoch|step|loss|accuracy)(?:,[\w ./-]+)*\r?$"
)
_HISTORY_NAME = re.compile(r"(?:^|_|\b)(?:loss|acc|accuracy|lr|learning_rate|epoch)$")
_CONTROLS = dict.fromkeys({*range(32)} - {9, 10, 12, 13, 27})


def text_kind(head: bytes, nbytes: int) -> Kind | None:
    """Tell what the text that begins with these bytes is, None if it is not text.

    Args:
        head: the first bytes, of a file of `nbytes`.
        nbytes: JSON that is longer than `head` is told by its beginning.
    """
    text = _decoded(head, is_cut=nbytes > len(head))
    if text is None:
        return None
    if text.lstrip()[:1] in ("{", "["):
        kind = _json_kind(text, is_cut=nbytes > len(head))
        if kind is not None:
            return kind
    if _STATE.match(text):
        return Kind.STATE
    if text.startswith(_LFS_POINTER):
        return Kind.LFS_POINTER
    if _HTML.match(text):
        return Kind.HTML
    return Kind.HISTORY_CSV if _HISTORY_HEADER.search(text) else Kind.TEXT


def _decoded(head: bytes, *, is_cut: bool) -> str | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The last character may be cut in two.
        if not is_cut or error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8-sig")
    return None if any(map(_CONTROLS.__contains__, map(ord, text))) else text


def _json_kind(text: str, *, is_cut: bool) -> Kind | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _cut_json_kind(text) if is_cut else None
    if isinstance(document, list):
        rows = [row for row in document if isinstance(row, dict)]
        is_history = bool(rows) and all(_is_history(row, (int, float)) for row in rows)
        return Kind.HISTORY_JSON if is_history else Kind.JSON
    if _is_history(document, list):
        return Kind.HISTORY_JSON
    return _object_kind(document)


def _object_kind(document: dict[str, Any]) -> Kind:
    weight_map = document.get("weight_map")
    if isinstance(weight_map, dict) and "weights.h5" in str(next(iter(weight_map.values()), "")):
        return Kind.WEIGHTS_JSON
    if "class_name" in document and "config" in document:
        return Kind.KERAS_CONFIG
    return Kind.JSON


def _cut_json_kind(text: str) -> Kind | None:
    """Tell the kind of JSON of which only the beginning is known."""
    if not re.match(r'\s*(?:\[\s*[\[{"\d-]|\{\s*")', text):
        return None
    if '"weight_map"' in text and ".weights.h5" in text:
        return Kind.WEIGHTS_JSON
    if re.match(r'\s*(?:\[\s*)?\{\s*"\w*(?:loss|accuracy|epoch)"\s*:', text):
        return Kind.HISTORY_JSON
    return Kind.KERAS_CONFIG if re.match(r'\s*\{\s*"class_name"', text) else Kind.JSON


def _is_history(row: dict[str, Any], kind: type | tuple[type, ...]) -> bool:
    named = any(_HISTORY_NAME.search(name) for name in row)
    return named and all(isinstance(value, kind) for value in row.values())
