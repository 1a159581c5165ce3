"""What brings the values that a restore leaves: another root, names, another way of loading.

Each cure is tried by the same engines before it is named, so that what it promises is
foretold like everything else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from ckread.analysis.compat.keras_files import forecast_in_order, forecast_layer_names
from ckread.analysis.compat.records import Cure, Outcome, Rule, Stored, Way
from ckread.analysis.compat.restoring import count_restored, shape_text
from ckread.analysis.compat.sameness import Sameness
from ckread.analysis.compat.scopes import in_scopes
from ckread.analysis.diff.matching import match_variables
from ckread.analysis.diff.records import PairedBy, pair_claims
from ckread.errors import CheckpointError
from ckread.model.evidence import Claim, ObjectGraph, Strength
from ckread.model.role import Role
from ckread.readers.graphs.object_graph import Child

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckread.analysis.compat.records import RestoreForecast
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_SURE = frozenset(
    {PairedBy.NAME, PairedBy.SCOPE, PairedBy.OWNER, PairedBy.CONTENT, PairedBy.RENAME}
)
_MAX_ROOTS = 3
"""Children of a root that are tried under each other's names."""
_COUNTER = "save_counter"


def with_cures(
    result: RestoreForecast,
    saved: Checkpoint,
    target: Checkpoint,
    command: str,
    names: Mapping[str, str] | None = None,
) -> RestoreForecast:
    """Add what brings the rest, and the names there with those here.

    Args:
        result: the forecast.
        saved: the file.
        target: what the program wrote.
        command: the command line that gave the forecast.
        names: names there and here that are known to be the same variable.
    """
    pairs, found_by = find_renames(result, saved, target, names)
    result = replace(
        result,
        renames=pairs,
        rules=tuple(_rules(result)),
        evidence=(*result.evidence, *_whose(result), *pair_claims(found_by)),
    )
    if result.complete:
        return result
    total = len(result.values)
    cures: list[Cure] = []
    if result.way is Way.CHECKPOINT and saved.evidence.graph is not None:
        cures += _by_root(saved.evidence.graph, target.evidence.graph, saved, target, result)
        cures += _without_optimizer(saved, target, result)
    if result.way in (Way.H5_IN_ORDER, Way.H5_BY_NAME):
        cures += _other_ways(result, saved, target)
    best = max((cure.brings for cure in cures), default=result.counts["restored"])
    by_name = _by_name(result, pairs, command)
    if by_name is not None and (not cures or (by_name.brings > best and not _are_strange(result))):
        cures.append(by_name)
    is_legacy = result.way in (Way.H5_IN_ORDER, Way.H5_BY_NAME)
    if not is_legacy and (not cures or cures[-1].brings < total):
        cures += _beyond(result, pairs, cures, saved, target)
    return replace(result, cures=tuple(cures))


def _whose(result: RestoreForecast) -> Iterator[Claim]:
    """Say what told that values are those of the variables that receive them, or of others."""
    for outcome, whose in ((Outcome.OTHER, "of another variable"), (Outcome.RESTORED, "renamed")):
        n = sum(
            one.outcome is outcome and one.saved is not None and one.saved.name != one.name
            for one in result.values
        )
        if n:
            yield Claim(
                "whose value", f"{n} {whose}", Strength.DERIVED,
                "names on both sides, equal content, owners and words of slots, roles",
            )  # fmt: skip


