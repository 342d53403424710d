"""Figures of sections and probes: a function takes results and returns matplotlib axes; nothing is computed here."""

import lazy_loader

from multifractal.base.extras import explained

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explained(__getattr__)
