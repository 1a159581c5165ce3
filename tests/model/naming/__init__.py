"""Names of variables."""
