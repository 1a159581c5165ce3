"""Who a stored tensor is: its name, role and relations, as `naming` and `role` find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckread.model.role import Role


class Identity(NamedTuple):
    """The identity of one checkpoint key. A named tuple: made 100,000 at once.

    Attributes:
        name: what the program that made the variable called it; unique in the file.
        role: what it is for.
        trainable: whether training moves it by gradient; None where the files do
            not say, and for everything that is not a weight or statistic.
        owner: name of the variable that a slot, average or alias belongs to.
        slot: the writer's word for a slot: `momentum`, `m`, `accumulator`.
        paths: other paths to the same object in the object graph, unescaped.
    """

    name: str
    role: Role
    trainable: bool | None = None
    owner: str | None = None
    slot: str | None = None
    paths: tuple[str, ...] = ()
