"""The page of info."""
