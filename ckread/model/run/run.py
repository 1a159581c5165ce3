"""A run: the checkpoints of one training, in order of step.

Each is opened once, for what a listing shows, and again when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from copy import copy
from typing import TYPE_CHECKING, Any, overload

from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError
from ckread.model.display import Displayed, Kind, columns_of, data_frame, import_pandas
from ckread.model.opening import ReaderChoice
from ckread.model.paths.location import INDEX_SUFFIX
from ckread.model.run.entries import (
    ENTRY_FIELDS,
    RunEntry,
    RunGroup,
    RunState,
    SkippedCheckpoint,
    base_name,
    find_places,
    title_of,
)
from ckread.model.run.grouping import (
    Group,
    Member,
    group,
    grouping_note,
    models_of,
    renumbered_note,
    rivals_note,
)
from ckread.model.run.opening import RunOpener, as_counter, read_numbers
from ckread.model.steps import read_series
from ckread.readers.contract import Format, TensorColumns, few, no_garbage_collection
from ckread.readers.files import JUST_NOW, exists, file_identity, look_again, written_time
from ckread.readers.state import known_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.evidence import Claim
    from ckread.model.run.entries import Place, Places
    from ckread.model.run.opening import Number as Number
    from ckread.model.run.opening import Opened as Opened
    from ckread.model.run.opening import Structure as Structure


PathLike = str | os.PathLike[str]


class Run(Displayed, Sequence["Checkpoint"]):
    """The checkpoints of one model, in order of step; each is opened when asked for.

    By name, that of a checkpoint or its path, as by position: `run["ckpt-3"]`.
    Training may go on meanwhile: a checkpoint that has been deleted since the run
    was listed raises `CheckpointNotFoundError` when it is asked for; `opened` leaves
    such ones out. Made by `ckread.open_run`.

    Example:
        >>> run = ckread.open_run("fixtures/digits_run")
        >>> run, run.steps[-1], run.entries[-1].name
        (<ckread.Run 'fixtures/digits_run': 10 checkpoints>, 10, 'ckpt-10')
        >>> with run[-1] as latest:
        ...     latest["optimizer/iterations"].scalar()
        900
        >>> run.every(5).keys(), len(run.groups), run.titles, run.notes
        (['ckpt-5', 'ckpt-10'], 1, ('step',), ())
        >>> [index for index, found in run.opened()] == [index for index, found in run.indexes()]
        True
        >>> run.error_now(0), run.others, run.stale, run.skipped
        (None, (), (), ())
        >>> [claim.claim for claim in run.claims]
        ['step', 'latest']

    Attributes:
        path: what names the run: its directory, or what was typed.
        entries: what is known of each checkpoint, in the order of the sequence.
        titles: what orders the sequence is called: `step`, `epoch`, or words of the names.
        claims: of their steps and of the latest, with what told them.
        others: checkpoints of other models that were found, largest group first.
        stale: checkpoints that a state file names and that are not there.
        skipped: checkpoints that could not be opened or were left out, with the error of each.
        notes: what had to be decided, one sentence each.
    """

    def __init__(
        self,
        path: str,
        groups: Sequence[Group],
        opener: RunOpener,
        *,
        stale: tuple[RunEntry, ...] = (),
        skipped: tuple[SkippedCheckpoint, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        main = groups[0] if groups else Group(())
        self._members = main.members
        self.titles: tuple[str, ...] = main.titles
        self.claims: tuple[Claim, ...] = main.claims
        self.entries: tuple[RunEntry, ...] = tuple(m.entry for m in self._members)
        models = models_of(groups) if len(groups) > 1 else ()
        self.others: tuple[RunGroup, ...] = tuple(
            RunGroup(tuple(m.entry for m in found.members), model, found.titles, found.claims)
            for found, model in zip(groups[1:], models[1:], strict=True)
        )
        self.stale = stale
        self.skipped = skipped
        self.notes = notes
        self._opener = opener

    def __len__(self) -> int:
        """Count the checkpoints."""
        return len(self.entries)

    @overload
    def __getitem__(self, index: int | str) -> Checkpoint: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Checkpoint]: ...
    def __getitem__(self, index: int | str | slice) -> Checkpoint | Sequence[Checkpoint]:
        """Open a checkpoint by its position, its name or its path; a slice opens as many.

        Raises:
            CheckpointNotFoundError: the run has none of this name.
            CheckpointError: it is gone by now, or cannot be opened any more.
        """
        if isinstance(index, slice):
            return [self._open(member) for member in self._members[index]]
        if isinstance(index, str):
            found = next((m for m in self._members if index in _names_of(m.entry)), None)
            if found is None:
                remedy = f"There are {few(self.keys(), 8)}."
                raise CheckpointNotFoundError(f"no {index} in it", path=self.path, remedy=remedy)
            return self._open(found)
        return self._open(self._members[index])

    def __contains__(self, name: object) -> bool:
        """Tell whether a checkpoint has this name or path; none is opened."""
        return any(name in _names_of(entry) for entry in self.entries)

    def keys(self) -> list[str]:
        """List the names of the checkpoints, in order."""
        return [entry.name for entry in self.entries]

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    def __iter__(self) -> Iterator[Checkpoint]:
        """Open one checkpoint after the other."""
        return map(self._open, self._members)

    def __repr__(self) -> str:
        """Show path and number of checkpoints."""
        return f"<ckread.Run {self.path!r}: {len(self)} checkpoints>"

    @property
    def groups(self) -> tuple[RunGroup, ...]:
        """The models that were found, largest first; the run is the first of them."""
        return (RunGroup(self.entries, 0, self.titles, self.claims), *self.others)

    @property
    def steps(self) -> tuple[int | None, ...]:
        """The step of each checkpoint."""
        return tuple(entry.step for entry in self.entries)

    def every(self, n: int) -> Run:
        """Give the run of every nth checkpoint, counted back from the last."""
        run = copy(self)
        run._members = self._members[::-n][::-1]
        run.entries = tuple(member.entry for member in run._members)
        return run

    def error_now(self, index: int) -> CheckpointError | None:
        """Tell why a checkpoint is not what was listed any more; None if it still is."""
        member = self._members[index]
        look_again(member.identified_by, older_than=JUST_NOW)
        if file_identity(member.identified_by) == member.identity:
            return None
        is_there = exists(member.identified_by)
        what = "overwritten" if is_there else "deleted"
        return CheckpointError(
            f"{what} since the run was listed", path=member.place.path, name=member.entry.name
        )

    def opened(self) -> Iterator[tuple[int, Checkpoint | CheckpointError]]:
        """Yield the index of each checkpoint and either it or the error of opening it.

        A checkpoint that was overwritten since the run was listed has an error too:
        the step it was listed with is no longer its own.
        """
        for index, found in self.indexes():
            yield index, found if isinstance(found, CheckpointError) else found.checkpoint()

    def indexes(self) -> Iterator[tuple[int, Opened | CheckpointError]]:
        """Yield the same before any variable is made, of which there may be very many."""
        for index, member in enumerate(self._members):
            found: Opened | CheckpointError
            try:
                found = self._opened(member)
            except CheckpointError as error:
                found = error
            else:
                found = self.error_now(index) or found
            yield index, found

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `runs` document: groups of checkpoints, the stale ones last."""
        groups = [[entry.to_dict() for entry in found.entries] for found in self.groups]
        models = [found.model + 1 for found in self.groups]
        groups[0] += [entry.to_dict() for entry in self.stale]
        skipped = [{"path": found.path, "message": str(found.error)} for found in self.skipped]
        return {
            "path": self.path,
            "groups": groups,
            "models": models,
            "skipped": skipped,
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.claims],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per checkpoint, in order of step.

        `time` is in UTC; `group` counts the models from 0, the largest.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        rows = [
            {**entry.to_dict(), "group": number}
            for number, found in enumerate(self.groups)
            for entry in found.entries
        ]
        frame = data_frame({**columns_of(ENTRY_FIELDS), "group": Kind.COUNT}, rows)
        frame["time"] = import_pandas().to_datetime(frame["time"], unit="s", utc=True)
        return frame

    def _open(self, member: Member) -> Checkpoint:
        return self._opened(member).checkpoint()

    def _opened(self, member: Member) -> Opened:
        found = None if member.opened is None else member.opened.again()
        if found is None:
            found = self._opener.open(member.place)._replace(numbers=member.numbers)
        return found if member.renames is None else found.renamed(member.renames)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the listing; checkpoints are opened by their paths where it arrives."""
        members = tuple(member._replace(opened=None) for member in self._members)
        return {**self.__dict__, "_members": members, "_opener": RunOpener(self._opener.reader)}


def _names_of(entry: RunEntry) -> tuple[str, str]:
    return entry.name, entry.path


def open_run(paths: PathLike | Iterable[PathLike], reader: str = "auto") -> Run:
    """List the checkpoints of a run; of each, the index and its counters are read.

    Args:
        paths: a directory (every checkpoint in it), a glob, the path of a checkpoint,
            or several of these. A path that exists is taken literally.
        reader: `auto`, `native` or `tensorflow`.

    Raises:
        CheckpointNotFoundError: nothing is there; the remedy names what is near.
        CheckpointError: there is nothing that can be opened.
        UsageError: no path is given, or there is no such reader.

    Example:
        >>> ckread.open_run("fixtures/digits_run/ckpt-[1-3]").steps
        (1, 2, 3)
    """
    if reader not in tuple(ReaderChoice):
        expected = ", ".join(ReaderChoice)
        raise UsageError(f"no reader {reader!r}, expected one of {expected}")
    if isinstance(paths, Mapping):
        raise TypeError(f"expected a directory, a glob or paths, found one {paths!r}")
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    typed = [os.fsdecode(path) for path in given]
    if not typed:
        raise UsageError("no path given, expected a directory or checkpoints")
    places = find_places(typed)
    opener = RunOpener(reader)
    with no_garbage_collection():
        members, skipped = survey(places, opener)
    if not members and skipped:
        raise skipped[-1].error
    groups = group(members)
    title = title_of(typed)
    left_out = [f"{found.path} was left out: {found.error.message}." for found in skipped]
    makers = (rivals_note, renumbered_note)
    told = [groups[0].doubt, *(make(groups[0]) for make in makers)] if groups else []
    notes = filter(None, [*places.notes, *left_out, *told, grouping_note(groups)])
    run = Run(
        title,
        groups,
        opener,
        stale=stale(places),
        skipped=tuple(skipped),
        notes=tuple(notes),
    )
    if not len(run):
        missing = ", ".join(entry.name for entry in run.stale[-3:])
        remedy = f"The state file names {missing}, which are not there."
        raise CheckpointNotFoundError("no checkpoint here", path=title, remedy=remedy)
    return run


def as_run(source: Run | PathLike | Iterable[PathLike]) -> Run:
    """Give a run as it is, or list that of a path, a glob, or several."""
    return source if isinstance(source, Run) else open_run(source)


def nothing_left(run: Run) -> CheckpointNotFoundError:
    """Give the error for a run of which no checkpoint can be opened any more."""
    errors = (run.error_now(index) for index in reversed(range(len(run))))
    last = next(filter(None, errors), None)
    why = f", {last.message}" if last else ""
    return CheckpointNotFoundError(f"no checkpoint can be opened any more{why}", path=run.path)


MAX_KEPT = 30_000
"""Variables of listed checkpoints that are remembered, so that an index is parsed once.

