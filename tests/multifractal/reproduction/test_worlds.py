"""For every claim a world in which its rule says "reproduced" and one in which it says "not", both through its own numbers.

A world is a landscape where the measurement itself is cheap, else what walks, paths or runs of that world would give: samples
with scatter, from which the claim's own function makes its means and intervals.
"""

import functools
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import Landscape, Provenance, fbm_surface, source_data, theoretical_tamsd
from multifractal.base.curves import Curves
from multifractal.diffusion.displacement import Displacement
from multifractal.diffusion.potentials import HarmonicPotential
from multifractal.diffusion.theory import diffusion_exponent_law
from multifractal.reproduction import (
    alpha_claims,
    chaos_claims,
    curvature_claims,
    drift_claims,
    edge_claims,
    page,
    record,
    spectra_claims,
    surface_claims,
    theory_claims,
    training_claims,
    walk_claims,
)
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_REPRODUCED,
    PUBLISHED_ONLY,
    REPRODUCED,
    Claim,
    Judgement,
    Measured,
    Protocol,
    Quantity,
)
from multifractal.reproduction.study import Study
from tests.conftest import ROOT
from tests.helpers import approved
from tests.helpers.drawn import figures_made, forms_of

RECORD = ROOT / "experiments" / "results" / "reproduction.json"
CLAIMS = {claim.name: claim for claim in page.claims()}
CALL = Provenance("a world")
N = 8  # surfaces, walks or runs of a world


def scatter(*shape, by=0.03, stream=0):
    """Normal numbers of standard deviation `by`."""
    return by * np.random.default_rng([5, stream]).standard_normal(shape)


def call(*_):
    """The provenance of all numbers of a world."""
    return CALL


def measured(name, study):
    """What a claim measures on a study."""
    return CLAIMS[name].measure(study)


# Landscapes


def landscapes(draw, size=128, effort=0.1, n=4, section=None):
    """A study of a kind of landscape, `draw(i, study)`."""
    return Study(
        n_surfaces=n,
        size=size,
        effort=effort,
        draw_surface=draw,
        draw_fractional=lambda hurst, i, study: draw(i, study),
        sections=lambda: {} if section is None else {"section": section},
    )


def white_noise(i, study):
    """White noise, said to have the paper's map."""
    return Landscape(
        0.4 * study.rng(i, 99).standard_normal((study.size, study.size)), study.hoelder_map
    )


def quartic(i, study):
    """A bowl that is flat where it is low: descent ends on flat ground, steps in random directions do not."""
    y, x = (
        np.mgrid[: study.size, : study.size] / study.size
        - study.rng(i, 99).uniform(0.4, 0.6, 2)[:, None, None]
    )
    return Landscape(0.5 * (x**4 + y**4) + 0.002 * (x**2 + y**2))


def quilt(i, study):
    """Patches of 32 pixels, each at a height of its own with ripples of one sharpness: flat minima lie beside flat ones."""
    draw, n = study.rng(i, 98), study.size // 32
    height, sharpness = (np.kron(draw.standard_normal((n, n)), np.ones((32, 32))) for _ in range(2))
    wave = np.cos(np.pi / 2 * np.arange(study.size))
    ripples = wave[:, None] + wave + 0.01 * draw.standard_normal((study.size, study.size))
    return Landscape(0.01 * height + 0.02 * np.exp(sharpness) * ripples)


def monofractal(i, study):
    """A monofractal surface of exponent 1/2."""
    return fbm_surface(study.size, 0.5, rng=study.rng(i, 97))


@functools.cache
def paper_surfaces(size=256):
    """The paper's map, small; its section is a patch of a surface of the paper's size."""
    patch = Study(seed=1).surface(0).values[:257, :257].astype(float)
    return Study(n_surfaces=6, size=size, effort=0.2, sections=lambda: {"patch": patch})


def white_section():
    """A study whose section is white noise."""
    noise = np.random.default_rng(0).standard_normal((257, 257))
    return landscapes(white_noise, n=3, section=noise)


