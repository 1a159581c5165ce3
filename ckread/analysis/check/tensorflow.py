"""Whether TensorFlow itself restores a checkpoint: asked in a child process, with limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ckread.analysis.checksums import content_key, is_big_endian
from ckread.analysis.findings import Code, Finding, Level
from ckread.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ckread.model.variable import Variable

_SPARE_NBYTES = 4 << 30
"""Addresses that TensorFlow takes for its threads; far less of it is memory."""
_SECONDS = 120.0
_NBYTES_PER_SECOND = 50e6


def check_with_tensorflow(
    checkpoint: Mapping[str, Variable],
    prefix: str,
    *,
    damaged: Collection[str] = (),
    seconds: float | None = None,
) -> list[Finding]:
    """Let TensorFlow restore every tensor; the first finding is its verdict."""
    from importlib.util import find_spec

    if find_spec("tensorflow") is None:
        remedy = "pip install tensorflow"
        raise MissingDependencyError("TensorFlow is not installed", remedy=remedy)
    sizes = [variable.nbytes for variable in checkpoint.values()]
    limit = _SECONDS + sum(sizes) / _NBYTES_PER_SECOND if seconds is None else seconds
    try:  # an index can claim any size, and a sparse shard have it: half of the machine's memory
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        most = _SPARE_NBYTES
    memory = _SPARE_NBYTES + min(3 * max(sizes, default=0), most)
    lines, end = _restore(prefix, memory, limit)
    return list(_findings(checkpoint, lines, end, damaged))


def _restore(prefix: str, memory: int, seconds: float) -> tuple[list[dict[str, Any]], str | None]:
    """Run the child; give what it said, and what ended it where it did not end well."""
    command = [sys.executable, "-m", "ckread.readers.tf.restoring", prefix, str(memory)]
    try:
        done = subprocess.run(  # our own interpreter and module
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        return _parsed(error.stdout or b""), f"takes more than {seconds:,.3g} s"
    end = None
    if done.returncode < 0:
        end = f"dies of {signal.Signals(-done.returncode).name}"
    elif done.returncode:
        end = f"ends with code {done.returncode}"
    return _parsed(done.stdout), end


def _parsed(output: bytes) -> list[dict[str, Any]]:
    lines = []
    for line in output.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # the last one, cut off
            continue
    return lines


def _findings(
    checkpoint: Mapping[str, Variable],
    lines: list[dict[str, Any]],
    end: str | None,
    damaged: Collection[str],
) -> Iterator[Finding]:
    results = {line["key"]: line for line in lines if "key" in line}
    if end is not None:
        tried = [line["try"] for line in lines if "try" in line]
        where = f" restoring {_name(checkpoint, tried[-1])}" if tried else " opening it"
        yield _finding(Level.ERROR, None, f"TensorFlow {end}{where}")
        return
    refused = [line for line in lines if line.get("open") is False]
    if refused:
        yield _finding(Level.ERROR, None, f"TensorFlow does not open it: {refused[0]['error']}")
        return
    failed = {key: line["error"] for key, line in results.items() if line["error"]}
    differing: list[tuple[str, str]] = []
    for variable in checkpoint.values():
        line = results.get(variable.key)
        if line is None:
            differing.append((variable.name, "TensorFlow does not list it"))
        elif line["error"] is None and line["crc32c"] is not None and variable.dtype.is_plain:
            content = content_key(variable)
            is_other = content is not None and content.crc32c != line["crc32c"]
            if is_other and not is_big_endian([variable]):
                differing.append((variable.name, "TensorFlow reads other values"))
    if not failed and not differing:
        yield _finding(Level.NOTE, None, f"TensorFlow reads it: yes, {len(results)} tensors")
        return
    news = {key: error for key, error in failed.items() if _name(checkpoint, key) not in damaged}
    if failed:
        which = "" if news else ", those that are damaged"
        told = f"TensorFlow refuses {len(failed)} of {len(results)} variables{which}"
        yield _finding(Level.WARNING, None, told)
    for key, error in news.items():
        yield _finding(Level.WARNING, _name(checkpoint, key), f"TensorFlow refuses it: {error}")
    for name, found in differing:
        yield _finding(Level.ERROR, name, found)


def _name(checkpoint: Mapping[str, Variable], key: str) -> str:
    variable = checkpoint.get(key)
    return key if variable is None else str(variable.name)


def _finding(level: Level, name: str | None, message: str) -> Finding:
    text = message.replace(os.linesep, " ").rstrip(".")
    return Finding(level, Code.TENSORFLOW, name, None, text)
