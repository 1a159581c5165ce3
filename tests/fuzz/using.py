"""What is done with a mutant of parts: read, used by a command, from Python, checked by others.

<kind>_parts   opened, listed, summed up, and all values read
command        a command line of its own, in this process, both streams looked at
python         the public functions, a third of the time from two threads at once
sound          what `check` calls sound is read by h5py, zipfile, or (a sample) TensorFlow
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import warnings
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import ckread
from ckread.cli.main import main
from ckread.errors import CheckpointError
from ckread.model.role import Role
from tests.fuzz.bundles import RUN
from tests.fuzz.kinds import CHECKPOINTS, IMAGE, KINDS, LOGS, PICKLE
from tests.fuzz.parts import Kind, Parts, pack, unpack
from tests.fuzz.target import Target, check_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from tests.fuzz.workplace import Workplace

MAX_READ_NBYTES = 1 << 20
_CODES = {
    "check": (0, 1, 2), "diff": (0, 1, 2), "compat": (0, 1, 2), "loads": (0, 1, 2),
    "export": (0, 1, 2),
}  # fmt: skip
"""The exit codes that a command may give, 0 and 2 else."""
_FAULT = "fault of ckread"
_MUTANT, _SOUND, _OUT = "@mutant", "@sound", "@out"
_WORDS = (
    "kernel", "bias", "*", "**", "a/**", "[", "[0]", "[...]", "\n", "\x1b[31m", "ü", "", "!",
    "x" * 500, "{", "a{1,2}", "kernel[0]", "kernel[::0]", "kernel[-1, ...]", "kernel[999999999999]",
    "iter", "learning_rate", "-1", "..", "*" * 60, "[!a-", "\udcff",
)  # fmt: skip
_RULES = (
    "s/kernel/bias/", "s/a/b/", "s/(a|b)+$//", "s/a{99999999999}/b/", "s/(/x/", "s", "s///",
    "s/x/\\9/", "s|.*|a|", "s/(.*)*x/y/", "s/./\\n/", "s/\n/x/", "s/$/\x1b/",
)  # fmt: skip
_NUMBERS = ("0", "1", "3", "-1", "1e9", "9" * 30, "nan", "inf", "0.5", "")


def read_checkpoint(path: str) -> None:
    """List a checkpoint, sum it up, and read what is small of it."""
    with ckread.open(path) as checkpoint:
        checkpoint.to_dict()
        ckread.info(checkpoint).to_dict()
        for variable in checkpoint.values():
            if variable.nbytes > MAX_READ_NBYTES or variable.elements > MAX_READ_NBYTES:
                continue
            try:
                variable.numpy()
            except CheckpointError as error:
                check_message(error)


def _read_run(path: str) -> None:
    ckread.open_run(path).to_dict()
    for patterns in ("learning_rate", "save_counter"):
        with contextlib.suppress(CheckpointError):
            ckread.track(path, patterns).to_dict()
    ckread.drift(path).to_dict()


def _read_image(path: str) -> None:
    from ckread.analysis.filters.responses import read_image

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n_channels in (1, 3):
            read_image(path, n_channels, (0.0, 1.0))


def _read_log(path: str) -> None:
    ckread.history(path).to_dict()


def _read_loads(path: str) -> None:
    str(ckread.loads(path).to_dict())


def _reads(kind: Kind) -> Callable[[str], None]:
    if kind in LOGS:
        return _read_log
    others = {RUN.name: _read_run, IMAGE.name: _read_image}
    if kind is PICKLE:
        return _read_loads
    return others.get(kind.name, read_checkpoint)


def _target_of(kind: Kind) -> Target:
    use = _reads(kind)

    def read(data: bytes, place: Workplace) -> None:
        place.clear()
        use(kind.write(unpack(data), place))

    return Target(f"{kind.name}_parts", lambda: list(map(pack, kind.seeds())), read, kind.mutate)


# Mutants of any kind, with what is done to them.


def _seeds_of(kinds: Sequence[Kind]) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        return [
            pack({**parts, "@kind": kind.name.encode(), "@argv": b'["info","@mutant"]'})
            for kind in kinds
            for parts in kind.seeds()[: 1 if kind is IMAGE else 4]
        ]

    return seeds


def _taken_apart(data: bytes) -> tuple[Kind, Parts, Parts]:
    """Give the kind, the parts, and what is said about them."""
    parts = unpack(data)
    about = {name: parts.pop(name, b"") for name in ("@kind", "@argv")}
    return KINDS.get(about["@kind"].decode(), KINDS["bundle"]), parts, about


def _mutate(data: bytes, seeds: Sequence[bytes], rng: Random) -> bytes:
    kind, parts, about = _taken_apart(data)
    same = [one for one in seeds if _kind_of(one) is kind]
    if rng.random() < 0.9:
        changed = unpack(kind.mutate(pack(parts), [pack(_taken_apart(rng.choice(same))[1])], rng))
    else:
        changed = parts  # the words alone are changed
    about["@argv"] = json.dumps(command_line(kind, rng)).encode()
    return pack({**changed, **about})


@cache
def _kind_of(seed: bytes) -> Kind:
    return _taken_apart(seed)[0]


@cache
def _names(kind: str) -> tuple[str, ...]:
    """Give names that are in the sound files of a kind."""
    from tests.fuzz.workplace import Workplace

    place = Workplace()
    found: list[str] = []
    try:
        for parts in KINDS[kind].seeds()[:4]:
            place.clear()
            with (
                contextlib.suppress(CheckpointError),
                ckread.open(KINDS[kind].write(parts, place)) as checkpoint,
            ):
                found += list(checkpoint)
    finally:
        place.close()
    return tuple(found) or ("kernel",)


def command_line(kind: Kind, rng: Random) -> list[str]:
    """Make words for a command that takes this kind of file."""
    command = rng.choice(kind.suits)
    if command == "filters" and kind is not IMAGE and rng.random() < 0.8:
        command = "info"  # a picture takes the time of twenty of these
    words = [command, _MUTANT]
    is_slow = False
    if kind is IMAGE:
        words[1:] = [_SOUND, "k", "--image", _MUTANT]
    elif command in ("show", "filters"):
        name = rng.choice((*_names(kind.name), rng.choice(_WORDS)))
        words.append(name + rng.choice(("", "", "[0]", "[..., :2]", "[9]", rng.choice(_WORDS))))
    elif command in ("diff", "compat"):
        words.insert(rng.choice((1, 2)), rng.choice((_SOUND, _SOUND, _MUTANT)))
    elif command == "track":
        words.append(rng.choice(("learning_rate", "iterations", *_WORDS)))
    if (
        command in ("ls", "tree", "stats", "diff", "export", "drift", "compat")
        and rng.random() < 0.3
    ):
        words += ["-p", rng.choice((*_names(kind.name), *_WORDS))]
    if command == "export":
        words += ["-o", f"{_OUT}/x{rng.choice(('.npz', '.npy', '.csv'))}"]
        words += rng.choice(([], ["--salvage"]))
    if command == "filters":
        words += ["-o", f"{_OUT}/x.png"]
    for option in rng.choices(_OPTIONS.get(command, [()]), k=rng.randrange(3)):
        words += [_word(one, rng) for one in option]
    if command in ("stats", "diff", "drift", "track", "history") and rng.random() < 0.04:
        words += ["--plot", f"{_OUT}/x{rng.choice(('.png', '.svg', '.pdf'))}"]
        is_slow = True
    if rng.random() < 0.3:
        words.append("--json")
    elif rng.random() < 0.25 and not is_slow:
        words += ["--color", "always", "--no-pager"]
    if rng.random() < 0.05:
        words.append("-q")
    return words


_OPTIONS: dict[str, list[tuple[str, ...]]] = {
    "info": [("--why",)],
    "ls": [("--keys",), ("--sort", "bytes"), ("--top", "N"), ("--all",), ("--role", "R"),
           ("--owner", "W"), ("--sort", "file"), ("--sort", "name")],
    "tree": [("--depth", "N"), ("--slots",)],
    "show": [("--full",), ("--verify",), ("-o", "OUT.npy"), ("-o", "OUT.csv")],
    "stats": [("--role", "R"), ("--sort", "max"), ("--top", "N"), ("--bins", "N"), ("--every",),
              ("--why",)],
    "filters": [("--top", "N"), ("--per-kernel",), ("--range", "0:255"), ("--bias", "W"),
                ("--stride", "N"), ("--padding", "valid"), ("--relu",), ("--dark",), ("--why",)],
    "export": [("--role", "R")],
    "diff": [("--index-only",), ("--rtol", "N"), ("--atol", "N"), ("--only", "changed"),
             ("--role", "R"), ("--top", "N"), ("--rename", "RULE"), ("--all",), ("--why",)],
    "drift": [("--index-only",), ("--role", "R"), ("--top", "N"), ("--all",), ("--why",)],
    "track": [("--why",)],
    "runs": [("--all",), ("--why",)],
    "check": [("--quick",), ("--every",), ("--strict",), ("--why",)],
    "loads": [("--strict",)],
    "compat": [("--as", "checkpoint"), ("--as", "h5-by-name"), ("--as", "load_weights"),
               ("--skip-mismatch",), ("--python",), ("--all",)],
    "history": [("--best", "loss"), ("--best", "W"), ("--mode", "max"), ("--all",), ("--why",),
                ("--run", "SOUNDRUN"), ("--run", "SOUNDRUN", "--match", "epoch=1")],
}  # fmt: skip


def _word(word: str, rng: Random) -> str:
    choices: dict[str, Sequence[str]] = {
        "N": _NUMBERS, "W": _WORDS, "R": [*map(str, Role), "all", "x"], "RULE": _RULES,
    }  # fmt: skip
    return rng.choice(choices[word]) if word in choices else word.replace("OUT", f"{_OUT}/x")


def _nothing(*_: object) -> None:
    """Stand for what would change this process."""


def run_command(words: list[str]) -> tuple[int, str, str]:
    """Run a command in this process; give its exit code and both streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        with mock.patch("atexit.register", _nothing):
            code = main(words)
    finally:
        sys.stdout, sys.stderr = before
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return code, texts[0], texts[1]


