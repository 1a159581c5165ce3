"""Files to records, in each format's own words: bytes, offsets, checksums."""
