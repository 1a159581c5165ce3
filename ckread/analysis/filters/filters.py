"""Kernels as what they are: tiles of a convolution, or the matrix of a dense layer.

height, width, in, out     convolution; out tiles, in colour where in is 3
height, width, in, times   depthwise convolution, by its name; in × times tiles
depth, height, width, in, out   in three dimensions; out tiles, the slices of depth below
                           each other
taps, in, out              convolution in one dimension; out tiles, taps across
in, out                    dense layer; one matrix
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ckread.errors import UsageError, by
from ckread.model.lookup import find_kernel
from ckread.model.opening import opened
from ckread.model.role import Role
from ckread.model.variable import Variable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.model.checkpoint import Checkpoint

    Floats = NDArray[np.float64]

_MAX_ELEMENTS = 64_000_000
_CLIP_QUANTILE = 0.995


class KernelKind(StrEnum):
    """What a kernel belongs to."""

    CONV2D = "conv2d"
    DEPTHWISE = "depthwise"
    CONV3D = "conv3d"
    CONV1D = "conv1d"
    DENSE = "dense"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Filters:
    """The kernels of one variable, as `plot_filters` draws them: `len`, index and iteration.

    Example:
        >>> found = ckread.filters("fixtures/digits_run", "conv1/kernel")
        >>> found, len(found), found[3].shape
        (<ckread.Filters 'conv1/kernel': 16 of 16 conv2d, 3×3>, 16, (3, 3))
        >>> str(found.kind), found.shape, found.tiles.shape, found.n_slices, found.is_colored
        ('conv2d', (3, 3, 1, 16), (16, 3, 3), 1, False)
        >>> found.mean_over, found.is_clipped, found.largest == found.scale, len(found.head(4))
        (1, False, True, 4)

    Attributes:
        name: of the variable.
        kind: what it belongs to.
        shape: of the variable.
        tiles: shape (n, rows, columns), or (n, rows, columns, 3) in colour; for a
            dense layer n is 1. In three dimensions rows are those of all slices.
        n_all: how many kernels there are; `tiles` may hold the first of them.
        mean_over: input channels over which each tile is the mean; 1 if over none.
        scale: the weight at the ends of the symmetric colour scale.
        largest: the largest weight by size; beyond `scale` where that is clipped.
    """

    name: str
    kind: KernelKind
    shape: tuple[int, ...]
    tiles: Floats
    n_all: int
    mean_over: int
    scale: float
    largest: float

    def __repr__(self) -> str:
        """Show name, number, kind and size."""
        size = "×".join(map(str, self.tiles.shape[1:3]))
        n = f"{len(self.tiles):,} of {self.n_all:,}"
        return f"<ckread.Filters {self.name!r}: {n} {self.kind}, {size}>"

    def __len__(self) -> int:
        """Count the tiles."""
        return len(self.tiles)

    def __getitem__(self, index: int) -> Floats:
        """Give one tile."""
        tile: Floats = self.tiles[index]
        return tile

    def __iter__(self) -> Iterator[Floats]:
        """Iterate over the tiles."""
        return iter(self.tiles)

    def head(self, n: int | None) -> Filters:
        """Give the first so many tiles, on a colour scale of their own."""
        if n is not None and n < 1:
            raise UsageError(f"the first {n} kernels, expected 1 or more")
        tiles = self.tiles[:n]
        sizes = np.abs(tiles[np.isfinite(tiles)])
        largest = float(sizes.max()) if sizes.size else 0.0
        scale = float(np.quantile(sizes, _CLIP_QUANTILE)) if sizes.size else 0.0
        is_clipped = largest > 2 * scale > 0
        return replace(self, tiles=tiles, scale=scale if is_clipped else largest, largest=largest)

    @property
    def is_colored(self) -> bool:
        """Whether the input channels are red, green and blue."""
        return self.tiles.ndim == 4

    @property
    def n_slices(self) -> int:
        """Slices that the rows of a tile are of, from the first depth to the last."""
        return self.shape[0] if self.kind is KernelKind.CONV3D else 1

    @property
    def is_clipped(self) -> bool:
        """Whether some weights lie beyond the colour scale."""
        return self.largest > self.scale


def kernel_kind(name: str, shape: tuple[int, ...]) -> KernelKind:
    """Tell what a kernel of this name and shape belongs to."""
    if len(shape) == 5:
        return KernelKind.CONV3D
    if len(shape) == 4:
        return KernelKind.DEPTHWISE if "depthwise" in name.lower() else KernelKind.CONV2D
    if len(shape) == 3:
        return KernelKind.CONV1D
    if len(shape) == 2:
        return KernelKind.DENSE
    stats = by("ckread stats", "ckread.statistics()")
    remedy = f"Kernels of 2 to 5 dimensions can be drawn; {stats} shows any variable."
    found = "1 dimension" if len(shape) == 1 else f"{len(shape)} dimensions"
    raise UsageError(f"{name}: {found}, expected a kernel", remedy=remedy)


def read_kernel(variable: Variable) -> Floats:
    """Read a kernel whole, verified, as float64."""
    kernel_kind(variable.name, variable.shape)
    name = variable.name
    if not variable.dtype.is_plain or "complex" in variable.dtype:
        raise UsageError(f"{name}: {variable.dtype}, expected real numbers")
    if not 0 < variable.elements <= _MAX_ELEMENTS:
        raise UsageError(f"{name}: {variable.elements} elements do not make a picture")
    kernel: Floats = variable.numpy().astype(np.float64)
    return kernel


def filters_of(
    name: str, kernel: Floats, *, top: int | None = None, kind: KernelKind | None = None
) -> Filters:
    """Arrange a kernel as tiles; of a kind that is not known, as its name and shape tell."""
    kind = kind or kernel_kind(name, kernel.shape)
    mean_over = 1
    if kind is KernelKind.DENSE:
        tiles = kernel[np.newaxis]
    elif kind is KernelKind.CONV1D:
        tiles = kernel.transpose(2, 1, 0)
    else:
        *depth, height, width, n_in, n_out = kernel.shape
        images = kernel.reshape(math.prod(depth) * height, width, n_in, n_out)
        if kind is KernelKind.DEPTHWISE:
            tiles = images.reshape(height, width, n_in * n_out).transpose(2, 0, 1)
        elif n_in == 3:
            tiles = images.transpose(3, 0, 1, 2)
        else:
            tiles, mean_over = images.mean(axis=2).transpose(2, 0, 1), n_in
    whole = Filters(name, kind, kernel.shape, tiles, len(tiles), mean_over, 0.0, 0.0)
    return whole.head(top)


def filters(
    source: Checkpoint | Variable | str | os.PathLike[str],
    name: str | None = None,
    *,
    top: int | None = None,
) -> Filters:
    """Give the kernels of a layer as tiles.

    Args:
        source: an open checkpoint, a path, or the kernel itself: a variable of 2 to 5
            dimensions with real numbers.
        name: of the kernel or its layer, or a pattern that means one; by default the first
            convolution.
        top: how many kernels at most, the first ones.

    Raises:
        VariableNotFoundError: there is no such variable.
        UsageError: it is no kernel, or too large for a picture.
        CheckpointError: it cannot be opened or read.

    Example:
        >>> found = ckread.filters("fixtures/digits_run", "conv1/kernel", top=4)
        >>> found.tiles.shape, found.n_all, round(found.scale, 3)
        ((4, 3, 3), 16, 0.256)
    """
    if isinstance(source, Variable):
        if name is not None:
            raise UsageError(f"a name, {name}, beside the variable {source.name}")
        return filters_of(source.name, read_kernel(source), top=top)
    with opened(source) as checkpoint:
        kernel = first_kernel(checkpoint) if name is None else find_kernel(checkpoint, name)
        return filters_of(kernel.name, read_kernel(kernel), top=top)


def first_kernel(checkpoint: Checkpoint) -> Variable:
    """Give the first kernel of a convolution in two dimensions."""
    for variable in checkpoint.in_order():
        if variable.role is Role.WEIGHT and len(variable.shape) == 4:
            return variable
    remedy = f"Name a kernel: {by('ckread ls', 'list(checkpoint)')} lists the variables."
    raise UsageError("no kernel of four dimensions here", path=checkpoint.path, remedy=remedy)
