"""The analysis of an image: wavelet leaders, their spectrum with its interval, roughness, and whether it is fractal at all.

Symbols: j is an octave of scale, q an order of moments, zeta(q) the scaling exponents, D(h) the
spectrum, c_p the log-cumulants.
"""
