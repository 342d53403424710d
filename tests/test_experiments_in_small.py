"""The experiments in small: draws against their laws, and each part once at a fraction of its size, as it was approved.

What a part measures at full size stands in its page; here it runs on a few points and steps, and before chaos has made rounding
visible, so that its numbers are the same everywhere.
"""

import json
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from experiments import edge_monitor, heavy_tails, learning_coefficient, persistence
from experiments.landscape_bench import grounds, protocol
from experiments.landscape_bench import page as bench_page
from experiments.where_fractal import measures, parts
from landscape_viz.loss.precision import pinned_threads
from tests.helpers import approved
from tests.helpers.drawn import digest, figures_made, forms_of
from tools import tables

FILE = "test_experiments_in_small"


@pytest.fixture(autouse=True)
def _one_thread():
    with pinned_threads(1):
        yield


@pytest.fixture
def recorded(monkeypatch):
    """What `tables.record` was given, in place of the files that it writes."""
    kept = []
    monkeypatch.setattr(tables, "record", kept.append)
    return kept


# Heavy tails


@pytest.mark.parametrize("alpha", [1.0, 1.2, 1.8])
def test_stable_samples_have_their_characteristic_function(alpha):
    """The mean of cos(t x) over 40 000 samples is exp(-|t|^alpha) within 5 standard errors."""
    x = heavy_tails.stable(alpha, np.random.default_rng(0), 40_000)
    for t in (0.3, 1.0, 2.0):
        seen = np.cos(t * x)
        assert abs(seen.mean() - np.exp(-(t**alpha))) < 5 * seen.std() / 200


def test_samples_in_runs_and_with_memory_are_made_of_normal_ones():
    """Over runs of 100 the ratio to the normal samples is one log-normal number; what memory adds is 0.9 of the last sample."""
    normal = np.random.default_rng(3).normal(size=250)
    ratios = heavy_tails.in_runs(np.random.default_rng(3), 250) / normal
    scales = [ratios[0], ratios[100], ratios[249]]
    np.testing.assert_allclose(ratios, np.repeat(scales, [100, 100, 50]), rtol=1e-12)
    rng = np.random.default_rng(3)
    rng.normal(size=250)
    np.testing.assert_allclose(scales, np.exp(rng.normal(size=3)), rtol=1e-12)
    x = heavy_tails.with_memory(np.random.default_rng(3), 250)
    np.testing.assert_allclose(x - 0.9 * np.append(0, x[:-1]), normal, atol=1e-12)


def test_heavy_tails_in_small(monkeypatch):
    """A law in two draws of some five hundred samples; two times of a run, with a hundred batches of 4."""
    worlds = {name: heavy_tails.WORLDS[name] for name in list(heavy_tails.WORLDS)[4:5]}
    monkeypatch.setattr(heavy_tails, "WORLDS", worlds)
    monkeypatch.setattr(heavy_tails, "N_SAMPLES", 532)
    monkeypatch.setattr(heavy_tails, "STEPS", (0, 2))
    monkeypatch.setattr(heavy_tails, "BATCH_SIZES", (4,))
    said = []
    found = heavy_tails.measure(2, said.append)
    approved.check(FILE, "heavy_tails", found | {"said": said, "table": heavy_tails.table(found)})
    found = heavy_tails.measure_gradients(100, said.append)
    told = found | {"said": said, "table": heavy_tails.gradient_table(found)}
    approved.check(FILE, "gradient_noise", told, rtol=1e-2)


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--record"], [heavy_tails.RESULTS, heavy_tails.GRADIENTS]),
        (["--record", "--only", "laws", "--repeats", "7"], [heavy_tails.RESULTS]),
        (["--record", "--only", "gradients"], [heavy_tails.GRADIENTS]),
        (["--only", "laws"], []),
    ],
)
def test_heavy_tails_measures_and_keeps_what_is_asked(flags, kept, monkeypatch, recorded, capsys):
    """Each part by its flag, both without; the tables are told, and the results kept only where that is asked."""
    asked = []
    for name, path in (
        ("measure", heavy_tails.RESULTS),
        ("measure_gradients", heavy_tails.GRADIENTS),
    ):
        results = json.loads(path.read_text())
        monkeypatch.setattr(heavy_tails, name, lambda *a, r=results, **k: asked.append(a) or r)
    assert heavy_tails.main(flags) == 0
    assert [list(found) for found in recorded] == [kept] * bool(kept)
    if "gradients" not in flags:
        assert asked[0] == ((7,) if "--repeats" in flags else (40,))
    said = capsys.readouterr().out
    assert "Hill" in said
    assert (heavy_tails.table() in said) == ("gradients" not in flags)
    assert (heavy_tails.gradient_table() in said) == ("laws" not in flags)


