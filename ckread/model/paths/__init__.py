"""From what a person types to the files of one checkpoint.

The doors are `locate` (any path to a place) and `location` (the files of that place). The
others are imported when they are needed: `contents` where a name says nothing, `latest` and
`scanning` for a directory, `nearby` where there is nothing.
"""
