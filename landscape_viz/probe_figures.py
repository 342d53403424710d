"""The former name of `landscape_viz.figures`, kept for one release; importing it warns."""

import warnings

from landscape_viz.figures.probes import edge_of_stability as edge_of_stability
from landscape_viz.figures.probes import fractality as fractality
from landscape_viz.figures.probes import paths as paths
from landscape_viz.figures.probes import spectrum as spectrum

warnings.warn(
    "landscape_viz.probe_figures is now landscape_viz.figures; the old name goes in version 2",
    DeprecationWarning,
    stacklevel=2,
)
