"""The text of docs/section_study.md says what the committed study says, number by number; its code runs."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import multifractal as mf
from experiments.section_study_tables import in_words, percent
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
    perceptron, convolutional = study.pairs
    at = [[_part(pair.share, lag) for lag in (0, 3)] for pair in study.pairs]
    live, full = (study.row(name).noise_sd for name in ("mlp batch live", "mlp live"))
    nodrop = study.row("published vgg_nodrop_sgd_fashionmnist").second_exponents
    resnet = study.row("resnet without dropout batch BN").second_exponents.value
    vgg = [
        study.row(f"published vgg_{name}")
        for name in ("sgd_cifar10", "sgd_fashionmnist", "adam_fashionmnist")
    ]
    published = [percent(float(row.noise_share.value)) for row in vgg]
    rough = [percent(float(row.noise_share_if_rough.value)) for row in vgg]
    shuffled = [row.shuffled_c[0] for row in vgg]
    deep, smooth = (
        in_words(study.row(f"mlp {name}zoom 10000").second_exponents) for name in ("", "gelu ")
    )
    first = [in_words(pair.exponents) for pair in study.pairs]
    early = [f"{pair.exponents.value[0]:.2f}" for pair in study.pairs]
    epochs = [
        "mlp batch live epoch 0",
        "mlp batch live epoch 1",
        "mlp batch live epoch 10",
        "mlp batch live",
    ]
    for words in (
        f"perceptron {percent(at[0][0])}",
        f"convolutional network {percent(at[1][0])}",
        f"at 8 pixels {percent(at[0][1])} and {percent(at[1][1])}",
        f"inner half of the plane {percent(perceptron.centre_share)} and "
        f"{percent(convolutional.centre_share)}",
        f"exponent of first differences between 4 and 8 pixels {first[0][2]} and {first[1][2]}",
        f"{published[0]}, {published[1]} and {published[2]}",
        f"{rough[0]}, {rough[1]} and {rough[2]}",
        f"from {live:.2f} to {full:.2f} nats, a factor {live / full:.2f}; the square root of 1437 / 64 is "
        f"{np.sqrt(1437 / 64):.2f}",
        f"distance^{deep[0]} at",
        f"grow with the exponent {in_words(vgg[0].second_exponents)[0]}, 0 being white noise",
        f"GELU in the place of ReLU {smooth[0]}",
        f"from 1 to 2 pixels it reads {early[0]} and {first[1][0]}",
        f"c2 = {study.row('mlp zoom 10000').paper_c.value[1]:.1f}",
        f"{in_words(nodrop)[2]} between 4 and 8 pixels",
        ", ".join(f"{value:.2f}" for value in resnet),
        f"{shuffled[0]:.2f}, {shuffled[1]:.2f} and {shuffled[2]:.2f}",
        "shares " + ", ".join(percent(float(study.row(name).noise_share.value)) for name in epochs),
        "sd " + ", ".join(f"{study.row(name).noise_sd:.2f}" for name in epochs),
    ):
        assert words in page, words


def _part(found, k):
    """Return the k-th number of an Estimate."""
    return replace(found, value=found.value[k], low=found.low[k], high=found.high[k])


def test_what_the_text_concludes(study):
    """Our sections without live dropout are smooth (one rounds in float32), those with it are noise."""
    for row in study.rows:
        if row.settings is None:
            continue
        if "live" in row.name:
            assert row.kind == "noise"
            assert not row.paper_valid
        else:
            rounds = row.name.endswith("float32")
            assert row.kind == ("noise" if rounds else "smooth")
            assert rounds or row.second_exponents.low.min() > 1.4


def test_round_numbers_of_the_text(study):
    """Alike, 5 to 7 points, tenfold, about half, 0.4 to 0.55, 1.4e-9, within 0.04, 8 to 32 pixels: as the text says."""
    apart = [
        study.row(name).noise_share.value - pair.share.value[0]
        for pair in study.pairs
        for name in pair.names
    ]
    assert np.abs(apart[:2]).max() < 0.01
    assert 0.05 < min(apart[2:]) < max(apart[2:]) < 0.075
    sd = {row.name: row.noise_sd for row in study.rows}
    assert 9 < sd["mlp batch live"] / sd["mlp batch live epoch 0"] < 11
    assert sd["mlp zoom 10000 float32"] == pytest.approx(1.4e-9, rel=0.05)
    assert 0.45 < study.row("mlp live").noise_share.value < 0.55
    bias = np.array([check.bias for check in study.checks[:2]])
    assert 0.39 < bias[..., 0].min() < bias[..., 0].max() < 0.56
    for name in ("sgd_cifar10", "sgd_fashionmnist", "adam_fashionmnist"):
        row = study.row(f"published vgg_{name}")
        assert abs(row.shuffled_c[0] - row.paper_c.value[0]) < 0.045
    nodrop = study.row("published vgg_nodrop_sgd_fashionmnist")
    assert list(nodrop.rough_range) == [8, 32]
    assert nodrop.rough_exponent == pytest.approx(0.79, abs=0.005)
    assert bias[..., 1].max() < 0


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

    line = mf.fbm_surface(257, 0.5, rng=0).values[128]

    def mapped(problem, plane, axes, **options):
        if len(axes) == 1:
            return SimpleNamespace(values={"loss": line}, n_not_finite=0)
        asked.append((problem, axes))
        return SimpleNamespace(
            to_landscape=lambda: mf.fbm_surface(129, 0.5, rng=len(asked)),
            settings={"rounding": 0.0},
            n_not_finite=0,
        )

    monkeypatch.setattr(fractality, "section", mapped)
    monkeypatch.chdir(tmp_path)
    found = {}
    with pinned_threads(1):
        exec(code(), found)  # noqa: S102
    assert found["report"].kinds == ["rough"] * 3
    assert [axes[0][-1] for _, axes in asked] == [1, 0.1, 0.01]
    assert all(
        len(problem.data.whole()[0]) == 256 and problem.dropout == "off" for problem, _ in asked
    )
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


@pytest.mark.parametrize("workers", [1, 2])
def test_the_script_keeps_and_tells_what_the_study_finds(
    study, workers, tmp_path, monkeypatch, capsys
):
    """Points and workers are handed on, one of them is this process; the numbers lie where they are asked for; no page is written."""
    from experiments import section_study
    from landscape_viz.studies import section_study as studies

    asked = []

    def measured(experiment, n_points, executor):
        asked.append((n_points, executor is None, experiment.folder))
        return study

    monkeypatch.setattr(studies, "study", measured)
    monkeypatch.setattr(section_study.subprocess, "run", lambda *_, **__: asked.append("page"))
    flags = ["--save-dir", str(tmp_path / "kept"), "--points", "103", "--workers", str(workers)]
    with pytest.raises(ValueError, match=r"--points must .*102"):
        section_study.main([*flags[:2], "--points", "101"])
    assert not (tmp_path / "kept").exists()
    path = section_study.main(flags)
    assert asked == [(103, workers == 1, tmp_path / "kept")]
    assert path == tmp_path / "kept" / "study.npz"
    said = capsys.readouterr().out
    assert said.startswith(f"output: {tmp_path / 'kept'}\n")
    assert said.endswith(f"table: {path}\n")
    for row in study.rows:
        assert (
            f"{row.name}: {row.verdict}; white noise at one pixel {row.noise_share.value:.3f}"
            in said
        )
    (tmp_path / "numbers.npz").write_bytes(b"of an earlier run")
    numbers = ["--out", str(tmp_path / "numbers.npz")]
    for asked_for in (flags, ["--save_dir", str(tmp_path / "new"), *numbers]):
        with pytest.raises(FileExistsError, match=r"must hold no results yet.*--resume to go on"):
            section_study.main(asked_for)
    assert not (tmp_path / "new").exists()
    again = section_study.main([*flags, *numbers, "--resume"])
    assert again == tmp_path / "numbers.npz"
    kept = [mf.SectionStudy.load(p) for p in (again, path)]
    assert [[r.verdict for r in one.rows] for one in kept] == [[r.verdict for r in study.rows]] * 2
    monkeypatch.setattr(section_study, "ROOT", tmp_path)
    (tmp_path / "experiments" / "results").mkdir(parents=True)
    committed = str(tmp_path / "experiments/results/section_study.npz")
    section_study.main([*flags, "--out", committed, "--resume"])
    assert asked[-1] == "page"
