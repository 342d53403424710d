"""Curvature of a network's loss: Hessian products, top eigenpairs, trace and spectral density."""
