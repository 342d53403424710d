"""What experiments/d_dimensions.py measures of one field, and in which order the fields come.

Every field has the same band of wavelengths, whose ratio is 1000 as on the paper's grids, and E|f(x) - f(y)|^2 = |x - y|^(2H)
inside it. Learning rates are given as s, the step of typical length in units of the shortest wavelength.
Symbols: d dimension, H Hurst exponent, M number of waves, k wave number, a amplitude.
"""

import time
from collections import namedtuple

import numpy as np

from multifractal.base.rng import realisation
from multifractal.diffusion.displacement import tamsd
from multifractal.landscapes.fields import FractalField, log_variogram_constant
from multifractal.walkers.descent import descend_ensemble
from multifractal.walkers.tangent import carry, derivatives, top_curvature

HURSTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DIMENSIONS = (2, 5, 10, 30, 100, 300, 1000)
STEPS = tuple(float(10 ** (-1.5 + 0.25 * i)) for i in range(15))
BAND = (1.0, 1000.0)  # kmin and kmax, per sqrt(d)
N_STEPS, WAITING = 800, 300
SHORT_LAGS, LONG_LAGS = tuple(range(1, 11)), (20, 40, 80, 160, 240)
METHODS = ("momentum", "adam", "sgd")
# numbers of waves, by dimension, that are tried beside those of all other fields
MODES = {100: (100, 200, 400, 800, 6400), 300: (1200, 2400)}
DRIFT_STEPS = (4, 6, 8, 10)  # of STEPS: s = 0.32, 1, 3.2, 10
DRIFT_KINDS = (
    "descent",
    "same steps, random directions",
    "shuffled increments",
    "local steps, random directions",
)
DRIFT_WALKERS, DRIFT_EVERY, DRIFT_REFERENCE, PROBES = 8, 10, 1000, 16
SEED = 23

SETTINGS = {
    "steps": list(STEPS),
    "band": list(BAND),
    "n_steps": N_STEPS,
    "waiting": WAITING,
    "lags": [*SHORT_LAGS, *LONG_LAGS],
    "seed": SEED,
    "drift": [DRIFT_WALKERS, DRIFT_EVERY, DRIFT_REFERENCE, PROBES, *DRIFT_STEPS],
}


class Stopped(Exception):
    """The time is over."""


class Job(namedtuple("Job", "kind d hurst index modes", defaults=(0,))):
    """One field and what is done on it: "plain" descent with exponents, a method of `METHODS`, or "drift"."""

    __slots__ = ()

    @property
    def file(self):
        """Name of the file that its numbers go to."""
        waves = f"_M={self.modes}" if self.modes else ""
        return f"{self.kind}_d={self.d}_H={self.hurst}{waves}_{self.index}.npz"

    @property
    def n_modes(self):
        """Number of waves: 16 for each dimension (8 from 1000 on), at least 1024, where the job does not say another."""
        return self.modes or max(1024, (16 if self.d < 1000 else 8) * self.d)

    @property
    def is_quick(self):
        """Whether it belongs to the short run."""
        small = self.kind == "plain" and self.d in (2, 10, 100) and not self.modes
        return small and self.hurst in (0.3, 0.5, 0.7) and self.index < 2


def jobs():
    """Return all jobs, the most telling first: a coarse diagram over everything, then more fields, then what lies between."""
    odd, even = HURSTS[::2], HURSTS[1::2]
    large, rest = DIMENSIONS[-1:], DIMENSIONS[-2::-1]
    few, more, all_of = range(2), range(2, 4), range(10)
    order = [Job("plain", 1000, h, 0) for h in odd]
    order += _plain(rest, odd, few)
    order += [Job("plain", 1000, h, 1) for h in odd]
    order += [Job("plain", d, 0.5, i, m) for d in MODES for m in MODES[d] for i in range(4)]
    order += [Job(method, d, 0.5, i) for method in METHODS for d in (100, 10, 2) for i in range(4)]
    order += [
        Job("drift", d, h, i) for d in (100, 10, 2) for h in (0.3, 0.5, 0.7) for i in range(4)
    ]
    order += [*_plain(rest, odd, more), *_plain(rest, even, few)]
    order += _plain(rest, HURSTS, all_of)
    order += [Job(method, d, 0.5, i) for method in METHODS for d in (100, 10, 2) for i in all_of]
    order += [Job("drift", d, h, i) for d in (100, 10, 2) for h in (0.3, 0.5, 0.7) for i in all_of]
    order += [*_plain(large, odd, range(4)), *_plain(large, HURSTS, all_of)]
    return list(dict.fromkeys(order))


