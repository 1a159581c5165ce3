"""V2 checkpoints."""
