"""The page of `ckread diff`.

The door is `page`. `rows` makes rows and groups of variables, `verdict` the sentences.
"""
