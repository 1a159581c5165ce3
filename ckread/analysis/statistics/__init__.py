"""Statistics and distributions of values.

The doors are `statistics` (of a checkpoint and of a run) and `distribution` (what is known of
one variable's values). `measuring` is the pass over all bytes, `sketch` what it keeps of them,
`moments` its exact sums.
"""
