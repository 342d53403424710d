"""Fractal fields: the naive sum, the analytic gradient, the variogram in 1 to 100 000 dimensions, memory, refusals."""

import re
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import hyp0f1

from multifractal import ConfinedField, FractalField, fbm_surface
from multifractal.landscapes import fields
from multifractal.landscapes.fields import log_variogram_constant
from tests.helpers import naive

pytestmark = pytest.mark.quick


def hoelder_along_x(points):
    """An exponent that varies with the first coordinate only, and its gradient."""
    gradient = np.zeros_like(points)
    gradient[:, 0] = 0.2 * np.cos(points[:, 0])
    return 0.5 + 0.2 * np.sin(points[:, 0]), gradient


def share_present(field, hurst, r):
    """Share of r^(2H) that the waves between kmin and kmax make, by quadrature over ln k."""
    d = field.dimension
    kmin, kmax = (k * np.sqrt(d) for k in field.wavenumbers)

    def rate(log_k):
        z = np.exp(log_k) * r
        mean_cosine = np.exp(-z * z / (2 * d)) if d >= 1000 else hyp0f1(d / 2, -z * z / 4)
        return np.exp(-2 * hurst * log_k) * (1 - mean_cosine)

    # Beyond z = 300 the mean cosine is taken as 0; it oscillates there and adds less than 1e-3.
    turn = min(np.log(300 / r), np.log(kmax))
    # Below z = .001 the difference is z^2/(2d), which 1 - cos would lose.
    start = np.log(np.clip(1e-3 / r, kmin, kmax))
    body = quad(rate, start, turn, limit=2000)[0]
    power = 2 - 2 * hurst
    body += r**2 / (2 * d) * (np.exp(power * start) - kmin**power) / power
    tail = (np.exp(-2 * hurst * turn) - kmax ** (-2 * hurst)) / (2 * hurst)
    return (body + tail) / np.exp(log_variogram_constant(d, hurst)) / r ** (2 * hurst)


def waves_of(field):
    """The wave vectors (M, d), in radians, and the phases of a field that keeps them."""
    vectors = np.concatenate([(w.vectors * w.scales).T for w in field._kept]) * 2 * np.pi
    cosines, sines = field._phases
    return vectors, np.arctan2(sines, cosines)


def test_phases_and_every_piece_of_vectors_have_a_stream_of_their_own(monkeypatch):
    """Drawn in five pieces, the keys of the seed sequences are six different ones."""
    keys, original = [], np.random.SeedSequence

    class Noted(original):
        def __init__(self, entropy=None, *, spawn_key=(), **rest):
            super().__init__(entropy, spawn_key=spawn_key, **rest)
            keys.append(tuple(spawn_key))

    monkeypatch.setattr(np.random, "SeedSequence", Noted)
    monkeypatch.setattr(fields, "_PIECE", 64)
    FractalField(dimension=8, hurst=0.5, n_modes=40, rng=3)
    drawn = [key for key in keys if key]
    assert len(set(drawn)) == len(drawn) == 6


@pytest.mark.parametrize("d", [1, 2, 10, 1000])
@pytest.mark.parametrize("hurst", [0.4, hoelder_along_x])
def test_value_and_gradient_are_the_naive_sum(d, hurst):
    """Batches of any leading shape give the sum over modes, and the gradient by its formula, of the naive twin."""
    field = FractalField(d, hurst, rng=1, hurst_range=(0.3, 0.7), n_modes=300)
    vectors, phases = waves_of(field)
    x = np.random.default_rng(0).normal(size=(3, 7, d)) / np.sqrt(d)
    values, gradients = field.value_and_gradient(x)
    exponents, slopes = (
        hoelder_along_x(x.reshape(-1, d))
        if callable(hurst)
        else (np.full(21, hurst), np.zeros((21, d)))
    )
    for point, value, gradient, exponent, slope in zip(
        x.reshape(-1, d), values.ravel(), gradients.reshape(-1, d), exponents, slopes, strict=True
    ):
        expected = naive.fractal_field(point, vectors, phases, field.wavenumbers, exponent, slope)
        # Phases reach 1e4 radians, so their rounding, 1e-12, times the sum of amplitudes bounds the error of both sums.
        assert abs(value - expected[0]) < 1e-9
        np.testing.assert_allclose(gradient, expected[1], atol=1e-9 * np.abs(expected[1]).max())
    np.testing.assert_allclose(field.value(x), values, rtol=1e-12, atol=1e-12)
    assert field.value(x[0, 0]).shape == ()
    assert field.gradient(x[0, 0]).shape == (d,)


