"""Images and curves at the end of what can be measured give numbers, NaN or words of ours, never numpy's RuntimeWarning."""

import contextlib
import warnings

import numpy as np
import pytest

import multifractal as mf

Y, X = np.mgrid[:64, :64].astype(float)
IMAGES = {
    "flat": 0 * X,
    "plane": X + 2 * Y,
    "step": (X > 30).astype(float),
    "spike": ((X == 30) & (Y == 20)).astype(float),
    "bowl": (X - 30) ** 2 + (Y - 20) ** 2,
    "tiny": 1e-200 * np.sin(X**1.5 + Y),
    "huge": 1e150 * np.sin(X**1.5 + Y),
}
PROBES = {
    "spectrum": lambda image: mf.multifractal_spectrum(image, scales=(2, 3), n_bootstrap=9, rng=0),
    "p-leaders": lambda image: mf.multifractal_spectrum(image, p=1, scales=(2, 3)),
    "variogram": mf.variogram,
    "power spectrum": mf.power_spectrum,
    "local exponents": mf.local_hoelder,
    "increments": lambda image: mf.increment_law(image, rng=0, n_bootstrap=9),
    "noise": lambda image: mf.noise_share(image, rng=0, n_bootstrap=9),
    "flatness": lambda image: mf.flatness(mf.Landscape(image)),
    "minima": lambda image: mf.local_minima(mf.Landscape(image)),
    "edge": lambda image: (
        mf.edge_of_stability(
            mf.Landscape(image),
            learning_rates=[1.0, 1e5],
            starts=[[3, 3], [5, 9]],
            n_steps=9,
            last=3,
        ).interval
    ),
    "exponents": lambda image: (
        mf.lyapunov_exponents(
            mf.Landscape(image), learning_rates=[1.0, 1e5], starts=[[3, 3]], n_steps=9, burn_in=1
        ).median
    ),
}


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("image", IMAGES)
def test_no_probe_of_an_image_leaks_a_warning(image, probe):
    """A result or a ValueError, and of warnings only our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        with contextlib.suppress(ValueError):
            PROBES[probe](IMAGES[image])


def test_laws_are_finite_at_any_order_and_lag():
    """The displacement's plateau at lags and rates beyond any use is 2 theta; the p-model's exponents have their limits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        curve = mf.theoretical_tamsd(
            [0, 1e300], learning_rate=1e10, hurst=0.500001, theta=1e300, stiffness=1e5
        )
        law = mf.Multinomial((0.5, 0.25, 0.15, 0.1))
        h = law.exponent([-5000.0, 5000.0])
    assert curve == pytest.approx([0, 2e300])
    assert h == pytest.approx([-np.log2(0.1), 1])
