"""Model in, frozen results out; no text and no files."""
