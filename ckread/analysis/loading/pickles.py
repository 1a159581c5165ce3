"""What unpickling a file would import and call, from its opcodes; nothing is unpickled.

    .pkl      a pickle                .npy   a header, then a pickle if the dtype is an object's
    .pt, .npz zip archives: their members `…data.pkl`, `.npy`

A pickle is a program: GLOBAL, STACK_GLOBAL and INST import a name, REDUCE, NEWOBJ and OBJ
call what is on the stack.

Reference: Lib/pickletools.py
"""

from __future__ import annotations

import io
import zipfile
from typing import IO, TYPE_CHECKING, Any

from ckread.analysis.loading.records import LoadFact, What
from ckread.errors import CorruptCheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PICKLE_NBYTES = 64 << 20
_MAX_MEMBERS = 10_000
_NPY = b"\x93NUMPY"
_CALLS = {"REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ"}
_ORDINARY = {
    "collections.OrderedDict", "collections.defaultdict", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode",
    "numpy._core.numeric._frombuffer", "numpy.core.numeric._frombuffer",
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.FloatStorage",
    "torch.HalfStorage", "torch.LongStorage", "torch.IntStorage", "torch.DoubleStorage",
    "torch.BFloat16Storage", "torch.BoolStorage", "torch.ByteStorage", "torch.Size",
    "builtins.complex", "builtins.set", "builtins.frozenset", "builtins.bytearray",
}  # fmt: skip
"""What pickled arrays and dictionaries of tensors import: told together, by their number."""
_PROCESSES = {"os", "posix", "nt", "subprocess", "pty", "commands"}


def pickle_facts(path: str, name: str) -> list[LoadFact]:
    """Tell what unpickling a file, or the members of an archive, would import and call."""
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            file.seek(0)
            return _facts(file, (), path, name)
    facts = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist()[:_MAX_MEMBERS]:
                if info.filename.endswith((".pkl", ".pickle", ".npy")):
                    with archive.open(info) as member:
                        facts += _facts(member, (info.filename,), path, info.filename)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise CorruptCheckpointError(f"not a zip archive, {error}", path=path) from None
    return facts


def _facts(file: IO[bytes], place: tuple[str, ...], path: str, name: str) -> list[LoadFact]:
    head = file.read(len(_NPY) + 6)
    if head.startswith(_NPY):
        size = 2 if head[6] == 1 else 4
        length = int.from_bytes(head[8 : 8 + size], "little")
        header = head + file.read(max(0, min(length, 1 << 16) - (4 - size)))
        if b"'|O'" not in header and b"'O'" not in header:
            return []
        rest = file.read(MAX_PICKLE_NBYTES)
    else:
        rest = head + file.read(MAX_PICKLE_NBYTES)
    imported: dict[str, bool] = {}
    try:
        for found, is_called in _imports(rest):
            imported[found] = imported.get(found, False) or is_called
    except Exception as error:
        if not isinstance(error, (ValueError, IndexError, KeyError, UnicodeError, EOFError)):
            raise
        found = f"not a pickle that can be read to its end, {error}"
        if not imported:
            raise CorruptCheckpointError(found, path=path, name=name) from None
    facts = []
    ordinary = [one for one in imported if one in _ORDINARY]
    for one, is_called in imported.items():
        if one in _ORDINARY:
            continue
        module = one.partition(".")[0]
        what = What.RUNS_PROCESS if is_called and module in _PROCESSES else What.PICKLE
        verb = "imports and calls" if is_called else "imports"
        facts.append(LoadFact(what, "unpickling", "load", (*place, one), one, f"{verb} {one}"))
    if ordinary and facts:
        n = len(ordinary)
        detail = f"and {n} of numpy, torch and collections, as pickled arrays do"
        facts.append(LoadFact(What.PICKLE, "unpickling", "load", place, "arrays", detail))
    return facts


class _Name(str):
    """Something imported, on the stack."""

    __slots__ = ()


def _imports(data: bytes) -> Iterator[tuple[str, bool]]:
    """Yield each name that is imported, and again when it is called.

    The stack holds texts and imported names, None for all else; `...` is a mark.
    """
    import pickletools

    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
        name, before = opcode.name, opcode.stack_before
        if name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[len(memo) if argument is None else int(argument)] = stack[-1] if stack else None
            continue
        if name == "DUP":
            stack.append(stack[-1] if stack else None)
            continue
        taken: list[Any] = []
        if pickletools.markobject in before:
            while stack and (item := stack.pop()) is not ...:
                taken.append(item)
            taken.reverse()
            n_below = before.index(pickletools.markobject)
        else:
            n_below = len(before)
        if n_below:
            taken = stack[-n_below:] + taken
            del stack[-n_below:]
        pushed: Any = None
        if name in ("GLOBAL", "INST"):
            pushed = _Name(str(argument).replace(" ", ".", 1))
            yield pushed, name == "INST"
        elif name == "STACK_GLOBAL":
            is_known = len(taken) == 2 and all(type(one) is str for one in taken)
            pushed = _Name(".".join(taken)) if is_known else _Name("a name that is computed")
            yield pushed, False
        elif name in _CALLS and taken and isinstance(taken[0], _Name):
            yield taken[0], True
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            pushed = memo.get(int(argument or 0))
        elif name == "MARK":
            pushed = ...
        elif isinstance(argument, str):
            pushed = argument
        stack += [pushed] * len(opcode.stack_after)
