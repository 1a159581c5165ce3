"""One page for a colleague: the pages and pictures of the commands, as a document of their own.

The door is `page`. `style.css` and `script.js` are written into it; nothing is fetched.
"""