def _read_command(data: bytes, place: Workplace) -> str | None:
    kind, parts, about = _taken_apart(data)
    argv: list[str] = json.loads(about["@argv"] or b'["info","@mutant"]')
    place.clear()
    path = kind.write(parts, place)
    out = place.path("out")
    os.mkdir(out)
    stand = {_MUTANT: path, _SOUND: "", "SOUNDRUN": ""}
    if _SOUND in argv:
        other = KINDS["bundle"] if kind is IMAGE else kind
        stand[_SOUND] = _inside(other, other.seeds()[0], place)
    if "SOUNDRUN" in argv:
        stand["SOUNDRUN"] = _inside(RUN, RUN.seeds()[0], place)
    words = [stand.get(word, word).replace(_OUT, out) for word in argv]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        code, stdout, stderr = run_command(words)
    _look_at(words, code, stdout, stderr)
    if warned:
        raise AssertionError(f"a warning: {warned[0].category.__name__}: {warned[0].message}")
    left = [name for name in os.listdir(out) if "partial" in name]
    if left:
        raise AssertionError(f"left behind: {left}")
    return None if code < 2 else "refused"


def _inside(kind: Kind, parts: Parts, place: Workplace) -> str:
    for name, data in kind.build(parts).items():
        place.write_new(f"sound/{name}", data)
    return place.path(f"sound/{kind.path}")


