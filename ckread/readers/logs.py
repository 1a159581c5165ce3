"""Training logs as people keep them: what was measured at the end of each epoch.

    [{"epoch": 1, "loss": 0.9, …}, …]    JSON, a list with a record per epoch; or a record a line
    {"loss": [0.9, …], …}                JSON of Keras's `History.history`, or `str` of it
    {"loss": {"0": 0.9, …}, …}           JSON of pandas, in each of its orients that has names
    epoch,loss,val_loss                  Keras's `CSVLogger`, whose epochs begin with 0
    0,0.9,0.5
    ,loss,val_loss                       `DataFrame.to_csv`: the column without a name counts rows

and the event files of TensorBoard. Epochs are counted from 1, as people count and as Keras
prints them; steps and episodes are taken as they stand.

A log that was appended to holds several trainings: where its epochs begin anew with the first
one they are counted on, where they go back a little the later rows count. Both are noted.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, NotACheckpointError
from ckread.readers.files import exists, is_directory, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

MAX_LOG_NBYTES = 1 << 28
_MAX_DEPTH = 4
"""Levels of a JSON document that are looked through for a log."""
_MAX_LITERAL = 1 << 19
"""Characters of a Python literal that are parsed, which takes three hundred bytes for each."""
_MAX_COUNT = 1 << 53
"""An epoch or step beyond is none: what counts there is no longer told apart by a float."""
_FEW_CELLS = 1 << 18
_CELLS_PER_VALUE = 16
"""A table may be so much emptier than full, once it has many cells."""
_NOT_FINITE = {"nan": float("nan"), "infinity": float("inf"), "-infinity": float("-inf")}
_BY_EPOCH = "epoch_"
_OF_LISTS = "\0lists"
"""Marks rows made of lists of different lengths: a short one may be of any of the rows."""

_EPOCH = re.compile(r"n?_?(?:epochs?|ep|epoch_?(?:num(?:ber)?|no|idx|index|#)|epoche|epoca|эпоха)")
_STEP = re.compile(
    r"(?:global_?|train_?(?:ing_)?)?(?:steps?|iterations?|iters?|it|batch(?:es)?|num_updates)"
)
_EPISODE = re.compile(r"episodes?|games?|trials?")
_IDENTIFIER = re.compile(
    r"|index|unnamed: \d+|(?:.*[ _-])?(?:id|idx|uuid|seed|fold|run|model|name|pid|rank|host)"
    r"|(?:total|max|num|n|number)[ _]?(?:of[ _])?epoc+h?s?|batch[ _]?size|version|date"
    r"|timestamp|wall[ _]?time"
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryLog:
    """One log.

    Attributes:
        path: the file or directory.
        epochs: what numbers its rows, rising: epochs from 1, steps or episodes as they stand.
        metrics: values by name, along the epochs; None where there is none.
        is_numbered: whether the file itself numbers its epochs.
        unit: `epoch`, `step`, `episode`, or `row` where it takes two columns to name one.
        counters: what else counts along the rows, as it stands in the file, by name.
        seams: the first epoch of each later training in the same file.
        unplaced: metrics with fewer values than there are rows: which ones they are of is unknown.
        notes: what had to be decided to read it, one sentence each.
    """

    path: str
    epochs: tuple[int, ...]
    metrics: dict[str, tuple[float | None, ...]]
    is_numbered: bool = True
    unit: str = "epoch"
    counters: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    seams: tuple[int, ...] = ()
    unplaced: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_history_log(path: str) -> HistoryLog:
    """Read a log of any kind; an error says what was found in its place."""
    if is_directory(path) or "tfevents" in os.path.basename(path):
        return _event_log(path)
    if exists(f"{path}.index") and not exists(path):
        raise _no_log(path, "a checkpoint")
    try:
        text = read_bounded(path, MAX_LOG_NBYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no_log(path, "bytes that are not text") from None
    return parse_json(text, path) if text.lstrip()[:1] in ("[", "{") else parse_csv(text, path)


def _event_log(path: str) -> HistoryLog:
    from ckread.readers.event_files import read_scalars

    found = read_scalars(path)
    by_epoch = {
        name.replace(_BY_EPOCH, "", 1): {step + 1: value for step, value in values.items()}
        for name, values in found.items()
        if name.removeprefix("val_").startswith(_BY_EPOCH)
    }
    chosen = by_epoch or found
    places = tuple(sorted({step for values in chosen.values() for step in values}))
    check_cells(path, len(places), len(chosen), sum(map(len, chosen.values())))
    metrics = {name: tuple(map(values.get, places)) for name, values in chosen.items()}
    return HistoryLog(path, places, metrics, unit="epoch" if by_epoch else "step")


def parse_json(text: str, path: str = "history") -> HistoryLog:
    """Give the log in a JSON text, or in a text of JSON lines."""
    try:
        document = _loads(text)
    except (ValueError, RecursionError) as error:
        document = _json_lines(text) or _python_literal(text)
        if document is None:
            reason = getattr(error, "msg", "nested too deeply").lower()
            raise _no_log(path, f"JSON that cannot be read ({reason})") from None
    rows = _records(document)
    if not rows:
        raise _no_log(path, "JSON of something else")
    return _log_of_parts(path, [rows])


def _loads(text: str) -> Any:
    """Read JSON; whole numbers of many digits, which Python refuses, are floats as others are."""
    return json.loads(text, parse_int=lambda digits: (int if len(digits) < 20 else float)(digits))


def _json_lines(text: str) -> list[Any] | None:
    """Read a record from each line; the last may be cut short, while it is being written."""
    lines = [line for line in text.splitlines() if line.strip()]
    records = []
    for at, line in enumerate(lines):
        try:
            records.append(_loads(line))
        except (ValueError, RecursionError):
            if at < len(lines) - 1:
                return None
    return records if records and all(isinstance(record, dict) for record in records) else None


def _python_literal(text: str) -> Any:
    """Read what `str(history.history)` gives; None where it is something else."""
    if len(text) > _MAX_LITERAL or "'" not in text:
        return None
    import ast

    plain = re.sub(r"\b(?:np|numpy)\.\w+\(([^()]*)\)", r"\1", text)
    plain = re.sub(r"(?<![\w'])-?(?:nan|inf)\b", r"'\g<0>'", plain)
    try:
        return ast.literal_eval(plain)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _records(document: Any, depth: int = 0) -> list[Row]:
    """Find the longest list of records, in whatever way it is written down."""
    if depth > _MAX_DEPTH:
        return []
    if isinstance(document, list):
        is_records = document and all(isinstance(row, dict) for row in document)
        return [_flat(row) for row in document] if is_records else []
    if not isinstance(document, dict):
        return []
    columns, data = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(data, list):  # pandas, orient="split"
        rows = [row for row in data if isinstance(row, list)]
        return [dict(zip(map(str, columns), row, strict=False)) for row in rows]
    dicts = {name: value for name, value in document.items() if isinstance(value, dict)}
    if dicts and len(dicts) == len(document) and all(map(_is_index, dicts.values())):
        places = sorted({at for values in dicts.values() for at in values}, key=int)
        of_places: dict[str, Row] = {at: {} for at in places}
        for name, values in dicts.items():
            for at, value in values.items():
                of_places[at][name] = value
        return list(of_places.values())
    if dicts and _is_index(dicts) and len(dicts) == len(document):  # orient="index"
        return [_flat(dicts[at]) for at in sorted(dicts, key=int)]
    found = [_records(value, depth + 1) for value in document.values()]
    lists = {
        name: value
        for name, value in document.items()
        if isinstance(value, list) and value and not any(isinstance(v, dict | list) for v in value)
    }
    own: list[Row] = [{} for _ in range(max(map(len, lists.values()), default=0))]
    for name, listed in lists.items():
        for row, value in zip(own, listed, strict=False):
            row[name] = value
    longest = max([*found, own], key=lambda rows: (len(rows), len(rows[0]) if rows else 0))
    if longest is own and len(set(map(len, lists.values()))) > 1:
        longest = [{**row, _OF_LISTS: True} for row in own]
    epochs = document.get("epoch")
    if longest is not own and isinstance(epochs, list) and len(epochs) == len(longest):
        return [{"epoch": epoch, **row} for epoch, row in zip(epochs, longest, strict=True)]
    return longest


def _is_index(values: Mapping[Any, Any]) -> bool:
    """Tell whether keys are those of an index of pandas that counts."""
    return bool(values) and all(
        isinstance(key, str) and key.isdecimal() and len(key) < 20 for key in values
    )


def _flat(row: Mapping[str, Any]) -> Row:
    """Put what is nested once beside the rest: `train` and `loss` as `train_loss`."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update((f"{name}_{inner}", v) for inner, v in value.items())
        else:
            flat[str(name)] = value
    return flat


