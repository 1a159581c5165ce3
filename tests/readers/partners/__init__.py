"""V1 checkpoints."""
