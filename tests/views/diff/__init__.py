"""The page of diff."""
