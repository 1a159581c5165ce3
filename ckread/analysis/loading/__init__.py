"""What a program that loads a file would run, read or write: told, never run.

The doors are `loading` (`on_loading`), `records` (what it gives) and `ops` (what operations do).
`graph` follows what leads to an operation; `keras` reads configurations, `bytecode` what a Lambda
is made of; `pickles` the opcodes of a pickle.
"""
