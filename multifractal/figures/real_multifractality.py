"""The former name of `multifractal.figures.section_study`; importing it warns."""

from multifractal.base.deprecation import renamed_module

renamed_module(__name__, "multifractal.figures.section_study")