def _plain(dimensions, hursts, indices):
    return [Job("plain", d, h, i) for d in dimensions for i in indices for h in hursts]


def measure(job, *, stop=float("inf"), n_steps=N_STEPS, waiting=WAITING):
    """Return the numbers of a job, name -> array; raise `Stopped` when `time.time()` passes `stop`."""
    # the same seed for every H: differences between exponents are not those between draws
    entropy = np.random.SeedSequence(SEED, spawn_key=(job.d, job.n_modes, job.index))
    field = FractalField(
        job.d, job.hurst, rng=entropy, n_modes=job.n_modes, wavenumbers=BAND, memory=2**40
    )
    if job.kind == "plain":
        return _plain_walks(job, field, n_steps, waiting, stop)
    if job.kind == "drift":
        return _drift(job, field, entropy, n_steps, waiting, stop)
    return _method_walks(job, field, entropy, n_steps, waiting)


def shortest_wavelength(d):
    """Return 2 pi / |k| of the shortest wave."""
    return 2 * np.pi / (BAND[1] * np.sqrt(d))


def moment(d, hurst, power):
    """Return the expected sum over waves of a^2 |k|^power."""
    low, high = (k * np.sqrt(d) for k in BAND)
    p = power - 2 * hurst
    return (high**p - low**p) / p / np.exp(log_variogram_constant(d, hurst))


def typical_gradient(d, hurst):
    """Return the root mean square length of the gradient."""
    return np.sqrt(moment(d, hurst, 2) / 2)


def typical_curvature(d, hurst):
    """Return the edge of the semicircle that the Hessian's eigenvalues at a random point fill in many dimensions."""
    return 2 * np.sqrt(moment(d, hurst, 4) / (2 * (d + 2)))


def learning_rates(d, hurst):
    """Return the learning rates whose typical step is each of `STEPS`."""
    return np.array(STEPS) * shortest_wavelength(d) / typical_gradient(d, hurst)


def _plain_walks(job, field, n_steps, waiting, stop):
    rates = learning_rates(job.d, job.hurst)
    tracks = np.empty((len(rates), n_steps + 1 - waiting, job.d))

    def visit(t, position):
        if time.time() > stop:
            raise Stopped
        if t >= waiting:
            tracks[:, t - waiting] = position

    starts = np.zeros((len(rates), job.d))
    exponents = carry(field, starts, rates, n_steps, waiting, 1, visit)
    return {"exponents": exponents[:, 0], **_of_tracks(field, tracks, stop)}


def _method_walks(job, field, entropy, n_steps, waiting):
    rates, parameters = learning_rates(job.d, job.hurst), {}
    if job.kind == "adam":  # every coordinate moves by about the rate
        rates = np.array(STEPS) * shortest_wavelength(job.d) / np.sqrt(job.d)
    if job.kind == "sgd":  # noise as long as the typical gradient
        scale = typical_gradient(job.d, job.hurst) / np.sqrt(job.d)
        parameters = {
            "noise_scale": scale,
            "rng": np.random.SeedSequence([SEED, *entropy.spawn_key]),
        }
    walks = descend_ensemble(
        field,
        np.zeros((1, job.d)),
        learning_rates=rates,
        n_steps=n_steps,
        keep_last=n_steps + 1 - waiting,
        method=job.kind,
        **parameters,
    )
    return _of_tracks(field, walks.positions[:, 0], float("inf"))


