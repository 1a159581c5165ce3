"""The curves of a training, and which of its checkpoints holds which epoch.

The door is `history`, the logs joined. `best` tells by which metric an epoch is best, `holders`
ties checkpoints to epochs.
"""
