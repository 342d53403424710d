"""Watching a training run from within: what hovers at the edge of stability, measured on a twin of the network."""

import lazy_loader

from multifractal.base.extras import explained

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explained(__getattr__)
