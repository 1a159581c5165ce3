"""Files that lie elsewhere."""
