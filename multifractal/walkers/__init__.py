"""Walkers: gradient descent and its variants on a landscape, their stability, chaos, and drift to flat ground.

Symbols: (x, y) is a position in pixels, g the gradient, eta the learning rate, lambda a
Hessian eigenvalue or a Lyapunov exponent.
"""
