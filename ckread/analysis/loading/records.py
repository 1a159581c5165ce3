"""What was found of loading a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckread.analysis.loading.ops import KNOWN_FROM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.loading.ops import What


@dataclass(frozen=True, slots=True)
class LoadFact:
    """One thing that a program which loads the file would do.

    Attributes:
        what: what it does.
        when: what leads there: `signature serve`, `call of .py`, `initialization`,
            `load_model`, `unpickling`; `nothing` where nothing in the file does.
        trigger: the kind of that: `signature`, `call`, `initialization`, `load`, `run`,
            `saving`, `nothing`.
        place: where it is, from outside in: functions and the node, the layer, the member.
        op: the operation, class or function.
        detail: what is known of it, in words.
        constants: paths and texts that it is given, where they stand in the file.
        n: how many there are alike.
    """

    what: What
    when: str
    trigger: str
    place: tuple[str, ...]
    op: str
    detail: str = ""
    constants: tuple[str, ...] = ()
    n: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give what `--json` prints."""
        return {
            "what": self.what.value,
            "when": self.when,
            "trigger": self.trigger,
            "place": list(self.place),
            "op": self.op,
            "detail": self.detail or None,
            "constants": list(self.constants),
            "count": self.n,
        }


@dataclass(frozen=True, slots=True)
class OnLoading:
    """What a program that loads a file would run, read or write.

    Attributes:
        path: the file or directory.
        kind: what it is: `saved-model`, `graph`, `keras`, `pickle`, or `values`, which
            nothing is run for.
        facts: what it would do, in the order of what is run first.
        not_listed: operations that save and restore, as in every export.
        n_nodes: operations of all graphs and functions.
        n_signatures: what users call.
        n_layers: objects of a Keras configuration.
        own: classes of a Keras configuration that the program has to register.
        tables: text files of its own that are read into tables as it is initialized.
        index_as_exported: whether the index of a SavedModel is the one that its
            `fingerprint.pb` names; None where nothing tells.
        reached: functions that a signature or the initialization reaches.
        by_object: further ones that calling the loaded object reaches.
        unreached: those that nothing reaches.
    """

    path: str
    kind: str
    facts: tuple[LoadFact, ...] = ()
    not_listed: Counter[str] = field(default_factory=Counter)
    n_nodes: int = 0
    n_signatures: int = 0
    n_layers: int = 0
    own: tuple[str, ...] = ()
    tables: int = 0
    index_as_exported: bool | None = None
    reached: int = 0
    by_object: int = 0
    unreached: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give what `--json` prints."""
        return {
            "path": self.path,
            "kind": self.kind,
            "facts": [fact.to_dict() for fact in self.facts],
            "not_listed": dict(sorted(self.not_listed.items())),
            "functions": {
                "reached": self.reached,
                "by_object": self.by_object,
                "unreached": self.unreached,
            },
            "index_as_exported": self.index_as_exported,
            "ops_known_from": KNOWN_FROM,
        }


def together(facts: Sequence[LoadFact]) -> tuple[LoadFact, ...]:
    """Put what is alike but for its place into one fact, counted."""
    found: dict[tuple[object, ...], LoadFact] = {}
    for fact in facts:
        place = fact.place if fact.trigger == "load" else ()
        key = (fact.what, fact.when, fact.op, fact.detail, fact.constants, place)
        known = found.get(key)
        if known is None:
            found[key] = fact
        else:
            found[key] = replace(known, n=known.n + fact.n)
    return tuple(found.values())