# Persistence


def test_persistence_in_small(monkeypatch):
    """Two surfaces of 48 pixels of two laws, at four strides."""
    monkeypatch.setattr(persistence, "SIZE", 48)
    worlds = {name: persistence.WORLDS[name] for name in ("fBm, H = 0.3", "30 waves")}
    found = persistence.measure(2, worlds)
    slopes = {name: vars(persistence.slopes(found, name)) for name in worlds}
    told = {
        name: [np.array(s[k]).tolist() for k in ("value", "low", "high", "n")]
        for name, s in slopes.items()
    }
    approved.check(FILE, "persistence", found | {"slopes": told})
    values = persistence.waves(np.random.default_rng(2))
    rng = np.random.default_rng(2)
    k, phase = rng.uniform(-5, 5, (30, 2)), rng.uniform(0, 2 * np.pi, 30)
    at = [
        np.cos(2 * np.pi * (k[:, 0] * x + k[:, 1] * y) / 48 + phase).sum()
        for x, y in ((0, 0), (7, 30))
    ]
    np.testing.assert_allclose([values[0, 0], values[30, 7]], at, atol=1e-12)


def test_persistence_is_drawn_told_and_kept(monkeypatch, recorded, capsys, tmp_path):
    """The figure of the committed results; with --record it is saved and the results are kept."""
    results = json.loads(persistence.RESULTS.read_text())
    with figures_made() as made:
        persistence.figure(results)
        approved.check(FILE, "persistence figure", forms_of(made))
    monkeypatch.setattr(
        persistence, "measure", lambda planes, progress: results | {"planes": planes}
    )
    monkeypatch.setattr(persistence, "FIGURE", tmp_path / "figure.png")
    assert persistence.main(["--planes", "3"]) == 0
    assert persistence.table() in capsys.readouterr().out
    assert not persistence.FIGURE.exists()
    assert not recorded
    assert persistence.main(["--record"]) == 0
    assert recorded == [{persistence.RESULTS: results | {"planes": 10}}]
    assert persistence.FIGURE.stat().st_size > 10_000
    plt.close("all")


# The edge monitor


class Run(dict):
    """A record whose indicators over their bounds are what it was made with."""

    def bound(self, name):
        """Return the bound."""
        return 2.0