def find_renames(
    result: RestoreForecast,
    saved: Checkpoint,
    target: Checkpoint,
    names: Mapping[str, str] | None = None,
) -> tuple[tuple[tuple[Stored, Stored], ...], Counter[PairedBy]]:
    """Pair values that are the same variable: by name, by content, by a shape of its own.

    Those that the restore does not pair itself are counted by what told it.
    """
    sides = [
        [v for v in side.values() if v.role not in (Role.BOOKKEEPING, Role.ALIAS)]
        for side in (saved, target)
    ]
    if result.complete and names is None:
        pairs = ((one.saved, one.target) for one in result.values if one.target.key)
        return tuple((saved, here) for saved, here in pairs if saved is not None), Counter()
    matching = match_variables(*sides, renames=names)
    sameness = Sameness(*sides)
    lonely = _lonely(matching.pairs, matching.removed, matching.added)
    found: dict[str, tuple[Stored, Stored]] = {}
    told: dict[str, PairedBy] = {}
    for a, b, paired_by, _ in matching.pairs:
        fits = a.shape == b.shape and a.dtype == b.dtype
        is_sure = paired_by in _SURE or (
            paired_by is PairedBy.KEY and not sameness.is_another(a, b)
        )
        if fits and (is_sure or (a.name, b.name) in lonely):
            told[b.key] = paired_by
            found[b.key] = Stored.of(a), Stored.of(b)
    if _are_strange(result):
        found = {key: pair for key, pair in found.items() if pair[1].role not in _OF_OPTIMIZERS}
    for one in result.values:
        if one.outcome is Outcome.RESTORED and one.saved is not None and one.target.key:
            found[one.target.key] = one.saved, one.target
    graph = target.evidence.graph
    came = {one.target.key for one in result.values if one.outcome is Outcome.RESTORED}
    if graph is not None:  # a table's keys and values are no variables that can be assigned
        assigned = set(graph.variables.values())
        found = {key: pair for key, pair in found.items() if key in assigned or key in came}
    keys = [one.target.key for one in result.values if one.target.key in found]
    counts = Counter(told[key] for key in keys if key not in came and key in told)
    return tuple(found[key] for key in keys), counts


def _are_strange(result: RestoreForecast) -> bool:
    """Tell whether the moments of the one optimizer are of no use to the other."""
    if result.optimizers is None:
        return False
    families = ["Adam" if "Adam" in kind else kind.split()[0] for kind in result.optimizers]
    return families[0] != families[1]


_OF_OPTIMIZERS = (Role.SLOT, Role.HYPERPARAMETER, Role.AVERAGE)


def _lonely(
    pairs: Sequence[tuple[Variable, Variable, PairedBy, float]],
    removed: Iterable[Variable],
    added: Iterable[Variable],
) -> set[tuple[str, str]]:
    """Give the pairs by shape of which there is no second choice on either side."""
    proposed = [(a, b) for a, b, paired_by, _ in pairs if paired_by is PairedBy.SHAPE]
    counts = [Counter(map(_kind, (*(p[at] for p in proposed), *left))) for at, left in
              enumerate((removed, added))]  # fmt: skip
    return {
        (a.name, b.name)
        for a, b in proposed
        if _kind(a) == _kind(b) and counts[0][_kind(a)] == counts[1][_kind(b)] == 1
        and a.elements > 1
    }  # fmt: skip


def _kind(variable: Variable) -> tuple[object, ...]:
    leaf = variable.name.rpartition("/")[2]
    return variable.shape, variable.dtype, variable.role, variable.slot, leaf


