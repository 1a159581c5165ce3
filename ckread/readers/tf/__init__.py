"""The reference: the same contract over TensorFlow's own reader.

The door is `reader` (`TensorFlowReader`). `library` imports TensorFlow without a word, and
`restoring` is run with `python -m` in a process of its own.
"""
