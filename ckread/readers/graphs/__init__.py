"""The graphs that TensorFlow stores beside values.

The doors are `object_graph` (trackable objects) and `meta_graph` (the graph of `.meta` files and
SavedModels); `signatures` says what a SavedModel takes, gives and holds.
"""
