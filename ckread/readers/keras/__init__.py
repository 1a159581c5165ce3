"""Keras files: weights in HDF5, alone, in a `.keras` archive or in shards.

The doors are `reader` (one HDF5 file or several as one checkpoint), `archive` (what they are
packed in), `config` (the configuration as data), `topology` (how its layers feed each other,
and the shapes that go through them), `saved_metadata` (the configuration of a SavedModel of
Keras 2) and `layers` (which group is which layer, and what its variables are called).
`zip_members` is the guarded zip, `packed_int4` one encoding.
"""
