"""What a restore would do, from two checkpoints alone: one engine per way of restoring.

The doors are `compat`, which chooses the way and gives the forecast, `records`, what a
forecast is made of, and `scopes`, which names many values in few words.
"""
