"""The text of docs/section_study.md says what the committed study says, number by number; its code runs."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import multifractal as mf
from experiments.section_study_tables import of_exponents, percent
from landscape_viz import fractality
from landscape_viz.loss.precision import pinned_threads

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "section_study.md"


@pytest.fixture(scope="module")
def study():
    """The committed study."""
    return mf.SectionStudy.load(ROOT / "experiments" / "results" / "section_study.npz")


@pytest.fixture(scope="module")
def page():
    """The page on one line."""
    return " ".join(PAGE.read_text().split())


def test_the_numbers_in_the_text(study, page):
    """Each number that the text states is that of the study, written as here."""
    share, interval = study.pair_share, study.pair_share_interval
    live, full = (study.noise_sd[study.row(name)] for name in ("mlp batch live", "mlp live"))
    nodrop = study.row("published vgg_nodrop_sgd_fashionmnist")
    exponent, (low, high) = study.second_exponents[nodrop, 2], study.second_interval[nodrop][:, 2]
    resnet = study.row("resnet without dropout batch BN")
    published = [
        study.noise_share[study.row(f"published vgg_{name}")]
        for name in ("sgd_cifar10", "sgd_fashionmnist", "adam_fashionmnist")
    ]
    rough = [
        study.noise_share_rough[study.row(f"published vgg_{name}")]
        for name in ("sgd_cifar10", "sgd_fashionmnist", "adam_fashionmnist")
    ]
    deep, smooth = (
        of_exponents(study, study.row(f"mlp {name}zoom 10000")) for name in ("", "gelu ")
    )
    early = [f"{study.pair_exponents[k, 0]:.2f}" for k in (0, 1)]
    low_end, high_end = study.pair_exponents_interval[1, :, 0]
    shuffled = [
        study.shuffled_c[study.row(f"published vgg_{name}")][0]
        for name in ("sgd_cifar10", "sgd_fashionmnist", "adam_fashionmnist")
    ]
    epochs = [
        "mlp batch live epoch 0",
        "mlp batch live epoch 1",
        "mlp batch live epoch 10",
        "mlp batch live",
    ]
    for words in (
        f"perceptron {percent(share[0, 0], interval[0][:, 0])}",
        f"convolutional network {percent(share[1, 0], interval[1][:, 0])}",
        f"at 8 pixels {percent(share[0, 3], interval[0][:, 3])} and {percent(share[1, 3], interval[1][:, 3])}",
        f"inner half of the plane {percent(study.pair_centre_share[0], study.pair_centre_interval[0])} and "
        f"{percent(study.pair_centre_share[1], study.pair_centre_interval[1])}",
        "exponent of first differences between 4 and 8 pixels "
        + " and ".join(
            f"{study.pair_exponents[k, 2]:.2f} [{study.pair_exponents_interval[k, 0, 2]:.2f}, "
            f"{study.pair_exponents_interval[k, 1, 2]:.2f}]"
            for k in (0, 1)
        ),
        f"{percent(published[0])}, {percent(published[1])} and {percent(published[2])}",
        f"{percent(rough[0])}, {percent(rough[1])} and {percent(rough[2])}",
        f"from {live:.2f} to {full:.2f} nats, a factor {live / full:.2f}; the square root of 1437 / 64 is "
        f"{np.sqrt(1437 / 64):.2f}",
        f"distance^{deep[0]} at",
        f"grow with the exponent {of_exponents(study, study.row('published vgg_sgd_cifar10'))[0]}, 0 being white noise",
        f"GELU in the place of ReLU {smooth[0]}",
        f"from 1 to 2 pixels it reads {early[0]} and {early[1]} [{low_end:.2f}, {high_end:.2f}]",
        f"c2 = {study.paper_c[study.row('mlp zoom 10000'), 1]:.1f}",
        f"{exponent:.2f} [{low:.2f}, {high:.2f}] between 4 and 8 pixels",
        ", ".join(f"{value:.2f}" for value in study.second_exponents[resnet]),
        f"{shuffled[0]:.2f}, {shuffled[1]:.2f} and {shuffled[2]:.2f}",
        "shares " + ", ".join(percent(study.noise_share[study.row(name)]) for name in epochs),
        "sd " + ", ".join(f"{study.noise_sd[study.row(name)]:.2f}" for name in epochs),
    ):
        assert words in page, words


def test_what_the_text_concludes(study):
    """Our sections without live dropout are smooth (one rounds in float32), those with it on a batch are noise."""
    for name in study.names[: len(study.settings)]:
        k = study.row(name)
        if "live" in name:
            assert study.kinds[k] == ("smooth" if name == "mlp live" else "noise")
            assert not study.paper_valid[k]
        else:
            assert study.kinds[k] == "smooth"
            assert name.endswith("float32") or study.second_interval[k].min() > 1.4


def test_round_numbers_of_the_text(study):
    """Alike, 5 to 7 points, tenfold, about half, 0.4 to 0.5, 1.5e-9: as the text says."""
    apart = [
        study.noise_share[study.row(name)] - share[0]
        for pair, share in zip(study.pairs, study.pair_share, strict=True)
        for name in pair
    ]
    assert np.abs(apart[:2]).max() < 0.01
    assert 0.05 < min(apart[2:]) < max(apart[2:]) < 0.07
    sd = {name: study.noise_sd[study.row(name)] for name in study.names}
    assert 9 < sd["mlp batch live"] / sd["mlp batch live epoch 0"] < 11
    assert sd["mlp zoom 10000 float32"] == pytest.approx(1.5e-9, rel=0.05)
    assert 0.45 < study.noise_share[study.row("mlp live")] < 0.55
    assert 0.39 < study.checked_bias[:2, :, 0].min() < study.checked_bias[:2, :, 0].max() < 0.5
    assert study.checked_bias[:2, :, 1].max() < 0


def code():
    """Return the page's code, which is at most ten lines beside its imports."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert (
        len(
            [
                line
                for line in block.splitlines()
                if line and not line.startswith(("import", "from"))
            ]
        )
        <= 10
    )
    return compile(block, str(PAGE), "exec")


def test_the_code_of_the_page(monkeypatch, tmp_path):
    """The ten lines run and leave a picture, here with maps that are exact rough surfaces (the real ones take a minute)."""
    asked = []

    def mapped(problem, plane, axes, **options):
        asked.append((problem, axes))
        return SimpleNamespace(to_landscape=lambda: mf.fbm_surface(129, 0.5, rng=len(asked)))

    monkeypatch.setattr(fractality, "section", mapped)
    monkeypatch.chdir(tmp_path)
    found = {}
    with pinned_threads(1):
        exec(code(), found)  # noqa: S102
    assert found["report"].kinds == ["rough"] * 3
    assert [axes[0][-1] for _, axes in asked] == [1, 0.1, 0.01]
    assert all(len(problem.data[0]) == 256 and problem.dropout == "off" for problem, _ in asked)
    assert (tmp_path / "results" / "fractality.png").stat().st_size > 10_000
    assert found["model"].training


@pytest.mark.slow
def test_the_code_of_the_page_maps_a_network(monkeypatch, tmp_path):
    """The ten lines as they are say smooth of a small network."""
    monkeypatch.chdir(tmp_path)
    found = {}
    with pinned_threads(1):
        exec(code(), found)  # noqa: S102
    assert found["report"].kinds == ["smooth"] * 3
