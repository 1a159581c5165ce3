"""Keras files: weights in HDF5, alone, in a `.keras` archive or in shards.

The doors are `reader` (one HDF5 file or several as one checkpoint), `archive` (what they are
packed in), `config` (the configuration as data, of which names are made) and `saved_metadata`
(that of a SavedModel of Keras 2). `zip_members` is the guarded zip, `layers` says which group is
which layer, `values` reads datasets, and `packed_int4` those of one encoding.
"""
