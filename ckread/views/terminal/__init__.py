"""The page: what every view writes on.

The doors are `page` (sections of blocks, on paper of some width), `table`, and `words` (numbers
and names as text). `html` shows a page in a notebook.
"""
