"""All targets by name: our parsers, and the two that compare us with other readers."""

from __future__ import annotations

from tests.fuzz import against_protobuf, against_tensorflow
from tests.fuzz.targets import TARGETS

EVERY_TARGET = {
    **TARGETS,
    **{target.name: target for target in (against_protobuf.TARGET, against_tensorflow.TARGET)},
}
