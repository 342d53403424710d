"""The geometry of a landscape: its minima and basins, how minima cluster, how roughness and curvature are tied.

Symbols: N(R) is the mean number of minima within R pixels of a minimum; F the flatness, (l1^2 + l2^2)^(-1/4).
"""
