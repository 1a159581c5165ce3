"""Statistics and distributions."""
