"""Whatever a file calls its variables: no view fails, and nothing raw reaches a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ckread.analysis.info import summarise
from ckread.model.lookup import find_part
from ckread.model.selection import model_order, select
from ckread.model.tree import build_tree, join_single_scopes
from ckread.views.info.page import info_page
from ckread.views.json_document import encode, encode_variables
from ckread.views.listing import Listing, listing_lines, listing_page, tree_page
from ckread.views.terminal.page import Paper, plain
from ckread.views.values import Values, values_page
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.views.terminal.page import Page

CHARACTERS = st.characters() | st.sampled_from("/\x1b\n\r\t\x00\x9b\udc80\u202e[]:* ")
NAMES = st.lists(st.text(CHARACTERS, max_size=60), min_size=1, max_size=6, unique=True)


def pages(ck: Checkpoint, width: int) -> Iterator[Page]:
    variables = list(ck.values())
    nbytes = sum(variable.nbytes for variable in variables)
    for by_key in (False, True):
        listing = Listing(variables, len(variables), nbytes, by_key=by_key)
        yield listing_page(listing)
        assert all(word.isprintable() for word in listing_lines(listing))
    ordered = model_order(ck.values(), ck.evidence)
    tree, joined = build_tree(ordered), build_tree(ordered, folds=True)
    join_single_scopes(joined)
    yield tree_page(tree, ck.path)
    yield tree_page(joined, ck.path, depth=1)
    yield info_page(summarise(ck), build_tree(ordered, folds=True))
    array = np.zeros(2, np.float32)
    yield values_page(Values(variables[0], "[0]", array, (2,)), full=False)


@settings(max_examples=30)
@given(NAMES, st.integers(40, 120), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_every_view_of_every_name(names: list[str], width: int, encoding: str) -> None:
    ck = checkpoint({name: np.zeros((2, 3), np.float32) for name in names}, path=names[0] or "x")
    for page in pages(ck, width):
        for line in page.lines(Paper(width, encoding)):
            assert plain(line).isprintable()
            plain(line).encode(encoding)  # raises if it cannot be written
        assert all(line.isprintable() for line in page.piped())
    for name in names:
        assert find_part(ck, name).variable.name == name
    assert len(select(ck.values(), [""])) == len(names)
    assert encode(build_tree(ck.values()).to_dict()).isascii()
    assert "".join(encode_variables({"path": names[0]}, ck.values())).isascii()
