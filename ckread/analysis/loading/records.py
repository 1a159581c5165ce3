"""What was found of loading a file, and what TensorFlow's operations do beside computing."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from ckread.model.display import Field, Kind, document, frame
from ckread.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_OTHERS = 20
"""Names of unusual members or files in a document; on a screen there are fewer."""


@dataclass(frozen=True, slots=True)
class LoadFact:
    """One thing that a program which loads the file would do.

    Example:
        >>> import pathlib, pickle, tempfile, webbrowser
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.pkl")
        ...     _ = path.write_bytes(pickle.dumps(webbrowser.open))
        ...     fact = ckread.loads(path)[0]
        >>> str(fact.what), fact.when, fact.trigger, fact.place, fact.op, fact.n
        ('pickle', 'unpickling', 'load', ('webbrowser.open',), 'webbrowser.open', 1)
        >>> fact.detail, fact.constants, fact.likeness[2], list(fact.to_dict())[:2]
        ('imports webbrowser.open', (), 'webbrowser.open', ['what', 'when'])

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
        return document(FACT_FIELDS, self)

    @property
    def likeness(self) -> tuple[object, ...]:
        """What facts that are told once have in common; a graph's nodes are not told apart."""
        place = self.place if self.trigger == "load" else ()
        return self.what, self.when, self.op, self.detail, self.constants, place


FACT_FIELDS: tuple[Field[LoadFact], ...] = (
    Field("what", Kind.TEXT),
    Field("when", Kind.TEXT),
    Field("trigger", Kind.TEXT),
    Field("place", Kind.SHAPE),
    Field("op", Kind.TEXT),
    Field("detail", Kind.TEXT, lambda fact: fact.detail or None),
    Field("constants", Kind.SHAPE),
    Field("count", Kind.COUNT, lambda fact: fact.n),
)
"""What is told of a fact: JSON and pandas."""


@dataclass(frozen=True, slots=True, repr=False)
class OnLoading(Records[LoadFact]):
    """What a program that loads a file would run, read or write.

    Its records are the facts, by the operation, class or function: `"ReadFile" in found`.

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
        others: members or files that the writer does not make: what Keras does not write into an
            archive, what lies in `assets.extra` of a SavedModel.
        reached: functions that a signature or the initialization reaches.
        by_object: further ones that calling the loaded object reaches.
        unreached: those that nothing reaches.

    Example:
        >>> ckread.loads("fixtures/digits_export")
        <ckread.OnLoading 'fixtures/digits_export': saved-model, 0 facts>
        >>> print(ckread.loads("fixtures/digits_files/digits.keras"))
        fixtures/digits_files/digits.keras
        No code and no module but Keras's own: 42 objects.
        <BLANKLINE>
        This is about what a program that loads the file would do, in any branch of it;
        soundness (check) is about its bytes.
        >>> found = ckread.loads("fixtures/digits_export")
        >>> found.n_nodes, found.n_signatures, found.n_layers, dict(found.not_listed)
        (434, 2, 0, {'RestoreV2': 1, 'ShardedFilename': 1, 'SaveV2': 1, 'MergeV2Checkpoints': 1})
        >>> found.reached, found.by_object, found.unreached, found.index_as_exported
        (3, 2, 0, True)
        >>> found.facts, found.own, found.tables, found.others
        ((), (), 0, ())
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
    others: tuple[str, ...] = ()
    reached: int = 0
    by_object: int = 0
    unreached: int = 0

    @property
    def _records(self) -> tuple[LoadFact, ...]:
        return self.facts

    def _name_of(self, record: LoadFact) -> str | None:
        return record.op

    def __repr__(self) -> str:
        """Show path, kind and number of facts."""
        return f"<ckread.OnLoading {self.path!r}: {self.kind}, {len(self.facts)} facts>"

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `loads` document."""
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
            "others": {"count": len(self.others), "names": list(self.others[:MAX_OTHERS])},
            "ops_known_from": KNOWN_FROM,
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per fact, in the order of what is run first.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame(FACT_FIELDS, self.facts)


def together(facts: Sequence[LoadFact]) -> tuple[LoadFact, ...]:
    """Put what is alike but for its place into one fact, counted."""
    found: dict[tuple[object, ...], LoadFact] = {}
    for fact in facts:
        known = found.get(fact.likeness)
        found[fact.likeness] = fact if known is None else replace(known, n=known.n + fact.n)
    return tuple(found.values())


# `tensorflow_ops.txt` is the registry of TensorFlow 2.21, as `TF_GetAllOpList` gives it: one name
# a line, with an `f` where an attribute may name functions. What is not in it comes from a library
# of its own, or from a TensorFlow of another age.


