"""Arguments to exit code: one thin file per command."""