def parse_csv(text: str, path: str = "history") -> HistoryLog:
    """Give the log in a table: comma, semicolon, tab, bar or blanks between its columns."""
    lines = [line for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not line.lstrip().startswith("#")]
    comments = [line.lstrip("# \t") for line in lines if line.lstrip().startswith("#")]
    if kept and comments and not re.search("[a-df-zA-DF-Z]", kept[0]):
        kept = [comments[-1], *kept]  # as `numpy.savetxt` writes a header
    if not kept:
        raise _no_log(path, "no column of numbers")
    separator = max(",;\t|", key=kept[0].count)
    if separator not in kept[0]:
        kept, separator = [" ".join(line.split()) for line in kept], " "
    try:
        table = list(csv.reader(io.StringIO("\n".join(kept)), delimiter=separator))
    except csv.Error as error:
        raise _no_log(path, f"a table that cannot be read ({error})") from None
    header = [name.strip() for name in table[0]]
    notes: list[str] = []
    if len(table) > 2 and len(table[-1]) < len(header) and not text.endswith("\n"):
        table.pop()
        notes.append("The last row is cut short, and was left out.")
    parts: list[list[Row]] = [[]]
    for cells in table[1:]:
        if [cell.strip() for cell in cells] == header:
            parts.append([])
        else:
            parts[-1].append(dict(zip(header, cells, strict=False)))
    has_commas = separator in ";\t" and not any("." in line for line in kept[1:])
    if has_commas:
        parts = [[{k: v.replace(",", ".") for k, v in row.items()} for row in p] for p in parts]
    # Keras's CSVLogger counts from 0 on, also where it goes on at 10; its metrics are sorted.
    is_keras = header[0] == "epoch" and header[1:] == sorted(header[1:])
    parts = [part for part in parts if part]
    return _log_of_parts(path, parts, is_from_zero=is_keras, notes=notes)


