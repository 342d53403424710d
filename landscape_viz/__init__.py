"""Loss landscapes of real networks: sections, directions, trajectories, and the networks and data to take them of.

A section of a network's loss is indexed ``[i, j]`` = ``[x, y]``, the coordinate along the first and the second direction;
`Section.to_landscape` turns it into a `multifractal.Landscape`, which is indexed ``[y, x]``. The public names are listed in
``__init__.pyi``; each is loaded when first used, so that ``import landscape_viz`` does not load torch.
"""

import lazy_loader

from multifractal.base.deprecation import renamed_names
from multifractal.base.extras import explained

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explained(
    renamed_names(
        __name__, otherwise=__getattr__, TrainingRun="TrainingHistory", Path="NetworkPath"
    )
)
