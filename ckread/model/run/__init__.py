"""A run: the checkpoints of one training.

The doors are `run` (`Run`, `open_run`), `entries`, plain data: what a listing shows of each
checkpoint, and `places`, which finds them and what the state file says of them. `grouping` says
which belong together, `opening` opens many that are built alike.
"""