KNOWN_FROM = "tensorflow 2.21"
UNREAD_CODE = "code"
"""What code is called that lies where nothing reads it."""


class What(StrEnum):
    """What loading or calling would do."""

    RUNS_PYTHON = "runs-python"
    RUNS_PROCESS = "runs-process"
    IMPORTS = "imports"
    PICKLE = "pickle"
    WRITES_FILES = "writes-files"
    READS_FILES = "reads-files"
    EXTERNAL_LINK = "external-link"
    NETWORK = "network"
    CUSTOM_OP = "custom-op"
    PRINTS = "prints"

    @property
    def words(self) -> str:
        """It in words, `runs Python`."""
        return _WORDS.get(self.value, self.value.replace("-", " "))


_WORDS = {
    "runs-python": "runs Python",
    "runs-process": "runs a process",
    "custom-op": "custom op",
    "pickle": "unpickles",
}

_OPS = {
    What.RUNS_PYTHON: "PyFunc PyFuncStateless EagerPyFunc",
    What.WRITES_FILES: (
        "WriteFile DumpTensor SaveDataset SaveDatasetV2 DistributedSave DatasetToTFRecord "
        "ExperimentalDatasetToTFRecord SnapshotDataset SnapshotDatasetV2 CreateSummaryFileWriter "
        "CreateSummaryDbWriter DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount "
        "DebugNumericSummary CalibrationStatisticsSaver"
    ),
    What.READS_FILES: (
        "ReadFile MatchingFiles WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 "
        "TFRecordReader TFRecordReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 "
        "LMDBReader TextLineDataset TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDataset "
        "FixedLengthRecordDatasetV2 CSVDataset CSVDatasetV2 ExperimentalCSVDataset LMDBDataset "
        "ExperimentalLMDBDataset SqlDataset ExperimentalSqlDataset MatchingFilesDataset "
        "ExperimentalMatchingFilesDataset InitializeTableFromTextFile "
        "InitializeTableFromTextFileV2 LoadDataset LoadAndRemapMatrix GenerateVocabRemapping "
        "ImmutableConst SnapshotDatasetReader SnapshotNestedDatasetReader"
    ),
    What.NETWORK: (
        "RpcClient RpcCall RpcServer RpcServerStart RpcServerRegister DataServiceDataset "
        "DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset "
        "RegisterDatasetV2"
    ),
    What.PRINTS: "Print PrintV2",
}
KINDS: dict[str, What] = {op: what for what, ops in _OPS.items() for op in ops.split()}

SAVING = frozenset(
    (
        "Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints", "Restore", "RestoreV2",
        "RestoreSlice", "DTensorRestoreV2", "ShardedFilename", "ShardedFilespec",
    )
)  # fmt: skip
"""What saves and restores variables, in every export."""

FILE_ARGUMENT = {
    "InitializeTableFromTextFile": 1,
    "InitializeTableFromTextFileV2": 1,
    "SqlDataset": 1,
    "ExperimentalSqlDataset": 1,
    "CreateSummaryFileWriter": 1,
    "CreateSummaryDbWriter": 1,
    "SaveDataset": 1,
    "SaveDatasetV2": 1,
    "SnapshotDataset": 1,
    "SnapshotDatasetV2": 1,
    "DatasetToTFRecord": 1,
    "ExperimentalDatasetToTFRecord": 1,
    "DistributedSave": 1,
    "CacheDataset": 1,
    "CacheDatasetV2": 1,
    "MergeV2Checkpoints": 1,
}
"""Which input of an op is the path, where it is not the first."""

PATH_ATTRIBUTE = {
    "PrintV2": "output_stream",
    "ImmutableConst": "memory_region_name",
    "DumpTensor": "log_dir_path",
    "CalibrationStatisticsSaver": "output_file_path",
    "DebugIdentity": "debug_urls",
    "DebugIdentityV2": "debug_urls",
    "DebugIdentityV3": "debug_urls",
    "DebugNanCount": "debug_urls",
    "DebugNumericSummary": "debug_urls",
}
"""An attribute that says where to, of ops that take no path."""


@cache
def _registry() -> dict[str, bool]:
    """Give the operations of TensorFlow, and whether their attributes may name functions."""
    path = os.path.join(os.path.dirname(__file__), "tensorflow_ops.txt")
    with open(path, encoding="ascii") as file:
        return {words[0]: len(words) > 1 for words in map(str.split, file)}


def is_known(op: str) -> bool:
    """Tell whether TensorFlow 2.21 has an operation."""
    return op in _registry()


def has_functions(op: str) -> bool:
    """Tell whether attributes of an operation may name functions."""
    return _registry().get(op, True)
