"""The study of d dimensions: its units against measured fields, its order, going on after a stop."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from experiments import d_dimensions, d_dimensions_tables
from experiments import d_dimensions_jobs as study
from experiments.d_dimensions_figures import draw
from experiments.d_dimensions_jobs import Job
from experiments.d_dimensions_tables import Cell, Diagram
from multifractal import FractalField


@pytest.mark.parametrize("d", [2, 30])
def test_units_of_the_rates_are_those_of_the_fields(d):
    """The gradient's mean square and the trace of the squared Hessian over many places are the formulas'."""
    squares = []
    for seed in range(4):
        field = FractalField(d, 0.5, rng=seed, n_modes=4096, wavenumbers=study.BAND)
        x = np.random.default_rng(seed).normal(size=(200, d))
        gradient = field.gradient(x)
        v = np.random.default_rng(9).normal(size=(200, d))
        product = field.hessian_product(x, v)
        squares.append([(gradient**2).sum(axis=1).mean(), (product**2).sum(axis=1).mean()])
    found, error = np.mean(squares, axis=0), np.std(squares, axis=0, ddof=1) / 2
    # E|H v|^2 = trace of H^2 = sum of a^2 k^4 / 2
    law = [study.typical_gradient(d, 0.5) ** 2, study.moment(d, 0.5, 4) / 2]
    # 800 places whose squares scatter by a factor of about one: 4 %, five of which are allowed
    np.testing.assert_allclose(found, law, rtol=0.2)
    assert (error < 0.2 * found).all()


def test_the_edge_of_the_semicircle_is_that_of_measured_hessians():
    """In 60 dimensions, with waves enough, the largest eigenvalue less the mean of all is the formula's within 15 %."""
    found = []
    for seed in range(4):
        field = FractalField(60, 0.5, rng=seed, n_modes=12000, wavenumbers=study.BAND)
        values = np.linalg.eigvalsh(field.hessian(np.zeros(60)))
        found.append((values[-1] - values.mean()) / study.typical_curvature(60, 0.5))
    # the largest of d eigenvalues scatters by d^(-2/3) = 7 % of the edge about a mean 9 % below it (Tracy and Widom), and some
    # 600 waves of the shortest octave, ten a dimension, skew the semicircle upwards by about as much
    assert abs(np.mean(found) - 1) < 0.15


def test_jobs_are_distinct_and_begin_with_the_whole_diagram():
    """Every cell of the coarse diagram comes before a third field of any; every cell gets ten fields."""
    jobs = study.jobs()
    assert len({job.file for job in jobs}) == len(jobs)
    cells = {(job.d, job.hurst) for job in jobs if job.kind == "plain" and not job.modes}
    assert len(cells) == 63
    for d, hurst in cells:
        assert [j.index for j in jobs if j[:3] == ("plain", d, hurst) and not j.modes] == list(
            range(10)
        )
    coarse = {(d, h) for d in study.DIMENSIONS for h in study.HURSTS[::2]}
    third = next(
        i for i, job in enumerate(jobs) if job.index == 2 and job.kind == "plain" and not job.modes
    )
    assert coarse <= {(job.d, job.hurst) for job in jobs[:third]}
    quick = {(job.d, job.hurst, job.index) for job in jobs if job.is_quick}
    assert quick == set(itertools.product((2, 10, 100), (0.3, 0.5, 0.7), (0, 1)))
    assert len(quick) == sum(job.is_quick and not job.modes for job in jobs)


@pytest.mark.parametrize(
    "job", [Job("plain", 3, 0.4, 0, 64), Job("adam", 3, 0.5, 0, 64), Job("drift", 3, 0.5, 0, 64)]
)
def test_a_job_is_the_same_each_time(job):
    """A job's numbers hang on nothing but the job."""
    first, again = (study.measure(job, n_steps=30, waiting=10) for _ in range(2))
    assert first.keys() == again.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])


def test_a_stopped_job_says_so():
    """A job whose time is over raises, rather than return a part."""
    with pytest.raises(study.Stopped):
        study.measure(Job("plain", 2, 0.5, 0, 32), stop=0.0)


@pytest.mark.slow
def test_run_stops_in_time_and_goes_on(tmp_path):
    """Without time nothing is begun; with some, all is done and kept; a second run has nothing left; other settings are refused."""
    todo = [Job("plain", 2, 0.5, i, 32) for i in range(3)]
    assert d_dimensions.run(todo, tmp_path, 1, 0.0, say=lambda text: None) == (0, 3)
    assert d_dimensions.run(todo, tmp_path, 2, 100.0, say=lambda text: None) == (3, 0)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert d_dimensions.run(todo, tmp_path, 1, 100.0, say=lambda text: None) == (3, 0)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    d_dimensions.files.save_arrays(tmp_path / todo[0].file, {}, {"other": 1}, overwrite=True)
    with pytest.raises(SystemExit, match="other settings"):
        d_dimensions.run(todo, tmp_path, 1, 100.0)


