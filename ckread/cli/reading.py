"""Reading values: by whom, with a bar meanwhile, and from afar only as much as is wanted.

`--scheduler ADDRESS` lets the workers of a Dask cluster read. Only jobs travel, paths and places
in files, and what came of them. A worker that is lost has its jobs done again by the scheduler;
leaving in the middle takes all of them back.

Values at addresses take time and cost money: how many bytes they are is said beforehand. Above
10 GiB a terminal asks first; a pipe goes on, and a cluster is there for that.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from ckread.cli.output import ProgressBar, is_tty
from ckread.errors import CheckpointError, MissingDependencyError, UsageError
from ckread.model.paths.location import INDEX_SUFFIX
from ckread.readers.files import file_identity, is_address
from ckread.views.terminal.words import size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from ckread.cli.output import Output
    from ckread.model.run.run import Run

WORTH_TELLING_NBYTES = 256 << 20
ASKED_NBYTES = 10 << 30
_ANSWER_SECONDS = 10


class How(TypedDict):
    """What an analysis is told of how to read."""

    n_jobs: int | None
    executor: Executor | None
    progress: Callable[[int], None] | None


class Places(NamedTuple):
    """What is read.

    Attributes:
        paths: of the checkpoints.
        cheaper: an option that reads no values.
        is_by_index: whether it reads the indexes.
    """

    paths: Sequence[str]
    cheaper: str | None = None
    is_by_index: bool = False


@contextmanager
def reading(
    total_nbytes: int | Callable[[], int],
    arguments: argparse.Namespace,
    output: Output,
    places: Places,
) -> Iterator[How]:
    """Give how values are to be read, and draw a bar of so many bytes meanwhile."""
    total = total_nbytes
    if any(map(is_address, places.paths)):
        total = total if isinstance(total, int) else total()
        tell_remote(total, arguments, output, places)
    with _executor(arguments) as executor, ProgressBar(total, output) as progress:
        yield {"n_jobs": arguments.jobs, "executor": executor, "progress": progress}


def reading_run(
    run: Run, arguments: argparse.Namespace, output: Output, by_index: str | None = None
) -> AbstractContextManager[How]:
    """Give how the checkpoints of a run are to be read; whole, unless `by_index` is asked for."""
    is_by_index = by_index is not None and arguments.index_only
    nbytes = 0 if is_by_index else sum(entry.nbytes or 0 for entry in run.entries)
    places = Places([entry.path for entry in run.entries], by_index, by_index is not None)
    return reading(nbytes, arguments, output, places)


def tell_remote(nbytes: int, arguments: argparse.Namespace, output: Output, places: Places) -> None:
    """Say how many bytes are read from afar; on a terminal ask where they are very many.

    Raises:
        CheckpointError: they are not to be read.
    """
    if nbytes < WORTH_TELLING_NBYTES:
        return
    first = next(filter(is_address, places.paths))
    told = f"{size_text(nbytes)} at most will be read from {first}"
    if len(places.paths) > 1:
        told += f" and {len(places.paths) - 1:,} more"
    if places.cheaper:
        known = [file_identity(path + INDEX_SUFFIX) for path in places.paths]
        some = sum(index.nbytes for index in known if index) if all(known) else 0
        indexes = f"the indexes, {size_text(some)}, and the object graphs"
        less = indexes if places.is_by_index and some else "no values"
        told += f"; {places.cheaper} reads {less}"
    output.note(f"{told}.")
    is_asked = nbytes > ASKED_NBYTES and not arguments.yes and is_tty(sys.stdout)
    if not is_asked or getattr(arguments, "scheduler", None):
        return
    if is_tty(sys.stdin) and output.ask("Read them? [y/N] "):
        return
    raise CheckpointError(f"{size_text(nbytes)} were not read", remedy="--yes reads them.")


# The cluster.


@contextmanager
def _executor(arguments: argparse.Namespace) -> Iterator[Executor | None]:
    """Give what does the jobs of a command; None for this machine."""
    address: str | None = arguments.scheduler
    if address is None:
        yield None
        return
    if arguments.jobs is not None:
        remedy = "How many jobs are done at a time is for the cluster to say."
        raise UsageError("--scheduler and --jobs: only one of them", remedy=remedy)
    client = _client(address)
    try:
        _check_versions(client, address)
        yield client.get_executor(pure=False)
    finally:
        client.close(timeout=_ANSWER_SECONDS)  # the scheduler forgets what is not done


def _client(address: str) -> Any:
    import logging
    import warnings

    try:
        from distributed import Client
    except ImportError:
        found = "--scheduler needs distributed, which is not installed"
        raise MissingDependencyError(found, remedy="pip install 'ckread[dask]'") from None
    for name in [*logging.root.manager.loggerDict]:  # what happens is told in our words
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are checked below
            return Client(address, timeout=_ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError):
        found = f"no scheduler of Dask answers within {_ANSWER_SECONDS} s"
        remedy = "Is it running, and may this machine reach it? It logs its address at the start."
        raise CheckpointError(found, path=address, remedy=remedy) from None
    except (ValueError, TypeError):
        expected = "an address such as tcp://host:8786"
        raise UsageError(f"--scheduler {address!r}", expected=expected) from None


_VERSIONS = "[*__import__('sys').version_info[:2], __import__('ckread').__version__]"
"""Evaluated over there: a function of this library does not arrive where it is not installed."""


def _check_versions(client: Any, address: str) -> None:
    """See that the scheduler, which looks into jobs, and every worker are as this machine is."""
    here = eval(_VERSIONS)
    workers: dict[str, Any] = client.run(eval, _VERSIONS, on_error="return")
    if not workers:
        remedy = f"Start some: dask worker {address}"
        raise CheckpointError("the scheduler has no workers", path=address, remedy=remedy)
    try:
        scheduler: Any = client.run_on_scheduler(eval, _VERSIONS)
    except Exception as error:
        scheduler = error
    for who, found in [("the scheduler", scheduler), *workers.items()]:
        if isinstance(found, ImportError):
            told = "has no ckread"
        elif isinstance(found, Exception):
            told = f"does not tell its version ({type(found).__name__})"
        elif list(found) != here:
            told = f"has {_version_text(found)}"
        else:
            continue
        remedy = "Scheduler, workers and this machine need the same ckread and the same Python."
        expected = f"{_version_text(here)} as here"
        raise CheckpointError(f"{who} {told}", path=address, expected=expected, remedy=remedy)


def _version_text(version: Sequence[Any]) -> str:
    major, minor, ckread = version
    return f"ckread {ckread} in Python {major}.{minor}"
