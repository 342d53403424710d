"""Say how far the numbers of chaotic walks can be repeated: their range over copies of the surface perturbed in the last bit.

A walk at learning rate 1000 forgets its start at some two nats a step, so a change in the last bit of one value (another
version of a library) leads elsewhere. Run as `python -m tools.chaotic_ranges`, some three minutes: it writes
docs/chaotic_ranges.json, which docs/expect.md quotes and tests compare with what the committed demo printed.
"""

import json
from pathlib import Path

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np

import multifractal as mf

RANGES = Path(__file__).resolve().parents[1] / "docs" / "chaotic_ranges.json"
N_COPIES = 24
_WAITING, _SPLIT, _SHOWN = (
    np.array([0, 500, 1000, 1500, 2000, 2500, 3000, 3200, 3400, 3600, 3800, 4000, 4500, 5000]),
    3800,
    3200,
)


def perturbed(landscape, rng):
    """Return a copy of which each value is, at random, the next double above or below."""
    up = np.random.default_rng(rng).integers(0, 2, landscape.shape, dtype=bool)
    values = np.nextafter(landscape.values, np.where(up, np.inf, -np.inf))
    return mf.Landscape(values, landscape.hoelder)


def numbers(surface):
    """Return the numbers of the demo's quick profile that hang on chaotic walks, by figure."""
    walk = mf.descend(
        surface, mf.start_near_maximum(surface, rng=0), learning_rate=1000, n_steps=9999
    )
    starts = np.array([mf.start_near_maximum(surface, rng=seed) for seed in range(20)])
    walks = {
        unfold: mf.descend_ensemble(
            surface, starts, learning_rates=[1000], n_steps=9999, unfold=unfold
        ).unfolded[0]
        for unfold in ("exact", "published")
    }
    exact, published = (
        mf.tamsd(w, waiting_times=_WAITING, lag_times=np.arange(1000), window=3000)
        for w in walks.values()
    )
    apart = np.linalg.norm(walks["exact"] - walks["published"], axis=2)
    first = apart[apart[:, -1] > 1][0]  # the first start whose walk is reflected on its way
    shown, later = exact.per_walk[:, _WAITING == _SHOWN], exact.per_walk[:, _WAITING >= _SPLIT]
    fits = [
        mf.diffusion_exponent(exact.lag_times, curves.mean(axis=1), lag_range=lags).exponent
        for curves, lags in ((shown, (3, 10)), (shown, (150, 400)), (later, (2, 8)))
    ]
    rates, walls = np.logspace(0, 4, 40), np.array(surface.shape[::-1]) - 1
    uniform = np.random.default_rng(0).uniform(0, walls, size=(40, 2))
    edge = {
        kind: mf.edge_of_stability(
            surface, learning_rates=rates, starts=uniform[:10], n_steps=4999, sharpness=kind
        ).holds
        for kind in ("hessian", "map")
    }
    trials = np.random.default_rng(1).uniform(0, walls, size=(100, 2))
    exponents = [
        mf.lyapunov_exponents(
            surface,
            learning_rates=[rate],
            starts=some,
            burn_in=burn_in,
            n_steps=burn_in + n_steps,
            method=method,
        ).mean[0, 0]
        for rate, some, burn_in, n_exact in (
            (rates[30], uniform, 10_000, 10_000),
            (1000.0, trials, 4999, 5000),
        )
        for method, n_steps in (("tangent", n_exact), ("two_trajectories", 900))
    ]
    rate_300 = mf.descend_ensemble(surface, starts[:10], learning_rates=[300], n_steps=9999).losses
    return {
        "surface: loss at the end": walk.losses[-1],
        "unfolded_tracks: pixels apart": first[-1],
        "tamsd_by_waiting_time: lags 3-10": fits[0],
        "tamsd_by_waiting_time: lags 150-400": fits[1],
        "tamsd_by_waiting_time: lags 2-8": fits[2],
        "tamsd_by_waiting_time: published over exact": published.values[-1, 999]
        / exact.values[-1, 999],
        "loss_by_step: rate 300 at the end": rate_300[..., -1000:].mean(),
        "edge_of_stability: lowest rate that holds": min(rates[h][0] for h in edge.values()),
        "edge_of_stability: highest rate that holds": max(rates[h][-1] for h in edge.values()),
        "lyapunov_by_rate: exact at rate 1194": exponents[0],
        "lyapunov_by_rate: published estimator at rate 1194": exponents[1],
        "lyapunov_by_trial: exact at rate 1000": exponents[2],
        "lyapunov_by_trial: published estimator at rate 1000": exponents[3],
    }


def main():
    """Write the range of each number over the copies."""
    surface = mf.mbm_surface(mf.paper_hoelder_map(), rng=0)
    found = [numbers(perturbed(surface, copy)) for copy in range(N_COPIES)]
    ranges = {
        name: [float(f"{extreme(f[name] for f in found):.3g}") for extreme in (min, max)]
        for name in found[0]
    }
    RANGES.write_text(json.dumps({"copies": N_COPIES, "ranges": ranges}, indent=1) + "\n")
    print(json.dumps(ranges, indent=1))


if __name__ == "__main__":
    raise SystemExit(as_command(main, "chaotic_ranges"))