def _log_of_parts(
    path: str,
    parts: Sequence[Sequence[Row]],
    *,
    is_from_zero: bool = False,
    notes: Iterable[str] = (),
) -> HistoryLog:
    """Number the rows of one or more tables, and put them in order."""
    rows = [{name.strip(): value for name, value in row.items()} for part in parts for row in part]
    starts = set(accumulate(map(len, parts[:-1])))
    names = dict.fromkeys(name for row in rows for name in row)
    check_cells(path, len(rows), len(names), sum(map(len, rows)))
    counting = _Counting(rows)
    has_number: set[str] = set()
    for row in rows:
        has_number.update(n for n in row if n not in has_number and _number(row[n]) is not None)
    others = has_number.difference(counting.named)
    metrics = [n for n in names if n in others and not _IDENTIFIER.fullmatch(n.lower())]
    if not metrics:
        raise _no_log(path, "no column of numbers")
    unplaced = {}
    if not counting.full and _OF_LISTS in rows[0]:
        # Metrics that were logged less often than others.
        all_of = {n: tuple(_number(row[n]) for row in rows if n in row) for n in metrics}
        longest = max(map(len, all_of.values()))
        unplaced = {n: values for n, values in all_of.items() if len(values) < longest}
        metrics = [name for name in metrics if name not in unplaced]
    short = [
        f"{name} has {len(values):,} values for {len(rows):,} rows: which ones they are of is "
        "unknown."
        for name, values in unplaced.items()
    ]
    measured = frozenset(metrics)
    numbers, unit = counting.number(measured)
    if unit == "epoch" and counting.epoch:
        first = min(numbers)
        shift = 1 if first == 0 or (is_from_zero and first > 1) else 0
        numbers = [number + shift for number in numbers]
    joins = [at not in starts and counting.is_joined(at, measured) for at in range(len(rows))]
    numbers, seams, why = _continued(numbers, joins, unit)
    merged: dict[int, Row] = {}
    for number, row in zip(numbers, rows, strict=True):
        known = {name: value for name, value in row.items() if _number(value) is not None}
        merged[number] = {**(merged.get(number, {})), **known}
    order = sorted(merged)
    beyond = [
        f"{name} holds numbers that count nothing: rows are numbered without it."
        for name in counting.named
        if name not in counting.full and name in names and counting.is_beyond(name)
    ]
    return HistoryLog(
        path=path,
        epochs=tuple(order),
        metrics={n: tuple(_number(merged[at].get(n)) for at in order) for n in metrics},
        is_numbered=bool(counting.full),
        unit=unit,
        counters={n: tuple(_whole(merged[at].get(n)) for at in order) for n in counting.all},
        seams=tuple(seams),
        unplaced=unplaced,
        notes=(*notes, *short, *beyond, *why),
    )


def check_cells(path: str, n_rows: int, n_columns: int, n_values: int) -> None:
    """See that a table is not far larger than what is written of it.

    A row may name columns of its own: of a hundred kilobytes that makes a thousand million cells.
    """
    cells = n_rows * n_columns
    if cells > _FEW_CELLS + _CELLS_PER_VALUE * n_values:
        found = f"{n_rows:,} rows and {n_columns:,} columns for {n_values:,} values"
        remedy = "Keep metrics that are logged at different steps in logs of their own."
        raise CheckpointError(found, path=path, expected="a table", remedy=remedy)


