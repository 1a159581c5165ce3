"""Whether a checkpoint is sound.

The doors are `check` and `findings`, the report. `index`, `directory`, `values` and `training`
look at one thing each, `finite` at every element; `tensorflow` asks for TensorFlow's own verdict.
"""
