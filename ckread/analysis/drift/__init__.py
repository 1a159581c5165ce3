"""How every variable moved over a run.

The doors are `drift` and `records`, the result. `series` puts a variable's place in every
checkpoint side by side, `kernel` reads it through all of them, `measuring` makes figures of it.
"""
