"""The page: what every view writes on.

The doors are `page` (sections of blocks, on paper of some width, which rich prints), `table`,
`words` (numbers and names as text), and `html` (a page in a notebook).
"""
