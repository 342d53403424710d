"""What the paper's own source data show; where they are at hand (`python -m multifractal.source_data fetch`)."""

import numpy as np

import multifractal as mf
from experiments.published_findings.finding import Row
from multifractal import source_data
from multifractal.analysis.verdict import verdict_of

_SECTION = "real_loss_landscape/{}.npy"
_WITH_DROPOUT = ("vgg_sgd_cifar10", "vgg_sgd_fashionmnist", "vgg_adam_fashionmnist")
_WITHOUT = "vgg_nodrop_sgd_fashionmnist"
NAMES = (
    *(_SECTION.format(name) for name in (*_WITH_DROPOUT, _WITHOUT)),
    "multifractional_brownian_surface/chaos.mat",
    "fractional_brownian_surfaces/TAMSD_H=0.4.mat",
)


def published_sections(folder):
    """The published sections of networks with dropout are white noise from pixel to pixel.

    Variogram at lag 2 over lag 1: 1 is white noise, 4 a smooth surface. In the second column the published section of a
    network without dropout, mapped the same way.
    """
    ratios = {
        name: verdict_of(
            source_data.read(_SECTION.format(name), folder)["loss"].astype(float)
        ).pixel_noise_ratio
        for name in (*_WITH_DROPOUT, _WITHOUT)
    }
    return [
        Row(
            f"`{name}`",
            ratios[name],
            ratios[_WITHOUT],
            f"`{_WITHOUT}`, mapped the same way without dropout",
        )
        for name in _WITH_DROPOUT
    ]


def fitted_exponents(folder):
    """The exponent that the displacement law fits is not that of the surface.

    File of walks on a surface of exponent 0.4, fourth waiting time. The law has no exponent below 1/2, so that it cannot
    follow this surface at all. (On the file of exponent 0.5 the fit agrees with the surface within its error.)
    """
    curves = source_data.read("fractional_brownian_surfaces/TAMSD_H=0.4.mat", folder)
    fit = mf.fit_tamsd(curves["xs"][3], curves["ys"][3], learning_rate=1000.0)
    return [
        Row(
            "exponent of the fit, surface of 0.4",
            fit.hurst,
            0.4,
            "the exponent that the surface was built with",
            error=float(np.ptp(fit.hurst_interval)) / 2,
        )
    ]


def two_versions_of_one_file(folder):
    """Two versions of the file of Lyapunov exponents are in circulation.

    The published notebook prints 0.0971 for the mean over the learning rates from 27 to 744; the file of the record gives
    another number. (The printed one is of an older file.)
    """
    chaos = source_data.read("multifractional_brownian_surface/chaos.mat", folder)
    return [
        Row(
            "mean Lyapunov exponent, printed, and of the file at hand",
            "0.0971",
            chaos["mle_mean"][14:29].mean(),
            "the same mean over the file of the record",
        )
    ]


FINDINGS = (published_sections, fitted_exponents, two_versions_of_one_file)
