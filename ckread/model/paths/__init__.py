"""From what a person types to the files of one checkpoint.

The doors are `locate` (any path to a place), `location` (the files of that place) and `scanning`
(the checkpoints of a directory, and directories that hold something else). The others are imported
when they are needed: `latest` for a directory and where a name says nothing, `nearby` where there
is nothing.
"""
