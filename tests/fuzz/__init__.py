"""Fuzzing: mutated files of every kind give their content or a `CheckpointError`, soon.

A short seeded run is a normal test. The long run, twenty minutes of one core:

    python -m tests.fuzz --seconds 1200                     all targets in turn
    python -m tests.fuzz --seconds 1200 bundle wire         only these
    python -m tests.fuzz --engine atheris bundle --seconds 1200

Two targets compare: `against_protobuf` the wire decoder with protobuf's, and
`against_tensorflow` our reader with TensorFlow's, which reads in a process of its own.
A file on which a library hangs, or crashes, ends the process, and stays as `unread-…`.

`atheris` (`pip install atheris`) is guided by coverage, one target per process. What
fails is written to `tests/fuzz/crashers/<target>/`, and is a test from then on.
"""
