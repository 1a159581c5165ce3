"""The audit of a run: did it go on as it should, and what did its optimizer do.

The doors are `seams`, `optimizer` and `records`.
"""
