"""Weights of other worlds: safetensors, numpy's files, PyTorch's archives.

The doors are `safetensors`, `numpy_files` and `pytorch`. Nothing is unpickled and no library
of theirs is imported.
"""
