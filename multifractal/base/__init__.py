"""The ground floor: checks, random streams, files, chunks of work, Fourier transforms, results.

Everything else stands on it, `landscape_viz`, `experiments` and `campaign` included.
"""