@pytest.mark.parametrize("hurst", [0.6, hoelder_along_x])
def test_gradient_is_the_derivative_of_the_value(hurst):
    """Central differences of the value, extrapolated in the step, agree with the gradient to their own error."""
    field = FractalField(2, hurst, rng=3, hurst_range=(0.3, 0.7), n_modes=200, tol=0.3)
    x = np.random.default_rng(1).uniform(-0.7, 0.7, (20, 2))
    for axis in range(2):
        step = np.zeros(2)
        step[axis] = 0.02 / (field.wavenumbers[1] * np.sqrt(2))
        wide, narrow = (
            (field.value(x + k * step) - field.value(x - k * step)) / (2 * k * step[axis])
            for k in (1, 0.5)
        )
        gradient = field.gradient(x)[:, axis]
        # Waves have k h <= 0.02, so the extrapolated difference errs by less than (0.02)^4 of the steepest.
        np.testing.assert_allclose(
            (4 * narrow - wide) / 3, gradient, atol=1e-6 * np.abs(gradient).max()
        )


@pytest.mark.parametrize(
    ("d", "hurst"),
    [
        (1, 0.3),
        (1, 0.99),
        (2, 0.2),
        (2, 0.5),
        (2, 0.99),
        (10, 0.3),
        (10, 0.7),
        (1000, 0.5),
        (1000, 0.8),
    ],
)
def test_variogram_is_the_law_at_any_distance(d, hurst):
    """At r = .01, .1 and 1 the mean of 40 seeds is r^(2H) times the share kept, to 5 standard errors; tol holds."""
    squares = np.empty((40, 3))
    distances = np.array([0.01, 0.1, 1.0])
    for seed in range(40):
        field = FractalField(d, hurst, rng=seed, n_modes=600)
        rng = np.random.default_rng(seed)
        starts, steps = rng.uniform(-0.5, 0.5, (60, d)) / np.sqrt(d), rng.normal(size=(60, d))
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        moved = field.value(starts + distances[:, None, None] * steps)
        squares[seed] = ((moved - field.value(starts)) ** 2).mean(axis=1) / distances ** (2 * hurst)
    expected = np.array([share_present(field, hurst, r) for r in distances])
    standard_error = squares.std(axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(squares.mean(axis=0) - expected) < 5 * standard_error + 1e-3).all()
    assert (standard_error < 0.25).all()  # one squared Gaussian a seed would leave sqrt(2/40) = .22
    assert (expected > 1 - 0.05).all()
    assert (expected < 1 + 1e-3).all()


def test_variogram_in_a_hundred_thousand_dimensions():
    """In d = 100 000 the mean over 12 seeds is r^(2H) times the share kept, within 5 standard errors."""
    distances, ratios, d = np.array([0.03, 0.3, 1.0]), [], 100_000
    for seed in range(12):
        field = FractalField(d, 0.5, rng=seed, n_modes=64)
        step = np.random.default_rng(seed).normal(size=d)
        step /= np.linalg.norm(step)
        values = field.value(np.concatenate([[0 * step], distances[:, None] * step]))
        assert abs(values[0]) < 1e-12
        ratios.append(values[1:] ** 2 / distances)
    # One squared Gaussian a seed and distance scatters by sqrt(2); 36 of them leave a quarter.
    mean, standard_error = np.mean(ratios), np.std(np.mean(ratios, axis=1), ddof=1) / np.sqrt(12)
    expected = np.mean([share_present(field, 0.5, r) for r in distances])
    assert abs(mean - expected) < 5 * standard_error
    assert standard_error < 0.4


def test_gradient_in_a_hundred_thousand_dimensions():
    """In d = 100 000 the gradient predicts the change of the value along a short step, directions kept or drawn again."""
    field = FractalField(100_000, 0.6, rng=0, n_modes=40)
    value, gradient = field.value_and_gradient(np.zeros(100_000))
    assert gradient.shape == (100_000,)
    step = 1e-4 / field.wavenumbers[1] * gradient / np.linalg.norm(gradient)
    change = (field.value(step) - field.value(-step)) / 2
    np.testing.assert_allclose(change, gradient @ step, rtol=1e-5)
    again = FractalField(100_000, 0.6, rng=0, n_modes=40, memory=0)
    assert again._kept is None
    assert again.value(step) == field.value(step)
    assert np.array_equal(again.gradient(step), field.gradient(step))