# What walks, paths and runs of a world give


def law_of_curvature(power):
    """Curvature that follows the paper's x to a power, with 1 % of scatter in each bin."""
    x = np.tile(np.geomspace(1e3, 1e5, 20), (N, 1))
    y = x**power * (1 + scatter(*x.shape, by=0.01))
    found = curvature_claims.curvature_numbers(x, y, y / 2, y, 1024, CALL)
    found.results["law"] = SimpleNamespace(exact=y[0] / 3, hoelder=np.linspace(0.7, 0.3, 20))
    return found


def clusters(power_smooth, power_rough):
    """Clustering curves of given powers, with the published radii, and monofractal ones of power 1.7."""
    found = [
        {
            name: SimpleNamespace(power=power + s, crossover=radius * (1 + s))
            for name, power, radius in (
                ("smoother", power_smooth, 36.7),
                ("rougher", power_rough, 29.4),
            )
        }
        for s in scatter(N)
    ]
    for surface in found:
        for curve in surface.values():
            curve.radii = np.arange(1.0, 61)
            curve.counts = np.minimum(curve.radii, curve.crossover) ** curve.power
    numbers = surface_claims.clustering_numbers(found, 1.7 + scatter(N), CALL, CALL)
    return Measured(quantities=numbers, results=surface_claims._drawn_curves(found, CALL))


def displaced(early, late=0.6, far=0.9, stream=0):
    """Displacement of walks that grow with these exponents at short lags, before and from 3800 on, and beyond lag 10."""
    lags, waiting = walk_claims._LAGS, walk_claims._WAITING_TIMES
    near = np.where(waiting >= walk_claims._LATE, late, early)[:, None]
    slopes = near + scatter(N, 5, 1, 1, by=0.1, stream=stream)
    beyond = far + scatter(N, 5, 1, 1, by=0.1, stream=stream + 1)
    return 300 * np.minimum(lags, 10) ** slopes * np.maximum(lags / 10, 1.0) ** beyond


def walks(exact, published):
    """A study and displacement by unfolding."""
    return Study(n_surfaces=N, size=32, effort=0.1), {"exact": exact, "published": published}


def displacement_file(stream=20):
    """A file of one walk's displacement, from lag 0 on, as the paper's is."""
    curves = displaced(0.8, 0.65, 1.0, stream)[0, :1]
    return Displacement(
        per_walk=np.concatenate([0 * curves[..., :1], curves], axis=-1),
        waiting_times=walk_claims._WAITING_TIMES,
        lag_times=np.append(0, walk_claims._LAGS),
        window=3000,
        provenance=CALL,
    )


def short(early, file=None):
    """The claim on short lags, and beside a file."""
    curves = displaced(early)
    return walk_claims.short_numbers(*walks(curves, curves), file)


def long(exact, published, file=None):
    """The claim on long lags, and beside a file."""
    curves = (displaced(0.7, far=exact), displaced(0.7, far=published, stream=7))
    return walk_claims.long_numbers(*walks(*curves), file)


def variants(exponent):
    """Every update rule with this exponent, a third of its time in the flattest tenth."""
    lags = drift_claims._VARIANT_LAGS
    curves = {
        name: 300 * lags ** (exponent + scatter(N, 1, stream=k))
        for k, name in enumerate(drift_claims.VARIANTS)
    }
    shares = {name: 0.33 + scatter(N) for name in curves}
    return drift_claims.variant_numbers(curves, shares, call)


def sharpening(early, late):
    """Ranks of sharpness from one half on that rise by `early` in the first half of log time and by `late` in the second."""
    times = np.log(np.maximum(drift_claims.TIMES, 1)) / np.log(drift_claims._STEPS)
    curve = 0.5 + early * np.minimum(times / 0.5, 1) + late * np.maximum(times / 0.5 - 1, 0)
    shape = (N, len(drift_claims.SHARPENING_RATES), len(times))
    ranks = {
        arm: curve + scatter(*shape, by=0.02, stream=k) for k, arm in enumerate(drift_claims.BEGUN)
    }
    return drift_claims.sharpening_numbers(ranks, call)


