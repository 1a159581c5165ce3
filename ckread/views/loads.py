"""The page of `ckread loads`: what a program that loads the file would run, read or write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.loading.records import KNOWN_FROM, UNREAD_CODE, What
from ckread.model.display import by, safe_text, safe_word
from ckread.readers.contract import few
from ckread.views.terminal.page import Lines, Page, PipedOnly, Prose, Span, TerminalOnly, footer
from ckread.views.terminal.page import heading as titled
from ckread.views.terminal.table import Column, Justify, Table
from ckread.views.terminal.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.loading.records import LoadFact, OnLoading
    from ckread.views.terminal.page import Block

_SCOPE = (
    "This is about what a program that loads the file would do, in any branch of it; soundness "
    "(check) is about its bytes."
)
_LIBRARY = f"TensorFlow {KNOWN_FROM.split()[-1]}"
_STYLES = {What.PRINTS: "muted", What.CUSTOM_OP: ""}
_CHAINS = 3
_NAMES_SHOWN = 4
_OTHERS = 3


def _called(fact: LoadFact) -> str:
    """Give the name of the signature or function whose call leads there."""
    return fact.when.removeprefix("signature ").removeprefix("call of ")


def _when(fact: LoadFact) -> str:
    """Give what leads there as one word, `signature:serve`."""
    is_named = fact.trigger in ("signature", "call")
    called = _called(fact)
    return safe_word(f"{fact.trigger}:{called}" if is_named else called.replace(" ", "-"))


_COLUMNS: list[Column[LoadFact]] = [
    Column(title="what", piped=lambda fact: fact.what.value),
    Column(title="when", piped=_when),
    Column(title="where", piped=lambda fact: safe_word("/".join(fact.place))),
    Column(title="op", piped=lambda fact: safe_word(fact.op)),
    Column(title="count", piped=lambda fact: str(fact.n), justify=Justify.RIGHT),
    Column(title="detail", piped=lambda fact: safe_word(fact.detail) if fact.detail else "-"),
]


def loads_page(found: OnLoading) -> Page:
    """Lay out what loading a file would do."""
    said = sentence(found)
    said = said if said.startswith("load_model") else f"{said[:1].upper()}{said[1:]}"
    whose = "SavedModel" if found.kind == "saved-model" else "graph with a saver"
    not_listed = f"Not listed: saving and restoring, as in every {whose}."
    chains: list[str] = [
        safe_text(f"{_called(fact)}: {', '.join(fact.place[:-1])}, then {fact.op}.")
        for fact in found.facts
        if fact.trigger == "signature" and len(fact.place) > 1
    ]
    if len(chains) > _CHAINS:
        chains[_CHAINS:] = [f"And {len(chains) - _CHAINS} more ({by('--json', '.facts')})."]
    notes = [
        " ".join(chains),
        not_listed if found.not_listed else "",
        _index_words(found),
        _others_words(found),
        _SCOPE,
    ]
    return Page(
        [titled(found.path), Prose(said)],
        TerminalOnly(*_rows(found)) if found.facts else [],
        [footer(note) for note in notes if note],
        PipedOnly(Table(_COLUMNS, list(found.facts))),
    )


def _strict() -> str:
    """Say what a check counts of this."""
    counted = by("--strict makes it count.", ".on_loading has it.")
    return (
        'Soundness is about the bytes; "on loading" is about what a program that loads the '
        f"file would run. {counted}"
    )


def check_sections(found: OnLoading) -> list[list[Block]]:
    """Lay out the same for `check`: one line where there is nothing to tell."""
    notes: list[Block] = []
    if found.index_as_exported is False:
        notes = [TerminalOnly(Prose(Span(_index_words(found), "warning")))]
    if found.others:
        notes.append(TerminalOnly(Prose(f"  {_others_words(found)}", indent=2)))
    if not found.facts:
        line = Prose(Span("on loading", "label"), f"  {sentence(found)}", indent=12)
        return [[TerminalOnly(line), *notes]]
    rows = _section([(fact, ()) for fact in found.facts])
    return [[*rows, *notes], [footer(_strict())]]


def run_sections(told: Sequence[tuple[str, OnLoading | None]]) -> list[list[Block]]:
    """Lay out the same for a run, of named checkpoints: what is alike once, with where it is."""
    alike: dict[tuple[object, ...], tuple[LoadFact, list[str]]] = {}
    for name, found in told:
        for fact in found.facts if found is not None else ():
            alike.setdefault(fact.likeness, (fact, []))[1].append(name)
    n_read = sum(found is not None for _, found in told)
    if alike:
        return [_section(list(alike.values())), [footer(_strict())]]
    if not n_read:
        return []
    line = f"  nothing is listed: {plural(n_read, 'checkpoint')} with a graph or a configuration."
    return [[TerminalOnly(Prose(Span("on loading", "label"), line, indent=12))]]


def _section(facts: Sequence[tuple[LoadFact, Sequence[str]]]) -> list[Block]:
    """Give a line for each fact, and the checkpoints in which it is, where there are several."""
    width = 4 + max(len(fact.what.words) for fact, _ in facts)
    rows: list[Block] = [TerminalOnly(Lines([(Span("on loading", "label"),)]))]
    for fact, names in facts:
        head = Span(f"  {fact.what.words:<{width - 2}}", _STYLES.get(fact.what, "warning"))
        when = "" if fact.trigger == "load" else f"{safe_text(fact.when)}: "
        where = f"{when}{_where(fact)}"
        if names:
            shown = names if len(names) <= _NAMES_SHOWN else (names[0], "…", names[-1])
            where += f" ({plural(len(names), 'checkpoint')}: {safe_text(', '.join(shown))})"
        rows.append(TerminalOnly(Prose(head, where, indent=width)))
        rows.append(PipedOnly(Prose(f"on loading: {fact.what.words}, {where}")))
    return rows


def sentence(found: OnLoading) -> str:
    """Sum up what loading a file would do; what can be said of most files is said of them."""
    if found.facts:
        return _told(found)
    if found.kind == "keras":
        told = f"no code and no module but Keras's own: {plural(found.n_layers, 'object')}"
        if found.own:
            classes = plural(len(found.own), "class", nouns="classes")
            names = safe_text(", ".join(found.own[:3]))
            told = f"{told}, {classes} that the program has to register ({names})"
        return f"{told}."
    if found.kind == "pickle":
        return "nothing is imported but what pickled arrays need."
    if found.kind == "values":
        return "nothing: it holds values, no graph of operations and no configuration."
    size = plural(found.n_nodes, "node")
    if found.kind == "saved-model":
        size = f"{size}, {plural(found.n_signatures, 'signature')}"
    if found.tables:
        n = found.tables
        files = plural(n, "text file")
        return f"reads {files} into {plural(n, 'table')} when it is initialized: {size}."
    own = " Files: only its own variables." if found.kind == "saved-model" else ""
    return f"nothing beyond TensorFlow's own ops: {size}.{own}"


_SUBJECTS = {
    "initialization": "initializing it",
    "saving": "saving or restoring it",
    "deletion": "deleting the object",
    "run": "running its graph",
}


def _told(found: OnLoading) -> str:
    """Say what calls and loading do, each subject once, and which ops are missing."""
    by_when: dict[str, dict[What, None]] = {}
    for fact in found.facts:
        if fact.what is not What.CUSTOM_OP and fact.op != UNREAD_CODE:
            by_when.setdefault(_subject(fact), {})[fact.what] = None
    clauses = []
    for subject, whats in by_when.items():
        words = [what.words for what in whats]
        if {"writes files", "reads files"} <= set(words):
            words.remove("reads files")
            words[words.index("writes files")] = "writes and reads files"
        verbs = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        clauses.append(f"{subject} {verbs}")
    sentences = [f"{'; '.join(clauses)}."] if clauses else []
    if any(fact.op == UNREAD_CODE for fact in found.facts):
        sentences.append("holds code that Keras does not read.")
    custom = dict.fromkeys(f.op for f in found.facts if f.what is What.CUSTOM_OP)
    if custom:
        n = plural(len(custom), "op")
        sentences.append(f"needs {n} that {_LIBRARY} does not have: {', '.join(custom)}.")
    first, *rest = sentences
    return safe_text(" ".join([first, *(f"{x[:1].upper()}{x[1:]}" for x in rest)]))


def _subject(fact: LoadFact) -> str:
    if fact.trigger in ("signature", "call"):
        called = _called(fact)
        return f"calling {'the object' if called == 'object' else called}"
    if fact.trigger == "nothing":
        return "a function that nothing reaches"
    return _SUBJECTS.get(fact.trigger, fact.when)


def _where(fact: LoadFact) -> str:
    """Say which operation it is, and what is known of it."""
    if fact.trigger == "load" or fact.op == UNREAD_CODE:
        place = safe_text("/".join(fact.place[:-1]))
        return f"{safe_text(fact.detail)}.{f' In {place}.' if place else ''}"
    n = f" ({fact.n:,})" if fact.n > 1 else ""
    detail = f", {fact.detail}" if fact.detail else ""
    function = f", in {fact.place[-2]}" if len(fact.place) > 1 and not detail else ""
    return safe_text(f"{fact.op}{n}{detail}{function}")


def _rows(found: OnLoading) -> list[Block]:
    """Give a line for each fact, what and when in columns, the rest set in below itself."""
    facts = found.facts
    what_width = 2 + max(len("what"), *(len(fact.what.words) for fact in facts))
    when_width = 2 + min(30, max(len("when"), *(len(safe_text(fact.when)) for fact in facts)))
    head = f"{'what':<{what_width}}{'when':<{when_width}}where"
    rows: list[Block] = [Lines([(Span(head, "label"),)])]
    for fact in facts:
        what = Span(f"{fact.what.words:<{what_width}}", _STYLES.get(fact.what, "warning"))
        when = f"{safe_text(fact.when):<{when_width}}"
        rows.append(Prose(what, f"{when}{_where(fact)}", indent=what_width + when_width))
    return rows


def _index_words(found: OnLoading) -> str:
    """Say whether the values are those that the export was made with."""
    if found.index_as_exported is None:
        return ""
    if found.index_as_exported:
        return "The index of its values is the one it was exported with (fingerprint.pb)."
    return "The index of its values is not the one it was exported with (fingerprint.pb)."


def _others_words(found: OnLoading) -> str:
    """Say what lies there beside what the writer makes: how many, and the first."""
    if not found.others:
        return ""
    n, shown = len(found.others), safe_text(few(found.others, _OTHERS))
    if found.kind == "saved-model":
        return f"{plural(n, 'file')} in assets.extra, which loading does not read: {shown}."
    return f"{plural(n, 'member')} that Keras does not write: {shown}."
