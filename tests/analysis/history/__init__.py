"""The curves of a training, and who holds its epochs."""