def trained(flat, drift):
    """Runs whose test gap goes with log sharpness by `flat`, and their distance from the start against it by `drift`."""
    found = {}
    for k, table in enumerate(("digits", "airfoil")):
        log_sharpness = scatter(2 * N, 9, by=1, stream=k)
        distance = 3 - drift * log_sharpness + scatter(2 * N, 9, by=0.5, stream=k + 2)
        gap = 1 + flat * log_sharpness + scatter(2 * N, 9, by=0.5, stream=k + 4)
        found[table] = np.stack([np.exp(log_sharpness), distance, gap], axis=-1)
    return training_claims.generalisation_numbers(found, call)


def settling(exponent, at=30.0, walks_differ=0.0):
    """Log sharpness by arm that falls as rate^-exponent and is 2/rate at one rate."""
    rates = np.log10(edge_claims.RATES)
    line = np.log10(2 / at) - exponent * (rates - np.log10(at))
    arms = {}
    for k, arm in enumerate(edge_claims.ARMS):
        mean = (
            line
            + scatter(N, 1, by=0.05 + walks_differ, stream=k)
            + scatter(N, 40, by=0.02, stream=9 + k)
        )
        arms[arm] = edge_claims.Settled(mean, np.full(mean.shape, 0.1), np.abs(mean - line) < 0.03)
    return arms


def settled_file():
    """The first sample of a world of its own, as a file is one sample."""
    of_all = settling(0.8)["paper"]
    return edge_claims.Settled(*(getattr(of_all, k)[:1] for k in ("mean", "spread", "equal")))


def edge(exponent, file=None):
    """The claim on the edge of stability, and beside a file."""
    return edge_claims.edge_numbers(settling(exponent), scatter(N), file, call)


def crossing(spread, file=None):
    """The claim on what sets the range, where surfaces cross 2/rate within `spread` decades, and beside a file."""
    hoelder = np.linspace(0.3, 0.6, N)
    return edge_claims.range_numbers(settling(0.4, 60, spread), hoelder, file, call)


def chaos(low, high, file=None):
    """Exponents that rise evenly with log rate from `low` at the first rate of the sweep to `high` at the last."""
    line = np.linspace(low, high, len(chaos_claims.SWEEP))
    means = np.append(line, np.interp(3, np.log10(chaos_claims.SWEEP), line))[None, :, None]
    found = {name: means + scatter(N, 1, 5, by=0.1) for name in chaos_claims.WINDOWS}
    found["late"] = found["late"][:, :3]
    hoelder = np.linspace(0.3, 0.6, N)
    return chaos_claims.numbers(found, hoelder, 0.86, file, call)


def chaos_file():
    """Rates and mean exponents, as the paper's file has them: the sweep and two rates beyond it."""
    rates = np.append(chaos_claims.SWEEP, [2000.0, 4000.0])
    return rates, np.linspace(-0.3, 0.6, len(rates)) ** 3


def alphas_file():
    """Exponents of the file's trials by H, of 0.1 to 0.9."""
    hursts = np.arange(1, 10) / 10
    samples = 0.9 - 0.5 * hursts + scatter(6, 9, by=0.1, stream=30)
    return {"published": Curves(x=hursts, samples=samples, over="trials", provenance=CALL)}


def alphas(law, file=None):
    """Walks whose exponent is law(H) at every rate, with steps of rate²/10 000 pixel²."""
    hursts, rates, lags = np.array(alpha_claims.HURSTS), alpha_claims.RATES, alpha_claims.LAGS
    slopes = law(hursts)[:, None, None, None] + scatter(len(hursts), N, 1, 1)
    curves = (rates**2 / 1e4)[:, None] * lags**slopes
    study = Study(n_surfaces=N, size=32)
    found = alpha_claims.numbers(curves, np.zeros(curves.shape[:3]), study)
    found.results.update(file or {})
    return found