def made_up(exponent, alpha, moved=100.0, sharpness=1.0, n=4):
    """Return a cell at d = 10, H = 0.7 whose fields scatter by 1 % about given curves by rate."""
    scatter = 1 + 0.01 * np.linspace(-1, 1, n)[:, None]
    lags = np.array([*study.SHORT_LAGS, *study.LONG_LAGS])
    wave = study.shortest_wavelength(10)
    curves = (moved * wave) ** 2 * (lags / 240.0) ** np.asarray(alpha)[:, None]
    edge = np.full(15, sharpness) * 2 / study.learning_rates(10, 0.7)
    arrays = {
        "displacement": scatter[:, :, None] * curves,
        "exponents": scatter * np.asarray(exponent),
        "sharpness": scatter * edge,
    }
    return Cell(10, 0.7, arrays)


def test_rules_say_yes_and_no_where_they_must():
    """Chaos begins where exponents stay positive; the law is a plateau, a crossing or nowhere; trapped walks have no alpha."""
    exponent = np.where(np.arange(15) < 6, -0.1, 0.5)
    exponent[2] = 0.3  # once positive and then not: no chaos yet
    alpha = np.full(15, 0.6)
    cell = made_up(exponent, alpha)
    assert cell.chaos == 6
    assert cell.law_holds.all()
    np.testing.assert_allclose(cell.alpha[0], 0.6, atol=1e-6)
    np.testing.assert_allclose(cell.edge, 1.0, rtol=1e-3)
    assert (cell.trapped == 0).all()
    assert made_up(-np.abs(exponent), alpha).chaos is None
    slow = made_up(
        np.maximum(exponent, 0.01), alpha
    )  # slow descent, whose exponents are just above zero
    assert (slow.chaos, slow.chaos_as_written) == (6, 0)
    assert not made_up(exponent, alpha + 0.2).law_holds.any()
    rest = made_up(exponent, alpha, moved=0.2)
    assert (rest.trapped == 1).all()
    assert np.isnan(rest.alpha).all()
    assert not rest.law_holds.any()


def test_drift_survives_only_beyond_chance_and_is_its_own_only_beyond_its_controls():
    """A share of 0.3 against controls of 0.1, of 0.3, and a share of 0.1."""
    scatter = 0.01 * np.linspace(-1, 1, 6)[:, None]
    verdicts = [
        d_dimensions_tables._drift(scatter + np.array(shares))[-2:]
        for shares in ([0.3, 0.1, 0.1, 0.1], [0.3, 0.1, 0.1, 0.3], [0.1, 0.1, 0.1, 0.1])
    ]
    assert verdicts == [["yes", "yes"], ["yes", "no"], ["no", "no"]]


def test_files_are_gathered_and_every_table_and_the_figure_are_made_of_them(tmp_path):
    """What `record` gathers gives back each field's numbers; each table has its rows, the figure is a picture."""
    jobs = [Job("plain", 2, 0.3, i) for i in range(2)] + [Job("drift", 2, 0.3, i) for i in range(2)]
    for job in jobs:
        small = study.measure(job._replace(modes=32), n_steps=270, waiting=10)
        d_dimensions.files.save_arrays(
            tmp_path / "run" / job.file, small, d_dimensions._record(job)
        )
    d_dimensions_tables.record(tmp_path / "run", tmp_path / "all.npz")
    found = Diagram.load(tmp_path / "all.npz")
    again = study.measure(jobs[1]._replace(modes=32), n_steps=270, waiting=10)
    np.testing.assert_array_equal(
        found.rows("plain", 2, 0.3)["exponents"][1], again["exponents"].astype(np.float32)
    )
    assert "| 2 |  |  | 2 |" in d_dimensions_tables.fields(found)
    assert d_dimensions_tables.drift(found).count("\n| 2 | 0.3 |") == len(study.DRIFT_STEPS)
    for make in d_dimensions_tables.TABLES.values():
        assert make(found).startswith("| ")
    draw(found, tmp_path)
    assert (tmp_path / "d_dimensions.png").read_bytes().startswith(b"\x89PNG")


EPSILON = 1e-6


