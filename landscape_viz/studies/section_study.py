"""Is the loss landscape of a real network multifractal? Small networks are trained, 24 sections mapped, each measured.

The sections are chosen so that each question has its comparison: dropout (eval mode, one fixed mask, a new mask at each
point from two seeds), scale (nested zooms of one plane, the last also in float32 and of a network without ReLU), data (one
batch or the training set), training (epochs), BatchNorm (running or batch statistics), and networks without dropout.
`multifractal.measured.section_study` says what is measured. Everything is kept in a folder as it is
finished, so that a stopped study is resumed where it was.
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from landscape_viz import checkpoint, directions, training
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem
from landscape_viz.sections import Section, section
from landscape_viz.studies import study_networks
from multifractal import source_data
from multifractal.analysis.validation import validate_estimator
from multifractal.base.checks import whole_number
from multifractal.base.result import Provenance
from multifractal.base.rng import realisation
from multifractal.measured.section_study import (
    PAPER_SETTINGS_AT_ANY_ZOOM,
    SMALL_SECTION_SETTINGS,
    EstimatorCheck,
    SectionStudy,
    measured,
    measured_pair,
)

N_POINTS = 129
BATCH, ALL = 64, 1437  # images: the paper's one batch, and the whole training set
EPOCHS = 20
DROPOUT = 0.5  # in training, where there is any (paper)
# of Adam; found to train each in 20 epochs
_RATES = {"mlp": 3e-3, "mlp gelu": 3e-3, "conv": 1e-2, "resnet": 1e-2}
_SEED = 0
_LEAST_POINTS = 102  # two scales of leaders at `SMALL_SECTION_SETTINGS`
PUBLISHED = {
    f"published {name}": f"real_loss_landscape/{name}.npy"
    for name in (
        "vgg_sgd_cifar10",
        "vgg_sgd_fashionmnist",
        "vgg_adam_fashionmnist",
        "vgg_nodrop_sgd_fashionmnist",
        "resnet_sgd_fashionmnist",
    )
}


@dataclass(frozen=True)
class Wanted:
    """A section to be mapped: of which network, where and in which mode.

    Attributes
    ----------
    network : str
    trained_dropout : float
    epoch : int
    half_width : float
        Of the plane, in units of the filters' norms; 2.4 is the paper's.
    images : int
    dropout : str
    batch_norm : str
    mask_seed : int
    double : bool
    """

    network: str = "mlp"
    trained_dropout: float = DROPOUT
    epoch: int = EPOCHS
    half_width: float = 2.4
    images: int = ALL
    dropout: str = "off"
    batch_norm: str = "eval"
    mask_seed: int = 0
    double: bool = True


_LIVE: dict[str, Any] = {"images": BATCH, "dropout": "live"}
PLAN = {
    "mlp": Wanted(),
    "mlp zoom 10": Wanted(half_width=0.24),
    "mlp zoom 100": Wanted(half_width=0.024),
    "mlp zoom 10000": Wanted(half_width=0.00024),
    "mlp zoom 10000 float32": Wanted(half_width=0.00024, double=False),
    "mlp batch": Wanted(images=BATCH),
    "mlp batch fixed": Wanted(images=BATCH, dropout="fixed"),
    "mlp batch live": Wanted(**_LIVE),
    "mlp batch live 2": Wanted(**_LIVE, mask_seed=1),
    "mlp live": Wanted(dropout="live"),
    "mlp epoch 0": Wanted(epoch=0),
    "mlp epoch 1": Wanted(epoch=1),
    "mlp gelu zoom 10000": Wanted("mlp gelu", half_width=0.00024),
    "mlp batch live epoch 0": Wanted(**_LIVE, epoch=0),
    "mlp batch live epoch 1": Wanted(**_LIVE, epoch=1),
    "mlp batch live epoch 10": Wanted(**_LIVE, epoch=10),
    "mlp without dropout": Wanted(trained_dropout=0.0),
    "conv batch": Wanted("conv", images=BATCH),
    "conv batch live": Wanted("conv", **_LIVE),
    "conv batch live 2": Wanted("conv", **_LIVE, mask_seed=1),
    "conv without dropout batch": Wanted("conv", trained_dropout=0.0, images=BATCH),
    "resnet without dropout batch": Wanted("resnet", trained_dropout=0.0, images=BATCH),
    "resnet without dropout batch BN": Wanted(
        "resnet", trained_dropout=0.0, images=BATCH, batch_norm="batch"
    ),
    "resnet batch BN live": Wanted("resnet", **_LIVE, batch_norm="batch"),
}
PAIRS = [["mlp batch live", "mlp batch live 2"], ["conv batch live", "conv batch live 2"]]
KEPT = [
    "mlp",
    "mlp zoom 10",
    "mlp zoom 100",
    "mlp zoom 10000",
    "mlp zoom 10000 float32",
    "mlp batch",
    "mlp batch fixed",
    "mlp batch live",
    "mlp batch live 2",
    "conv batch",
    "conv batch live",
    "resnet without dropout batch BN",
    "resnet batch BN live",
]


def check_points(n_points, argument="n_points"):
    """Refuse sections that are too small for a spectrum, before they are mapped."""
    whole_number(argument, n_points, _LEAST_POINTS)


def study(
    experiment,
    *,
    plan=None,
    pairs=PAIRS,
    kept=KEPT,
    n_points=N_POINTS,
    n_surfaces=40,
    executor=None,
):
    """Train, map and measure; return the study.

    Parameters
    ----------
    experiment : Experiment
        The folder that holds what is finished.
    plan : dict of str to Wanted, optional
        Default `PLAN`.
    pairs, kept : list
        Names of rows: two that differ by the seed of their masks; those whose sections go into the result.
    n_points : int
        Along each side of a section, at least 102: smaller ones have no two scales of leaders at our settings.
    n_surfaces : int
        Exact surfaces for each exponent that the spectrum is checked on.
    executor : concurrent.futures.Executor, optional
        Maps the points of a section; the same bits with any.

    Returns
    -------
    SectionStudy
    """
    plan = PLAN if plan is None else plan
    check_points(n_points)
    losses = {}
    for name, wanted in tqdm(plan.items(), "sections", disable=None):
        losses[name] = _mapped(experiment, name, wanted, n_points, executor).to_landscape().values
    published = {
        name: source_data.read(path)["loss"]
        for name, path in PUBLISHED.items()
        if source_data.available(path)
    }
    mapped = [
        (name, losses[name], 2 * wanted.half_width / (n_points - 1), asdict(wanted))
        for name, wanted in plan.items()
    ]
    rows = [
        measured(name, values, step, settings=settings, rng=_stream(k))
        for k, (name, values, step, settings) in enumerate(
            mapped + [(name, values, np.nan, None) for name, values in published.items()]
        )
    ]
    differing = [
        measured_pair(names, *(losses[name] for name in names), rng=_stream(100 + k))
        for k, names in enumerate(pairs)
    ]
    middle = np.array([losses[name][n_points // 2, n_points // 2] for name in kept])
    return SectionStudy(
        rows=tuple(rows),
        pairs=tuple(differing),
        checks=tuple(_checks(n_points, n_surfaces)),
        kept=list(kept),
        offsets=middle,
        sections=np.array(
            [losses[name] - value for name, value in zip(kept, middle, strict=True)], np.float32
        ),
        provenance=Provenance.of(
            "section_study.study",
            rng=_SEED,
            n_points=n_points,
            n_surfaces=n_surfaces,
            packages=("numpy", "scipy", "numba", "torch"),
        ),
    )


def trained(folder, network, dropout, epoch):
    """Return the state dict of a network of the study after `epoch` epochs, training it on if need be."""
    model, run = (
        study_networks.build(network, dropout=dropout),
        folder / f"{network.replace(' ', '_')}_dropout_{dropout:g}",
    )
    path = run / f"epoch_{epoch:04d}.pt"
    if not path.exists():
        with pinned_threads(1):
            training.train(
                model,
                study_networks.pooled_digits(),
                run,
                epochs=EPOCHS,
                optimizer="adam",
                learning_rate=_RATES[network],
                rng=_SEED,
                resume=True,
            )
    return checkpoint.load(path).state_dict


def problem(folder, wanted):
    """Return (Problem, Directions) of a section of the study."""
    state = trained(folder / "networks", wanted.network, wanted.trained_dropout, wanted.epoch)
    made = [
        Problem(
            partial(
                study_networks.build, wanted.network, dropout=wanted.trained_dropout, double=double
            ),
            state,
            "cross_entropy",
            partial(study_networks.images, wanted.images, double=double),
            rng=wanted.mask_seed,
            dropout=wanted.dropout,
            batch_norm=wanted.batch_norm,
        )
        for double in (True, wanted.double)
    ]
    # of the float64 network also for float32: the same plane
    plane = directions.random(made[0], 2, rng=_SEED)
    return made[1], plane if wanted.double else directions.from_vectors(
        made[1], plane.vectors, plane.labels
    )


def _mapped(experiment, name, wanted, n_points, executor):
    stem = name.replace(" ", "_")
    store = experiment.path(f"{stem}.store")
    axis = np.linspace(-wanted.half_width, wanted.half_width, n_points)

    def compute():
        return section(
            *problem(experiment.folder, wanted),
            [axis, axis],
            metrics=("loss",),
            executor=executor,
            path=store,
            resume=True,
        )

    mapped = experiment.result(stem, Section, compute)
    store.unlink(missing_ok=True)  # what a stopped section goes on from
    return mapped


def _stream(k):
    return np.random.SeedSequence(_SEED, spawn_key=(k,))


def _checks(n_points, n_surfaces):
    """Return what the spectrum reads on exact surfaces of known exponents, at the settings and sides of the study."""
    hurst = (0.3, 0.5, 0.7, 0.9)
    cases = {
        f"paper's settings, {n_points} pixels": (n_points, PAPER_SETTINGS_AT_ANY_ZOOM),
        "paper's settings, 257 pixels": (257, PAPER_SETTINGS_AT_ANY_ZOOM),
        f"ours, {n_points} pixels": (n_points, SMALL_SECTION_SETTINGS),
    }
    found = [
        validate_estimator(
            hurst,
            n=n,
            n_surfaces=n_surfaces,
            n_bootstrap=199,
            rng=realisation(_SEED, 1000 + k),
            **settings,
        )
        for k, (n, settings) in enumerate(cases.values())
    ]
    return [
        EstimatorCheck(
            name=name,
            hurst=np.array(hurst),
            **{each: getattr(one, each)[:, :2] for each in ("bias", "spread", "coverage")},
        )
        for name, one in zip(cases, found, strict=True)
    ]