def fitted(slope=None):
    """Fits to the theory's own displacement at each H (or 0.51, next to its end), or to power laws of a slope."""
    table, drawn = [], {}
    for hurst in theory_claims._FITTED:
        for s in scatter(N, by=0.02):
            lags = theory_claims._FIT_LAGS
            curve = (
                theoretical_tamsd(
                    lags, learning_rate=1000.0, hurst=max(hurst, 0.51), theta=3e4, stiffness=1e-4
                )
                if slope is None
                else 300.0 * lags**slope
            ) * np.exp(s)
            found = Displacement(
                per_walk=curve[None, None],
                waiting_times=np.array([0]),
                lag_times=lags,
                window=3000,
                provenance=CALL,
            )
            fit = theory_claims._fit(found)
            table.append(theory_claims._numbers(found, fit))
        drawn |= {f"ours {hurst}": found, f"fit {hurst}": fit, f"published {hurst}": found}
    table = np.array(table).reshape(len(theory_claims._FITTED), N, 3)
    return theory_claims.fit_numbers(table, drawn, CALL)


def langevin(*potential):
    """Paths in the paper's potential, or another."""
    study = Study(n_surfaces=2, size=32, effort=0.2)
    return theory_claims.measure_langevin(study, *potential)


def runs(early, far, late):
    """Training runs whose displacement has these exponents at short lags, and at long lags early and late."""
    waiting, lags = training_claims._WAITING_TIMES, training_claims._LAGS
    found = []
    for s in scatter(N, by=0.05):
        first = np.minimum(lags, 20) ** (early + s) * np.maximum(lags / 20, 1.0) ** (far + s)
        curves = [first] * (len(waiting) - 1) + [lags ** (late + s)]
        found.append(
            Displacement(
                per_walk=np.array(curves)[None],
                waiting_times=waiting,
                lag_times=lags,
                window=3000,
                provenance=CALL,
            )
        )
    return training_claims.measured(found, Study(n_surfaces=N, size=32), "airfoil", 3000)


def networks(*gains):
    """Recurrent networks of these gains, chaotic or not."""
    return spectra_claims.measure_premise(Study(n_surfaces=4, size=32), gains)


def mixed(hursts):
    """The law 1, then 2 - 2H."""
    return np.array([float(diffusion_exponent_law(h)) for h in hursts])


WORLDS = {  # claim: the world where it is reproduced, the world where it is not
    "surface_spectrum": (
        lambda: measured("surface_spectrum", paper_surfaces()),
        lambda: measured("surface_spectrum", landscapes(white_noise)),
    ),
    "section_spectra": (
        lambda: measured("section_spectra", paper_surfaces()),
        lambda: measured("section_spectra", white_section()),
    ),
    "premise": (lambda: networks(3.0, 3.0), lambda: networks(0.8, 0.8)),
    "curvature": (lambda: law_of_curvature(1), lambda: law_of_curvature(0)),
    "multiscale": (
        lambda: measured("multiscale", landscapes(monofractal, size=256, n=12)),
        lambda: measured("multiscale", landscapes(white_noise)),
    ),
    "minima": (
        lambda: measured("minima", landscapes(quilt, size=256, n=12)),
        lambda: measured("minima", landscapes(white_noise)),
    ),
    "clustering": (lambda: clusters(1.72, 1.6), lambda: clusters(1.99, 1.98)),
    "losses": (
        lambda: measured("losses", paper_surfaces()),
        lambda: measured("losses", landscapes(white_noise)),
    ),
    "tamsd_short": (lambda: short(0.7), lambda: short(1.2)),
    "tamsd_long": (lambda: long(1.2, 1.2), lambda: long(0.8, 0.8)),
    "drift": (
        lambda: measured("drift", landscapes(quartic)),
        lambda: measured("drift", landscapes(white_noise)),
    ),
    "sharpening": (lambda: sharpening(0.2, 0.2), lambda: sharpening(-0.2, 0.0)),
    "variants": (lambda: variants(0.7), lambda: variants(1.2)),
    "edge_of_stability": (lambda: edge(1.0), lambda: edge(0.4)),
    "range_set_by_start": (lambda: crossing(0.0), lambda: crossing(0.4)),
    "lyapunov": (lambda: chaos(0.15, 0.57), lambda: chaos(-0.5, 3.0)),
    "alpha_of_hurst": (lambda: alphas(mixed), lambda: alphas(np.ones_like)),
    "subdiffusion_fits": (fitted, lambda: fitted(1.0)),
    "langevin": (langevin, lambda: langevin(HarmonicPotential())),
    "training": (lambda: runs(0.7, 1.3, 0.2), lambda: runs(1.0, 1.0, 1.0)),
    "generalisation": (lambda: trained(1, 1), lambda: trained(-1, 1)),
}