class One:
    """A diagram of one cell at d = 10, H = 0.5, and of others by place; each has what is given here, of two fields."""

    def __init__(self, others=None, **numbers):
        usual = {
            "d": 10,
            "hurst": 0.5,
            "n": 2,
            "chaos": 5,
            "chaos_as_written": 5,
            "semicircle": 1.0,
        }
        self.cells = {(10, 0.5, 0): SimpleNamespace(**usual | numbers)}
        for place, more in (others or {}).items():
            self.cells[place] = SimpleNamespace(**usual | numbers | {"d": place[0]} | more)

    def cell(self, d, hurst, kind="plain", modes=0):
        """Return the cell of this place, if there is one."""
        return self.cells.get((d, hurst, modes))


def told(make, found):
    """Return what a table says of the cell at d = 10, H = 0.5."""
    row = next(line for line in make(found).splitlines() if line.startswith("| 10 |"))
    return row.split(" | ")[1 + list(study.HURSTS).index(0.5)].strip(" |")


@pytest.mark.parametrize(
    ("value", "holds"), [(0.65, True), (0.55, True), (0.65 + 2e-6, False), (0.55 - 2e-6, False)]
)
def test_the_law_is_met_within_a_twentieth(value, holds):
    """2 - 2H = 0.6 at H = 0.7, and curves of one slope, whose interval has no width beyond rounding."""
    inside = value - EPSILON if value > 0.6 else value + EPSILON
    assert made_up(np.zeros(15), np.full(15, inside)).law_holds.all() == holds


def test_chaos_begins_where_the_whole_interval_is_above_a_twentieth():
    """Student's interval of four fields that scatter by 1 %; of one field its number."""
    spread = 0.01 * np.std(np.linspace(-1, 1, 4), ddof=1) / 2 * stats.t.ppf(0.975, 3)
    for n, width in ((4, spread), (1, -0.01)):  # a single field is 1 % below
        threshold = 0.05 / (1 - width) if n == 4 else 0.05 / 0.99
        below, above = (
            made_up(np.full(15, threshold * (1 + side * EPSILON)), np.full(15, 0.6), n=n)
            for side in (-1, 1)
        )
        assert (below.chaos, above.chaos) == (None, 0)


def test_walks_are_trapped_within_half_a_wavelength():
    """Those that end less than half the shortest wavelength away; those that left the range are no walks; alpha needs half."""
    cell = made_up(np.zeros(15), np.full(15, 0.6), n=4)
    half = (study.shortest_wavelength(10) / 2) ** 2
    cell.moved[..., -1] = half * (1 + EPSILON * np.array([-1, -1, 1, 1]))[:, None]
    cell.moved[2:, 3, -1] = half * (1 - EPSILON)
    cell.moved[0, 4, -1] = np.nan
    np.testing.assert_allclose(cell.trapped, [0.5, 0.5, 0.5, 1.0, 1 / 3, *[0.5] * 10])
    assert np.isfinite(cell.alpha[0]).tolist() == [True] * 3 + [False] + [True] * 11


@pytest.mark.parametrize(("factor", "said"), [(0.5, "no"), (2.0, "no")])
def test_the_semicircle_tells_chaos_within_a_factor_of_two(factor, said):
    """A millionth within the factor no word is added, a millionth beyond it "no"."""
    for inside in (True, False):
        towards = 1 + EPSILON * (1 if inside == (factor < 1) else -1)
        found = One(semicircle=study.STEPS[5] / (factor * towards))
        assert ((", no" in told(d_dimensions_tables.chaos, found)) == (said == "no")) != inside


@pytest.mark.parametrize(
    ("value", "no"), [(0.8, False), (0.8 - EPSILON, True), (1.25, False), (1.25 + EPSILON, True)]
)
def test_the_edge_is_at_one_within_a_quarter(value, no):
    """Of the last rate before chaos, the others being far off."""
    edge = np.full(15, 9.0)
    edge[4] = value
    assert told(d_dimensions_tables.edge, One(edge=edge)).endswith("no") == no


def test_regions_before_chaos_are_counted():
    """More than half trapped, or alpha above 1.5, a millionth to either side, at rates before s_c only."""
    trapped, alpha = np.ones(15), np.full((3, 15), 2.0)
    trapped[:5] = 0.5 + EPSILON * np.array([-1, 1, 1, -1, 1])
    alpha[0, :5] = 1.5 + EPSILON * np.array([1, -1, -1, -1, -1])
    assert told(d_dimensions_tables.trapping, One(trapped=trapped, alpha=alpha)) == "3, 1 of 5"


