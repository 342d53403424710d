"""Degeneracy of a network's minimum: the local learning coefficient, and the models whose coefficient is known exactly."""
