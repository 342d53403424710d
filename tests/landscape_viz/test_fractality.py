"""The fractal report: rough, smooth and noisy losses told apart at three zooms, the model left as it was."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import multifractal as mf
from landscape_viz import FractalReport, directions, fractal_report, fractality
from landscape_viz.figures import probes
from landscape_viz.loss.problem import Problem
from multifractal.measured import plane_row

DATA = [(torch.zeros(1, 1), torch.zeros(1))]
N = 113


def value(outputs, targets):
    """The mean output as the loss."""
    return outputs.mean()


class Waves(nn.Module):
    """A loss that is rough with exponent 0.4 at all zooms: waves of random direction, lengths from 1e-6 to 10."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 3, generator=generator, dtype=torch.float64))
        size = torch.logspace(-1, 6, 7000, dtype=torch.float64)
        k = torch.randn(7000, 6, generator=generator, dtype=torch.float64)
        self.register_buffer("k", size[:, None] * k / k.norm(dim=1, keepdim=True))
        self.register_buffer(
            "phase", 7 * torch.rand(7000, generator=generator, dtype=torch.float64)
        )

    def forward(self, inputs):
        """Return the sum of the waves."""
        return (
            (self.k.norm(dim=1) ** -0.4 * torch.cos(self.k @ self.weight.flatten() + self.phase))
            .sum()
            .reshape(1, 1)
        )


def replaced(monkeypatch, images, rounding=0.0):
    """Let the maps of a report be these images."""
    left = iter(images)
    monkeypatch.setattr(fractality, "section", lambda *a, **k: section_of(next(left), rounding))
    monkeypatch.setattr(fractality, "_resolved_half_width", lambda *a: 1e-5)


