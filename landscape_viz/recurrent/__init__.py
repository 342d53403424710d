"""Losses through time, where forward passes can be chaotic: networks and plants, their planes, and the exponent they should have."""

import lazy_loader

from multifractal.base.extras import explained

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explained(__getattr__)
