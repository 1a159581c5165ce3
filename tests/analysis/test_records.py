"""Records are what they are: which can be changed, and which are told apart by identity."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import ckread.analysis

MUTABLE = {"ValueCheck", "_Work", "Pairing", "Era", "Series", "OpenRun"}
"""What work in hand is kept in."""
BY_IDENTITY = {"Filters", "Responses", "Cells"}
"""What holds arrays, which have no truth of their own."""


def records() -> list[Any]:
    found = []
    for one in pkgutil.walk_packages(ckread.analysis.__path__, "ckread.analysis."):
        held = vars(importlib.import_module(one.name)).values()
        found += [c for c in held if isinstance(c, type) and c.__module__ == one.name]
    return [one for one in found if dataclasses.is_dataclass(one)]


def test_records_do_not_change_but_for_those_in_hand() -> None:
    known = {one.__name__: one.__dataclass_params__ for one in records()}
    assert {name for name, params in known.items() if not params.frozen} == MUTABLE
    assert {name for name, params in known.items() if not params.eq} == BY_IDENTITY
