"""Model in, frozen results out; no text and no files.

What reads values goes through `scan`, the one engine, with a kernel of its own, on the
processes of `workers`. Shared too: `checksums` of contents and `norms`.
"""