def test_memory_does_not_grow_with_modes_times_dimension():
    """A field of 800 MB of directions is evaluated within 150 MB when it may not keep them."""
    tracemalloc.start()
    try:
        FractalField(100_000, 0.5, rng=0, n_modes=1000, memory=2**20).value_and_gradient(
            np.ones(100_000) / 400
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6


@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_plane_field_has_the_law_of_the_surface(hurst):
    """Second and fourth moments of increments, and their products, agree with fbm_surface to 5 standard errors."""
    pixels = np.array([[0, 0], [1, 0], [0, 1], [8, 0], [0, 8], [8, 8], [40, 0], [40, 23]])
    points = np.concatenate([(pixels + shift) / 64 for shift in ([0, 0], [15, 30], [20, 5])])
    moments = {"field": [], "surface": []}
    for seed in range(150):
        drawn = {
            "field": FractalField(2, hurst, rng=seed, n_modes=600, tol=0.02).value(points),
            "surface": fbm_surface(64, hurst, rng=seed).values[
                tuple((points * 64).round().astype(int).T[::-1])
            ],
        }
        for name, values in drawn.items():
            increments = (values.reshape(3, -1) - values.reshape(3, -1)[:, :1])[:, 1:]
            increments /= np.linalg.norm(pixels[1:] / 64, axis=1) ** hurst
            moments[name].append(
                np.concatenate(
                    [
                        np.einsum("si,sj->ij", increments, increments).ravel() / 3,
                        (increments**4).mean(axis=0),
                    ]
                )
            )
    (field, field_error), (surface, surface_error) = (
        (np.mean(m, axis=0), np.std(m, axis=0) / np.sqrt(150)) for m in moments.values()
    )
    # The field may miss tol = .02 of the variogram.
    assert (np.abs(field - surface) < 5 * np.hypot(field_error, surface_error) + 0.02).all()


def test_local_variogram_follows_the_local_exponent():
    """Where H varies along x, pairs separated along y at x obey r^(2 H(x)), over 60 seeds to 5 standard errors."""
    x, distances = np.array([-0.9, 0.0, 0.9]), np.array([0.01, 0.1])
    squares = np.empty((60, 2, 3))
    for seed in range(60):
        field = FractalField(2, hoelder_along_x, rng=seed, hurst_range=(0.3, 0.7), n_modes=1000)
        starts = np.stack(np.broadcast_arrays(x, np.linspace(-0.4, 0.4, 30)[:, None]), axis=-1)
        for k, r in enumerate(distances):
            squares[seed, k] = ((field.value(starts + [0, r]) - field.value(starts)) ** 2).mean(
                axis=0
            )
    exponents = 0.5 + 0.2 * np.sin(x)
    for k, r in enumerate(distances):
        ratio = squares[:, k] / r ** (2 * exponents)
        expected = [share_present(field, hurst, r) for hurst in exponents]
        assert (
            np.abs(ratio.mean(axis=0) - expected) < 5 * ratio.std(axis=0) / np.sqrt(60) + 1e-3
        ).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dimension": 0}, "dimension must be a whole number, at least 1, got 0"),
        ({"hurst": 1.0}, "hurst must lie in (0, 0.99], got 1.0"),
        (
            {"hurst": hoelder_along_x},
            "hurst_range must be a pair (lowest, highest) when hurst is a function, got None",
        ),
        (
            {"hurst": hoelder_along_x, "hurst_range": (0.2, 1.1)},
            "hurst_range must lie in (0, 0.99], got 1.1",
        ),
        ({"n_modes": 1}, "n_modes must be a whole number, at least 2"),
        ({"scales": (1.0, 0.1)}, "scales must ascend"),
        ({"tol": -1}, "tol must be a positive finite number"),
        ({"hurst": 0.02}, "pass a larger tol, a larger exponent, or the band of waves"),
    ],
)
def test_bad_fields_are_refused_with_the_rule(arguments, words):
    """Each refusal names the argument, its value, the rule and the remedy."""
    with pytest.raises(ValueError, match=re.escape(words)):
        FractalField(**{"dimension": 2, "hurst": 0.5, "rng": 0} | arguments)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((5, 3)), "x must have shape (..., 2), got (5, 3)"),
        ([0.0, np.nan], "x must be finite"),
        (3.0, "x must have shape (..., 2), got ()"),
    ],
)
def test_bad_points_are_refused_with_the_rule(x, words):
    """Points of another dimension, or not finite, are refused."""
    with pytest.raises(ValueError, match=re.escape(words)):
        FractalField(2, 0.5, rng=0, n_modes=10).value_and_gradient(x)


