"""TensorFlow's V2 checkpoints: an index, and raw data shards.

The door is `reader` (`TensorBundle`). `index` makes records of an index and `memo` keeps those
of a run; `layout` says where tensors lie, `strings` reads what is no plain bytes.
"""
