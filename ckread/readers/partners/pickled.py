"""The pickle of a PyTorch archive, read without unpickling: containers, tensors, and names.

A pickle is a program for a stack machine. This one runs it with nothing to call: dicts,
lists, tuples, numbers and texts are made, a rebuild of a tensor becomes a `TensorRef`, and
everything else that the program would import and call becomes a `Named`, which holds what
it was given and does nothing. Nothing is hashed but texts and numbers, so that nested tuples
cost what they are long.

Reference: Lib/pickletools.py; torch/serialization.py; torch/_utils.py
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ckread.errors import CorruptCheckpointError

MAX_NBYTES = 64 << 20
MAX_DEPTH = 100
MAX_OPCODES = 4_000_000
"""A dictionary of 80,000 tensors has as many; each may make an object."""


class Global(NamedTuple):
    """Something that the pickle imports, by its name; it is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        """Write it with dots."""
        return f"{self.module}.{self.name}"


class Storage(NamedTuple):
    """A member that holds the values of tensors: its type's name, its key, how many elements."""

    kind: str
    key: str
    n_elements: int


class TensorRef(NamedTuple):
    """A tensor as the pickle places it in a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str | None = None
    """The type's name where the storage has none of its own."""


@dataclass(eq=False, slots=True)
class Named:
    """What a call would have made: named, with what it was given, and not made."""

    name: str
    arguments: Any = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    members: list[Any] = field(default_factory=list)


class _Mark:
    pass


_MARK = _Mark()
_CONTAINERS = {"collections.OrderedDict", "builtins.dict", "__builtin__.dict"}
_REBUILDS = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
_PARAMETERS = {
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
}  # fmt: skip
_FROM_TYPE = {"torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type"}
_HASHABLE = (str, int, float, bytes, type(None))


def load(data: bytes) -> Any:
    """Run a pickle with nothing to call; give what it leaves on the stack.

    Raises:
        CorruptCheckpointError: it is cut short, or no program of this machine.
    """
    try:
        return _Machine(data).run()
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise CorruptCheckpointError("a pickle that does not run to its end") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise CorruptCheckpointError(f"a pickle with {str(error)[:80]}") from None


class _Machine:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MAX_OPCODES):
            opcode = self._take(1)
            if opcode == b".":
                [made] = self._stack
                return made
            if not (self._literal(opcode) or self._memory(opcode) or self._container(opcode)):
                self._call(opcode)
        raise ValueError(f"more than {MAX_OPCODES} opcodes")

    # Bytes of the program.

    def _take(self, nbytes: int) -> bytes:
        taken = self._data[self._at : self._at + nbytes]
        if len(taken) < nbytes:
            raise IndexError
        self._at += nbytes
        return taken

    def _number(self, nbytes: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(nbytes), "little", signed=signed)

    def _line(self) -> str:
        stop = self._data.index(b"\n", self._at)
        line, self._at = self._data[self._at : stop], stop + 1
        return line.decode("utf-8")

    # Opcodes; each gives whether it was one of its own.

    def _literal(self, opcode: bytes) -> bool:
        """Push a number, a text or a constant."""
        value: Any
        if opcode in _COUNTED:
            n_count, is_text = _COUNTED[opcode]
            data = self._take(self._number(n_count))
            value = data.decode("utf-8", "surrogatepass") if is_text else data
        elif opcode in _INTEGERS:
            nbytes, is_signed = _INTEGERS[opcode]
            value = self._number(nbytes, signed=is_signed)
        elif opcode in b"\x8a\x8b":  # a number of so many bytes; one of thousands is no place
            nbytes = self._number(1 if opcode == b"\x8a" else 4)
            value = self._number(nbytes, signed=True) if nbytes <= 64 else 0 * self._skip(nbytes)
        elif opcode in _CONSTANTS:
            value = _CONSTANTS[opcode]
        elif opcode == b"G":
            value = struct.unpack(">d", self._take(8))[0]
        elif opcode in b"ILF":
            line = self._line()[:64]
            value = float(line) if opcode == b"F" else int(line.rstrip("L"))
        elif opcode in b"SV":
            value = self._line()
        else:
            return False
        self._stack.append(value)
        return True

    def _skip(self, nbytes: int) -> int:
        self._take(nbytes)
        return 0

    def _memory(self, opcode: bytes) -> bool:
        """Move between stack and memo, or drop."""
        stack = self._stack
        if opcode in _PUTS:
            size = _PUTS[opcode]
            at = len(self._memo) if not size else self._number(size)
            self._memo[at] = stack[-1]
        elif opcode in _GETS:
            stack.append(self._memo[self._number(_GETS[opcode])])
        elif opcode == b"p":
            self._memo[int(self._line()[:20])] = stack[-1]
        elif opcode == b"g":
            stack.append(self._memo[int(self._line()[:20])])
        elif opcode == b"\x80":
            self._take(1)
        elif opcode == b"\x95":
            self._take(8)
        elif opcode == b"0":
            stack.pop()
        elif opcode == b"1":
            self._to_mark()
        elif opcode == b"2":
            stack.append(stack[-1])
        else:
            return False
        return True

    def _to_mark(self) -> list[Any]:
        stack = self._stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError
        taken = stack[at + 1 :]
        del stack[at:]
        return taken

    def _container(self, opcode: bytes) -> bool:
        """Make a container, or fill one."""
        stack = self._stack
        if opcode == b"(":
            stack.append(_MARK)
        elif opcode in b"})]\x8f":
            stack.append({b"}": dict, b")": tuple}.get(opcode, list)())
        elif opcode == b"t":
            stack.append(tuple(self._to_mark()))
        elif opcode in b"\x85\x86\x87":
            size = opcode[0] - 0x84
            taken = tuple(stack[-size:])
            if len(taken) < size:
                raise IndexError
            stack[-size:] = [taken]
        elif opcode in b"l\x91":
            stack.append(self._to_mark())
        elif opcode == b"d":
            pairs = self._to_mark()
            stack.append({})
            _set_items(stack[-1], pairs)
        elif opcode in b"ae\x90":
            items = [stack.pop()] if opcode == b"a" else self._to_mark()
            _extend(stack[-1], items)
        elif opcode in b"su":
            if opcode == b"s":
                value, key = stack.pop(), stack.pop()
                pairs = [key, value]
            else:
                pairs = self._to_mark()
            _set_items(stack[-1], pairs)
        else:
            return False
        return True

    def _call(self, opcode: bytes) -> None:
        """Name what would be imported and called."""
        stack = self._stack
        if opcode == b"c":
            stack.append(Global(self._line(), self._line()))
        elif opcode == b"\x93":
            name, module = stack.pop(), stack.pop()
            stack.append(Global(_text(module), _text(name)))
        elif opcode in b"R\x81":
            arguments = stack.pop()
            stack.append(_called(stack.pop(), arguments))
        elif opcode == b"\x92":
            stack.pop()
            arguments = stack.pop()
            stack.append(_called(stack.pop(), arguments))
        elif opcode == b"i":
            made = Global(self._line(), self._line())
            stack.append(_called(made, tuple(self._to_mark())))
        elif opcode == b"o":
            made, *rest = self._to_mark()
            stack.append(_called(made, tuple(rest)))
        elif opcode == b"b":
            state = stack.pop()
            if isinstance(stack[-1], Named):
                stack[-1].state = state
        elif opcode == b"Q":
            stack.append(_storage(stack.pop()))
        else:
            raise ValueError(f"opcode {opcode!r}")


