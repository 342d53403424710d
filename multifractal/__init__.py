"""Multifractal loss landscapes: generators, analysis, walkers, and the theory of their diffusion.

The model is that of Ly & Gong, Nature Communications 16 (2025), doi 10.1038/s41467-025-58532-9. Arrays on a landscape are
indexed ``[row, column] = [y, x]``; a position is ``(x, y)`` in grid units (pixels); a landscape of shape (R, C) has walls at
x = 0, x = C - 1, y = 0 and y = R - 1. The public names are listed in ``__init__.pyi``; each is loaded when first used.
"""

import lazy_loader

from multifractal._version import __version__ as __version__
from multifractal.base.deprecation import renamed_names
from multifractal.base.extras import explained

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explained(renamed_names(__name__, otherwise=__getattr__, TrainingRun="FullBatchRun"))
