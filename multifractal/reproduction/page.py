"""The page of a reproduction study: a table of all verdicts, then a chapter for each claim."""

import importlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from multifractal import source_data
from multifractal.base import files
from multifractal.figures._style import HOUSE_STYLE
from multifractal.figures.html_report import NOTHING, Chapter, Mark, Table, write_report
from multifractal.reproduction.claim import VERDICTS, Claim, Judgement, Measured
from multifractal.reproduction.study import measure, recalled

# In the order of the paper: the landscape, walks on it, the theory of the walks, training.
_CHAPTERS = (
    "spectra_claims",
    "curvature_claims",
    "surface_claims",
    "walk_claims",
    "drift_claims",
    "edge_claims",
    "chaos_claims",
    "alpha_claims",
    "theory_claims",
    "training_claims",
)
_TONES = dict(zip(VERDICTS, ("good", "changed", "changed", "bad", ""), strict=True))
_HARD = "\u00a0"  # a space at which no line breaks
_TITLE = "What of the paper holds? A reproduction report"
_PAPER = (
    "Ly & Gong, Optimization on multifractal loss landscapes explains a diverse range of geometrical and dynamical "
    "properties of deep learning, Nature Communications 16, 2025, doi 10.1038/s41467-025-58532-9"
)


@dataclass(frozen=True)
class Finding:
    """A claim, what was measured for it, and the judgement."""

    claim: Claim
    measured: Measured
    judgement: Judgement


def claims():
    """Return all claims, in the order of the page."""
    modules = [importlib.import_module(f"multifractal.reproduction.{name}") for name in _CHAPTERS]
    return [claim for module in modules for claim in module.CLAIMS]


def unusual_of(quantities):
    """Return (told, whether any is unusual): how the paper's files lie among draws of the protocol attributed to them.

    `told` is one sentence a number, empty where no file is here. A file that is no ordinary draw says that we read its
    protocol wrong, or that there is more to it than we know: nothing should be concluded from the comparison.
    """
    told, any_unusual = [], False
    for found in quantities.values():
        if found.ordinary is not None:
            low, high = found.one_more()
            width = high - low
            where = f"{_number(found.in_file, width)}, one more draw [{_number(low, width)}, {_number(high, width)}]"
            told.append(
                f"{found.words}: {where}{'' if found.ordinary else ', NOT an ordinary draw'}"
            )
            any_unusual |= not found.ordinary
    return told, any_unusual


def report(study, path, *, only=None, folder=None):
    """Measure and judge claims on a study, write the page, and return the findings.

    Parameters
    ----------
    study : Study
    path : path-like
        The page; replaced if it exists, since it is always rewritten from the results in `folder`.
    only : sequence of Claim, optional
        Default: `claims()`.
    folder : path-like, optional
        Where results and figures are kept, so that a stopped report is resumed, and only claims are measured again whose code,
        files or settings have changed. Default: `path` without its ending.
    """
    started, path = time.perf_counter(), Path(path)
    folder = path.with_suffix("") if folder is None else Path(folder)
    findings = []
    for claim in claims() if only is None else only:
        begun, kept = time.perf_counter(), recalled(claim, study, folder)
        measured = measure(claim, study, folder) if kept is None else kept
        findings.append(Finding(claim, measured, claim.judge(measured.quantities)))
        took = f"{time.perf_counter() - begun:6.1f} s" if kept is None else "    kept"
        print(f"{took}  {claim.title}: {findings[-1].judgement.verdict}", flush=True)
    chapters = [_chapter(finding, folder) for finding in findings]
    write_report(path, _TITLE, [_summary(findings, study), *chapters], overwrite=True)
    print(f"{time.perf_counter() - started:6.1f} s in all; {path.resolve()}")
    return findings


