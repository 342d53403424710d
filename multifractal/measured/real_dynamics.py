"""Real landscapes and real training beside the model: the numbers of `experiments/real_dynamics.py`, as one result."""

from dataclasses import dataclass

import numpy as np

from multifractal.base.result import Provenance, Result
from multifractal.landscapes.multifractional import mbm_surface, paper_hoelder_map
from multifractal.measured.descent_table import DescentTable, joined, walk_table
from multifractal.measured.section_model import model_of_section

# pixels (our choice)
STEP_LENGTHS = np.array([0.01, 0.1, 0.3, 1, 2, 3.5, 5, 7, 10, 20, 50, 100, 300])
SURFACE_RATES = np.array(
    [1, 3, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000, 2000, 3000, 10000.0]
)
FACTS = ("share_smooth", "share_noise", "share_followed", "relief", "rms_gradient")


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SectionWalks(Result):
    """Walks on measured sections, and on model surfaces with their local exponents.

    Attributes
    ----------
    names : list of str, n sections
    facts : ndarray, shape (n, 5)
        Of each section's model, in the order of `FACTS`: attributes of `SectionModel`.
    exponents : ndarray, shape (n, 3)
        Lowest, median and highest local exponent of each section.
    step_lengths : ndarray, shape (rates,)
        Learning rate x root-mean-square gradient, in pixels.
    table : DescentTable
        Systems 0 ... n - 1 are the sections, n ... 2 n - 1 their models. A run is eight walkers; runs differ by their starts
        on a section, by their starts and the draw of the surface on a model.
    sections, models : ndarray of float32, shape (m, rows, cols)
        The first m sections and the first draw of their models, for pictures: those that are all of one shape.
    provenance : Provenance
    """

    names: list
    facts: np.ndarray
    exponents: np.ndarray
    step_lengths: np.ndarray
    table: DescentTable
    sections: np.ndarray
    models: np.ndarray
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class RealDynamics(Result):
    """Walks on measured sections and their models, real training of small networks, and walks on the paper's surface.

    Attributes
    ----------
    walks : SectionWalks
    training, surface : DescentTable
    provenance : Provenance
    """

    walks: SectionWalks
    training: DescentTable
    surface: DescentTable
    provenance: Provenance


def walk_on_section(name, section, *, runs=5, smoothing=8.0, n_steps=4000, rng=0):
    """Walk on a measured section and on model surfaces of the same local exponents, at the same step lengths.

    Parameters
    ----------
    name : str
    section : Landscape
    runs : int
        Sets of eight starts on the section; draws of the model, with the same starts.
    window : float
        Of the local exponents, in pixels.
    n_steps : int
    rng : int

    Returns
    -------
    SectionWalks
        Of one section, with its picture.
    """
    models = [
        model_of_section(section, smoothing=smoothing, rng=_drawn(rng, k)) for k in range(runs)
    ]
    first = models[0]
    settings = {"learning_rates": STEP_LENGTHS / first.rms_gradient, "n_steps": n_steps, "rng": rng}
    table = joined(
        [
            walk_table(name, [section] * runs, **settings),
            walk_table(f"model of {name}", [model.landscape for model in models], **settings),
        ]
    )
    facts = np.array(
        [
            [
                getattr(first, fact)
                if fact != "relief"
                else np.mean([model.relief for model in models])
                for fact in FACTS
            ]
        ]
    )
    made_by = Provenance.of(
        "walk_on_section", rng=rng, section=section, runs=runs, smoothing=smoothing, n_steps=n_steps
    )
    return SectionWalks(
        names=[name],
        facts=facts,
        exponents=np.quantile(first.measured, [[0, 0.5, 1]]),
        step_lengths=STEP_LENGTHS,
        table=table,
        sections=np.asarray(section.values, np.float32)[None],
        models=np.asarray(first.values, np.float32)[None],
        provenance=made_by,
    )


def all_sections(parts, n_pictures):
    """Return `walk_on_section` of several sections as one, with the pictures of the first `n_pictures`."""
    parts = list(parts)
    tables = [part.table.of(0) for part in parts] + [part.table.of(1) for part in parts]
    names = [part.names[0] for part in parts]
    return SectionWalks(
        names=names,
        facts=np.concatenate([part.facts for part in parts]),
        exponents=np.concatenate([part.exponents for part in parts]),
        step_lengths=STEP_LENGTHS,
        table=joined(tables),
        sections=np.concatenate([part.sections for part in parts[:n_pictures]]),
        models=np.concatenate([part.models for part in parts[:n_pictures]]),
        provenance=Provenance.of("all_sections", names=names),
    )


def walk_on_paper_surface(*, runs=5, side=1024, n_walkers=20, n_steps=8000, rng=0):
    """Walk on draws of the paper's surface; return their `DescentTable`.

    Parameters
    ----------
    runs : int
        Draws of the surface.
    side, n_walkers, n_steps : int
    rng : int
    """
    surfaces = (mbm_surface(paper_hoelder_map(side), rng=_drawn(rng, k)) for k in range(runs))
    return walk_table(
        "paper's surface",
        list(surfaces),
        learning_rates=SURFACE_RATES,
        n_walkers=n_walkers,
        n_steps=n_steps,
        rng=rng,
    )


def _drawn(rng, k):
    """Return the seed of surface k; the starts of its walkers are of another stream."""
    return np.random.SeedSequence(rng, spawn_key=(k, 1))
