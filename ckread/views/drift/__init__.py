"""The page of `ckread drift`.

The door is `page`. `rows` makes the rows, and the sentences around them.
"""