def test_the_edge_monitor_sums_up_its_runs(monkeypatch, recorded, capsys):
    """Twice the ratios over a bound of 2: verdict, median of the second half and median of the last ten losses, by run."""
    asked = []

    def run(name, size, seed, rate, n_steps=2000):
        asked.append((name, size, seed, rate, n_steps))
        ratios = np.r_[np.full(10, 9.0), np.linspace(1.8, 2.2 + seed, 10)]
        return Run(dict.fromkeys(edge_monitor.INDICATORS, ratios), loss=np.arange(30.0) + size)

    monkeypatch.setattr(edge_monitor, "run", run)
    monkeypatch.setattr(edge_monitor, "chosen_rate", lambda name, *settings: (0.5, settings)[0])
    said = []
    found = edge_monitor.measure(2, (16, 64), 120, ("SGD", "Adam"), said.append)
    assert asked[:2] == [("SGD", 16, 0, 0.5, 120), ("SGD", 16, 1, 0.5, 120)]
    assert len(asked) == 8
    first, second = found["runs"][0]["seeds"]
    for name in edge_monitor.INDICATORS:
        assert first[name] == ("hovers", pytest.approx(1.0))
        assert second[name] == ("hovers", pytest.approx(1.25))
    assert first["loss"] == 24.5 + 16
    assert found["rates"] == {"SGD": 0.5, "Adam": 0.5}
    assert (found["seeds"], found["n_steps"]) == (2, 120)
    assert said[0] == "SGD: rate 0.5"
    assert "hovers, 1.1" in said[1]
    assert len(said) == 6
    assert edge_monitor.table(found).splitlines()[2].count("hovers, 1.1") == len(
        edge_monitor.INDICATORS
    )
    quick = {}
    monkeypatch.setattr(edge_monitor, "measure", lambda **given: quick.update(given) or found)
    axes = SimpleNamespace(
        figure=SimpleNamespace(savefig=lambda path, dpi: quick.update(path=path))
    )
    monkeypatch.setattr(edge_monitor.figures, "edge_record", lambda record: [axes])
    assert edge_monitor.main(["--quick"]) == 0
    assert (quick["seeds"], quick["n_steps"]) == (1, 400)
    assert not recorded
    assert "path" not in quick
    assert quick["batch_sizes"] == edge_monitor.BATCH_SIZES[::2]
    quick.clear()
    assert edge_monitor.main(["--record"]) == 0
    assert "seeds" not in quick
    assert quick["path"] == edge_monitor.FIGURE
    assert recorded == [{edge_monitor.RESULTS: found}]
    assert asked[-1][:4] == ("SGD", 1024, 0, 0.5)
    assert edge_monitor.table(found) in capsys.readouterr().out


def test_a_cell_tells_all_verdicts_or_none():
    """Different verdicts stand side by side with the median of all; one run without any leaves the cell empty."""
    row = {"seeds": [{"a": ["below", 0.2]}, {"a": ["above", 4.0]}, {"a": ["below", 0.31]}]}
    assert edge_monitor._cell(row, "a") == "above/below, 0.31"
    assert edge_monitor._cell({"seeds": row["seeds"][:1]}, "a") == "below, 0.2"
    row["seeds"][1]["a"] = ["none", np.nan]
    assert edge_monitor._cell(row, "a") == "–"


# LandscapeBench


@pytest.mark.parametrize("name", grounds.GROUNDS)
def test_grounds_are_as_approved(name, monkeypatch):
    """Loss and gradient at the start, and what is known of a draw, with surfaces of 64 pixels."""
    monkeypatch.setattr(grounds, "PIXELS", 64)
    world = grounds.GROUNDS[name](np.random.SeedSequence(5, spawn_key=(2,)))
    module = world.begun()
    loss = module()
    loss.backward()
    found = {
        "loss": loss.item(),
        "gradient": [digest(p.grad.numpy()) for p in module.parameters()],
        "known": [world.length, world.minimum, world.escape],
    }
    if world.flatness:
        found["flatness"] = [digest(world.flatness(world.places)), digest(world.places)]
    approved.check(FILE, name, found, rtol=1e-4)


def test_the_teacher_and_the_policy_of_zeros_have_loss_zero():
    """What the grounds of recurrent networks say of their minimum."""
    plant = grounds.GROUNDS["plant that doubles, h = 0.51"](np.random.SeedSequence(1)).module
    with torch.no_grad():
        for p in plant.parameters():
            p.zero_()
        assert plant() == 0
    seeds, rng = np.random.SeedSequence(1), grounds.realisation(np.random.SeedSequence(1), 1)
    student = grounds._rnn(2.0, seeds).module
    rng.standard_normal((4, 6, 1))  # the inputs
    with torch.no_grad():
        assert student() > 1e-3
        for weights in student.parameters():
            weights.sub_(torch.from_numpy(0.3 * rng.standard_normal(tuple(weights.shape))))
        assert abs(student()) < 1e-20


