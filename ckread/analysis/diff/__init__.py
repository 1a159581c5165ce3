"""What changed between two checkpoints.

The doors are `diff` and `records`, the result, and `difference`, one variable before and after,
for a picture. Which variable is which: `pairing`, `renaming`, `matching`, `leftovers`,
`contents`, `conversion`. How far it moved: `values`, `kernels`, `metrics`.
"""
