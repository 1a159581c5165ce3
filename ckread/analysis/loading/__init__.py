"""What a program that loads a file would run, read or write: told, never run.

The door is `loading` (`on_loading`, and the facts that it gives). `graph` follows what leads
to an operation, `ops` says what operations do; `keras` reads configurations, `bytecode` what a
Lambda is made of; `pickles` the opcodes of a pickle.
"""
