"""The audit of runs."""