def _of_tracks(field, tracks, stop):
    """Return displacements, losses and the largest curvature at the end of each walk (n, T, d); NaN where one left."""
    there = np.isfinite(tracks[:, -1]).all(axis=1)
    moved = np.full((len(tracks), len(SHORT_LAGS) + len(LONG_LAGS)), np.nan)
    losses, sharpness = np.full((len(tracks), 2), np.nan), np.full(len(tracks), np.nan)
    if there.any():
        moved[there] = np.concatenate(
            [_displacements(tracks[there], SHORT_LAGS), _displacements(tracks[there], LONG_LAGS)],
            axis=1,
        )
        losses[there] = field.value(tracks[there][:, [0, -1]])
    for walk in np.flatnonzero(there):
        if time.time() > stop:
            raise Stopped
        sharpness[walk] = top_curvature(field, tracks[walk, -1], tol=1e-3)
    return {
        "displacement": moved,
        "losses": losses,
        "sharpness": sharpness,
        "sharpness_at_start": top_curvature(field, np.zeros(field.dimension), tol=1e-3),
    }


def _displacements(tracks, lags):
    """Return the time-averaged squared displacements, (n, n_lags); NaN for lags that the tracks do not reach."""
    lags = [lag for lag in lags if lag < tracks.shape[1] - 1], len(lags)
    found = np.full((len(tracks), lags[1]), np.nan)
    if lags[0]:
        window = tracks.shape[1] - lags[0][-1]
        curves = tamsd(tracks, waiting_times=[0], lag_times=lags[0], window=window)
        found[:, : len(lags[0])] = curves.per_walk[:, 0]
    return found


# --- drift to flat regions --------------------------------------------------------------------------------------------


def _drift(job, field, entropy, n_steps, waiting, stop):
    """Return the share of positions in each tenth of curvature, (n_rates, n_kinds, 10), flattest first."""
    rng = realisation(np.random.SeedSequence([SEED, 1, *entropy.spawn_key]), 0)
    probes = np.eye(job.d) if job.d <= PROBES else rng.standard_normal((PROBES, job.d))
    somewhere = rng.standard_normal((DRIFT_REFERENCE, job.d))
    edges = np.quantile(_curvature(field, somewhere, probes), np.arange(1, 10) / 10)
    starts = rng.standard_normal((DRIFT_WALKERS, job.d))
    rates = learning_rates(job.d, job.hurst)[list(DRIFT_STEPS)]
    shares = np.empty((len(rates), len(DRIFT_KINDS), 10))
    for i, rate in enumerate(rates):
        for j, track in enumerate(_tracks(field, starts, rate, n_steps, rng, stop)):
            seen = track[:, waiting::DRIFT_EVERY].reshape(-1, job.d)
            tenths = np.searchsorted(edges, _curvature(field, seen, probes))
            shares[i, j] = np.bincount(tenths, minlength=10) / len(seen)
    return {"shares": shares}


def _tracks(field, starts, rate, n_steps, rng, stop):
    """Yield the walks of descent and of its controls, each (n, n_steps + 1, d)."""
    walks = descend_ensemble(field, starts, learning_rates=[rate], n_steps=n_steps)
    descent = walks.positions[0]
    steps = np.diff(descent, axis=1)
    directions = rng.standard_normal(steps.shape)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    lengths = np.linalg.norm(steps, axis=2, keepdims=True)
    shuffled = np.stack([walk[rng.permutation(n_steps)] for walk in steps])
    yield descent
    for increments in (lengths * directions, shuffled):
        yield np.concatenate([starts[:, None], starts[:, None] + increments.cumsum(axis=1)], axis=1)
    local = np.empty_like(descent)
    local[:, 0] = starts
    for t in range(n_steps):
        if time.time() > stop:
            raise Stopped
        slope = np.linalg.norm(field.gradient(local[:, t]), axis=1, keepdims=True)
        local[:, t + 1] = local[:, t] + rate * slope * directions[:, t]
    yield local


def _curvature(field, points, probes):
    """Return the mean square of the Hessian times each probe: with all axes its squared norm, with normal vectors about it."""
    products = [
        derivatives(field, part, np.broadcast_to(probes, (len(part), *probes.shape)))[1]
        for part in np.array_split(points, max(1, len(points) // 64))
    ]
    return (np.concatenate(products) ** 2).sum(axis=(1, 2))