@pytest.mark.parametrize(
    ("at", "kind"), [([3, 4, 5], "plateau"), ([3, 4, 6, 7], "crossing"), ([], "nowhere")]
)
def test_the_law_holds_on_a_plateau_of_three_rates(at, kind):
    """Three rates in a row; two, or one, are a crossing."""
    holds = np.isin(np.arange(15), at)
    assert told(d_dimensions_tables.law, One(law_holds=holds)).startswith(kind)


def test_a_dimension_differs_beyond_both_intervals_and_a_tenth():
    """Four chaotic rates: intervals apart by a millionth or not, means apart by more than 0.1 or less."""
    here, there = np.zeros((3, 15)), np.full((3, 15), np.nan)
    there[0, 5:9] = 0.1 + EPSILON * np.array([1, -1, 1, -3])
    there[1, 5:9] = EPSILON * np.array([1, 1, -1, 1])
    there[2, 5:9] = 1.0
    found = One({(2, 0.5, 0): {"alpha": here}}, alpha=there)
    assert told(d_dimensions_tables.dimension, found) == "1 of 4"
    found = One({(2, 0.5, 0): {"alpha": there}}, alpha=here)
    assert told(d_dimensions_tables.dimension, found) == "1 of 4"


def test_a_share_survives_above_three_twentieths_and_chance():
    """The mean above 0.15 and its interval above 0.1; its own: each control's difference above 0."""
    n = 6
    pattern = np.array([-1.0, 1.0] * 3)
    unit = stats.t.ppf(0.975, n - 1) * np.std(pattern, ddof=1) / np.sqrt(n)
    for side in (-1, 1):
        said = ["no", "yes"][side > 0]
        for mean, half in ((0.15 + side * EPSILON, 0.01), (0.2, 0.1 - side * EPSILON)):
            shares = np.full((n, 4), 0.0)
            shares[:, 0] = mean + half / unit * pattern
            assert d_dimensions_tables._drift(shares)[-2:] == [said, said]
        for control in (1, 2, 3):
            shares = np.full((n, 4), [0.3, 0.0, 0.0, 0.0])
            shares[:, control] = 0.3 - 0.01 - side * EPSILON + 0.01 / unit * pattern
            assert d_dimensions_tables._drift(shares)[-2:] == ["yes", said]


@pytest.mark.parametrize(
    ("agree", "chaos", "enough"),
    [(15, 5, "yes"), (14, 6, "yes"), (13, 5, "no"), (14, 7, "no"), (15, None, "no")],
)
def test_waves_are_enough_where_fourteen_rates_agree(agree, chaos, enough):
    """Intervals that meet at 14 of 15 rates, and chaos from the same rate or the next."""

    def estimate(apart):
        low = np.where(np.arange(15) < agree, 0.0, apart)
        return SimpleNamespace(low=low, high=low + 1)

    d, (few, *_) = next((d, tried) for d, tried in study.MODES.items())
    best = {"exponent": estimate(0.0), "alpha": np.zeros((3, 15))}
    fewer = {"exponent": estimate(2.0), "alpha": np.full((3, 15), 0.3), "chaos": chaos}
    usual = Job("plain", d, 0.5, 0).n_modes
    small, large = ((few, fewer), (0, best)) if few < usual else ((0, fewer), (few, best))
    found = One({(d, 0.5, small[0]): small[1], (d, 0.5, large[0]): large[1]})
    row = d_dimensions_tables.waves(found).splitlines()[2]
    assert f"| {agree} of 15 | 0.30 | {enough} |" in row


def test_the_figure_is_as_approved(tmp_path, drawn):
    """That of the results which are committed: lines, labels, limits and legends."""
    draw(Diagram.load(), tmp_path)


def test_a_job_is_timed_and_may_run_out_of_time(monkeypatch):
    """A job from second 100 to second 103.5 took 3.5; one that was stopped has no result."""
    clock = iter([100.0, 103.5])
    monkeypatch.setattr(d_dimensions, "time", SimpleNamespace(time=lambda: next(clock)))
    monkeypatch.setattr(d_dimensions, "measure", lambda job, stop: {"until": stop})
    assert d_dimensions._timed("job", 900.0) == (3.5, {"until": 900.0})

    def stopped(job, stop):
        raise study.Stopped

    monkeypatch.setattr(d_dimensions, "measure", stopped)
    monkeypatch.setattr(d_dimensions, "time", SimpleNamespace(time=lambda: 0.0))
    assert d_dimensions._timed("job", 900.0) is None
