"""What of a graph is run when it is loaded or called: from what a user calls to its operations.

A signature gives tensors: all nodes that these need are run, and the functions that they
call, whole. Loading runs the initializers of tables and other resources, and what the file
names so. An object of TensorFlow 2 offers further functions, which its attributes lead to.
What saves and restores is reached like that by every export, and is not listed.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.loading.records import (
    FILE_ARGUMENT,
    KINDS,
    PATH_ATTRIBUTE,
    SAVING,
    LoadFact,
    OnLoading,
    What,
    has_functions,
    is_known,
    together,
)
from ckread.readers.files import is_file
from ckread.readers.graphs.fingerprint import is_index_as_exported
from ckread.readers.graphs.operations import (
    INITIALIZATION,
    KERAS_METADATA,
    GraphFile,
    is_internal,
    read_keras_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckread.readers.graphs.operations import Node, Operations

_MAX_SIGNATURES = 32
"""Signatures that are followed one by one; the others of a graph together."""
_MAX_LISTED = 10_000
"""Operations of one function that are looked at one by one."""
_MAX_HOPS = 100
_MAX_CHAIN = 16
"""Functions that are named on the way to an operation."""
_CALLS_FROM = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1, "While": 0}
"""At which input of an operation the arguments of its functions begin, where not at the first."""
_CALLS = {"PartitionedCall", "StatefulPartitionedCall", "StatelessWhile", *_CALLS_FROM}
_HANDS_ON = {"Identity", "Reshape", "ExpandDims", "ReadVariableOp"}
_CACHES = {"CacheDataset", "CacheDatasetV2"}


class _Root(NamedTuple):
    """Something that leads to operations.

    Attributes:
        when: it in words.
        trigger: its kind.
        nodes: nodes of the graph that it needs.
        parents: the functions that it runs, and for each what calls it: a function, or None.
        callers: the node of the graph that calls a function, where one does.
    """

    when: str
    trigger: str
    nodes: set[str]
    parents: dict[str, str | None]
    callers: dict[str, str]


def saved_model_on_loading(path: str, shown: str, kind: str = "saved-model") -> OnLoading:
    """Tell what a `saved_model.pb`, or a `.meta` file, would do."""
    facts: list[LoadFact] = []
    not_listed: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    metadata: list[str] = []
    with GraphFile(path, has_functions) as file:
        graphs = file.saved_model() if kind == "saved-model" else [file.meta_graph()]
        for operations in graphs:
            told = _Graph(file, operations, is_bare=kind == "graph")
            facts += told.facts()
            not_listed += told.not_listed
            totals.update(told.totals())
            metadata += [one.metadata for one in operations.objects if one.metadata]
    folder, as_exported = os.path.dirname(path), None
    others: tuple[str, ...] = ()
    if kind == "saved-model":
        # Exporters copy them there, and loading does not read them.
        tree = os.walk(os.path.join(folder, "assets.extra"))
        found = (os.path.join(at, name) for at, _, names in tree for name in sorted(names))
        others = tuple(os.path.relpath(one, folder) for one in islice(found, _MAX_LISTED))
        as_exported = is_index_as_exported(folder)
        beside = os.path.join(folder, KERAS_METADATA)
        metadata += read_keras_metadata(beside) if is_file(beside) else []
    if metadata:
        from ckread.analysis.loading.keras import metadata_facts

        facts += metadata_facts(metadata)
    return OnLoading(
        shown, kind, together(facts), not_listed,
        n_nodes=totals["nodes"], n_signatures=totals["signatures"], tables=totals["tables"],
        index_as_exported=as_exported,
        others=others,
        reached=totals["reached"], by_object=totals["by_object"], unreached=totals["unreached"],
    )  # fmt: skip


class _Graph:
    """One graph, and what leads to its operations."""

    def __init__(self, file: GraphFile, operations: Operations, *, is_bare: bool) -> None:
        self._file = file
        self._of = operations
        self._is_bare = is_bare
        self._assets = list(operations.assets.values())
        self._inside: dict[str, Mapping[str, Node]] = {}
        self.not_listed: Counter[str] = Counter()
        self.tables = 0
        self.roots = self._roots()

    def totals(self) -> dict[str, int]:
        """Count operations, and functions by what reaches them."""
        functions = self._of.functions
        by_name: dict[str, str] = {}
        for root in self.roots:
            for name in root.parents:
                by_name.setdefault(name, root.trigger)
        of = Counter(by_name.values())
        by_object = of["call"] + of["saving"] + of["deletion"]
        return {
            "nodes": len(self._of.nodes) + sum(f.ops.total() for f in functions.values()),
            "signatures": sum(not is_internal(name) for name in self._of.signatures),
            "tables": self.tables,
            "reached": len(by_name) - by_object,
            "by_object": by_object,
            "unreached": len(functions) - len(by_name),
        }

    def facts(self) -> list[LoadFact]:
        """Tell what operations do beside computing, each under all that leads there."""
        found: list[LoadFact] = []
        wanted = {node.name for node in self._of.nodes.values() if self._is_told(node.op)}
        for name in wanted:
            roots = [root for root in self.roots if name in root.nodes]
            found += self._told(self._of.nodes[name], "", roots)
        for function in self._of.functions.values():
            told = [op for op in function.ops if self._is_told(op)]
            if not told:
                continue
            roots = [root for root in self.roots if function.name in root.parents]
            nodes = self._nodes_of(function.name)
            some = [node for node in nodes.values() if node.op in told][:_MAX_LISTED]
            for node in some:
                found += self._told(node, function.name, roots)
        # A custom op that a signature needs is needed by what calls that signature's functions.
        listed = {f.op for f in found if f.trigger in ("initialization", "signature")}
        again = ("call", "deletion", "nothing")
        found = [
            f
            for f in found
            if not (f.what is What.CUSTOM_OP and f.trigger in again and f.op in listed)
        ]
        order = ("initialization", "signature", "call", "run", "saving", "deletion", "nothing")
        kinds = list(What)
        found.sort(key=lambda f: (order.index(f.trigger), f.when, kinds.index(f.what), f.place))
        return found

    def _is_told(self, op: str) -> bool:
        if op in KINDS or op in SAVING or op in _CACHES:
            return True
        return not is_known(op) and op not in self._of.functions

    def _told(self, node: Node, function: str, roots: Sequence[_Root]) -> Iterator[LoadFact]:
        """Tell of one operation under each signature and initialization, else what leads there."""
        first = [root for root in roots if root.trigger in ("signature", "initialization")]
        led = first or roots[:1]
        if not is_known(node.op):
            led = led[:1] if led and led[0].trigger == "initialization" else led
        if node.op in SAVING and (not led or led[0].trigger in ("saving", "run", "deletion")):
            self.not_listed[node.op] += 1
            return
        if not led:
            led = [_Root("session.run", "run", set(), {}, {})] if self._is_bare else [_NOTHING]
        for root in led:
            chain = self._chain(function, root)
            place = (*chain, node.name)
            what = KINDS.get(node.op, What.CUSTOM_OP)
            if node.op in SAVING or node.op in _CACHES:
                reads = node.op in ("Restore", "RestoreV2", "RestoreSlice", "DTensorRestoreV2")
                what = What.READS_FILES if reads else What.WRITES_FILES
                if node.op.startswith("Sharded"):
                    continue
            kind, text = "", ""
            if what in (What.READS_FILES, What.WRITES_FILES):
                kind, text = self._path(node, function, root)
                is_table = node.op.startswith("InitializeTable")
                if kind == "asset":
                    self.tables += is_table
                    continue
                if is_table and kind in ("input", "given") and root.trigger in ("nothing", "call"):
                    continue  # what was run to initialize it, and is left over
                if node.op in _CACHES and kind == "text" and not text:
                    continue
            target = self._file.string(node, PATH_ATTRIBUTE.get(node.op, ""))
            if what is What.PRINTS and target is not None and target.startswith("file://"):
                what, kind, text = What.WRITES_FILES, "text", target
            yield LoadFact(
                what,
                root.when,
                root.trigger,
                place,
                node.op,
                _detail(what, kind, text),
                (text,) if kind == "text" and text else (),
            )

    def _chain(self, function: str, root: _Root) -> list[str]:
        """Give the functions from what is called to this one."""
        found: dict[str, None] = {}
        at: str | None = function or None
        while at is not None and at not in found:
            found[at] = None
            at = root.parents.get(at)
        chain = list(found)[::-1]
        if len(chain) > _MAX_CHAIN:
            half = _MAX_CHAIN // 2
            chain[half:-half] = ["…"]
        return chain

    # What leads to operations.

    def _roots(self) -> list[_Root]:
        of = self._of
        inits = [n for name in INITIALIZATION for n in of.signatures.get(name, ())]
        paths = dict(self._attribute_paths())
        resources: dict[str, list[str]] = {"initialization": [], "deletion": []}
        calls: list[tuple[str, str]] = []
        saving: list[str] = []
        savers = {i for one in of.objects for i in one.savers}
        for i, path in paths.items():
            functions = of.objects[i].functions
            if i in savers:
                saving += functions
            elif path[-1] in ("_create_resource", "_initialize"):
                resources["initialization"] += functions
            elif path[-1] == "_destroy_resource":
                resources["deletion"] += functions
            else:
                steps = path[:-1] if path[-1] == "__call__" else path
                called = f".{'.'.join(steps)}" if steps else "object"
                calls += [(f"call of {called}", name) for name in functions]
        saving += [name for i in savers if i < len(of.objects) for name in of.objects[i].functions]
        start = [*inits, *of.initializers]
        roots = [
            self._follow("initialization", "initialization", start, resources["initialization"])
        ]
        named = [(n, nodes) for n, nodes in sorted(of.signatures.items()) if not is_internal(n)]
        for name, nodes in named[:_MAX_SIGNATURES]:
            roots.append(self._follow(f"signature {name}", "signature", nodes, ()))
        if rest := [node for _, nodes in named[_MAX_SIGNATURES:] for node in nodes]:
            n = len(named) - _MAX_SIGNATURES
            roots.append(self._follow(f"one of {n} further signatures", "signature", rest, ()))
        roots.append(self._follow("saving and restoring", "saving", of.savers, saving))
        by_words: dict[str, list[str]] = {}
        reached: set[str] = set()
        for words, name in calls:
            by_words.setdefault(words, []).append(name)
        for words, names in by_words.items():
            if not reached.issuperset(names):
                root = self._follow(words, "call", (), names, known=reached)
                reached |= root.parents.keys()
                roots.append(root)
        roots.append(self._follow("deletion", "deletion", (), resources["deletion"]))
        return roots

    def _attribute_paths(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the ids of objects, by the shortest attributes that lead there."""
        objects = self._of.objects
        seen = {0}
        queue: deque[tuple[int, tuple[str, ...]]] = deque([(0, ())])
        while queue and objects:
            i, path = queue.popleft()
            if path:
                yield i, path
            for name, child in objects[i].children:
                if child not in seen and child < len(objects) and (path or name != "signatures"):
                    seen.add(child)
                    queue.append((child, (*path, name)))

    def _follow(
        self,
        when: str,
        trigger: str,
        nodes: Iterable[str],
        functions: Iterable[str],
        known: Iterable[str] = (),
    ) -> _Root:
        """Follow nodes to what they need, and functions to those that they call."""
        of = self._of
        needed: set[str] = set()
        stack = list(nodes)
        parents: dict[str, str | None] = {}
        callers: dict[str, str] = {}
        skipped = set(known)
        queue: deque[str] = deque()

        def call(name: str, caller: str | None) -> None:
            if name in of.functions and name not in parents and name not in skipped:
                parents[name] = caller
                queue.append(name)

        while stack:
            name = stack.pop().removeprefix("^").partition(":")[0]
            node = of.nodes.get(name)
            if node is None or name in needed:
                continue
            needed.add(name)
            stack += node.inputs
            for called in (*node.calls, node.op):
                if called in of.functions:
                    callers.setdefault(called, name)
                call(called, None)
        for name in functions:
            call(name, None)
        while queue:
            function = of.functions[queue.popleft()]
            for called in (*function.calls, *function.ops):
                call(called, function.name)
        return _Root(when, trigger, needed, parents, callers)

    # Which file an operation reads or writes.

    def _nodes_of(self, function: str) -> Mapping[str, Node]:
        if not function:
            return self._of.nodes
        if function not in self._inside:
            self._inside[function] = self._file.nodes_of(self._of.functions[function])
        return self._inside[function]

    def _path(self, node: Node, function: str, root: _Root) -> tuple[str, str]:
        """Say where the path comes from: `text`, `asset`, `input`, `given`, or nothing known."""
        if node.op in PATH_ATTRIBUTE:
            text = self._file.string(node, PATH_ATTRIBUTE[node.op])
            return ("text", text) if text else ("", "")
        inputs = [name for name in node.inputs if name[:1] != "^"]
        at = FILE_ARGUMENT.get(node.op, 0)
        tensor = inputs[at] if at < len(inputs) else ""
        for _ in range(_MAX_HOPS):
            nodes = self._nodes_of(function)
            name = tensor.partition(":")[0]
            source = nodes.get(name)
            if source is not None:
                if not function and name in self._of.assets:
                    return "asset", self._of.assets[name]
                if source.op == "Const":
                    text = self._file.string(source)
                    return ("", "") if text is None else ("text", text)
                if source.op == "VarHandleOp":
                    assigned = (n for n in nodes.values() if n.op == "AssignVariableOp")
                    values = [n.inputs[1] for n in assigned if n.inputs[:1] == (name,)]
                    if len(values) != 1:
                        return "", ""
                    [tensor] = values
                    continue
                if source.op in ("Placeholder", "PlaceholderWithDefault", "Arg", "_Arg"):
                    return "input", ""
                if source.op not in _HANDS_ON or not source.inputs:
                    return "", ""
                tensor = source.inputs[0]
                continue
            arguments = self._of.functions[function].arguments if function else ()
            if name not in arguments:
                return "", ""
            index = arguments.index(name)
            caller = root.parents.get(function)
            outer = self._nodes_of(caller or "")
            if caller is None and function not in root.callers:
                found = self._bound(function, index - len(arguments))
                is_called = root.trigger in ("signature", "call")
                return found if found[0] != "input" or is_called else ("given", "")
            calling = (
                next((n for n in outer.values() if function in (*n.calls, n.op)), None)
                if caller
                else outer.get(root.callers[function])
            )
            if calling is None or (calling.op != function and calling.op not in _CALLS):
                return "", ""
            index += _CALLS_FROM.get(calling.op, 0)
            given = [one for one in calling.inputs if one[:1] != "^"]
            if index >= len(given):
                return "", ""
            tensor, function = given[index], caller or ""
        return "", ""

    def _bound(self, function: str, index: int) -> tuple[str, str]:
        """Say what an argument is that the object gives itself, counted from the last."""
        bound = self._of.bound.get(function, ())
        if -index > len(bound):
            return "input", ""
        held = bound[index]
        if held >= len(self._of.objects):
            return "", ""
        one = self._of.objects[held]
        if one.asset is not None:
            return "asset", self._assets[one.asset] if one.asset < len(self._assets) else ""
        node = self._of.nodes.get(one.operation)
        if node is not None and node.name in self._of.assets:
            return "asset", self._of.assets[node.name]
        text = self._file.string(node) if node is not None else None
        return ("", "") if text is None else ("text", text)


_NOTHING = _Root("nothing", "nothing", set(), {}, {})


def _detail(what: What, kind: str, text: str) -> str:
    """Say of a file where its path comes from; of Python whose it is."""
    if what is What.RUNS_PYTHON:
        return "a function of the saving process"
    if what not in (What.READS_FILES, What.WRITES_FILES):
        return ""
    to = "to" if what is What.WRITES_FILES else "at"
    if kind == "text":
        return f'{to} "{text}"'
    paths = {"input": "from the input", "given": "that it is given"}
    return f"{to} a path {paths.get(kind, 'that is computed')}"
