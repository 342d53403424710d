"""A model surface with the local exponents of a measured section of a loss: where it can have them, and where not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.analysis.roughness import local_hoelder
from multifractal.base.checks import finite_array
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Rng
from multifractal.landscapes.landscape import Landscape, LandscapeLike
from multifractal.landscapes.multifractional import mbm_surface

# the model's exponents are held between these (our choice; its limits are 0 and 1)
LOWEST, HIGHEST = 0.02, 0.98


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SectionModel(Result, renamed={"window": "smoothing"}):
    """A multifractional Brownian surface made after a measured section.

    Attributes
    ----------
    values : ndarray, shape (rows, cols)
        The model surface.
    hoelder : ndarray, shape (rows, cols)
        Its exponents: those measured, held between `LOWEST` and `HIGHEST`.
    measured, standard_error : ndarray, shape (rows, cols)
        Local exponents of the section and their standard errors, as `local_hoelder` gives them.
    scale : float
        What a surface normalised as this package's are was multiplied by.
    relief : float
        Standard deviation of the model's values over that of the section's.
    rms_gradient : float
        Root mean square of the gradient's length in loss per pixel, of the section and of the model alike.
    smoothing : float
        Of the local exponents, in pixels.
    provenance : Provenance
    """

    values: np.ndarray
    hoelder: np.ndarray
    measured: np.ndarray
    standard_error: np.ndarray
    scale: float
    relief: float
    rms_gradient: float
    smoothing: float
    provenance: Provenance

    window = FormerName("smoothing")

    @property
    def landscape(self) -> Landscape:
        """The model surface as a `Landscape` with its exponents."""
        return Landscape(self.values, self.hoelder, provenance=self.provenance)

    @property
    def share_smooth(self) -> float:
        """Share of pixels whose measured exponent is 1 or more: differentiable there, which no such surface is."""
        return float((self.measured >= 1).mean())

    @property
    def share_noise(self) -> float:
        """Share of pixels whose measured exponent is `LOWEST` or less: noise from pixel to pixel."""
        return float((self.measured <= LOWEST).mean())

    @property
    def share_followed(self) -> float:
        """Share of pixels where the model has the measured exponent."""
        return float((self.measured == self.hoelder).mean())


@renamed(section="landscape", window="smoothing")
def model_of_section(landscape: LandscapeLike, *, rng: Rng, smoothing: float = 8.0) -> SectionModel:
    """Draw a model surface with the same local exponents as a section, and with gradients of the same size.

    The section's exponents are those of `local_hoelder(section, smoothing)`, the surface is `mbm_surface` of that map. It is
    scaled by one number so that its mean squared gradient is the section's: a learning rate then gives steps of the same
    root-mean-square length on both. Nothing else is matched; in particular the model has no valley where the section has.
    No value from outside stands behind it: it is tested against the exponents and gradients of its own section only.

    Where the section is smooth (exponent 1 or more) no such surface can follow: its exponent is held at 0.98 there, and
    `share_smooth` says of how many pixels; likewise where it is noise from pixel to pixel (0.02 or less, `share_noise`).

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        The section, for example `landscape_viz.Section.to_landscape()`.
    rng : int, SeedSequence or Generator
    smoothing : float
        Standard deviation in pixels of the Gaussian window of the local exponents; 8 (our choice, for sections of 100 pixels a side).

    Returns
    -------
    SectionModel

    Raises
    ------
    ValueError
        As `local_hoelder` does: an image smaller than four windows, NaN, or constant in some window.

    Examples
    --------
    >>> import multifractal as mf
    >>> section = mf.fbm_surface(128, 0.4, rng=0)
    >>> model = mf.model_of_section(section, rng=1)
    >>> model.share_smooth, model.share_followed
    (0.0, 1.0)
    """
    values = finite_array("landscape", landscape, ndim=2, dtype=np.float64)
    found = local_hoelder(values, smoothing)
    hoelder = np.clip(found.hoelder, LOWEST, HIGHEST)
    surface = mbm_surface(hoelder, rng=rng)
    size = rms_gradient(Landscape(values))
    scale = size / rms_gradient(surface)
    relief = float(scale * surface.values.std() / values.std())
    provenance = Provenance.of("model_of_section", rng=rng, landscape=values, smoothing=smoothing)
    return SectionModel(
        values=surface.values * scale,
        hoelder=hoelder,
        measured=found.hoelder,
        standard_error=found.standard_error,
        scale=scale,
        relief=relief,
        rms_gradient=size,
        smoothing=found.smoothing,
        provenance=provenance,
    )


def rms_gradient(landscape):
    """Return the root mean square of the length of a landscape's gradient over its grid points, in loss per pixel."""
    return float(np.sqrt(np.mean(np.sum(np.square(landscape.gradient, dtype=np.float64), axis=-1))))