def _summary(findings, study):
    counted = [
        sum(finding.judgement.verdict == verdict for finding in findings) for verdict in VERDICTS
    ]
    told = "; ".join(f"{n} {verdict}" for verdict, n in zip(VERDICTS, counted, strict=True) if n)
    standing = [entry for entry in source_data.verify() if entry.path]
    here = [entry.name for entry in standing]
    doubtful = [entry.name for entry in standing if entry.status != "intact"]
    rows = [
        ((finding.claim.title, finding.claim.title), _mark(finding), _reason(finding))
        for finding in findings
    ]
    return Chapter(
        "All verdicts",
        lead=[
            f"{len(findings)} claims of {_PAPER}, computed from nothing and judged by a rule that is printed with it. In short: "
            f"{told}.",
            f"Measured on {study.n_surfaces} surfaces of {study.size} x {study.size} pixels, seed {study.seed}: {study.words}. "
            f"Where a claim is about paths or training runs it says so.",
            "An interval is 95 % over those surfaces, of their mean unless said otherwise. The paper shows one surface; so its "
            "number is held against the interval in which one more of our surfaces is expected, mean ± t(0.975) sd √(1 + 1/n) "
            "(one more walk: between the percentiles 2.5 and 97.5 of ours). "
            "Such an interval is wide: that a number lies in it is weak support, that it does not is strong evidence.",
            "The rules were written by people who had seen exploratory numbers; what each sets apart is tested on white noise, "
            "on a bowl and on a surface without flat regions.",
            f"The paper's source data: {len(here)} of {len(source_data.NAMES)} files are here and drawn in the figures. "
            + (
                f"Unverified, without a checksum that is known: {', '.join(doubtful)}."
                if doubtful
                else "All are verified."
            )
            if here
            else "None of the paper's source data are here; `python -m multifractal.source_data fetch` brings them.",
        ],
        table=Table(("claim", "verdict", "why"), rows),
    )


def _chapter(finding, folder):
    claim, quantities = finding.claim, finding.measured.quantities.values()
    told, any_unusual = unusual_of(finding.measured.quantities)
    draws = [
        f"Is the paper's file an ordinary draw of its protocol? {'Not always' if any_unusual else 'Yes'}:: {'; '.join(told)}."
    ] * bool(told)
    return Chapter(
        claim.title,
        mark=_mark(finding),
        lead=[
            f"The paper:: {claim.statement}",
            f"The paper's protocol:: {claim.protocol.paper}",
            f"Ours:: {claim.protocol.ours}",
        ],
        table=Table(
            ("measured", "the paper", "ours, 95 % interval", "n"),
            [_row(found) for found in quantities],
        )
        if quantities
        else None,
        pictures={_picture(finding, folder): claim.caption} if claim.draw else {},
        words=[f"Verdict:: {_reason(finding)}", *draws, f"The rule:: {claim.rule}"],
        details={"Calls, seeds and versions": _calls(finding)},
    )


def _row(found):
    value = value_in_words(found)
    words = f"{found.words} ({found.unit})" if found.unit else found.words
    if found.over == "file":  # read from the paper's data: not ours
        return (
            words,
            "; ".join(filter(None, [value, found.published])),
            NOTHING,
            "1 file".replace(" ", _HARD),
        )
    value, n = (told.replace(" ", _HARD) for told in (value, f"{found.n} {found.over}".strip()))
    return words, _minus(found.published) or NOTHING, value, n


def value_in_words(found):
    """Return a Quantity's value with its interval, rounded to what the interval's width makes sense of."""
    width = found.high - found.low
    value = _number(found.value, width)
    if np.isfinite(width):
        value += f" [{_number(found.low, width)}, {_number(found.high, width)}]"
    return value


def _reason(finding):
    reason = finding.judgement.reason
    return _minus(reason[:1].upper() + reason[1:])


def _minus(words):
    """Return `words` with a proper minus before each negative number."""
    return re.sub(r"(?<![0-9A-Za-z)\]])-(?=\.?\d)", "−", words)


def _number(value, width):
    """Return a number with two digits of its interval's width, at most four decimals; three digits without an interval."""
    if not np.isfinite(value):
        return "none"
    digits = (
        int(np.clip(1 - np.floor(np.log10(width)), 0, 4))
        if np.isfinite(width) and width > 0
        else None
    )
    told = f"{value:.3g}" if digits is None or not abs(value) < 1e5 else f"{value:.{digits}f}"
    return _minus(told)


def _calls(finding):
    lines = [
        f"{found.words}: {found.provenance.call}"
        + (f", seed {found.provenance.seed}" if found.provenance.seed else "")
        for found in finding.measured.quantities.values()
    ]
    versions = {
        name: value
        for found in finding.measured.quantities.values()
        for name, value in found.provenance.versions.items()
    } | finding.measured.provenance.versions
    return [
        *dict.fromkeys(lines),
        finding.measured.provenance.call,
        ", ".join(f"{k} {v}" for k, v in versions.items()),
    ]


def _mark(finding):
    return Mark(finding.judgement.verdict, _TONES[finding.judgement.verdict])


def _picture(finding, folder):
    axes = finding.claim.draw(finding.measured)
    figure, path = (
        np.ravel(np.asarray(axes, dtype=object))[0].figure,
        folder / f"{finding.claim.name}.png",
    )
    with plt.style.context(HOUSE_STYLE), files.atomic_write(path, overwrite=True) as file:
        figure.savefig(file, format="png", dpi=150)
    plt.close(figure)
    return path