def test_the_share_of_time_on_flat_places_is_held_against_random_steps():
    """On |x| with places from 0 to 1 the flattest tenth is |x| < 0.1; of a walk 1, 0.5, 0.05, 0.05, 0.01 every second is looked at."""
    world = SimpleNamespace(
        flatness=lambda x: np.abs(x[:, 0]), places=np.linspace(0, 1, 101)[:, None]
    )
    track = np.array([[1.0], [0.5], [0.05], [0.06], [0.01]])
    flat, control = protocol.flat_shares(world, track, np.random.default_rng(0))
    signs = np.sign(np.random.default_rng(0).standard_normal(4))
    walk = 1 + np.append(0, np.cumsum(signs * np.abs(np.diff(track[:, 0]))))
    assert flat == pytest.approx(2 / 3)
    assert control == pytest.approx((np.abs(walk[::2]) < 0.1).mean())


def test_an_optimiser_is_judged_where_it_wants_to_be():
    """One that has `eval()` and `train()` trains, is asked in between, and trains again; one with `eval()` alone is left alone."""
    module = grounds.GROUNDS["bowl, condition 1000"](np.random.SeedSequence(0)).module
    calls = []

    class Averaged(torch.optim.SGD):
        def eval(self):
            calls.append("eval")

        def train(self):
            calls.append("train")

    def shown():
        return protocol.Runner(lambda ps, lr: Averaged(ps, lr=lr), module, 0.1).shown()

    with torch.no_grad():
        assert shown() == pytest.approx(float(module()))
    assert calls == ["train", "eval", "train"]
    del Averaged.train
    shown()
    assert calls == ["train", "eval", "train"]


def test_the_bench_draws_what_is_kept(drawn):
    """Both pictures of the page, of the committed results."""
    board = bench_page.Board.load()
    bench_page.picture(board)
    bench_page.rates(board, board.grounds[0])


# Where losses are fractal


@pytest.fixture
def small(monkeypatch):
    """Networks of 8 units over 12 steps, lines of 33 points, planes of 24."""
    for module, name, value in (
        (parts, "HORIZON", 12),
        (parts, "UNITS", dict.fromkeys(parts.UNITS, 8)),
        (parts, "TRAINING_STEPS", 9),
        (parts, "GAINS", (0.8, 3.0)),
        (parts, "INNER", parts.INNER[:1]),
        (measures, "LINE", 33),
        (measures, "PASSES", 5),
        (measures, "spectrum", lambda values: {"exponent": measures.second_exponent(values)}),
    ):
        monkeypatch.setattr(module, name, value)
    return parts.Size(points=24)


def told(row):
    """Return a row's numbers and words, by name, whatever it holds."""
    return json.loads(json.dumps(row, default=float))


@pytest.mark.parametrize("part", ["training", "copying", "boundary", "gated", "others"])
def test_parts_of_where_losses_are_fractal_in_small(part, small):
    """The rows of one seed: predicted and measured exponents, growth, losses and gradients."""
    rows = [told(row) for row in parts.PARTS[part](3, small)]
    if part == "others":  # its horizons are its own; a cart falls for long
        rows = rows[1:2]
    approved.check(FILE, part, rows, rtol=1e-3)


def test_planes_of_cells_in_small(small, monkeypatch):
    """The horizons of part 2 share one set of passes: here both are 12."""
    monkeypatch.setattr(parts, "HORIZON", 50)
    rows = parts.PARTS["GRU"](3, small)
    assert [(row["horizon"], row["discount"]) for row in rows] == [(45, .85), (45, .92), (50, .85), (50, .92)]  # fmt: skip
    approved.check(FILE, "GRU", told(rows), rtol=1e-3)


def test_zooms_and_unrolled_descent_in_small(small):
    """Of zooms the horizon at which rounding has not grown yet; of descent the one that contracts, and its first 40 steps."""
    rows = parts.PARTS["zoom"](3, small)
    assert [row["horizon"] for row in rows] == [20, 40, 60]
    approved.check(
        FILE, "zoom", told(rows[0] | {"exponents": rows[0]["exponents"][:10]}), rtol=1e-3
    )
    rows = [row for row in parts.unrolled(3, small) if row["horizon"] < 80]
    assert [row["horizon"] for row in rows] == [10, 20, 40]
    approved.check(FILE, "unrolled", told(rows), rtol=1e-3)


