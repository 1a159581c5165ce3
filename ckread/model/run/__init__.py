"""A run: the checkpoints of one training.

The doors are `run` (`Run`, `open_run`) and `entries`, plain data: what a listing shows of each
checkpoint. `places` finds them, `state` is what a state file says of them, `grouping` says which
belong together, `opening` opens many that are built alike.
"""
