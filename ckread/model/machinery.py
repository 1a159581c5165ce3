"""Local names of the object graph that no person gave: what frameworks add.

`model/_operations/1/_kernel` says `kernel`; the rest is how Keras keeps its layers.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MACHINERY = re.compile(
    r"_operations|_functional|_layers|layers|_tracked|layer-\d+|layer_with_weights-\d+"
    r"|(?:_?(?:non_)?trainable_|_all_|model_|_)?variables|keras_api|root|_self_.*",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\.([.S])")
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@lru_cache(maxsize=4096)
def is_machinery(local_name: str) -> bool:
    """Tell whether a framework, not a person, chose this local name."""
    return _MACHINERY.fullmatch(local_name) is not None


def unescape(text: str) -> str:
    """Give a checkpoint key with its local names as they were; those of a graph are so."""
    if "." not in text:
        return text
    return _ESCAPED.sub(lambda match: "/" if match[1] == "S" else ".", text)


def key_path(key: str) -> str:
    """Give the path that a checkpoint key spells, unescaped, without attribute marks."""
    return unescape(key.removesuffix(_SUFFIX).replace("/.ATTRIBUTES/", "/"))


def public(local_name: str) -> str:
    """Give a local name without the underscore that makes it private."""
    return local_name[1:] if local_name.startswith("_") and len(local_name) > 1 else local_name
