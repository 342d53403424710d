"""The tables of docs/section_study.md, each made from a `SectionStudy`."""

import numpy as np

NAME = "section_study"


def percent(value, interval=None):
    """Return a share in words, with its interval if there is one."""
    if interval is None:
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def of_exponents(study, k):
    """Return the exponents of second differences of row k in words."""
    return [
        f"{value:.2f} [{low:.2f}, {high:.2f}]"
        for value, low, high in zip(
            study.second_exponents[k], *study.second_interval[k], strict=True
        )
    ]


def noise(study):
    """Return the table of the sections with live dropout and the published ones: how much of each is noise."""
    names = [name for name in study.names if "live" in name or name.startswith("published")]
    return table(
        "section | noise, if the rest is smooth | if rough (H = 0.5) | sd (nats) | eta(1) | c1 | c1 shuffled",
        [_noise(study, name, study.row(name)) for name in names],
    )


def remains(study):
    """Return the table of the sections without live dropout: how each grows with distance, and the verdict."""
    names = [
        name
        for name in study.names
        if "live" not in name and (not name.startswith("published") or "nodrop" in name)
    ]
    return table(
        "section | pixel | 1 to 2 | 2 to 4 | 4 to 8 | verdict",
        [_remains(study, name, study.row(name)) for name in names],
    )


def checks(study):
    """Return the table of the estimators on exact surfaces: bias, spread and coverage of c1 and c2."""
    return table(
        "setting | c1 error | c1 held | c2 error | c2 held",
        [
            _check(study, i, j)
            for i in range(len(study.checked))
            for j in range(len(study.checked_hurst))
        ],
    )


def table(head, rows):
    """Return a Markdown table of cells under a head."""
    return "\n".join(
        [
            f"| {head} |",
            "|" + "---|" * len(head.split(" | ")),
            *(f"| {' | '.join(cells)} |" for cells in rows),
        ]
    )


def _noise(study, name, k):
    return [
        f"`{name}`",
        percent(study.noise_share[k], study.noise_share_interval[k]),
        percent(study.noise_share_rough[k]),
        f"{study.noise_sd[k]:.3g}",
        f"{study.paper_eta[k]:.2f}",
        f"{study.paper_c[k, 0]:.2f}",
        f"{study.shuffled_c[k, 0]:.2f}",
    ]


def _remains(study, name, k):
    step = "unknown" if np.isnan(study.steps[k]) else f"{study.steps[k]:.2g}"
    return [f"`{name}`", step, *of_exponents(study, k), study.verdicts[k]]


def _check(study, i, j):
    bias, spread = study.checked_bias[i, j], study.checked_spread[i, j]
    held = study.checked_coverage[i, j]
    return [
        f"{study.checked[i]}, H = {study.checked_hurst[j]:g}",
        f"{bias[0]:+.2f} ± {spread[0]:.2f}",
        f"{100 * held[0]:.0f} %",
        f"{bias[1]:+.3f} ± {spread[1]:.3f}",
        f"{100 * held[1]:.0f} %",
    ]


TABLES = {"noise": noise, "remains": remains, "checks": checks}
