"""Tests of what loading would run."""
