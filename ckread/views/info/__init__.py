"""The page of `ckread info`.

The door is `page`. `facts` are its words.
"""
