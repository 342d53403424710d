"""Spectra of several images of one kind, or one from a published file: what is drawn of them."""

from dataclasses import dataclass

import numpy as np

from multifractal import source_data
from multifractal.base.checks import require
from multifractal.base.curves import Curves
from multifractal.base.result import Provenance, Result


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Spectra(Result):
    """Exponents and dimensions of several images, order by order.

    Attributes
    ----------
    h, D : Curves
        Over the orders of moments; one curve for each image.
    provenance : Provenance
    """

    h: Curves
    D: Curves
    provenance: Provenance

    def __len__(self):
        return len(self.h)


def several(spectra):
    """Return one or several `Spectrum` as `Spectra`; `Spectra` as they are.

    Raises
    ------
    ValueError
        When there are none, or their orders differ.
    """
    if isinstance(spectra, Spectra):
        return spectra
    spectra = [spectra] if hasattr(spectra, "h") else list(spectra)
    require(len(spectra) > 0, "spectra", spectra, "hold at least one spectrum", "measure one")
    q, call = spectra[0].q, spectra[0].provenance
    require(
        all(np.array_equal(each.q, q) for each in spectra),
        "spectra",
        [each.q for each in spectra],
        "be of the same orders q",
        "measure all with one q",
    )
    return _spectra(q, [each.h for each in spectra], [each.D for each in spectra], "images", call)


def published_spectrum(name, folder=None):
    """Return a spectrum of the paper's source data as `Spectra` of one; its orders are the places in the file.

    Parameters
    ----------
    name : str
        Of a file with "hq" and "Dq", as `source_data.read` takes it.
    folder : path-like, optional
    """
    return of_file(source_data.read(name, folder), Provenance.of("source_data.read", name=name))


def of_file(arrays, provenance):
    """Return what `source_data.read` gave for a published spectrum, "hq" and "Dq", as `Spectra` of one."""
    h, D = np.ravel(arrays["hq"]), np.ravel(arrays["Dq"])
    return _spectra(np.arange(len(h)), [h], [D], "files", provenance)


def _spectra(q, h, D, over, provenance):
    h, D = (
        Curves(x=q, samples=np.array(samples), over=over, provenance=provenance)
        for samples in (h, D)
    )
    return Spectra(h=h, D=D, provenance=provenance)
