"""Diffusion: how far walkers get, by time and by waiting time, and the fractional theory of it.

Symbols: tau is a lag, t_w a waiting time, alpha the exponent of displacement ~ tau^alpha, H the order of the memory.
"""
