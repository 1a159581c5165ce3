"""One file per kind of picture; each gives a matplotlib figure."""
