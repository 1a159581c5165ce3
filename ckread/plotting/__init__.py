"""Pictures for Python: `plot_<word>` draws what `ckread.<word>` gives, as a matplotlib figure.

Without `ax` it is the picture that the command writes: laid out whole, in the house
style, no part of pyplot's state; a notebook shows it, `savefig` writes it. With `ax`
the data alone is drawn there, and the figure of these axes is given back.
"""
