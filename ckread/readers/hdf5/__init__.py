"""HDF5 files, of any writer: this wing knows nothing of Keras.

The doors are `file` (`HDF5File`: what is in it) and `values` (what lies nowhere plainly).
`plain` parses what Keras writes without h5py, by the object headers of `messages`; `library`
reads the rest through h5py, behind the walls `guard` and `texts`, in the child of `process`.
"""