def test_walkers_have_three_grounds(monkeypatch):
    """Square planes around the weights of a tame and a chaotic network, as far on either side, and an exact surface."""
    seen = []

    def plane_losses(gain, plane, axes, discounts):
        seen.append(gain)
        for axis in axes:
            np.testing.assert_allclose(axis, np.linspace(-1, 1, 96) * parts.HALF)
        return [np.zeros((96, 96))]

    monkeypatch.setattr(parts.recurrent, "plane_losses", plane_losses)
    monkeypatch.setattr(parts, "network", lambda kind, gain, seed, horizon: (gain, None))
    monkeypatch.setattr(parts, "_walked", lambda loss, seed: {"shape": loss.shape})
    monkeypatch.setattr(parts, "_descended", lambda gain: f"descent at {gain}")
    rows = parts.walkers(3, None)
    grounds = ["RNN, gain 0.8", "RNN, gain 3", "exact surface, H = 0.6"]
    assert [row["ground"] for row in rows] == grounds
    assert [row.get("descent") for row in rows] == ["descent at 0.8", "descent at 3.0", None]
    assert {row["shape"] for row in rows} == {(96, 96)}
    assert seen == [0.8, 3.0]


def test_walkers_on_a_surface_in_small():
    """On an exact surface, and nowhere in a bowl: there walks end at the bottom, a little smoother than where they began."""
    surface = parts.mf.fbm_surface(48, 0.6, rng=1).values
    approved.check(FILE, "walkers", told(parts._walked(surface, 2)))
    y, x = np.mgrid[-12:13, -12:13]
    found = parts._walked(0.5 * (x**2 + y**2 + 0.01 * x**4).astype(float), 2)
    assert found["drift"] < 0
    curved = parts._local_energy((3.0 * x**2 + y * x) / 2)
    np.testing.assert_allclose(curved[12, 12], 3**2 + 2 * 0.5**2)
    assert parts._at(np.arange(6).reshape(2, 3), [[2.2, 0.9], [0.4, 0.2]]).tolist() == [5, 0]


def test_exponents_of_walks_are_those_of_brownian_ones():
    """Of 400 Brownian paths 1 within 5 standard errors; of straight ones 2; of one that is lost, or at rest, none."""
    rng = np.random.default_rng(0)
    found = parts._diffusion(rng.standard_normal((400, 301, 2)).cumsum(axis=1), (1, 10))
    assert abs(found - 1) < 0.05
    straight = np.tile(np.arange(301.0)[:, None], (2, 1, 2))
    assert parts._diffusion(straight, (1, 10)) == pytest.approx(2)
    assert parts._diffusion(straight, (5, 60)) == pytest.approx(2)
    assert np.isnan(parts._diffusion(0 * straight, (1, 10)))
    straight[0, 5] = np.nan
    assert np.isnan(parts._diffusion(straight, (1, 10)))


def test_descent_of_a_network_in_small(small):
    """Exponents of the weights' displacement over 310 steps."""
    problem, _ = parts.network("RNN", 0.8, 3)
    approved.check(FILE, "descended", told(parts._descended(problem, 310)), rtol=1e-2)


# The learning coefficient


def test_the_learning_coefficient_is_measured_told_and_kept(monkeypatch, recorded, capsys):
    """Three repeats unless asked otherwise; kept with --record only."""
    results = json.loads(learning_coefficient.RESULTS.read_text())
    monkeypatch.setattr(
        learning_coefficient, "measure", lambda repeats, progress: results | {"repeats": repeats}
    )
    assert learning_coefficient.main([]) == 0
    assert not recorded
    assert learning_coefficient.main(["--repeats", "5", "--record"]) == 0
    assert recorded == [{learning_coefficient.RESULTS: results | {"repeats": 5}}]
    assert capsys.readouterr().out.count(learning_coefficient.table(results)) == 2
    assert learning_coefficient.coverage(0) == [0, 0]