BESIDE_A_FILE = {  # worlds in which the paper's file is at hand
    "tamsd_short": lambda: short(0.7, displacement_file()),
    "tamsd_long": lambda: long(1.2, 1.1, displacement_file()),
    "edge_of_stability": lambda: edge(1.0, settled_file()),
    "range_set_by_start": lambda: crossing(0.0, settled_file()),
    "lyapunov": lambda: chaos(0.15, 0.57, chaos_file()),
    "alpha_of_hurst": lambda: alphas(mixed, alphas_file()),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_rule_says_yes_in_one_world_and_no_in_another(name, monkeypatch):
    """A rule whose best verdict no world can reach, or that nothing can fail, is no rule; numbers and figure are as approved."""
    monkeypatch.setattr(source_data, "available", lambda name: False)
    worlds = [world() for world in WORLDS[name]]
    found = [CLAIMS[name].judge(world.quantities) for world in worlds]
    assert [each.verdict for each in found] == [REPRODUCED, NOT_REPRODUCED], found
    as_approved(name, worlds[0])


@pytest.mark.parametrize("name", BESIDE_A_FILE)
def test_numbers_of_a_file_stand_beside_ours(name, monkeypatch):
    """Where the paper's file is at hand its numbers and curves are those that were approved; the file is made up, others are not there."""
    monkeypatch.setattr(source_data, "available", lambda name: False)
    world = BESIDE_A_FILE[name]()
    as_approved(f"{name} beside a file", world)


def _told(value):
    """Return a number as it is, and 0 for what is rounding, which is another one by each version of numpy."""
    return 0.0 if isinstance(value, float) and abs(value) < 1e-12 else value


def as_approved(title, world):
    """Compare a world's numbers, the rows of the page and the reason that they give, and the claim's figure."""
    claim = CLAIMS[title.split()[0]]
    judged = claim.judge(world.quantities)
    with figures_made() as made:
        if claim.draw:
            claim.draw(world)
    forms = forms_of(made)
    plt.close("all")
    told = {
        key: [
            [_told(x) for x in (q.value, q.low, q.high, q.spread)],
            [q.n, q.in_file],
            page._row(q)[1:],
        ]
        for key, q in world.quantities.items()
    }
    found = {"numbers": told, "judged": [judged.verdict, judged.reason], "figure": forms}
    approved.check("claims", title, found)


@pytest.mark.parametrize(
    ("name", "world", "words"),
    [
        ("sharpening", lambda: sharpening(0.2, 0.0), "not progressively"),
        ("generalisation", lambda: trained(1, -1), "not by drifting further"),
        ("generalisation", lambda: trained(1, 0), "not by drifting further"),
    ],
)
def test_a_claim_of_several_links_holds_with_a_correction_where_the_first_does(name, world, words):
    """Sharpness that rises and stops, and flat ends that generalise better without having gone further."""
    found = CLAIMS[name].judge(world().quantities)
    assert found.verdict == CORRECTED, found
    assert words in found.reason


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_says_the_papers_protocol_and_ours_and_holds_a_file_against_draws(name):
    """Both protocols are told; the record holds a number of a file beside ours, or the claim says why there is none."""
    claim = CLAIMS[name]
    assert claim.protocol.paper
    assert claim.protocol.ours
    held = [q for q in record.kept(RECORD)[1][name][2].values() if q.in_file is not None]
    assert bool(held) != bool(claim.protocol.no_file)


def test_super_diffusion_by_the_published_unfolding_only():
    """Walks that spread faster than diffusion only where reflected steps are not turned round are said to do just that."""
    found = CLAIMS["tamsd_long"].judge(long(0.8, 1.3).quantities)
    assert found.verdict == PUBLISHED_ONLY
    assert "Brownian" in found.reason


def test_the_null_counts_more_walks_at_14_waiting_times_than_at_one():
    """Of plain Brownian walks fewer exceed 1.05 at waiting time 3200 than 1.1 at any of the 14, and neither is rare."""
    found = long(0.8, 0.8).quantities
    assert 0.1 < found["null once"].value < 0.6
    assert found["null ever"].value > found["null once"].value


# The paper's files as draws of the protocol that is attributed to them


def file_claim(in_file):
    """A claim with ten samples around 1 (standard deviation 0.1), and a number from a file."""
    found = Quantity.mean("slope", 1 + scatter(10, by=0.1), CALL).beside(in_file)
    return Claim(
        "told",
        "Told",
        "",
        "",
        lambda study: Measured(quantities={"slope": found}, results={}),
        lambda found: Judgement(REPRODUCED, "yes"),
        None,
        "",
        Protocol("theirs", "ours"),
    )


@pytest.mark.parametrize(("in_file", "words"), [(1.1, "Yes"), (2.0, "NOT an ordinary draw")])
def test_a_file_that_is_no_draw_of_its_protocol_is_noticed(in_file, words, tmp_path):
    """A file within the interval of one more draw is ordinary; one far out is told on the page, loudly."""
    path = tmp_path / "report.html"
    page.report(Study(n_surfaces=2, size=32), path, only=[file_claim(in_file)])
    text = path.read_text()
    assert words in text
    assert "theirs" in text
    assert page.unusual_of(file_claim(in_file).measure(None).quantities)[1] == (in_file == 2.0)


def test_without_a_file_nothing_is_said(tmp_path):
    """A claim of which no file is here says nothing about draws."""
    path = tmp_path / "report.html"
    page.report(Study(n_surfaces=2, size=32), path, only=[file_claim(None)])
    assert "ordinary draw" not in path.read_text()


def test_the_compact_stencil_has_the_law_that_the_paper_prints():
    """On exact surfaces its mean square is r(H) N^(-2H)/2 within 5 standard errors over 6 surfaces, at three exponents."""
    for hurst in (0.3, 0.5, 0.7):
        surfaces = [fbm_surface(256, hurst, rng=i) for i in range(6)]
        flat = np.full((256, 256), hurst)
        ratios = [
            curvature_claims.compact_curvature(Landscape(surface.values, flat)).item()
            for surface in surfaces
        ]
        r = 16 - 2 ** (2 * hurst + 2) + 2 ** (2 * hurst) - 2 ** (3 * hurst - 1)
        error = np.std(ratios, ddof=1) / np.sqrt(len(ratios))
        assert abs(np.mean(ratios) - r * 256.0 ** (-2 * hurst) / 2) < 5 * error


def test_the_authors_bars_hold_in_their_file_at_7_of_16_rates(zenodo, monkeypatch):
    """Their own sharpness, 1.96 standard deviations of log10 over walks and positions: 2/rate within at 7 rates."""
    monkeypatch.setenv("MULTIFRACTAL_DATA", str(zenodo))
    found = edge_claims.published()
    assert found.within_bars[0] == 7 / 16
    assert round(found.slope[0], 2) == -0.71
