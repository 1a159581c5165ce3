"""All targets by name: our parsers, what is done with whole files, and who is compared."""

from __future__ import annotations

from tests.fuzz import against_protobuf, against_tensorflow, targets
from tests.fuzz.using import USES

EVERY_TARGET = {
    **targets.TARGETS,
    **USES,
    **{target.name: target for target in (against_protobuf.TARGET, against_tensorflow.TARGET)},
}


def close() -> None:
    """Close what the targets keep open."""
    targets.close()
    against_tensorflow.close()
