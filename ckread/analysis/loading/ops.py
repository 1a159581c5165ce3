"""What the operations of TensorFlow do beside computing.

`tensorflow_ops.txt` is the registry of TensorFlow 2.21, as `TF_GetAllOpList` gives it: one
name a line, with an `f` where an attribute may name functions. What is not in it comes from
a library of its own, or from a TensorFlow of another age.
"""

from __future__ import annotations

import os
from enum import StrEnum
from functools import cache

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
    "PrintV2": -1,
    "SaveV2": 0,
    "LoadAndRemapMatrix": 0,
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
    "GenerateVocabRemapping": 0,
}
"""Which input of an op is the path, where it is not the first; -1 where none is."""

PATH_ATTRIBUTE = {
    "PrintV2": "output_stream",
    "ImmutableConst": "memory_region_name",
    "DebugIdentityV3": "tfdbg_run_root",
    "DebugIdentityV2": "tfdbg_run_root",
}
"""An attribute that says where to."""


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
