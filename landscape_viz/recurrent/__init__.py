"""Losses through time, where forward passes can be chaotic: networks and plants, their planes, and the exponent they should have."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