_COUNTED = {
    b"X": (4, True), b"\x8c": (1, True), b"\x8d": (8, True),
    b"B": (4, False), b"C": (1, False), b"\x8e": (8, False), b"\x96": (8, False),
    b"T": (4, False), b"U": (1, False),
}  # fmt: skip
_INTEGERS = {b"J": (4, True), b"K": (1, False), b"M": (2, False)}
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_PUTS = {b"q": 1, b"r": 4, b"\x94": 0}
_GETS = {b"h": 1, b"j": 4}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "a name that is computed"


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, Named):
        target.members += items
    else:
        target.extend(items)


def _set_items(target: Any, pairs: list[Any]) -> None:
    into = target.items if isinstance(target, Named) else target
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        into[key if isinstance(key, _HASHABLE) else f"key {len(into)}"] = value


def _storage(value: Any) -> Any:
    match value:
        case ("storage", Global() as kind, str(key), str(), int(n_elements), *_):
            return Storage(kind.name, key, n_elements)
    return Named("a persistent object", value)


def _called(function: Any, arguments: Any) -> Any:
    """Give what a call stands for: a container, a tensor, or a name."""
    name = str(function) if isinstance(function, Global) else "a call of something made"
    given = arguments if isinstance(arguments, tuple) else ()
    if name in _CONTAINERS and not given:
        return {}
    if name == "collections.defaultdict":
        return {}
    if name == "collections.OrderedDict" and len(given) == 1 and isinstance(given[0], list):
        made: dict[Any, Any] = {}
        for pair in given[0]:
            _set_items(made, list(pair))
        return made
    if name == "torch.Size" and len(given) == 1:
        return tuple(given[0])
    if name in _PARAMETERS and given:
        return given[0]
    if name in _FROM_TYPE and len(given) >= 3:
        return _called(given[0], given[2])
    match given:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *rest) if (
            name in _REBUILDS or name == "torch._utils._rebuild_tensor_v3"
        ):
            is_v3 = name.endswith("_v3") and len(rest) > 2
            kind = rest[2].name if is_v3 and isinstance(rest[2], Global) else None
            return TensorRef(storage, offset, shape, strides, kind)
    return Named(name, given)
