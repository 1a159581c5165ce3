"""The long run: see the package."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Fuzz; give 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--files", type=int, help="mutated files per target, instead of seconds")
    parser.add_argument("--kept", action="store_true", help="only what once failed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    arguments = parser.parse_args()
    if arguments.engine == "atheris":
        return _atheris(arguments.targets[0], int(arguments.seconds))
    from tests.fuzz.every_target import EVERY_TARGET
    from tests.fuzz.running import run_seeded, try_kept

    names = arguments.targets or list(EVERY_TARGET)
    n_failures = total = 0
    for name in names:
        if arguments.kept:
            report = try_kept(EVERY_TARGET[name])
        elif arguments.files is not None:
            report = run_seeded(
                EVERY_TARGET[name], seed=arguments.seed, n_files=arguments.files, alone=True
            )
        else:
            seconds = arguments.seconds / len(names)
            report = run_seeded(
                EVERY_TARGET[name], seed=arguments.seed, seconds=seconds, keep=True, alone=True
            )
        total += report.n_files
        n_failures += len(report.failures)
        sys.stdout.write(
            f"{name}: {report.n_files} files, slowest {report.slowest:.2f} s, "
            f"{report.outcomes}, {len(report.failures)} failures\n"
        )
        for failure in list(dict.fromkeys(report.failures))[:5]:
            sys.stdout.write(f"{failure}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total} files, {n_failures} failures\n")
    return int(n_failures > 0)


def _atheris(name: str, seconds: int) -> int:
    import random

    random.seed(0)
    from tests.fuzz.engine import run_atheris

    run_atheris(name, seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