def section_of(image, rounding):
    """What stands for a section: an image, and how large its rounding is said to be."""
    landscape = mf.Landscape(image)
    return SimpleNamespace(
        to_landscape=lambda: landscape,
        values={"loss": image[len(image) // 2]},
        settings={"rounding": rounding},
        n_not_finite=0,
    )


def report(**options):
    """A report of a small network, from planes only."""
    torch.manual_seed(0)
    return fractal_report(nn.Linear(1, 1), DATA, value, n_points=N, planes="all", **options)


@pytest.mark.slow
def test_a_rough_loss_is_rough_at_every_zoom():
    """The exponent of the waves, 0.4, at every distance within 0.1, 4 standard deviations over draws; words too."""
    model = Waves()
    before = copy.deepcopy(model.state_dict())
    found = fractal_report(model, DATA, value, n_points=N)
    assert found.kinds == ["rough"] * 3
    np.testing.assert_allclose(found.exponents, 0.4, atol=0.1)
    assert "Rough over some distances" in str(found)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training


def test_words_follow_what_the_sections_are(monkeypatch):
    """Exact surfaces are called rough with their exponent and distances, white noise noise, a bowl smooth."""
    noise = np.random.default_rng(0).standard_normal((N, N))
    y, x = np.mgrid[:N, :N] / N - 0.5
    rough = [mf.fbm_surface(N, 0.5, rng=seed).values for seed in range(3)]
    replaced(monkeypatch, [*rough, noise, x**2 + y**2, noise, *[x**2 + y**2] * 3, *[noise] * 3])
    found = report()
    assert found.kinds == ["rough"] * 3
    assert (
        (found.exponents_interval[0] <= 0.5) & (0.5 <= found.exponents_interval[1])
    ).mean() > 0.8
    np.testing.assert_allclose(found.rough_distances[:, 0], found.distances[:, 0])
    np.testing.assert_allclose(found.distances[:, 0], 2 / (N - 1) / np.array([1, 10, 100]))
    assert "Rough over some distances: exponent 0.5" in str(found)
    mixed = report()
    assert mixed.kinds == ["unresolved", "smooth", "unresolved"]
    assert "Unresolved at ± 1, ± 0.01: the loss is the same each time" in str(mixed)
    assert "zoom in: a line is resolved at ± 1e-05" in str(mixed)
    assert "oise," not in str(mixed).split("Unresolved")[0]
    assert "the spectrum is not defined here" in str(mixed)
    assert "Smooth at every zoom: no sign of a fractal" in str(report())
    assert "every point drew its own dropout mask" in str(report(dropout="live"))


def test_intervals_of_c1_and_c2_are_their_own(monkeypatch):
    """Of the four cumulants' interval, c1 gets both ends of the first column and c2 those of the second; lengths carry the step."""
    made = np.array([[0.4, -0.03, 9, 9], [0.7, 0.01, 9, 9]])
    real = plane_row.multifractal_spectrum
    monkeypatch.setattr(
        plane_row,
        "multifractal_spectrum",
        lambda *args, **kwargs: replace(real(*args, **kwargs), log_cumulants_interval=made),
    )
    values = np.array(mf.fbm_surface(129, 0.5, rng=0))
    found = plane_row.row_of_plane(values, 0.25, np.random.default_rng(0), 2.0**-52)
    assert found["c1_interval"].tolist() == [0.4, 0.7]
    assert found["c2_interval"].tolist() == [-0.03, 0.01]
    assert found["distances"][:3].tolist() == [0.25, 0.5, 1.0]


def test_rounding_is_noise_and_the_other_kinds_have_their_words(monkeypatch):
    """Unrelated pixels no larger than rounding are noise; jumps along curves and a checkerboard are called what they are."""
    noise = np.random.default_rng(0).standard_normal((N, N))
    replaced(monkeypatch, [noise] * 3, rounding=1.0)
    assert "at ± 1, ± 0.1, ± 0.01: they are no larger than rounding makes them" in str(report())
    y, x = np.mgrid[:N, :N]
    steps = np.floor(x / 40 + 0.3 * np.sin(y / 30)) + np.floor(y / 37 + x / 150)
    replaced(monkeypatch, [steps, (x + y) % 2 + 0.01 * noise, steps])
    found = report()
    assert found.kinds == ["jumps", "cannot tell", "jumps"]
    assert "Jumps along curves at ± 1, ± 0.01" in str(found)
    assert "What the loss is at ± 0.1 cannot be told" in str(found)
    assert "zoom in: a line is resolved at ± 1e-05." in str(found)
    assert "Smooth" not in str(found)


def test_many_jumps_within_a_pixel_are_told_from_a_rough_loss(monkeypatch):
    """Exponents near 1/2 above a zoom that jumps are put down to the jumps; with no such zoom the words warn; 0.8 has neither."""
    half, steep = (mf.fbm_surface(N, hurst, rng=0).values for hurst in (0.5, 0.8))
    y, x = np.mgrid[:N, :N]
    steps = np.floor(x / 40 + 0.3 * np.sin(y / 30)) + np.floor(y / 37 + x / 150)
    replaced(monkeypatch, [steep, half, steps])
    words = str(report())
    assert "At ± 0.1 many of them within a pixel add up to 1/2." in words
    assert "Rough over some distances: exponent 0.8" in words
    assert "give 1/2 too" not in words
    replaced(monkeypatch, [half] * 3)
    assert "Many jumps within a pixel, as a router makes, give 1/2 too: zoom in." in str(report())
    replaced(monkeypatch, [steps, half, half])
    assert "add up to 1/2" not in str(report())


class Restless(nn.Linear):
    """A network that draws a number of its own at each call."""

    def forward(self, inputs):
        """Return noise."""
        return super().forward(inputs) + torch.randn(1)


def test_the_exponent_of_a_line_is_two_where_it_is_smooth():
    """Of a parabola exactly 2, of white noise 0 within 5 standard errors over 200 000 points; a straight line has none."""
    t = np.arange(65.0)
    assert fractality.line_exponent(3 * t**2 + t) == pytest.approx(2)
    noise = np.random.default_rng(0).normal(size=200_000)
    assert abs(fractality.line_exponent(noise)) < 0.02
    assert np.isnan(fractality.line_exponent(2 * t))


@pytest.mark.parametrize(("factor", "told"), [(4 - 1e-6, True), (4 + 1e-6, False)])
def test_differences_are_rounding_up_to_four_times_its_size(factor, told):
    """Losses that alternate by a from row to row have second differences of 4 a, so a root mean square over sqrt(6) of 1.63 a."""
    image = 0.5 * (-1.0) ** np.arange(8)[:, None] * np.ones((8, 8))
    rounding = 2 / np.sqrt(6) / factor
    assert fractality._is_rounding(section_of(image, rounding)) == told


EPSILON, EIGHTS = 1e-6, np.full(3, 0.8)


@pytest.fixture(scope="module")
def three_rough():
    """A report of three rough planes of exponent 1/2; what it says of other kinds is read by replacing its fields."""
    with pytest.MonkeyPatch.context() as patch:
        replaced(patch, [mf.fbm_surface(N, 0.5, rng=seed).values for seed in range(3)])
        return report()


SUMS, WARNED = "many of them within a pixel add up to 1/2", "give 1/2 too: zoom in"


@pytest.mark.parametrize(("end", "inside"), [(0.4, 1), (0.6, -1)])
def test_an_exponent_is_near_a_half_up_to_a_tenth(three_rough, end, inside):
    """One millionth within, exponents of zooms wider than one that jumps are those of jumps; a millionth beyond, of a rough loss."""
    for side, near in ((inside, True), (-inside, False)):
        exponents = np.full(3, end + side * EPSILON)
        jumping = replace(three_rough, kinds=["rough", "rough", "jumps"], rough_exponents=exponents)
        assert (f"At ± 1, ± 0.1 {SUMS}" in str(jumping)) == near
        assert ("Rough over some distances" in str(jumping)) != near
        warned = replace(three_rough, rough_exponents=exponents)
        assert (WARNED in str(warned)) == near
        # one zoom that is not near a half takes the warning away
        exponents[1] = 0.8
        assert WARNED not in str(replace(three_rough, rough_exponents=exponents))


@pytest.mark.parametrize(
    ("kinds", "sums"),
    [
        (["jumps", "rough", "rough"], ""),
        (["rough", "jumps", "rough"], "At ± 1 many"),
        (["smooth", "rough", "jumps"], "At ± 0.1 many"),
        (["rough", "jumps", "jumps"], "At ± 1 many"),
        (["rough", "rough", "rough"], ""),
    ],
)
def test_jumps_add_up_at_rough_zooms_wider_than_one_that_jumps(three_rough, kinds, sums):
    """No others: neither a closer zoom nor a smooth one, whatever its exponent."""
    words = str(replace(three_rough, kinds=kinds, rough_exponents=np.full(3, 0.5)))
    assert (SUMS in words) == bool(sums)
    assert sums in words


def test_noise_at_any_zoom_takes_the_rough_words_away(three_rough):
    """Of the others a finite exponent is told, but of zooms that jump, are unresolved or cannot be told."""
    told = "Rough over some distances"
    counts = {"smooth": 3, "jumps": 2, "unresolved": 2, "cannot tell": 2, "noise": 0}
    for kind, count in counts.items():
        words = str(replace(three_rough, kinds=["rough", kind, "rough"], rough_exponents=EIGHTS))
        sentence = words.partition(told)[2].partition(" (near 0")[0]
        assert sentence.count("0.80 from") == count
    alone = {"rough_exponents": np.array([np.nan, 0.5, np.nan])}
    assert told in str(replace(three_rough, kinds=["rough"] * 3, **alone))
    assert told not in str(replace(three_rough, kinds=["rough", "cannot tell", "rough"], **alone))


@pytest.mark.parametrize(("power", "side"), [(1, 1), (3, 1), (8, 1), (8, -1)])
def test_the_ladder_ends_where_a_line_is_no_noise(monkeypatch, power, side):
    """A line b t^2 + a (-1)^t has the exponent 2 - log2(1 + 4 a^2 / b^2) / 2: a millionth above that of noise it is resolved."""

    def line_of(exponent):
        t = np.arange(130)
        return t**2 + np.sqrt(2 ** (4 - 2 * exponent) - 1) / 2 * (-1.0) ** t

    assert fractality.line_exponent(line_of(0.3)) == pytest.approx(0.3, abs=1e-12)
    asked = []

    def found(problem, plane, axes, **options):
        asked.append(axes[0])
        last = side * EPSILON if len(asked) == power else -EPSILON
        return SimpleNamespace(values={"loss": line_of(0.175 + last)})

    monkeypatch.setattr(fractality, "section", found)
    plane = directions.random(Problem(nn.Linear(1, 1), None, value, DATA), 2, rng=0)
    width = fractality._resolved_half_width(None, plane, 3.0, "cpu")
    assert width == 3.0 / 10**power if side > 0 else np.isnan(width)
    assert len(asked) == power
    for k, axis in enumerate(asked, 1):
        np.testing.assert_allclose(axis[[0, 64, -1]], [-3.0 / 10**k, 0, 3.0 / 10**k], atol=1e-20)


@pytest.mark.parametrize(
    ("kind", "dropout", "image_rounding", "expected", "width"),
    [
        ("noise", "off", False, "unresolved", 1e-5),
        ("noise", "off", True, "noise", np.nan),
        ("noise", "live", False, "noise", np.nan),
        ("cannot tell", "off", False, "cannot tell", 1e-5),
        ("cannot tell", "live", False, "cannot tell", np.nan),
        ("jumps", "off", False, "jumps", np.nan),
        ("rough", "off", False, "rough", np.nan),
    ],
)
def test_what_is_unresolved(monkeypatch, kind, dropout, image_rounding, expected, width):
    """Unrelated pixels that are neither dropout's nor rounding; a line is looked for there, and where no kind fits."""
    image = np.random.default_rng(0).normal(size=(5, 5))
    zoom = SimpleNamespace(
        problem=SimpleNamespace(dropout=dropout), plane=SimpleNamespace(vectors=[0, 1]), eps=0.0,
        half_width=1.0, name="zoom", kept={"device": "cpu"},
        mapped=lambda *_: section_of(image, 9.0 * image_rounding),
    )  # fmt: skip
    row = {"kinds": kind, "verdicts": "as it was"}
    monkeypatch.setattr(fractality, "row_of_plane", lambda *_: dict(row))
    monkeypatch.setattr(fractality, "_resolved_half_width", lambda *_: 1e-5)
    found = fractality._row(zoom, 5, False, None)
    assert found["kinds"] == expected
    assert (found["verdicts"] == "as it was") == (expected == kind)
    np.testing.assert_equal(found["resolved_half_widths"], width)
    assert found["loss"] == image[2, 2]


@pytest.mark.parametrize(("side", "kind"), [(-1, "constant"), (1, "noise")])
def test_a_plane_is_constant_up_to_64_roundings(side, kind):
    """One millionth to either side of 64 roundings of the largest loss, of which a rounding is said to be a thousandth here."""
    image = 5 - 5 * 0.064 * (1 + side * EPSILON) * np.random.default_rng(0).random((N, N))
    image[0, :2] = 5, 5 - 5 * 0.064 * (1 + side * EPSILON)
    assert plane_row._kind(image, 1e-3).kind == kind


@pytest.mark.parametrize(
    ("dtype", "eps"),
    [(torch.float64, 2.0**-52), (torch.float32, 2.0**-23), (torch.bfloat16, 2.0**-23)],
)
def test_the_rounding_of_a_loss_is_that_of_its_sum(dtype, eps):
    """Weights of half precision have their losses summed in float32."""
    zoom = fractality._Zoom(SimpleNamespace(dtype=dtype), None, 1.0, "zoom", {})
    assert zoom.eps == eps


def test_a_zoom_of_lines_has_their_increments_at_the_distances_of_a_plane():
    """Lines k t^2 of 257 points where a plane would have 129: at lag r of a plane 2 r steps, first differences of mean square known."""
    t = np.linspace(-1, 1, 257)
    row = fractality._of_lines(np.arange(1.0, 9.0)[:, None] * t**2, 129, 2 / 128)
    lags = np.array(row["distances"]) / (2 / 128)
    np.testing.assert_allclose(lags[:4], [1, 2, 4, 8], rtol=1e-12)
    # (x + d)^2 - x^2 = 2 d (x + d / 2), whose mean square over n equally spaced centres is 4 d^2 (n^2 - 1) step^2 / 12
    steps, n = 2 * lags, 257 - 2 * lags
    law = 25.5 * 4 * row["distances"] ** 2 * (n**2 - 1) * (2 / 256) ** 2 / 12  # 25.5 = mean of k^2
    np.testing.assert_allclose(row["first"], law, rtol=1e-9)
    np.testing.assert_allclose(row["second"], 25.5 * 4 * (2 / 256 * steps) ** 4, rtol=1e-9)
    np.testing.assert_allclose(row["exponents"], 2.0, atol=1e-9)
    assert row["loss"] == 0.0


def test_a_loss_that_is_not_the_same_twice_is_refused_and_any_report_ends_with_the_pointer(
    monkeypatch,
):
    """The weights' loss is computed twice before any plane; a smooth report says where rough losses are."""
    with pytest.raises(ValueError, match="computed twice"):
        fractal_report(Restless(1, 1), DATA, value, n_points=N)
    y, x = np.mgrid[:N, :N] / N - 0.5
    replaced(monkeypatch, [x**2 + y**2] * 3)
    assert str(report()).splitlines()[-1].endswith("see docs/where_losses_are_fractal.md.")


class Fast(nn.Module):
    """A smooth loss whose waves are some 1e-4 long: unrelated pixels at ± 1 and ± 0.1, resolved a little below."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
        generator = torch.Generator().manual_seed(0)
        k = torch.randn(40, 6, generator=generator, dtype=torch.float64)
        self.register_buffer("k", 3e4 * k)

    def forward(self, inputs):
        """Return the sum of the waves."""
        return torch.cos(self.k @ self.weight.flatten()).sum().reshape(1, 1)


def test_a_loss_that_varies_within_a_pixel_is_unresolved_and_the_ladder_says_where_to_look():
    """Deterministic waves far shorter than a pixel: never noise; the zoom that is named shows a smooth loss."""
    found = fractal_report(Fast(), DATA, value, n_points=N, half_width=10.0)
    assert found.kinds == ["unresolved"] * 3
    assert "Unresolved at ± 10, ± 1, ± 0.1" in str(found)
    width = found.resolved_half_widths
    assert (width < 0.01).all()
    assert (width > 1e-5).all()
    closer = fractal_report(Fast(), DATA, value, n_points=N, half_width=width.min() / 10)
    assert closer.kinds == ["smooth"] * 3


@pytest.mark.usefixtures("drawn")
def test_figure_and_file(monkeypatch, tmp_path):
    """The figure draws the arrays of the report; a saved one says the same."""
    replaced(monkeypatch, [mf.fbm_surface(N, 0.5, rng=seed).values for seed in range(3)])
    found = report()
    assert (
        found.loss == found.losses[0, N // 2, N // 2]
    )  # at the weights: the middle of the first plane
    axes = probes.fractality(found)
    assert axes.shape == (2, 3)
    np.testing.assert_array_equal(axes[0, 1].images[0].get_array(), found.losses[1])
    np.testing.assert_array_equal(axes[1, 1].lines[0].get_ydata(), found.D[0])
    assert [text.get_text() for text in axes[1, 1].get_legend().get_texts()][0].startswith("± 1")
    found.save(tmp_path / "report.npz")
    assert str(FractalReport.load(tmp_path / "report.npz")) == str(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_points": 112}, "at least 113"),
        ({"half_width": 0}, "positive"),
        ({"dropout": "no"}, "dropout must be one of"),
    ],
)
def test_refusals(options, words):
    """Too few points for a spectrum, no width, an unknown mode."""
    with pytest.raises(ValueError, match=words):
        fractal_report(nn.Linear(1, 1), DATA, value, **options)


def test_constant_planes_have_their_row_and_the_report_goes_on(monkeypatch, tmp_path):
    """Constant to rounding is called so, with the remedy; other zooms are measured as ever; figure and file take it."""
    y, x = np.mgrid[:N, :N] / N - 0.5
    rounding = 1 + 2.0**-52 * np.random.default_rng(0).integers(0, 9, (N, N))
    corner = np.where((x < -0.47) & (y < -0.47), x, 0.0)
    # 1e-9 of the loss is no rounding: the bowl is still seen
    replaced(
        monkeypatch,
        [np.full((N, N), 1.25), rounding, np.zeros((N, N))]
        + [x**2 + y**2, rounding, 1 + 1e-9 * (x**2 + y**2)]
        + [np.ones((N, N)), corner, x**2 + y**2],
    )
    nothing = report()
    assert nothing.kinds == ["constant"] * 3
    assert np.isnan(nothing.h).all()
    assert not nothing.valid.any()
    np.testing.assert_array_equal(nothing.second[[0, 2]], 0)
    assert "± 0.1: constant in this plane.\n" in str(nothing)
    assert "The loss is constant in this plane" in str(nothing)
    assert "Pass norm='model', which moves also what has norm zero" in str(nothing)
    some = report(norm="model")
    assert some.kinds == ["smooth", "constant", "smooth"]
    assert "constant at ± 0.1: it does not depend" in str(some)
    assert "norm='model'" not in str(some)
    assert "Smooth at every zoom that is not constant" in str(some)
    mostly = report()
    assert mostly.kinds[::2] == ["constant", "smooth"]
    assert np.isnan(mostly.c1).tolist() == [True, True, False]
    assert probes.fractality(mostly).shape == (2, 3)
    mostly.save(tmp_path / "report.npz")
    assert str(FractalReport.load(tmp_path / "report.npz")) == str(mostly)


def test_a_plane_that_reaches_infinity_is_refused(monkeypatch):
    """The remedy is a narrower plane."""
    monkeypatch.setattr(fractality, "section", lambda *a, **k: SimpleNamespace(n_not_finite=3))
    with pytest.raises(ValueError, match="half_width must .*got '3 NaN or inf.*smaller half_width"):
        report()


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "kind"), [("filter", "constant"), ("model", "smooth")])
def test_a_second_factor_of_zeros(norm, kind):
    """What a LoRA starts as, W + B A with B = 0: constant where B does not move, smooth where it does."""
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
    nn.init.zeros_(network[1].weight)
    inputs = torch.tensor([[1.0, 2.0], [0.5, -1.0]])
    found = fractal_report(network, [(inputs, torch.ones(2, 1))], "mse", n_points=N, norm=norm)
    assert found.kinds == [kind] * 3


class Bowl(nn.Module):
    """A loss of two parts: smooth at all distances, or with a rough part where the weights are within a hundredth of zero."""

    def __init__(self, height):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
        self.height, generator = height, torch.Generator().manual_seed(0)
        self.register_buffer("k", 1e5 * torch.randn(99, 6, generator=generator).double())

    def forward(self, inputs):
        """Return the bowl, and the waves on it."""
        w = self.weight.flatten()
        waves = self.height * torch.cos(self.k @ (w - 1)).sum() * torch.exp(-((w - 1) ** 2).sum())
        return ((w**2).sum() + (w**4).sum() + waves).reshape(1, 1)


@pytest.mark.usefixtures("drawn")
def test_lines_come_first_and_planes_only_where_a_line_is_not_smooth(monkeypatch, tmp_path):
    """A bowl takes 24 lines and no plane, its exponents are 2; with waves upon it each plane is mapped and called unresolved."""
    asked, mapped = [], fractality.section
    monkeypatch.setattr(
        fractality, "section", lambda *a, **k: asked.append(len(a[2])) or mapped(*a, **k)
    )
    smooth = fractal_report(Bowl(0.0), DATA, value, n_points=N, half_width=0.3)
    assert asked == [1] * 24
    assert smooth.kinds == ["smooth"] * 3
    assert smooth.losses.shape == (3, N, N)
    assert np.isnan(smooth.losses).all()
    assert smooth.lines.shape == (3, 8, 257)
    np.testing.assert_allclose(smooth.exponents, 2.0, atol=0.01)
    np.testing.assert_array_equal(smooth.lines[:, :, 128], smooth.loss)
    assert "Smooth at every zoom: no sign of a fractal" in str(smooth)
    assert "8 lines of 257 points at each zoom" in str(smooth)
    axes = probes.fractality(smooth)
    np.testing.assert_array_equal(axes[0, 1].lines[3].get_ydata(), smooth.lines[1, 3])
    smooth.save(tmp_path / "report.npz")
    assert str(FractalReport.load(tmp_path / "report.npz")) == str(smooth)
    monkeypatch.setattr(fractality, "_resolved_half_width", lambda *a: 1e-7)
    monkeypatch.setattr(
        fractality,
        "section",
        lambda *a, **k: section_of(*rough(asked.append(len(a[2])), len(a[2]))),
    )
    asked.clear()
    waves = fractal_report(Bowl(1.0), DATA, value, n_points=N, half_width=0.3)
    assert asked == 3 * [*[1] * 8, 2]
    assert waves.kinds == ["rough"] * 3
    assert np.isfinite(waves.losses).all()


def test_the_time_is_told_where_progress_is_shown(monkeypatch, capsys):
    """On a terminal the seconds of the lines and of a plane come first: 6168 and 113^2 points of a second each here."""
    monkeypatch.setattr(fractality, "estimate_seconds", lambda *a, **k: 257.0)
    monkeypatch.setattr(fractality.sys, "stderr", SimpleNamespace(isatty=lambda: True, write=print))
    monkeypatch.setattr(fractality, "_row", lambda *a: {"loss": 1.0}["stop"])
    with pytest.raises(KeyError, match="stop"):
        fractal_report(Bowl(0.0), DATA, value, n_points=N)
    assert "about 6168 s for lines, and 12769 s for each of 3 planes" in capsys.readouterr().out


def rough(_, n_directions):
    """Return a rough surface, whose middle is the line where one direction is asked for, and no rounding."""
    return mf.fbm_surface(257 if n_directions == 1 else N, 0.5, rng=0).values, 0.0
