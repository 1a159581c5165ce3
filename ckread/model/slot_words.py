"""How TensorFlow 1 and its followers end the names of slots."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_CLASSES = (
    "Adam|AdamW|AdaMax|Nadam|Momentum|MomentumW|RMSProp|RMSprop|Adagrad|AdagradDA|Adadelta|Ftrl"
    "|ProximalAdagrad|Adafactor|LARSOptimizer|LAMBOptimizer|LazyAdam|PowerSign|AddSign|SGD"
    "|ExponentialMovingAverage"
)
_BY_CLASS = re.compile(rf"(?:{_CLASSES})(?:_\d+)?")
_KERAS = frozenset(
    {"m", "v", "vhat", "momentum", "rms", "mg", "accumulator", "linear", "accum_grad", "accum_var"}
    | {"adam_m", "adam_v", "lamb_m", "lamb_v", "average", "gradient_accumulator"}
)
_NUMBERED = re.compile(r"_\d+$")
_APPENDED = re.compile(r"(?P<owner>.+)_slot_(?P<word>[a-z]+)")
_SCOPE = re.compile(rf"training(?:_\d+)?/(?P<optimizer>{_CLASSES})(?:_\d+)?/.+")
_MOMENTS = {"Adam": "m", "Adam_1": "v"}
_BY_WORD = {"adam_m": "Adam", "adam_v": "Adam", "lamb_m": "LAMB", "lamb_v": "LAMB"}
_PRINTED = {"LARSOptimizer": "LARS", "LAMBOptimizer": "LAMB", "AdaMax": "Adamax"}


def split_slot(key: str) -> tuple[str, str]:
    """Split a key into what may be a variable's name, and what may be a slot's word."""
    if "_slot_" in key:
        match = _APPENDED.fullmatch(key)
        if match is not None:
            return match["owner"], match["word"]
    owner, _, suffix = key.rpartition("/")
    return owner, suffix


def may_be_slot(key: str, custom: Collection[str]) -> bool:
    """Tell quickly whether a key can be that of a slot, `custom` words included."""
    suffix = key.rpartition("/")[2]
    if slot_word(suffix) is not None or suffix in custom:
        return True
    return "_slot_" in suffix or key.startswith("training")


@lru_cache(maxsize=4096)
def slot_word(suffix: str) -> str | None:
    """Give the word for a slot whose name ends so, None if no optimizer ends names so."""
    if suffix in _KERAS or suffix in {"vr", "vc"}:
        return suffix
    if _BY_CLASS.fullmatch(suffix):
        return _MOMENTS.get(suffix, suffix)
    return None


def is_slot_scope(key: str) -> bool:
    """Tell Keras's `training/Adam/Variable_3`: an optimizer's, of an untold weight."""
    return key.startswith("training") and _SCOPE.match(key) is not None


def optimizer_class(key: str) -> str | None:
    """Give the optimizer that the key of a slot names, None if it names none."""
    if _APPENDED.fullmatch(key):
        return "Adafactor"
    suffix = key.rpartition("/")[2]
    if suffix in _BY_WORD:
        return _BY_WORD[suffix]
    scope = _SCOPE.match(key)
    if scope is not None:
        name = scope["optimizer"]
    elif _BY_CLASS.fullmatch(suffix):
        name = _NUMBERED.sub("", suffix)
    else:
        return None
    return _PRINTED.get(name, name)
