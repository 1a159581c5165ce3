"""The reference: the same contract over TensorFlow's own reader.

The doors are `reader` (`TensorFlowReader`) and `live` (`LiveReader`, the objects of a program
that runs). `library` imports TensorFlow without a word, and
`restoring` is run with `python -m` in a process of its own.
"""
