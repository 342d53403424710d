"""Landscapes: surfaces, fields and measures whose law is known.

Symbols: H is the Hurst or Hoelder exponent, r a distance in pixels, N the longer side, zeta(q) the scaling
exponents of moments.
"""
