"""The audit of a run: did it go on as it should, and what did its optimizer do.

The doors are `seams`, `optimizer` and `records`. Seams are found from `states`, by `kinds`,
and where counters alone do not tell from values, by `sampling`; what an optimizer did follows
by its `rules` from its slots, which `updates` reads.
"""