def _rules(result: RestoreForecast) -> Iterator[Rule]:
    """Say which scopes receive the values of which others."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in result.values:
        if one.outcome is Outcome.OTHER and one.saved is not None:
            scopes = (name.rpartition("/")[0] for name in (one.saved.name, one.name))
            counts[tuple(scopes)] += 1  # type: ignore[index]
    for (source, place), n in counts.items():
        yield Rule(f"{source}/**" if source else "**", f"{place}/**" if place else "**", n)


# Another root: the same objects under the names that the file has for them.


def _by_root(
    there: ObjectGraph,
    here: ObjectGraph | None,
    saved: Checkpoint,
    target: Checkpoint,
    result: RestoreForecast,
) -> Iterator[Cure]:
    if here is None:
        return
    best: tuple[int, str] = (result.counts["restored"], "")
    for graph, call in _roots(there, here):
        n, raises = count_restored(saved, target, graph, best[0])
        if n > best[0] and not raises:
            best = n, call
    if best[1]:
        yield Cure(best[1], best[0], len(result.values), None, best[1])


def _roots(there: ObjectGraph, here: ObjectGraph) -> Iterator[tuple[ObjectGraph, str]]:
    """Give the program's objects under other roots, with the call that makes each."""
    ours, theirs = _names(there, 0), _names(here, 0)
    is_plain = all(map(_is_public, theirs))
    strangers = [name for _, name in there.children[0] if name not in theirs | {_COUNTER}]
    mine = [name for _, name in here.children[0] if name not in ours | {_COUNTER}]
    n = min(len(strangers), len(mine))
    if n > 0 and max(len(strangers), len(mine)) <= _MAX_ROOTS:
        for chosen in combinations(mine, n):
            for names in permutations(strangers, n):
                if not all(map(_is_public, names)):
                    continue
                changed = dict(zip(chosen, names, strict=True))
                children = tuple(
                    Child(child, changed.get(name, name)) for child, name in here.children[0]
                )
                yield _with_root(here, children), _call(here, changed)
    for child, name in here.children[0]:
        if is_plain and name != _COUNTER and _names(here, child) & ours:
            rest = [Child(*one) for one in here.children[0] if one[1] != name]
            yield _with_root(here, (*here.children[child], *rest)), _call(here, {}, root=name)
    for child, name in there.children[0]:
        if _is_public(name) and _names(there, child) & theirs:
            yield _held(here, name), f"tf.train.Checkpoint({name}=model)"


def _is_public(name: str) -> bool:
    """Tell whether a child may be an argument of a call: not one that Keras gives a model."""
    return name.isidentifier() and not name.startswith("_")


def _call(here: ObjectGraph, changed: dict[str, str], *, root: str | None = None) -> str:
    names = sorted(name for _, name in here.children[0] if name not in (_COUNTER, root))
    words = [] if root is None else [root]
    words += [f"{changed.get(name, name)}={name}" for name in names]
    return f"tf.train.Checkpoint({', '.join(words)})"


def _with_root(graph: ObjectGraph, children: tuple[Child, ...]) -> ObjectGraph:
    return ObjectGraph((graph.nodes[0]._replace(children=children), *graph.nodes[1:]))


def _held(graph: ObjectGraph, name: str) -> ObjectGraph:
    """Give the objects with a new root that holds the old one by a name."""
    moved = len(graph)
    nodes = [
        node._replace(children=tuple(Child(child or moved, word) for child, word in node.children))
        for node in graph.nodes
    ]
    counter = [Child(*one) for one in graph.children[0] if one[1] == _COUNTER]
    root = graph.nodes[0]._replace(
        children=(Child(moved, name), *counter), attributes=(), slot_variables=()
    )
    return ObjectGraph((root, *nodes[1:], nodes[0]))


def _without_optimizer(
    saved: Checkpoint, target: Checkpoint, result: RestoreForecast
) -> Iterator[Cure]:
    """Leave out the children of the root that hold what raises."""
    graph = target.evidence.graph
    raising = {v.target.key for v in result.values if v.outcome is Outcome.RAISES}
    if graph is None or not result.raises:
        return
    keep: list[Child] = []
    left: list[Child] = []
    for child, name in graph.children[0]:
        below = {graph.variables.get(node) for node in graph.walk(child)}
        slots = {slot for node in graph.walk(child) for _, _, slot in graph.nodes[node][2]}
        below |= {graph.variables.get(node) for node in slots}
        has_own = bool(below & raising) or (not raising and "_variables" in _names(graph, child))
        (left if has_own else keep).append(Child(child, name))
    names = [name for _, name in keep if name != _COUNTER]
    if not left or not names or not all(map(_is_public, names)):
        return
    n, raises = count_restored(saved, target, _with_root(graph, tuple(keep)))
    if raises or not n:
        return
    call = f"tf.train.Checkpoint({', '.join(f'{name}={name}' for name in names)})"
    what = "the model alone" if names == ["model"] else f"{' and '.join(names)} alone"
    way = f"{what}: {call}.restore(…)"
    if result.optimizers and _are_strange(result):
        there, here = result.optimizers
        way += f", {there}'s moments are of no use to {here}"
    yield Cure(way, n, len(result.values), None, call)


