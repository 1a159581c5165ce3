"""The graphs that TensorFlow stores beside values.

The doors are `object_graph` (trackable objects), `columns` (very many of them), `meta_graph` (the
graph of `.meta` files and SavedModels), `operations` (what a graph would run) and `fingerprint`
(what was exported); `signatures` says what a SavedModel takes, gives and holds.
"""