def _look_at(words: list[str], code: int, stdout: str, stderr: str) -> None:
    """See that a command kept its contract: exit code, JSON, streams without control codes."""
    if code not in _CODES.get(words[0], (0, 2)):
        raise AssertionError(f"exit code {code}")
    if _FAULT in stdout or _FAULT in stderr:
        with mock.patch.dict(os.environ, CKREAD_TRACEBACK="1"):
            run_command(words)
        raise AssertionError(f"a fault of ckread: {stderr or stdout}")
    if "Traceback" in stderr:
        raise AssertionError(stderr)
    if "--json" in words and "--python" not in words:
        json.loads(stdout, parse_constant=_no_constant)
    if code == 2 and not (stdout or stderr):
        raise AssertionError("exit code 2 without a word")
    if "always" not in words:
        for text in (stdout, stderr):
            bad = [one for one in text if not one.isprintable() and one != "\n"]
            if bad:
                raise AssertionError(f"control codes in the output: {sorted(set(bad))[:5]!r}")
    lines = [line.strip(" .") for line in (*stdout.split("\n"), *stderr.split("\n"))]
    if "error: all is lost" in lines:  # alone; a row of a table may begin with a name
        raise AssertionError("a text of the file stands as a line of its own")


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} in JSON")


# Python.