def _names(graph: ObjectGraph, node: int) -> set[str]:
    return {name for _, name in graph.children[node]}


# By name: value by value, in the program.


def _by_name(
    result: RestoreForecast, pairs: Sequence[tuple[Stored, Stored]], command: str
) -> Cure | None:
    n_made = sum(one.target.key is None for one in result.values)
    if len(pairs) + n_made <= result.counts["restored"] and not result.raises:
        return None
    renamed = [(a.name, b.name) for a, b in pairs if a.name != b.name]
    how = "by name"
    if renamed and len(renamed) <= 2:
        how = f"by name, {' and '.join(f'{b} from {a}' for a, b in renamed)}"
    elif renamed:
        how = f"by name, {len(renamed)} of them renamed"
    line = f"{command} --python"
    return Cure(f"{how}: {line}", len(pairs), len(result.values), line)


def _beyond(
    result: RestoreForecast,
    pairs: Sequence[tuple[Stored, Stored]],
    cures: Sequence[Cure],
    saved: Checkpoint,
    target: Checkpoint,
) -> Iterator[Cure]:
    """Say of what nothing brings that nothing there fits, or that shapes differ."""
    if cures and cures[-1].code is not None:
        return
    paired = {here.key for _, here in pairs}
    lacking = [
        one
        for one in result.values
        if one.target.key and one.target.key not in paired and one.outcome is not Outcome.RESTORED
    ]
    if not lacking:
        return
    reshaped: list[str] = []
    strange: list[str] = []
    shapes = ""
    for one in lacking:
        other = saved.get(one.name)
        if other is not None and other.shape != one.target.shape:
            reshaped.append(one.name)
            shapes = shapes or (
                f"{shape_text(other.shape)} there, {shape_text(one.target.shape)} here"
            )
        else:
            strange.append(one.name)
    total = len(result.values)
    if reshaped:
        differ = "differs" if len(reshaped) == 1 else "differ"
        way = f"{in_scopes(reshaped)} {differ} in shape: {shapes}"
        yield Cure(way, len(reshaped), total)
    if strange:
        yield Cure(f"nothing there fits {in_scopes(strange)}", len(strange), total)


# Legacy .h5: the other ways that load_weights has.


def _other_ways(result: RestoreForecast, saved: Checkpoint, target: Checkpoint) -> Iterator[Cure]:
    base = f"ckread compat {saved.path} {target.path}"
    for way, engine in (
        (Way.H5_BY_NAME, forecast_layer_names),
        (Way.H5_IN_ORDER, forecast_in_order),
    ):
        for skips in (False, True):
            try:
                other = engine(saved, target, skip_mismatch=skips)
            except CheckpointError:
                continue
            if other.call == result.call:
                continue
            options = f"--as {way}" + (" --skip-mismatch" if skips else "")
            total = len(result.values)
            if other.raises:
                first = next((v for v in other.values if v.outcome is Outcome.RAISES), None)
                if result.raises and way is Way.H5_BY_NAME and first is not None and not skips:
                    yield Cure(f"{options}: raises, {first.name} is {first.reason}", 0, total)
                continue
            n = other.counts["restored"]
            lacking = [v.name for v in other.values if v.outcome is not Outcome.RESTORED]
            if n > result.counts["restored"] or result.raises:
                but = f": all but {in_scopes(lacking)}" if lacking else ""
                yield Cure(f"{options}{but}", n, total, f"{base} {options}")
