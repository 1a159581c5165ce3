"""Live models of every kind, and what their checkpoints must tell."""
