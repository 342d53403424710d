"""The grounds of the bench: losses whose law, minimum or barrier is known, each a fresh draw for each seed.

`draw` makes a `World`: a torch module whose call is the loss, the length that first steps are stated in, and the truth.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn

from experiments.spurious_valleys import certificates
from experiments.spurious_valleys.mixture import Mixture
from experiments.spurious_valleys.valley import trapped
from landscape_viz import FieldModule
from landscape_viz.recurrent import DoublingPlant, TanhRNN, step_weights
from multifractal import (
    ConfinedField,
    FractalField,
    LogNormal,
    SubspaceExponent,
    fbm_surface,
    mbm_surface,
    paper_hoelder_map,
    start_near_maximum,
    wavelet_cascade,
)
from multifractal.base.rng import realisation

PIXELS, BAND = 256, (1.0, 100.0)  # of a surface; of a field, wave numbers per sqrt(d)
REFERENCE, PROBES = (
    400,
    4,
)  # random places that "flat" is measured by; vectors that a Hessian is seen through


@dataclass(frozen=True)
class World:
    """One draw of a ground.

    Attributes
    ----------
    module : torch.nn.Module
        Called without arguments it returns the loss, a scalar; its parameters stand at the start.
    length : float
        In which first steps are stated.
    minimum : float, optional
        The lowest value that the loss can take, where it is known.
    flatness : callable, optional
        Positions (n, d) to the squared norm of the Hessian there, (n,), on grounds where it is asked whether time is spent on
        flat places; `places` are the random ones that say what is flat.
    places : ndarray, shape (n, d), optional
    escape : float, optional
        A loss below this proves that the run has left the valley that it started in.
    first : dict
        The module's state at the start.
    """

    module: nn.Module
    length: float
    minimum: float | None = None
    flatness: Callable | None = None
    places: np.ndarray | None = None
    escape: float | None = None
    first: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.first.update({name: p.clone() for name, p in self.module.state_dict().items()})

    def begun(self):
        """Return the module, back at its start."""
        self.module.load_state_dict(self.first)
        return self.module


class MirroredSurface:
    """A surface continued by reflection at its walls: a field on the whole plane, with the gradient that walkers take."""

    dimension = 2

    def __init__(self, surface):
        self.surface, self.sides = surface, np.array(surface.shape[::-1]) - 1.0
        self.reach = 1e6 * self.sides.max()

    def folded(self, points):
        """Return positions within the walls, and the signs by which motion runs there."""
        turns = np.mod(points, 2 * self.sides)
        beyond = turns > self.sides
        return np.where(beyond, 2 * self.sides - turns, turns), np.where(beyond, -1.0, 1.0)

    def value_and_gradient(self, x):
        """Return loss and gradient at a position (2,)."""
        inside, signs = self.folded(x)
        return self.surface.value_at(inside), signs * self.surface.gradient_at(inside)

    def curvature(self, points):
        """Return the squared norm of the grid Hessian at the nearest pixel of each position (n, 2)."""
        cols, rows = np.rint(self.folded(points)[0]).astype(int).T
        return (self.surface.hessian_eigenvalues[:, rows, cols] ** 2).sum(axis=0)


class Valley(nn.Module):
    """The exact risk of a one-hidden-layer network on the data of theorem 13 (Venturi, Bandeira and Bruna 2019)."""

    def __init__(self, mixture, hidden, output):
        super().__init__()
        self.mixture = mixture
        self.hidden, self.output = (
            nn.Parameter(torch.tensor(hidden)),
            nn.Parameter(torch.tensor(output)),
        )

    def forward(self):
        """Return the risk."""
        return _Risk.apply(self.hidden, self.output, self.mixture)


class _Risk(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, output, mixture):
        risk, by_hidden, by_output = mixture.risk_and_gradient(
            hidden.detach().numpy(), output.detach().numpy()
        )
        ctx.save_for_backward(torch.from_numpy(by_hidden), torch.from_numpy(by_output))
        return hidden.new_tensor(float(risk))

    @staticmethod
    def backward(ctx, weight):
        by_hidden, by_output = ctx.saved_tensors
        return weight * by_hidden, weight * by_output, None


class Discounted(nn.Module):
    """The discounted loss of a `ThroughTime` network on its data."""

    def __init__(self, network, data, discount):
        super().__init__()
        self.network, self.data = network, data
        self.weights = torch.as_tensor(step_weights(network.horizon, discount))

    def forward(self):
        """Return the loss."""
        return (self.network(self.data) @ self.weights).mean()


def _surface(draw, seeds):
    field = MirroredSurface(draw(realisation(seeds, 0)))
    start = start_near_maximum(field.surface, rng=realisation(seeds, 1))
    places = realisation(seeds, 2).uniform(0, 1, (REFERENCE, 2)) * field.sides
    return World(
        FieldModule(field, start),
        length=1.0,
        minimum=float(field.surface.values.min()),
        flatness=field.curvature,
        places=places,
    )


def _field(d, n_modes, hurst, seeds):
    """Draw a field in d dimensions in a bowl of curvature 1, from a random place at distance 1."""
    wavelength = 2 * np.pi / (BAND[1] * np.sqrt(d))
    exponent = hurst(d) if callable(hurst) else hurst
    field = ConfinedField(
        FractalField(d, exponent, rng=_of(seeds, 0), n_modes=n_modes, wavenumbers=BAND), 1.0
    )
    rng = realisation(seeds, 1)
    start = rng.standard_normal(d)
    places = rng.standard_normal((REFERENCE, d)) / np.sqrt(d)
    probes = np.eye(d) if d <= PROBES else rng.standard_normal((PROBES, d))

    def curvature(points):
        seen = np.broadcast_to(points[:, None], (len(points), *probes.shape))
        products = field.hessian_product(seen, np.broadcast_to(probes, seen.shape))
        return (products**2).sum(axis=(1, 2))

    start = start / np.linalg.norm(start)
    return World(FieldModule(field, start), 10 * wavelength, flatness=curvature, places=places)


def _bowl(amplitude, seeds):
    """Draw a bowl of 30 coordinates, curvatures 1 to 1000, with a rough field of stated amplitude; its bottom is 0 at the origin."""
    d = 30
    rough = FractalField(d, 0.5, rng=_of(seeds, 0), n_modes=256, wavenumbers=BAND)
    field = ConfinedField(rough, np.logspace(0, 3, d), amplitude=amplitude)
    start = realisation(seeds, 1).standard_normal(d) / np.sqrt(d)
    return World(FieldModule(field, start), 0.1, minimum=None if amplitude else 0.0)


def _valley(seeds):
    """Draw a start near the bad point, where it is proved that no path of falling risk leads out."""
    mixture, rng = Mixture(10), realisation(seeds, 0)
    while True:  # the first draw nearly always is a proved one
        hidden, output = (w + 0.02 * rng.standard_normal(w.shape) for w in mixture.bad_point())
        if trapped(mixture, hidden, output, certificates.orthonormal_rim_bound(mixture.alpha)):
            break
    return World(Valley(mixture, hidden, output), 1.0, escape=mixture.floor)


def _plant(discount, seeds):
    """Draw a plant that doubles: the exponent is -log2(discount), and a policy of zeros has loss 0."""
    plant = DoublingPlant(6, horizon=8, rng=_of(seeds, 0))
    data = torch.from_numpy(realisation(seeds, 1).standard_normal((4, 8, 6)) / np.sqrt(6))
    return World(Discounted(plant, data, discount), 0.1, minimum=0.0)


def _rnn(gain, seeds):
    """Draw a student RNN of 8 units that begins near the teacher whose outputs it is to give: the loss of the teacher is 0."""
    horizon, rng = 6, realisation(seeds, 1)
    teacher = TanhRNN(8, horizon=horizon, gain=gain, rng=_of(seeds, 0))
    inputs = torch.from_numpy(rng.standard_normal((4, horizon, 1)))
    with torch.no_grad():
        state, outputs = teacher.first.repeat(4, 1), []
        for t in range(horizon):
            state = teacher.step(state, t, (inputs,))
            outputs.append(state @ teacher.readout.T)
        for weights in teacher.parameters():
            weights.add_(torch.from_numpy(0.3 * rng.standard_normal(tuple(weights.shape))))
    data = inputs, torch.stack(outputs, dim=1)
    return World(Discounted(teacher, data, 1.0), 1.0, minimum=0.0)


def _of(seeds, i):
    return np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, i))


GROUNDS = {
    "fBm surface, H = 0.3": partial(_surface, lambda rng: fbm_surface(PIXELS, 0.3, rng=rng)),
    "fBm surface, H = 0.7": partial(_surface, lambda rng: fbm_surface(PIXELS, 0.7, rng=rng)),
    "mBm surface, the paper's map": partial(
        _surface, lambda rng: mbm_surface(paper_hoelder_map(PIXELS), rng=rng)
    ),
    "log-normal cascade": partial(
        _surface, lambda rng: wavelet_cascade(PIXELS, LogNormal(0.6, -0.05), rng=rng)
    ),
    "field, d = 10": partial(_field, 10, 256, 0.5),
    "field, d = 10, the paper's map": partial(_field, 10, 256, SubspaceExponent),
    "field, d = 1000": partial(_field, 1000, 256, 0.5),
    "valley of theorem 13": _valley,
    "bowl, condition 1000": partial(_bowl, 0.0),
    "bowl, condition 1000, rough": partial(_bowl, 1.0),
    "plant that doubles, h = 0.51": partial(_plant, 0.7),
    "tanh RNN, gain 2": partial(_rnn, 2.0),
}
_ON_SURFACES = "256 pixels a side, continued by reflection; the walk starts by the global maximum, and the minimum is known exactly."
_IN_BOWLS = "256 waves in a bowl of curvature 1, from a random place at distance 1; the law is known, the minimum is not."
SAID = {  # in a sentence or two, for the page
    "fBm surface, H = 0.3": f"An exact surface with E|f(u) - f(v)|^2 = r^0.6. {_ON_SURFACES}",
    "fBm surface, H = 0.7": f"An exact surface with E|f(u) - f(v)|^2 = r^1.4. {_ON_SURFACES}",
    "mBm surface, the paper's map": f"Exponents from 0.3 to 0.7 over the surface. {_ON_SURFACES}",
    "log-normal cascade": f"Wavelet cascade with c1 = 0.6 and c2 = -0.05. {_ON_SURFACES}",
    "field, d = 10": f"H = 0.5, wavelengths over a factor of 100. {_IN_BOWLS}",
    "field, d = 10, the paper's map": f"H from 0.3 to 0.7 along two coordinates. {_IN_BOWLS}",
    "field, d = 1000": f"H = 0.5, wavelengths over a factor of 100. {_IN_BOWLS}",
    "valley of theorem 13": "Exact risk of 9 ReLU units on the data of Venturi, Bandeira and Bruna's theorem 13, starting in the "
    "valley that no path of falling risk leaves (barrier at least 0.18, proved). A risk below 2.25 proves that a run left it.",
    "bowl, condition 1000": "30 coordinates with curvatures 1 to 1000, no roughness: the minimum is 0.",
    "bowl, condition 1000, rough": "The same bowl with a field of H = 0.5 and E|f(x) - f(y)|^2 = |x - y| on it.",
    "plant that doubles, h = 0.51": "A plant whose state doubles at each of 8 steps, steered by 6 weights, discount 0.7: the "
    "loss has exponent -log2 0.7, and weights of 0 have loss 0.",
    "tanh RNN, gain 2": "A chaotic recurrent network of 8 units that is to give what a teacher near it gives over 6 steps: the "
    "teacher has loss 0.",
}


@lru_cache(maxsize=16)
def draw(name, seed):
    """Return the `World` of a ground by name for a seed (an int): the same for every optimiser, and kept."""
    return GROUNDS[name](np.random.SeedSequence(seed, spawn_key=(list(GROUNDS).index(name),)))
