"""The former name of `landscape_viz.figures.probes`; importing it warns."""

from multifractal.base.deprecation import renamed_module

renamed_module(__name__, "landscape_viz.figures.probes")
