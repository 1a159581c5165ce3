"""TensorFlow's V2 checkpoints: an index, and raw data shards.

The doors are `reader` (`TensorBundle`) and `memo` (indexes of a run, which are alike). `index`
makes records of an index, `columns` columns of a large one, `layout` says where tensors lie,
`strings` reads what is no plain bytes.
"""
