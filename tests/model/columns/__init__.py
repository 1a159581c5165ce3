"""Very many variables as columns."""
