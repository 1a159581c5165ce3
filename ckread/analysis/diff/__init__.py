"""What changed between two checkpoints.

The doors are `diff` and `records`, the result. Which variable is which: `pairing`, `renaming`,
`matching`, `leftovers`, `contents`. How far it moved: `checksums`, `values`, `kernels`,
`metrics`. `difference` is one variable before and after, for a picture.
"""
