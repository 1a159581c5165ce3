"""What a target of fuzzing is: its seeds, how they are changed, and how one file is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from tests.fuzz.mutation import mutated

if TYPE_CHECKING:
    from tests.fuzz.workplace import Workplace

Mutate = Callable[[bytes, Sequence[bytes], Random], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """A parser and the files it begins with.

    Attributes:
        name: what the command line calls it.
        seeds: sound files.
        read: what is done with a mutated one; anything but `CheckpointError` is a fault.
            It gives a word for what came of it where that is more than "was read".
        mutate: how a file is changed, where bytes at random would come to nothing.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Workplace], str | None]
    mutate: Mutate = mutated


def outcome(target: Target, data: bytes, place: Workplace) -> str:
    """Read one file; give the class of the error or the word of the target, or nothing."""
    try:
        word = target.read(data, place)
    except CheckpointError as error:
        check_message(error)
        return type(error).__name__
    return word or ""


def check_message(error: CheckpointError) -> None:
    """See that a message stays one that a person reads."""
    if len(error.message) > 5000:
        raise AssertionError(f"a message of {len(error.message)} characters")


def crashers_of(name: str) -> str:
    """Give the directory in which what a target failed on is kept."""
    return os.path.join(os.path.dirname(__file__), "crashers", name)


def kept_of(name: str) -> dict[str, bytes]:
    """Give what a target failed on once, by the name of the file."""
    directory = Path(crashers_of(name))
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*"))}
