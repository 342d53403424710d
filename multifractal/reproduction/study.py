"""What claims are measured on: thirty surfaces of the paper's map, or a control landscape in their place."""

import functools
import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from threading import Lock

import numpy as np
from tqdm.auto import tqdm

from multifractal import source_data
from multifractal.base import files
from multifractal.base.checks import whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.result import Provenance
from multifractal.base.rng import realisation
from multifractal.landscapes.brownian import fbm_surface
from multifractal.landscapes.multifractional import mbm_surface, paper_hoelder_map
from multifractal.reproduction import fingerprint
from multifractal.reproduction.claim import Measured
from multifractal.training.tables import AIRFOIL_FILE


def published_sections():
    """Return the published sections that are here, by the name of their file without ending."""
    names = [
        name
        for name in source_data.NAMES
        if name.startswith("real_loss_landscape/") and name.endswith(".npy")
    ]
    return {
        Path(name).stem: source_data.read(name)["loss"]
        for name in names
        if source_data.available(name)
    }


@dataclass(frozen=True, eq=False)
class Study:
    """A set of surfaces, and how much is measured on each.

    Attributes
    ----------
    n_surfaces : int
        At least 10 for a report (default 30); 3 is enough for a test.
    size : int
        Pixels a side. Default 1024 (paper).
    seed : int
        Of everything; surface i draws from `realisation(seed, i)`.
    effort : float
        1 (default) for a report; below it, `repeats` asks for fewer walkers, trials and rates.
    words : str
        What the surfaces are, for the page.
    draw_surface : callable
        draw_surface(i, study) -> Landscape: the multifractal surface. Default: the paper's Hoelder map.
    draw_fractional : callable
        draw_fractional(hurst, i, study) -> Landscape: the monofractal surface of an exponent. A control may ignore `hurst`.
    sections : callable
        sections() -> dict of str to ndarray: sections of real networks by name. Default: the published ones that are here.
    """

    n_surfaces: int = 30
    size: int = 1024
    seed: int = 0
    effort: float = 1.0
    words: str = "exact multifractional Brownian surfaces on the paper's Hölder map"
    draw_surface: Callable = field(default=lambda i, study: study.multifractional(i))
    draw_fractional: Callable = field(default=lambda hurst, i, study: study.fractional(hurst, i))
    sections: Callable = field(default=published_sections)
    _kept: dict = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self):
        whole_number("n_surfaces", self.n_surfaces, minimum=2)
        whole_number("size", self.size, minimum=32)

    def surface(self, i):
        """Return multifractal surface i, kept for the claims that follow (with its derivatives once they were asked for)."""
        if i not in self._kept:
            drawn = self.draw_surface(i, self)
            with self._lock:
                self._kept.setdefault(i, drawn)
        return self._kept[i]

    def once(self, name, make):
        """Return make(), kept under a name for the claims that share it."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def monofractal(self, hurst, i):
        """Return monofractal surface i of exponent `hurst`; not kept."""
        return self.draw_fractional(hurst, i, self)

    def multifractional(self, i):
        """Draw an exact multifractional Brownian surface on the paper's map, float32."""
        return mbm_surface(self.hoelder_map, rng=self.rng(i), dtype=np.float32)

    def fractional(self, hurst, i):
        """Draw an exact fractional Brownian surface, float32."""
        return fbm_surface(self.size, hurst, rng=self.rng(i), dtype=np.float32)

    @functools.cached_property
    def hoelder_map(self):
        """The paper's map at this size."""
        return paper_hoelder_map(self.size)

    def hoelder_at_maximum(self, i):
        """Return the Hoelder exponent where surface i is highest; NaN for a surface that has no map."""
        surface = self.surface(i)
        at = np.unravel_index(np.argmax(surface.values), surface.shape)
        return np.nan if surface.hoelder is None else float(surface.hoelder[at])

    def rng(self, *index):
        """Return the Generator of realisation i, or (i, k, ...) of what a claim draws on surface i besides."""
        return realisation(np.random.SeedSequence(self.seed, spawn_key=index[:-1]), index[-1])

    def repeats(self, full, least=1):
        """Return how often something is done: `full` times at effort 1, fewer below, at least `least` times."""
        return max(least, round(full * min(self.effort, 1.0)))

    def each(self, function, items=None, title=""):
        """Return [function(item) for item in items] on all processors, in order, with progress; default: all surfaces."""
        items = list(range(self.n_surfaces) if items is None else items)
        with tqdm(total=len(items), desc=title, leave=False, disable=None) as bar:

            def counted(item):
                result = function(item)
                bar.update()
                return result

            return map_chunks(counted, [(item,) for item in items])

    def provenance(self, function, **arguments):
        """Return the Provenance of `function` called on each surface of this study."""
        return Provenance.of(
            function,
            rng=self.seed,
            surfaces=f"{self.n_surfaces} x {self.words}",
            size=self.size,
            **arguments,
        )

    def settings(self):
        """Return what decides the numbers, JSON-able."""
        return {
            "n_surfaces": self.n_surfaces,
            "size": self.size,
            "seed": self.seed,
            "effort": self.effort,
            "words": self.words,
        }


def measure(claim, study, folder=None):
    """Return the Measured of a claim on a study; kept in `folder` and read back if nothing that decides it has changed.

    Parameters
    ----------
    claim : Claim
    study : Study
    folder : path-like, optional
        Where `<claim>.npz` is kept; default: nowhere. A file of another study, of code that the measurement reaches and that has
        changed since, of other versions of libraries or other files of the claim's is measured again and replaced.
    """
    kept = recalled(claim, study, folder)
    if kept is not None:
        return kept
    made = replace(claim.measure(study), provenance=_decided_by(claim, study))
    if folder is not None:
        made.save(_place(claim, folder), overwrite=True)
    return made


def recalled(claim, study, folder=None):
    """Return the Measured that `folder` keeps for a claim and a study; None where there is none, or it is out of date."""
    if folder is None:
        return None
    try:
        kept = Measured.load(_place(claim, folder))
    except (FileNotFoundError, files.DamagedFileError, TypeError, KeyError):
        return None
    return kept if kept.provenance == _decided_by(claim, study) else None


def _place(claim, folder):
    return Path(folder) / f"{claim.name}.npz"


def _decided_by(claim, study):
    """Return the Provenance that holds all that decides a measurement: settings, versions, the code and the files it reaches."""
    # not imported by this
    packages = ("numpy", "scipy", "numba", *(("jax",) if importlib.util.find_spec("jax") else ()))
    call = Provenance.of(
        "reproduction.measure",
        rng=study.seed,
        packages=packages,
        claim=claim.name,
        **study.settings(),
    )
    return Provenance(
        call.call, call.seed, call.versions | {"code": _code(claim), "source data": _data(claim)}
    )


def _code(claim):
    """Return the hash of all definitions of this package that the measurement reaches by name, docstrings left out."""
    return fingerprint.fingerprint(claim.measure, Study)


def _data(claim):
    """Return the hash of the files named by `claim.data` that are here."""
    inputs = {
        name: source_data.find(name)
        for name in source_data.NAMES
        if any(fnmatch(name, pattern) for pattern in claim.data) and source_data.available(name)
    }
    table = Path("data", AIRFOIL_FILE)
    if AIRFOIL_FILE in claim.data and table.exists():
        inputs[AIRFOIL_FILE] = table
    found = [f"{name} {files.file_sha256(path)}" for name, path in inputs.items()]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()
