"""The study of d dimensions: its units against measured fields, its order, going on after a stop."""

import numpy as np
import pytest

from experiments import d_dimensions, d_dimensions_tables
from experiments import d_dimensions_jobs as study
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
    assert all(job in jobs for job in jobs if job.is_quick)


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
    from experiments.d_dimensions_figures import draw

    draw(found, tmp_path)
    assert (tmp_path / "d_dimensions.png").read_bytes().startswith(b"\x89PNG")
