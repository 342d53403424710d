"""The supplement's experiment: full-batch descent of a small network on a table.

Its run on disk, its displacement, its chaos and the map of its path. Symbols as in `walkers` and `diffusion`.
"""
