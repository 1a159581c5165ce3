"""Atheris: mutations guided by which lines of `ckread` they reach; one target per process.

It has to see the imports, so nothing of `ckread` is imported before it.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any


def run_atheris(name: str, seconds: int) -> None:
    """Fuzz a target; does not return. What fails is kept and reported on stderr."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["ckread"]):
        from tests.fuzz.every_target import EVERY_TARGET
        from tests.fuzz.running import Report, try_one
    from tests.fuzz.workplace import Workplace

    target, place, report = EVERY_TARGET[name], Workplace(), Report()
    seeds = target.seeds()
    began = time.monotonic()

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            other: bytes = atheris.Mutate(data, max_size)
            return other
        return target.mutate(data or rng.choice(seeds), seeds, rng)[:max_size]

    def read(data: Any) -> None:
        n_failures = len(report.failures)
        try_one(target, bytes(data), place, report, keep=True)
        for failure in report.failures[n_failures:]:
            sys.stderr.write(f"{name}: FAILURE {failure}\n")
        if report.n_files % 1000 == 0:
            sys.stderr.write(
                f"{name}: {report.n_files} files, {time.monotonic() - began:.0f} s, "
                f"{report.outcomes}, slowest {report.slowest:.2f} s\n"
            )

    for i, seed in enumerate(seeds):
        os.makedirs(place.path("corpus"), exist_ok=True)
        place.write(f"corpus/{i}", seed)
    options = [
        f"-max_total_time={seconds}", "-max_len=131072", "-rss_limit_mb=4096", "-timeout=30",
        "-verbosity=0", place.path("corpus"),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], read, custom_mutator=mutate)
    atheris.Fuzz()
