"""TensorFlow's V1 checkpoints: a table that holds the values too.

The door is `reader` (`V1Table`); `values` needs numpy and is imported when values are asked for.
"""
