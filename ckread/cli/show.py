"""Values of one variable, or a slice of it.

    $ ckread show digits_run/ckpt-10 'conv1/kernel[:, :, 0, :2]'
    note: a slice is not verified by checksum; --verify reads it all
    conv1/kernel[:, :, 0, :2]  float32 3×3×2, of 3×3×1×16
    [[[-0.03269133 -0.14882562]
      [ 0.12658319 -0.11454634]
      [ 0.0166109  -0.11202889]]

     [[-0.25570711 -0.095384  ]
      [-0.17611055 -0.07941385]
      [ 0.09297369 -0.03148153]]

     [[-0.07560401 -0.06081633]
      [ 0.12132274 -0.02783445]
      [ 0.12956502 -0.01424339]]]

A slice reads only the bytes that it needs, so its checksum cannot be verified;
`--verify` reads the whole tensor first. In a pipe the values are bare rows, which
`numpy.loadtxt` reads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.cli.arguments import add_yes, open_path
from ckread.errors import TextLines, UsageError, VariableNotFoundError
from ckread.model.display import safe_text
from ckread.model.lookup import find_part
from ckread.readers.contract import CHECKSUMMED
from ckread.readers.files import is_address
from ckread.views.terminal.words import plural

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.lookup import Part

EXAMPLES = (
    ("ckread show ckpt-10 conv1/kernel", "abbreviated as numpy does"),
    ("ckread show ckpt-10 'conv1/kernel[..., 0, :2]'", "a slice: only its bytes"),
    ("ckread show ckpt-10 conv1/kernel -o k.npy", "into a file"),
)

LARGE_NBYTES = 64 << 20
"""Bytes from which on no more than the edges are read to show an abbreviated tensor."""


def add_arguments(parser: Parser) -> None:
    """Add the options of `show`."""
    parser.add_argument("--full", action="store_true", help="every value, nothing abbreviated")
    parser.add_argument(
        "--verify", action="store_true", help="of a slice: read all, verify the checksum"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="into a .npy, .npz or .csv file")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    add_yes(parser)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Show, or save, the values."""
    if arguments.output is not None:
        from ckread.cli.files import check_free
        from ckread.views.array_files import suffix_of

        suffix_of(arguments.output)
        check_free(arguments.output, force=arguments.force)
    elif arguments.force:
        raise UsageError("--force goes with -o FILE")
    with open_path(arguments.path, arguments, output) as checkpoint:
        try:
            part = find_part(checkpoint, arguments.name)
        except VariableNotFoundError as error:
            if _show_vocabulary(checkpoint, arguments, output):
                return 0
            from ckread.analysis.vocabulary import vocabulary_names

            names = vocabulary_names(checkpoint)
            lines = ("Vocabularies:", *(f"  {name}" for name in names[:8])) if names else ()
            raise error.within(remedy=TextLines(error.remedy, *lines)) from None
        if is_address(checkpoint.path):
            _tell(part, checkpoint, arguments, output)
        if arguments.verify:
            for _ in part.variable.chunks():
                pass
            if checkpoint.format not in CHECKSUMMED:
                output.note("this format keeps no checksum of values: nothing was verified")
        elif part.index is not None and checkpoint.format in CHECKSUMMED:
            output.note("a slice is not verified by checksum; --verify reads it all")
        verified = None  # where the format keeps no checksum
        if checkpoint.format in CHECKSUMMED:
            verified = part.index is None or bool(arguments.verify)
        if arguments.output is None:
            _show(part, arguments, output, verified=verified)
            return 0
        from ckread.cli.export import save_part

        what = save_part(part, arguments.output, force=arguments.force)
        if output.is_json:
            document = {
                "vocabulary": None,
                "variable": part.variable.to_dict(),
                "slice": part.text or None,
                "verified": verified,
                "values": None,
                "file": arguments.output,
            }
            output.json("show", document)
        output.wrote(arguments.output, what)
    return 0


def _tell(
    part: Part, checkpoint: Checkpoint, arguments: argparse.Namespace, output: Output
) -> None:
    """Say how much is read from afar; a terminal shows, and reads, little of what is large."""
    from ckread.cli.reading import Places, tell_remote

    shows = output.is_terminal and not (output.is_json or arguments.full or arguments.output)
    nbytes = 0 if shows else math.prod(part.shape) * part.variable.dtype.itemsize
    nbytes = part.variable.nbytes if arguments.verify else nbytes
    tell_remote(nbytes, arguments, output, Places([checkpoint.path]))


def _show_vocabulary(checkpoint: Checkpoint, arguments: argparse.Namespace, output: Output) -> bool:
    """Print the words of a lookup layer, one a line; tell whether the name means one."""
    from ckread.analysis.vocabulary import find_vocabulary

    found = find_vocabulary(checkpoint, arguments.name)
    if found is None:
        return False
    if arguments.output is not None:
        raise UsageError("-o takes variables; a vocabulary is text: write it with >")
    if output.is_json:
        values = {"variable": None, "slice": None, "verified": None, "values": list(found.words)}
        output.json("show", {**values, "file": None, "vocabulary": found.source})
        return True
    output.note(f"{plural(len(found.words), 'word')} of {found.name}, from {found.source}")
    output.lines(map(safe_text, found.words))
    return True


def _show(
    part: Part, arguments: argparse.Namespace, output: Output, *, verified: bool | None
) -> None:
    from ckread.cli.export import part_chunks
    from ckread.views.values import MAX_SHOWN, Values, encode_values, piped_values, values_page

    if output.markup:
        remedy = "ckread export PATH NAME -o FILE.csv writes them for a spreadsheet."
        raise UsageError("show gives values, which are no table", remedy=remedy)
    n, nbytes = math.prod(part.shape), math.prod(part.shape) * part.variable.dtype.itemsize
    if output.is_json or not output.is_terminal:
        if part.index is None and nbytes > LARGE_NBYTES and not arguments.verify:
            for _ in part.variable.chunks():  # before a value of it is written
                pass
        chunks = part_chunks(part) if nbytes > LARGE_NBYTES else iter([_read(part)])
        if output.is_json:
            where = part.variable, part.text, part.shape
            output.json_pieces(encode_values(*where, chunks, verified=verified))
            return
        output.lines(piped_values(part.variable, part.text, part.shape, chunks))
        return
    is_abbreviated = not arguments.full and n > MAX_SHOWN
    if is_abbreviated and nbytes > LARGE_NBYTES:
        from ckread.model.lookup import read_edges
        from ckread.views.values import EDGE_ITEMS

        if part.index is None and not arguments.verify:
            output.note("only what is shown was read, without checksum; --verify reads it all")
        index = part.index or tuple(slice(0, size, 1) for size in part.variable.shape)
        array = read_edges(part.variable, index, EDGE_ITEMS)
    else:
        array = _read(part)
    values = Values(part.variable, part.text, array, part.shape)
    output.render(values_page(values, full=arguments.full))


def _read(part: Part) -> NDArray[np.generic]:
    return part.variable.numpy() if part.index is None else part.variable.read(part.index)
