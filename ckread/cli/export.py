"""Variables into a file that others read: .npz, .npy, .csv, .safetensors.

    $ ckread export digits_run/ckpt-10 'conv*/**' -o conv.npz
    wrote conv.npz: 4 variables, 19.8 KiB

An .npz or .safetensors takes any number of variables under their names, .npy and .csv one.
`--map` gives them other names, and turns their axes where the file says so. Values are
streamed, so the largest tensor never has to fit into memory, and the file appears
whole or not at all. `--salvage` leaves out what is damaged and keeps the rest; the exit
code is then 1. Element types that numpy lacks become the nearest that holds them.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple

from ckread.cli.arguments import add_roles, add_yes, has_role, open_path, patterns_of
from ckread.cli.files import Mapped, check_distinct, new_file, read_map
from ckread.cli.output import ProgressBar
from ckread.cli.reading import Places, tell_remote
from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    MissingShardError,
    TextLines,
    TruncatedFileError,
    UsageError,
    VariableNotFoundError,
)
from ckread.model.role import Role
from ckread.model.selection import find_variable, select
from ckread.readers.contract import few
from ckread.readers.files import is_address
from ckread.views.array_files import (
    Tensor,
    safetensors_header,
    suffix_of,
    write_csv,
    write_members,
    write_npy,
    write_npz,
    write_safetensors,
)
from ckread.views.terminal.words import plural, shape_text, size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.lookup import Part
    from ckread.model.variable import Variable


EXAMPLES = (
    ("ckread export ckpt-10 -o all.npz", "everything, for numpy.load"),
    ('ckread export ckpt-10 "conv*/**" -o conv.npz', "a subtree"),
    ("ckread export ckpt-10 hidden/bias -o bias.csv", "one variable, for a spreadsheet"),
    ("ckread export ckpt-10 --role weight -o w.safetensors", "for PyTorch and others"),
    ("ckread export ckpt-7 -o rest.npz --salvage", "what is intact of a damaged one"),
)
EXIT_CODE = "0 done, 1 something damaged was left out, 2 trouble"

_LEFT_OUT = 1
_SALVAGE = "Add --salvage to leave out what cannot be read."
_SHOWN = 3


class LeftOut(NamedTuple):
    """A variable that was not written, and why."""

    variable: Variable
    error: CheckpointError


def add_arguments(parser: Parser) -> None:
    """Add the options of `export`."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="into this .npz, .npy, .csv or .safetensors file"
    )
    add_roles(parser)
    parser.add_argument(
        "--map", metavar="FILE", help="other names and order of axes, as diff --map wrote them"
    )
    parser.add_argument("--salvage", action="store_true", help="leave out what is damaged")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    add_yes(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Write the variables; give 1 if something was left out."""
    from ckread.cli.files import check_free

    if arguments.output is None:
        remedy = "Give a .npz, .npy, .csv or .safetensors file."
        raise UsageError("export: -o FILE is missing", remedy=remedy)
    suffix = suffix_of(arguments.output)
    check_free(arguments.output, force=arguments.force)
    with open_path(arguments.path, arguments, output) as checkpoint:
        chosen = _chosen(checkpoint, arguments)
        for variable in chosen:
            checkpoint.reader.verify_container(variable.key)
        nbytes = sum(variable.nbytes for variable in chosen) * (1 + arguments.salvage)
        if is_address(checkpoint.path):
            tell_remote(nbytes, arguments, output, Places([checkpoint.path]))
        left_out: list[LeftOut] = []
        with ProgressBar(nbytes, output) as progress:
            if arguments.salvage:
                # Everything is read once, to part what can be written from what cannot.
                from ckread.views.array_files import storable

                intact: list[Variable] = []
                for variable in chosen:
                    try:
                        for chunk in whole_chunks(variable):
                            progress(chunk.nbytes)
                            if chunk.dtype.hasobject:
                                storable(chunk)
                    except CheckpointError as error:
                        left_out.append(LeftOut(variable, error))
                    else:
                        intact.append(variable)
                chosen = intact
            if not chosen:
                message = f"{checkpoint.path}: nothing that can be read, nothing was written"
                raise UsageError(message, remedy="ckread check says what is wrong with it.")
            if suffix in (".npy", ".csv") and len(chosen) != 1:
                found = f"{len(chosen)} variables do not fit one {suffix} file"
                raise UsageError(found, remedy="Write .npz, or give a PATTERN that means one.")
            _write(arguments, suffix, chosen, progress)
        _report(arguments.output, chosen, left_out, output)
    return _LEFT_OUT if left_out else 0


def _chosen(checkpoint: Checkpoint, arguments: argparse.Namespace) -> list[Variable]:
    patterns = patterns_of(arguments)
    everything = [
        variable
        for variable in checkpoint.values()
        if variable.role is not Role.BOOKKEEPING or arguments.role
    ]
    one = patterns[0] if len(patterns) == 1 else ""
    if one in checkpoint:
        return [checkpoint[one]]  # a whole name means that variable, not all around it
    candidates = [v for v in everything if has_role(v, arguments.role)]
    if one and (variable := find_variable(candidates, one)) is not None:
        return [variable]
    chosen = [v for v in select(everything, patterns) if has_role(v, arguments.role)]
    if not chosen:
        wanted = " ".join(patterns) or "of this role"
        raise VariableNotFoundError(f"{checkpoint.path}: no variable {wanted}")
    return chosen


def _write(
    arguments: argparse.Namespace, suffix: str, variables: list[Variable], progress: ProgressBar
) -> None:
    tensors: list[Tensor] = []
    if suffix in (".npz", ".safetensors"):
        known = read_map(arguments.map) if arguments.map else {}
        tensors = [_tensor(v, known.get(v.name), progress) for v in variables]
        check_distinct(one.name for one in tensors)
    header = safetensors_header(tensors) if suffix == ".safetensors" else b""
    try:
        with new_file(arguments.output, force=arguments.force) as file:
            if suffix == ".npz":
                write_members(file, ((one.name, one.shape, one.chunks) for one in tensors))
            elif suffix == ".safetensors":
                write_safetensors(file, tensors, header)
            elif suffix == ".npy":
                write_npy(file, variables[0].shape, _chunks(variables[0], progress))
            else:
                write_csv(file, variables[0].shape, _chunks(variables[0], progress))
    except CheckpointError as error:
        if error.path == arguments.output or arguments.salvage:
            raise
        raise error.within(remedy=TextLines(error.remedy, _SALVAGE)) from None


def _tensor(variable: Variable, mapped: Mapped | None, progress: ProgressBar) -> Tensor:
    """Give a variable as it is written: under the name and in the order of axes of the map."""
    name = mapped.name if mapped else variable.name
    axes = mapped.axes if mapped else None
    if axes is None:
        return Tensor(name, variable.dtype, variable.shape, _chunks(variable, progress))
    if sorted(axes) != list(range(len(variable.shape))):
        found = f"axes {list(axes)} for shape {list(variable.shape)}"
        raise UsageError(found, place=variable.name)
    shape = tuple(variable.shape[axis] for axis in axes)
    return Tensor(name, variable.dtype, shape, _turned(variable, axes, progress))


def _turned(
    variable: Variable, axes: tuple[int, ...], progress: ProgressBar
) -> Iterator[NDArray[np.generic]]:
    progress(variable.nbytes)
    yield variable.numpy().transpose(axes).copy(order="C")


def _chunks(variable: Variable, progress: ProgressBar) -> Iterator[NDArray[np.generic]]:
    for chunk in whole_chunks(variable):
        progress(chunk.nbytes)
        yield chunk


def _report(path: str, written: list[Variable], left_out: list[LeftOut], output: Output) -> None:
    if output.is_json:
        document = {
            "file": path,
            "variables": [variable.to_dict() for variable in written],
            "left_out": [
                {"name": v.name, "key": v.key, "message": str(error)} for v, error in left_out
            ],
        }
        output.json("export", document)
    told = f"{plural(len(written), 'variable')}, {size_text(os.path.getsize(path))}"
    by_reason: dict[str, list[str]] = {}
    for variable, error in left_out:
        if isinstance(error, (MissingShardError, TruncatedFileError)):
            reason = "missing"
        else:
            reason = "damaged" if isinstance(error, CorruptCheckpointError) else "not readable"
        by_reason.setdefault(reason, []).append(variable.name)
    parts = []
    for reason, names in by_reason.items():
        parts.append(f"{few(names, _SHOWN)} ({reason})")
    output.wrote(path, f"{told}; left out: {', '.join(parts)}" if parts else told)
    if left_out:
        from ckread.views.check import with_units

        for _, error in left_out[:_SHOWN]:
            output.warning(with_units(f"{error.message}."))


# A variable into a file, streamed: the largest tensor never has to fit into memory.


def save_part(part: Part, path: str, *, force: bool) -> str:
    """Write the values of a variable or slice; say what was written."""
    variable, suffix = part.variable, suffix_of(path)
    chunks = part_chunks(part)
    dtype = stored = str(variable.dtype)
    with new_file(path, force=force) as file:
        if suffix == ".csv":
            write_csv(file, part.shape, chunks)
        elif suffix == ".safetensors":
            tensors = [Tensor(variable.name, variable.dtype, part.shape, chunks)]
            write_safetensors(file, tensors, safetensors_header(tensors))
        elif suffix == ".npz":
            stored = write_npz(file, f"{variable.name}{part.text}", part.shape, chunks).name
        else:
            stored = write_npy(file, part.shape, chunks).name
    # By these names numpy has the element type without converting it.
    same = dtype, dtype.removeprefix("q"), "" if variable.dtype.is_plain else "bytes"
    widened = "" if stored in same else f" (stored as {stored})"
    size = size_text(os.path.getsize(path))
    return f"{dtype} {shape_text(part.shape)}{widened}, {size}"


_AT_ONCE_NBYTES = 4 << 20


def part_chunks(part: Part) -> Iterator[NDArray[np.generic]]:
    """Yield the values of a variable or slice in C order, a slice some rows at a time."""
    variable, index = part.variable, part.index
    if index is None:
        yield from whole_chunks(variable)
        return
    axis, first = next(((i, s) for i, s in enumerate(index) if isinstance(s, slice)), (0, None))
    if first is None or not part.shape[0] or not variable.dtype.is_plain:
        yield variable.read(index)
        return
    row_nbytes = math.prod(part.shape[1:]) * variable.dtype.itemsize
    step = max(1, _AT_ONCE_NBYTES // max(1, row_nbytes))
    rows = range(first.start, first.stop, first.step)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        wanted = slice(some.start, some.stop, some.step)
        yield variable.read((*index[:axis], wanted, *index[axis + 1 :]))


def whole_chunks(variable: Variable) -> Iterator[NDArray[np.generic]]:
    """Yield all values in C order, verified; one empty chunk where there is no element."""
    if not variable.dtype.is_plain or not variable.elements:
        yield variable.numpy()
    else:
        yield from variable.chunks()
