"""Kernels as tiles, and what the layer makes of an image.

The doors are `filters` (the kernels of one variable) and `responses` (its activation maps);
`activation` tells from a model's configuration how the layer computes them.
"""
