"""Graphs beside the values."""
