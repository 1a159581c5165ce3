"""What lies beside a checkpoint: what a torn save left, and a state file that is out of date.

A save writes `P_temp/` with parts, `P.data-…`, `P.index`, in this order, and the state
file last; each of them under a temporary name first but the index.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.model.paths.scanning import left_by_save, scan
from ckread.model.run.entries import read_marks
from ckread.model.steps import natural
from ckread.readers.contract import few
from ckread.readers.extents import present_shards, shard_path, stem_of_shard
from ckread.readers.files import STATE_FILE_NAME, can_list, exists, file_identity, file_names, once

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT = "This is what an unfinished save leaves; it can be deleted once no run is writing."
_TEMPORARY = re.compile(
    r"_temp(?:_[0-9a-f]{8,})?\Z|\.(?:data-\d+-of-\d+|data\.|index)?\.?tempstate\d*\Z"
)
_STEP = re.compile(r"\d+\Z")


def check_directory(prefix: str) -> list[Finding]:
    """Look through the directory of a prefix for leftovers and names that lead nowhere."""
    directory, base = os.path.split(prefix)
    if not can_list(directory):
        return []
    known = once(_Directory, directory)
    findings = [*_newer(base, known), *known.left]
    for stem in known.without_index:
        if stem != base:
            found = f"data of {stem} is there without {stem}.index"
            findings.append(
                Finding(Level.WARNING, Code.LEFTOVERS, None, f"{stem}.index", found, _LEFT)
            )
    return findings if base == STATE_FILE_NAME else [*findings, *known.state]


class _Directory:
    """What a directory holds besides one checkpoint.

    Attributes:
        names: of its files.
        left: findings for what unfinished saves left.
        without_index: base names of data shards without an index, sorted.
        unfinished: base names of which there is something, and no index.
        latest: by the name of a series, without its number, the highest number with an index.
        state: findings for its state file.
    """

    def __init__(self, directory: str) -> None:
        names = file_names(directory)
        self.names = {*names}
        left = [(name, left_by_save(os.path.join(directory, name))) for name in names]
        self.left = [
            Finding(Level.WARNING, Code.LEFTOVERS, None, name, found or name, _LEFT)
            for name, found in left
            if found is not None
        ]
        stems = dict.fromkeys(map(stem_of_shard, sorted(names)))
        self.without_index = [s for s in stems if s is not None and f"{s}.index" not in self.names]
        self.unfinished = unfinished(directory, names)
        self.latest: dict[str, int] = {}
        for name in names:
            stem = name.removesuffix(".index")
            number = _number(stem) if stem != name else None
            if number is not None:
                kind = _STEP.sub("", stem)
                self.latest[kind] = max(number, self.latest.get(kind, number))
        marks = read_marks(directory)
        place = None, "checkpoint"
        self.state = [
            Finding(Level.WARNING, Code.STATE_FILE, *place, note.rstrip("."))
            for note in marks.notes
        ]
        stale = [
            name
            for name in marks.names
            if "?" not in name and name not in self.names and f"{name}.index" not in self.names
        ]
        if stale:
            verb = "is" if len(stale) == 1 else "are"
            said = f"the state file names {few(stale, 3)}, which {verb} not there"
            self.state.append(Finding(Level.WARNING, Code.STATE_STALE, *place, said))


def _newer(base: str, known: _Directory) -> Iterator[Finding]:
    """Give the finding for a torn save that came after this one, the last that is whole."""
    kind, step = _STEP.sub("", base), _number(base)
    if step is None or f"{base}.index" not in known.names:
        return
    if known.latest.get(kind, step) > step:
        return
    later = {stem: _later(stem, kind, step) for stem in known.unfinished}
    torn = sorted((number, stem) for stem, number in later.items() if number is not None)
    if torn:
        stem = torn[-1][1]
        message = f"{stem} is newer than {base}, and not whole"
        remedy = (
            f"Its save is going on, or was cut short; {base} is the last one that is whole. "
            "If a run is writing here, try again in a moment."
        )
        yield Finding(Level.WARNING, Code.NEWER, None, stem, message, remedy)


def _number(base: str) -> int | None:
    """Give the number that a base name ends in: it sets one save of a series before another."""
    found = _STEP.search(base)
    return int(found[0]) if found else None


def _later(stem: str, kind: str, step: int) -> int | None:
    """Give the step of another checkpoint of a series, if it is a later one."""
    number = _number(stem)
    is_later = _STEP.sub("", stem) == kind and number is not None and number > step
    return number if is_later else None


def unfinished(directory: str, names: list[str]) -> list[str]:
    """Give base names of checkpoints of which there is something, and no index."""
    known = set(names)
    found = [stem for name in names if (stem := stem_of_shard(name)) is not None]
    found += [_TEMPORARY.sub("", name) for name in names if _is_left(directory, name)
              and not name.startswith("checkpoint.tmp")]  # fmt: skip
    return [stem for stem in dict.fromkeys(found) if stem and f"{stem}.index" not in known]


def _is_left(directory: str, name: str) -> bool:
    """Tell whether a name is one that only an unfinished save leaves."""
    return left_by_save(os.path.join(directory, name)) is not None


def torn_save(prefix: str) -> Finding | None:
    """Give the finding for data without an index, None if there is an index or no data."""
    families = present_shards(prefix)
    if exists(f"{prefix}.index"):
        return None
    directory, base = os.path.split(prefix)
    # Wait, or go back to the whole save before it.
    kind = _STEP.sub("", base)
    alike = [c.path for c in scan(directory) if _STEP.sub("", c.name) == kind != base]
    before = [path for path in alike if natural(path) < natural(os.path.join(directory, base))]
    instead = "what is here cannot be restored: use another save"
    if before:
        instead = f"go back to {before[-1]}, the one before"
    remedy = f"If a training run is still writing here, try again in a moment. If not, {instead}."
    if not families:
        temporary = [
            name
            for name in file_names(directory)
            if name.startswith((f"{base}_temp", f"{base}.")) and _is_left(directory, name)
        ]
        if not temporary or not base:
            return None
        message = f"{base} has neither index nor data, only {temporary[0]}, which its save wrote"
        return Finding(Level.ERROR, Code.NO_INDEX, None, f"{base}.index", message, remedy)
    count = min(families)
    shard = shard_path(prefix, min(families[count]), count)
    identity = file_identity(shard)
    name = os.path.basename(shard)
    message = (
        f"{base}.index is absent beside {name} ({identity.nbytes if identity else 0} bytes): "
        "without it nothing can be read"
    )
    return Finding(Level.ERROR, Code.NO_INDEX, None, f"{base}.index", message, remedy)


def torn_in(directory: str) -> str | None:
    """Give the prefix of the last save that a directory without a checkpoint was to hold."""
    stems = unfinished(directory, file_names(directory))
    ordered = sorted(stems, key=natural)
    return os.path.join(directory, ordered[-1]) if ordered else None