Those of a column, and those that share the records of others, take a fraction of a record.
"""


def survey(places: Places, opener: RunOpener) -> tuple[list[Member], list[SkippedCheckpoint]]:
    """Open each place once, for what a listing shows, and close it again."""
    members, skipped = [], []
    n_kept = 0
    for given, place in enumerate(places.found.values()):
        try:
            member = _member(place, places, opener, given)
            kept = member.opened.reader.tensors if member.opened is not None else ()
            is_column = isinstance(kept, TensorColumns)
            n_kept += len(kept) // (40 if hasattr(kept, "original") else 8 if is_column else 1)
            members.append(member if n_kept <= MAX_KEPT else member._replace(opened=None))
        except CheckpointError as error:
            if not place.is_scanned and len(places.found) == 1:
                raise
            skipped.append(SkippedCheckpoint(place.path, error))
    for path in places.beside:
        if os.path.abspath(path) not in places.found:
            why = "a file of Keras beside checkpoints of TensorFlow; it is taken where it is named"
            skipped.append(SkippedCheckpoint(path, CheckpointError(why)))
    return members, skipped


def _member(place: Place, places: Places, opener: RunOpener, given: int) -> Member:
    index = place.path + INDEX_SUFFIX if place.format is Format.TENSOR_BUNDLE else place.path
    identity = file_identity(index)
    opened = opener.open(place)
    structure, reader = opened.structure, opened.reader
    with closing(reader):
        numbers = read_numbers(opened)

    def agreed(keys: Sequence[str]) -> int | None:
        """Give the count of all; None where they differ, those of two optimizers."""
        found = {as_counter(numbers.get(key)) for key in keys}
        return found.pop() if len(found) == 1 else None

    counters = tuple(map(agreed, structure.step_keys))
    epoch, iterations = agreed(structure.epoch_keys), agreed(structure.iterations_keys)
    directory, name = os.path.split(place.path.rstrip(os.sep))
    marks = places.marks[directory]
    files = opened.files
    seen = identity if files[0].path == index else None
    written = known_time(seen.seconds if seen else written_time(files[0].path))
    entry = RunEntry(
        path=place.path,
        step=None,
        time=marks.times.get(name, written),
        nbytes=sum(file.nbytes or 0 for file in files),
        state=marks.state_of(name),
        iterations=iterations,
        variables=structure.n_variables,
        elements=structure.elements,
        is_dated_by_state=name in marks.times,
        epoch=epoch,
        is_epoch_stored=epoch is not None,
    )
    return Member(
        place, entry, structure, counters, given, index, identity,
        opened._replace(numbers=numbers, files=()), numbers=numbers,
    )  # fmt: skip


def stale(places: Places) -> tuple[RunEntry, ...]:
    """Give what the state files name and nothing was found of."""
    named = [
        os.path.join(directory, name)
        for directory in places.scanned
        for name in places.marks[directory].names
    ]
    absent = [path for path in named if os.path.abspath(path) not in places.found]
    absent = [path for path in absent if not exists(path + INDEX_SUFFIX)]
    if not absent:
        return ()
    names = [base_name(path) for path in [*absent, *places.found]]
    numbers = {
        place: number
        for series in read_series(names, [None] * len(names))
        for place, number in zip(series.order, series.numbers, strict=True)
    }
    return tuple(
        RunEntry(path, n.step, state=RunState.STALE, epoch=n.epoch, numbers=n.values)
        for path, n in ((path, numbers[i]) for i, path in enumerate(absent))
    )
