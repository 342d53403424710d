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
    *(f"fractional_brownian_surfaces/TAMSD_H={hurst}.mat" for hurst in (0.4, 0.5)),
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

    Files of walks on surfaces of exponent 0.4 (fourth waiting time) and 0.5 (third). The law has no exponent below 1/2, so
    that it cannot follow the first at all.
    """
    rows = []
    for hurst, line in ((0.4, 3), (0.5, 2)):
        curves = source_data.read(f"fractional_brownian_surfaces/TAMSD_H={hurst}.mat", folder)
        fit = mf.fit_tamsd(curves["xs"][line], curves["ys"][line], learning_rate=1000.0)
        rows.append(
            Row(
                f"exponent of the fit, surface of {hurst}",
                fit.hurst,
                hurst,
                "the exponent that the surface was built with",
                error=float(np.ptp(fit.hurst_interval)) / 2,
            )
        )
    return rows


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