def test_vectors_of_a_hessian_product_are_one_or_one_a_point():
    """One vector serves all points; any other shape is refused by name, and so is a bowl on what is no field."""
    field, x = FractalField(2, 0.5, rng=0, n_modes=10), np.array([[0.1, 0.2], [0.3, -0.4], [0, 1]])
    one = field.hessian_product(x, [1.0, 2.0])
    np.testing.assert_array_equal(one, field.hessian_product(x, np.tile([1.0, 2.0], (3, 1))))
    for bad in (np.ones((2, 2)), np.ones((1, 3, 2)), np.ones(3), [np.nan, 0]):
        with pytest.raises(ValueError, match="^v must "):
            field.hessian_product(x, bad)
    with pytest.raises(ValueError, match="field must have dimension, reach and value_and_gradient"):
        ConfinedField(3, 1.0)


def test_an_exponent_outside_its_range_is_refused():
    """A function of exponents that leaves the range the field was built for is refused when evaluated."""
    field = FractalField(2, hoelder_along_x, rng=0, hurst_range=(0.45, 0.55), n_modes=10)
    with pytest.raises(
        ValueError, match=re.escape("hurst must stay in its hurst_range (0.45, 0.55)")
    ):
        field.value([1.0, 0.0])


@pytest.mark.parametrize("d", [1, 3, 40])
def test_the_hessian_is_the_sum_over_waves(d):
    """The Hessian is sum of -a k k' cos(k.x + phi), wave after wave; products are its, and it is symmetric."""
    field = FractalField(d, 0.6, rng=2, n_modes=700, scales=(0.1, 1.0))
    vectors, phases = waves_of(field)
    x, v = np.random.default_rng(3).normal(size=(2, d)) / np.sqrt(d)
    expected = sum(
        -a * np.cos(k @ x + phi) * np.outer(k, k)
        for a, k, phi in zip(field._amplitudes, vectors, phases, strict=True)
    )
    hessian = field.hessian(x)
    np.testing.assert_allclose(hessian, expected, atol=1e-10 * np.abs(expected).max())
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * np.abs(expected).max())
    product = field.hessian_product(x, v)
    np.testing.assert_allclose(product, hessian @ v, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("n", "k", "d"), [(1, 70, 3), (3, 2, 5), (40, 1, 7)])
def test_gradients_and_products_together_have_the_bits_of_each_alone(n, k, d):
    """Whatever tile a point and its vectors fall into; arrays that do not fit each other are refused."""
    field = FractalField(d, 0.4, rng=0, n_modes=530, tol=0.2)
    draw = np.random.default_rng(n)
    points, vectors = draw.normal(size=(n, d)), draw.normal(size=(n, k, d))
    gradients, products = field.gradient_and_hessian_products(points, vectors)
    assert np.array_equal(gradients, field.gradient(points))
    places = np.broadcast_to(points[:, None], vectors.shape)
    assert np.array_equal(products, field.hessian_product(places, vectors))
    with pytest.raises(ValueError, match=re.escape(f"v must have shape ({n}, k, {d})")):
        field.gradient_and_hessian_products(points, vectors[:, 0])


def test_a_field_with_h_near_one_is_a_plane_over_short_distances():
    """At H = .99 squared increments over .01 to 1 follow r^1.98 and the field is far from zero (published form: 0)."""
    field = FractalField(3, 0.99, rng=0)
    x = np.random.default_rng(0).uniform(-0.3, 0.3, (50, 3))
    step = np.array([0.3, 0.0, 0.0])
    whole, tenth = (field.value(x + f * step) - field.value(x) for f in (1.0, 0.1))
    ratio = (whole**2).mean() / (tenth**2).mean()
    assert 70 < ratio < 110  # 10^1.98 = 95; one field scatters by some 10 %
    assert (whole**2).mean() > 0.01


def test_wavenumbers_that_are_given_are_those_of_the_waves():
    """The band is the same for every exponent, and what is no band is refused."""
    for hurst in (0.3, 0.8):
        field = FractalField(6, hurst, rng=0, n_modes=500, wavenumbers=(2.0, 300.0))
        lengths = np.linalg.norm(waves_of(field)[0], axis=1) / np.sqrt(6)
        assert field.wavenumbers == (2.0, 300.0)
        # stratified: the extremes lie in the first and the last of 500 strata of ln 150 / 500 = 1 %
        assert 2.0 <= lengths.min() < 2.03
        assert 296.0 < lengths.max() <= 300.0
        assert "wavenumbers=(2.0, 300.0)" in repr(field)
    for band in ((3.0, 2.0), (0.0, 2.0), 5.0, (1.0, 1e20)):
        with pytest.raises(ValueError, match="wavenumbers must"):
            FractalField(2, 0.5, rng=0, wavenumbers=band)