def _calls(path: str, kind: Kind, sound: str, seed: int) -> list[Callable[[], object]]:
    """Give calls of the public functions that take this kind."""
    if kind in LOGS:
        return [lambda: ckread.history(path), lambda: ckread.history(path, best="loss").to_pandas()]
    if kind is RUN:
        return [
            lambda: ckread.open_run(path), lambda: ckread.drift(path).to_pandas(),
            lambda: ckread.track(path, ["learning_rate", "*"]).to_pandas(),
            lambda: ckread.statistics_of_run(path).to_dict(),
            lambda: ckread.drift(path, index_only=True),
        ]  # fmt: skip
    calls: list[Callable[[], object]] = [
        lambda: ckread.info(path), lambda: ckread.check(path).to_pandas(),
        lambda: ckread.statistics(path).to_dict(), lambda: ckread.diff(path, sound),
        lambda: ckread.diff(sound, path, index_only=True).to_pandas(),
        lambda: ckread.compat(path, sound), lambda: ckread.compat(sound, path).to_dict(),
        lambda: ckread.loads(path), lambda: _slices(path, seed), lambda: _shown(path),
    ]  # fmt: skip
    return calls[seed % 5 :] + calls[: seed % 5]


def _slices(path: str, seed: int) -> None:
    with ckread.open(path) as checkpoint:
        for i, variable in enumerate(checkpoint.values()):
            index = (0, ..., slice(None, None, 2), (slice(0, 1), ...), -1)[(seed + i) % 5]
            with contextlib.suppress(CheckpointError):
                variable.read(index)
            with contextlib.suppress(CheckpointError):
                for chunk in variable.chunks():
                    if chunk.nbytes > MAX_READ_NBYTES:
                        break
            repr(variable)


def _shown(path: str) -> None:
    with ckread.open(path) as checkpoint:
        str(checkpoint)
        checkpoint._repr_html_()
        str(checkpoint.tree())
        checkpoint.to_pandas()


def _call(call: Callable[[], object]) -> None:
    try:
        found = call()
        str(found)
    except CheckpointError as error:
        check_message(error)


def _read_python(data: bytes, place: Workplace) -> None:
    kind, parts, about = _taken_apart(data)
    place.clear()
    path = kind.write(parts, place)
    sound = "" if kind in LOGS or kind is RUN else _inside(kind, kind.seeds()[0], place)
    seed = len(about["@argv"])
    calls = _calls(path, kind, sound, seed)
    if seed % 3:
        for call in calls[:3]:
            _call(call)
        return
    failed: list[BaseException] = []

    def work(one: Callable[[], object]) -> None:
        try:
            _call(one)
        except BaseException as error:  # a thread would swallow it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(call,)) for call in calls[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


# What `check` calls sound.


def _read_sound(data: bytes, place: Workplace) -> str | None:
    kind, parts, about = _taken_apart(data)
    place.clear()
    path = kind.write(parts, place)
    report = ckread.check(path)
    report.to_dict()
    if not report.sound:
        return "unsound"
    if kind.name == "hdf5":
        _h5py_reads(path)
    elif kind.name == "keras":
        _zipfile_reads(path)
    elif kind.name in ("bundle", "v1") and len(about["@argv"]) % 25 == 0:
        _tensorflow_reads(path)
    return None


def _sound_seeds() -> list[bytes]:
    """Give the seeds, once TensorFlow is there: that takes its time."""
    from tests.fuzz.against_tensorflow import tensorflow

    tensorflow()
    return _seeds_of(CHECKPOINTS)()


def _h5py_reads(path: str | io.BytesIO) -> None:
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:

        def read(_: str, held: Any) -> None:
            if isinstance(held, h5py.Dataset) and held.shape is not None:
                np.asarray(held[()])

        file.visititems(read)


def _zipfile_reads(path: str) -> None:
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
        if bad is not None:
            raise AssertionError(f"zipfile finds {bad!r} damaged")
        json.loads(archive.read("config.json"))
        _h5py_reads(io.BytesIO(archive.read("model.weights.h5")))


def _tensorflow_reads(path: str) -> None:
    from tests.fuzz.against_tensorflow import tensorflow

    with ckread.open(path) as checkpoint:
        keys = {variable.key for variable in checkpoint.values()}
    found, died = tensorflow().read(path)
    refused = sorted(keys - {key for key, digest in found.items() if digest is not None})
    if died or refused:
        raise AssertionError(f"TensorFlow {'died' if died else 'refused'}: {refused[:5]}")


_ALL = (*CHECKPOINTS, RUN, *LOGS)
USES = {
    target.name: target
    for target in (
        *map(_target_of, KINDS.values()),
        Target("command", _seeds_of((*_ALL, IMAGE, PICKLE)), _read_command, _mutate),
        Target("python", _seeds_of(_ALL), _read_python, _mutate),
        Target("sound", _sound_seeds, _read_sound, _mutate),
    )
}
