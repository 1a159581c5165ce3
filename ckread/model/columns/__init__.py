"""Very many variables as columns, of which objects are made when they are asked for.

The doors are `variables`: names, roles and places of all, `objects`: who refers to whom in an
object-based checkpoint, and `tree`, which `checkpoint` alone asks for. Each gives what its
counterpart for few gives (`variable`, `evidence`, `model.tree`), to the same order and words.
"""
