"""How every variable moved over a run.

The doors are `drift` and `records`, the result. `columns` puts the variables of all checkpoints
side by side, `measuring` makes jobs of them, `kernel` reads one stretch through all.
"""
