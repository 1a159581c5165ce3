"""Fuzzing: mutants of every kind of file give their content or a `CheckpointError`, soon.

A short seeded run is a normal test, and `.ci/run` has three minutes of all targets. By hand:

    python -m tests.fuzz --minutes 480 --seed $(date +%j)   a night: all targets in turn
    python -m tests.fuzz --mutants 1000000 --seed 1         until there were so many
    python -m tests.fuzz --seconds 1200 bundle wire         some targets, each in this process
    python -m tests.fuzz python --again FILE                a mutant that failed
    python -m tests.fuzz --engine atheris bundle --seconds 1200

Mutants are made by the structure of their format, with every checksum made right again, or
they would be refused at the door: entries, slices, strings and object graphs of bundles, V1
tables, HDF5 by h5py, members of archives, graphs by protobuf's own classes, logs, images,
state files. They are read (`…_parts`), used by every command (`command`) and from Python, by
threads too (`python`); and what `check` calls sound must be readable by h5py, zipfile and, for
a sample, TensorFlow (`sound`).

A mutant fails by any exception but ours, a fault of ckread in words, an exit code, JSON or
output that breaks the contract, 2 s of CPU, or 300 MB. It is made as small as it can be, and
written to `tests/fuzz/crashers/<target>/`, where tests find it from then on. A file on which a
library hangs, or crashes, ends its process alone, and stays as `unread-…`.

Two targets compare: `against_protobuf` the wire decoder with protobuf's, and
`against_tensorflow` our reader with TensorFlow's, which reads in a process of its own.
`atheris` (`pip install atheris`) is guided by coverage, one target per process.
"""
