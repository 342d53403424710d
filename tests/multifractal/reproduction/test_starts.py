"""Where walks of the claims and of the diagram begin: anywhere on the grid, whose columns are x and whose rows are y."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from multifractal import fbm_surface
from multifractal.reproduction import chaos_claims, drift_claims, edge_claims, theory_claims

pytestmark = pytest.mark.quick
SURFACE = fbm_surface((6, 9), 0.5, rng=0)
DIAGRAM = importlib.import_module("multifractal.diffusion.diagram")


class Farthest:
    """Random numbers that all come out as large as they can be."""

    def uniform(self, low, high, size):
        """Return the upper end."""
        return np.broadcast_to(high, size).astype(float)


STUDY = SimpleNamespace(
    surface=lambda i: SURFACE,
    monofractal=lambda hurst, i: SURFACE,
    rng=lambda *_: Farthest(),
    repeats=lambda full, least=1: least,
    hoelder_at_maximum=lambda i: 0.5,
)
LAGS = np.array([1, 2])


@pytest.mark.parametrize(
    ("module", "walk", "begin"),
    [
        (chaos_claims, "lyapunov_exponents", lambda m: m._exponents(STUDY, "tangent", [1.0], 0)),
        (edge_claims, "descend_ensemble", lambda m: m._on_surface(STUDY, 0)),
        (drift_claims, "descend_ensemble", lambda m: m._ranks_on(STUDY, 0)),
        (theory_claims, "descend_ensemble", lambda m: m._fit_on(STUDY, (0.5, 0))),
        (
            DIAGRAM,
            "descend_ensemble",
            lambda m: m.curves_on(SURFACE, Farthest(), [1.0], 4, 9, LAGS),
        ),
    ],
)
def test_walks_begin_anywhere_on_the_grid(module, walk, begin, monkeypatch):
    """The largest random number is the far corner, the last column and the last row of a surface that is no square."""
    begun = []

    def walking(landscape, starts, **options):
        begun.append(np.array(options.get("starts", starts)))
        if len(begun[-1]) and begun[-1].any():
            raise StopIteration
        return SimpleNamespace(positions=None)

    def exponents(landscape, *, starts, **options):
        return walking(landscape, starts)

    monkeypatch.setattr(module, walk, exponents if walk == "lyapunov_exponents" else walking)
    # walks of the other arm begin at the origin, and what becomes of them is not looked at
    for name, stand_in in (
        ("start_near_maximum", lambda landscape, rng: (0.0, 0.0)),
        ("sharpness_at", lambda *_: None),
        ("Settled", SimpleNamespace(of=lambda sharpness: None)),
    ):
        monkeypatch.setattr(module, name, stand_in, raising=False)
    with pytest.raises(StopIteration):
        begin(module)
    assert begun[-1].shape[1] == 2
    np.testing.assert_array_equal(np.unique(begun[-1], axis=0), [[8.0, 5.0]])
