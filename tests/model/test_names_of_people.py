"""Names and logs as people write them, where the collection lies beside the project.

It is no part of the project; without it these tests are skipped, and say so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckread.analysis.history.best import choose_metric, told_mode
from ckread.errors import NotACheckpointError
from ckread.model.steps import read_series
from ckread.readers.logs import parse_csv, parse_json

NAMES = Path(__file__).parents[2].parent / "shared" / "names"


def _read(name: str) -> list[dict[str, Any]]:
    path = NAMES / name
    if not path.exists():
        pytest.skip(f"{name}: the collection is not beside the project")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _is_right(series: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether the order of each group is right, and the number of every name."""
    files = series["files"]
    names = [file["path"] for file in files]
    order, known = [], {}
    for one in read_series(names, [file["time"] for file in files]):
        for place, numbers in zip(one.order, one.numbers, strict=True):
            order.append(place)
            known[place] = {numbers.epoch, numbers.step} - {None}
    by_group: dict[str, list[tuple[int, int]]] = {}
    for at, place in enumerate(order):
        if files[place]["order"] is not None:
            by_group.setdefault(files[place]["group"], []).append((files[place]["order"], at))
    is_ordered = all(sorted(places) == places for places in by_group.values())
    wanted = [{file["epoch"], file["step"]} - {None} for file in files]
    counted = [{int(c["text"]) for c in file["counter"] if c["text"].isdigit()} for file in files]
    is_numbered = all(
        bool(known[i] & (wanted[i] | counted[i])) if wanted[i] else not known[i]
        for i in range(len(files))
    )
    return is_ordered, is_numbered


def test_series_of_names() -> None:
    found = [(series, *_is_right(series)) for series in _read("series.json")]
    orders = [right for s, right, _ in found if s["decidable_order"] != "undecidable"]
    numbers = [right for s, _, right in found if s["decidable_number"] != "undecidable"]
    assert sum(orders) >= 0.99 * len(orders)
    assert sum(numbers) >= 0.98 * len(numbers)


def test_logs() -> None:
    n_right = 0
    logs = _read("logs.json")
    for log in logs:
        text, reading = log["text"], log["reading"]
        try:
            found = parse_json(text) if text.lstrip()[:1] in "[{" else parse_csv(text)
        except NotACheckpointError:
            n_right += reading["best_metric"] is None
            continue
        best = choose_metric([*found.metrics, *found.unplaced])
        mode = best and told_mode(best)
        n_right += (best, mode and str(mode)) == (reading["best_metric"], reading["mode"])
    assert n_right >= len(logs) - 2
