"""The tables of docs/section_study.md, each made from a `SectionStudy`."""

import numpy as np

NAME = "section_study"


def percent(share):
    """Return an Estimate of a share in words, or a share without an interval."""
    if isinstance(share, float):
        return f"{100 * share:.1f} %"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def in_words(found):
    """Return the numbers of an Estimate with their intervals in words."""
    ends = zip(found.value, found.low, found.high, strict=True)
    return [f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in ends]


def noise(study):
    """Return the table of the sections with live dropout and the published ones: how much of each is noise."""
    names = [name for name in study.names if "live" in name or name.startswith("published")]
    return table(
        "section | noise, if the rest is smooth | if rough (H = 0.5) | sd (nats) | eta(1) | c1 | c1 shuffled",
        [_noise(study.row(name)) for name in names],
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
        [_remains(study.row(name)) for name in names],
    )


def checks(study):
    """Return the table of the estimators on exact surfaces: bias, spread and coverage of c1 and c2."""
    return table(
        "setting | c1 error | c1 held | c2 error | c2 held",
        [_check(check, j) for check in study.checks for j in range(len(check.hurst))],
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


def _noise(row):
    return [
        f"`{row.name}`",
        percent(row.noise_share),
        percent(float(row.noise_share_if_rough.value)),
        f"{row.noise_sd:.3g}",
        f"{row.paper_eta:.2f}",
        f"{row.paper_c.value[0]:.2f}",
        f"{row.shuffled_c[0]:.2f}",
    ]


def _remains(row):
    step = "unknown" if np.isnan(row.step) else f"{row.step:.2g}"
    return [f"`{row.name}`", step, *in_words(row.second_exponents), row.verdict]


def _check(check, j):
    bias, spread, held = check.bias[j], check.spread[j], check.coverage[j]
    return [
        f"{check.name}, H = {check.hurst[j]:g}",
        f"{bias[0]:+.2f} ± {spread[0]:.2f}",
        f"{100 * held[0]:.0f} %",
        f"{bias[1]:+.3f} ± {spread[1]:.3f}",
        f"{100 * held[1]:.0f} %",
    ]


TABLES = {"noise": noise, "remains": remains, "checks": checks}
