"""Files that lie elsewhere: object stores and web servers, read by ranges through fsspec.

The door is `remote`: what is at an address, and some bytes of it. `ranges` decides how many
bytes are asked for at once, `failures` says in our words what a driver raised. Nothing here is
imported before an address is met: local files are read by `ckread.readers.files` alone.
"""
