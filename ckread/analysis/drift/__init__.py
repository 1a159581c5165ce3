"""How every variable moved over a run.

The doors are `drift` and `records`: a variable's place in every checkpoint side by side, and the
result. `kernel` reads it through all of them, `measuring` makes figures of it.
"""