class _Counting:
    """The columns of a log that count: epochs, steps, episodes."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        names = dict.fromkeys(name for row in rows for name in row)
        self.named = [
            name
            for name in names
            if any(words.fullmatch(_plain(name)) for words in (_EPOCH, _STEP, _EPISODE))
        ]
        numbers = {n: [row.get(n) for row in rows if _number(row.get(n)) is not None]
                   for n in self.named}  # fmt: skip
        self.all = [n for n in self.named if numbers[n] and None not in map(_whole, numbers[n])]
        self.full = [name for name in self.all if len(numbers[name]) == len(rows)]
        self.epoch = next((n for n in self.full if _EPOCH.fullmatch(_plain(n))), None)

    def number(self, metrics: AbstractSet[str]) -> tuple[list[int], str]:
        """Give what numbers the rows, and its unit.

        Rows of one epoch are one row, unless they hold different values of one metric at
        different steps: then the steps count, or rows where steps begin anew in each epoch.
        """
        others = [name for name in self.full if name != self.epoch]
        if self.epoch is None:
            if not others:
                return list(range(1, len(self.rows) + 1)), "epoch"
            is_episode = bool(_EPISODE.fullmatch(_plain(others[0])))
            return self._values(others[0]), "episode" if is_episode else "step"
        epochs = self._values(self.epoch)
        is_joined = all(
            epochs[at] != epochs[at - 1] or self.is_joined(at, metrics)
            for at in range(1, len(epochs))
        )
        if not others or is_joined:
            return epochs, "epoch"
        steps = self._values(others[0])
        if all(a < b for a, b in pairwise(steps)):
            return steps, "step"
        if len(set(zip(epochs, steps, strict=True))) == len(steps):
            return list(range(1, len(steps) + 1)), "row"
        return epochs, "epoch"

    def is_beyond(self, name: str) -> bool:
        """Tell whether a column holds whole numbers that are too large to count."""
        numbers = [_number(row.get(name)) for row in self.rows]
        return any(n is not None and not abs(n) <= _MAX_COUNT for n in numbers)

    def _values(self, name: str) -> list[int]:
        return [_whole(row.get(name)) or 0 for row in self.rows]

    def is_joined(self, at: int, metrics: AbstractSet[str]) -> bool:
        """Tell whether a row and the one before it hold no values of the same metric."""
        before, here = self.rows[at - 1], self.rows[at]
        return at > 0 and not any(
            _number(before[name]) is not None and _number(here[name]) is not None
            for name in before.keys() & here.keys() & metrics
        )


def _continued(
    numbers: list[int], joins: Sequence[bool], unit: str
) -> tuple[list[int], list[int], list[str]]:
    """Count on where a later training begins anew; give the numbers, the seams, and notes.

    `joins` tells which rows belong to the one before: of an epoch in two parts.
    """
    if len(set(numbers)) == len(numbers):
        return numbers, [], []
    shifted, seams, again, shift, last = list(numbers), [], [], 0, numbers[0]
    for at in range(1, len(numbers)):
        if numbers[at] <= numbers[at - 1] and not joins[at]:
            if numbers[at] == numbers[0] and unit == "epoch":
                shift = last - numbers[at] + 1
                seams.append(numbers[at] + shift)
            else:
                again.append(numbers[at] + shift)
        shifted[at] = numbers[at] + shift
        last = max(last, shifted[at])
    notes = []
    if seams:
        shown = ", ".join(f"{seam:,}" for seam in seams[:3]) + (", …" if len(seams) > 3 else "")
        notes.append(f"Its epochs begin anew: a later training is counted on, from {shown}.")
    if again:
        notes.append(f"From {unit} {again[0]:,} on it was logged again; the later rows count.")
        seams += again
    return shifted, sorted(seams), notes


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip().lower().removesuffix("%")
        if text in _NOT_FINITE:
            return _NOT_FINITE[text]
        value = text.replace("_", "?")  # Python would read 1_000
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    is_count = number is not None and abs(number) <= _MAX_COUNT and number % 1 == 0
    return int(number) if is_count and number is not None else None


def _no_log(path: str, found: str) -> NotACheckpointError:
    from ckread.readers.event_files import WHAT_A_LOG_IS

    return NotACheckpointError(found, path=path, expected="a training log", remedy=WHAT_A_LOG_IS)
