"""What the paper's source data hold: the tree of files, and for each its arrays and their shapes."""

import re

from multifractal.base.checks import refuse

# A shape is a tuple of numbers and words; a word stands for any length, the same wherever it occurs in one file.
_TAMSD = {"xs": ("lines", "lags"), "ys": ("lines", "lags")}
_SPECTRUM = {"q": ("q",), "hq": ("q",), "Dq": ("q",), "zq": ("q",)}
_SECTION_SPECTRUM = {"hq": ("q",), "Dq": ("q",)}
_SECTION = {"loss": (257, 257)}
_TRAINING = {
    "TAMSDs": ("waiting times", "lags"),
    "waiting_times": ("waiting times",),
    "lag_times": ("lags",),
    "window_size": (),
}
_EMBEDDING = {"embedding": ("positions", 2)}

_SURFACE, _FRACTIONAL = "multifractional_brownian_surface", "fractional_brownian_surfaces"
_REAL, RUNS_FOLDER = "real_loss_landscape", "real_training_dynamics"
_RUNS = ("lr=0.1_dropout=0.0_epochs=1000000", "lr=0.1_dropout=0.75_epochs=1000000")
_ANY_RUN = re.compile(
    rf"{RUNS_FOLDER}/lr=[^/]+_dropout=[^/]+_epochs=[^/]+/(TAMSDs\.npz|trajectory_tsne\.npy)"
)

_FILES = {
    f"{_SURFACE}/landscape.mat": {"landscape": (1024, 1024)},
    f"{_SURFACE}/trajectory.mat": {
        "trajectory": ("positions", 2),
        "trajectory_continuous": ("positions", 2),
    },
    f"{_SURFACE}/TAMSD.mat": _TAMSD,
    f"{_SURFACE}/eos.mat": {"lrs": ("rates",), "leading_eig": ("rates", 10, 100)},
    f"{_SURFACE}/chaos.mat": {"lrs": ("rates",), "mle_mean": ("rates",), "mle_95": ("rates", 2)},
    f"{_SURFACE}/multifractal_spectrum.mat": _SPECTRUM,
    f"{_FRACTIONAL}/alphas.mat": {"alphas": (9, 5)},
    **{f"{_FRACTIONAL}/TAMSD_H={hurst}.mat": _TAMSD for hurst in (0.4, 0.5, 0.6, 0.7)},
    f"{_FRACTIONAL}/multifractal_spectrum.mat": _SPECTRUM,
    **{f"{_REAL}/epoch_{epoch}_spectrum.mat": _SECTION_SPECTRUM for epoch in (1, 10, 20)},
    **{
        f"{_REAL}/{network}.npy": _SECTION
        for network in (
            "vgg_sgd_cifar10",
            "vgg_sgd_fashionmnist",
            "vgg_adam_fashionmnist",
            "vgg_nodrop_sgd_fashionmnist",
            "resnet_sgd_fashionmnist",
        )
    },
    **{
        f"{RUNS_FOLDER}/{run}/{file}": keys
        for run in _RUNS
        for file, keys in (("TAMSDs.npz", _TRAINING), ("trajectory_tsne.npy", _EMBEDDING))
    },
}

NAMES = tuple(_FILES)


def shapes_of(name):
    """Return the keys of file `name` and their shapes; other training runs than the two known ones go by pattern."""
    if isinstance(name, str) and name in _FILES:
        return _FILES[name]
    if isinstance(name, str) and (match := _ANY_RUN.fullmatch(name)) and ".." not in name:
        return _TRAINING if match[1] == "TAMSDs.npz" else _EMBEDDING
    raise refuse(
        "name",
        name,
        "be a file of the paper's source data",
        "multifractal.source_data.NAMES lists them",
    )


def is_source_data(name):
    """Tell whether `name` is a file of the paper's tree."""
    return name in _FILES or _ANY_RUN.fullmatch(name) is not None
