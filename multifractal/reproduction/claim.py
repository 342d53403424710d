"""A claim of the paper: what it states, how it is measured, the rule that judges it, and the figure that shows it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from multifractal.base.checks import one_of
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import (
    mean_and_error,
    mean_interval,
    median_interval,
    student_interval,
)

REPRODUCED, CORRECTED = "reproduced", "reproduced with a correction"
NOT_REPRODUCED, NOT_JUDGED = "not reproduced", "not judged"
PUBLISHED_ONLY = "by the published unfolding only"
VERDICTS = (REPRODUCED, CORRECTED, PUBLISHED_ONLY, NOT_REPRODUCED, NOT_JUDGED)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number of the report.

    Attributes
    ----------
    words : str
        What it is.
    value, low, high : float
        The estimate and its 95 % interval; NaN ends where there are too few samples for one.
    spread : float
        Standard deviation of a single sample; NaN where there is one.
    n : int
        How many samples.
    over : str
        What the samples are: "surfaces", "walks", "paths", ...
    unit : str
        Empty for a pure number.
    published : str
        What the paper states for it, in words; empty where it states nothing.
    provenance : Provenance
        The call, the seed and the versions that made it.
    expected : (float, float), optional
        Where one further sample is expected with 95 %, of samples that are far from normal; None to take them as normal.
    in_file : float, optional
        The same number read from the paper's file; only on a quantity that is measured by the paper's own protocol, so that
        `ordinary` can ask whether we read that protocol right. None without the file.
    """

    words: str
    value: float
    low: float
    high: float
    spread: float
    n: int
    over: str
    unit: str
    published: str
    provenance: Provenance
    expected: tuple | None = None
    in_file: float | None = None

    @classmethod
    def mean(cls, words, samples, provenance, *, over="surfaces", unit="", published=""):
        """Return the mean of `samples` (NaN left out) with its t-interval; one sample a surface."""
        told = {"over": over, "unit": unit, "published": published}
        return cls._of(words, mean_interval(_known(samples)), samples, provenance, told)

    @classmethod
    def median(cls, words, samples, provenance, *, over="surfaces", unit="", published=""):
        """Return the median of `samples` (NaN left out) with its interval by order statistics, for skewed samples.

        The ends are those samples between which the median lies with a probability of at least 95 %, whatever the
        distribution; with fewer than 6 samples no such pair exists and the ends are NaN.
        """
        told = {"over": over, "unit": unit, "published": published}
        return cls._of(words, median_interval(_known(samples)), samples, provenance, told)

    @classmethod
    def _of(cls, words, found, samples, provenance, told):
        """Return the quantity of an Estimate from samples, as plain numbers."""
        error, n = mean_and_error(_known(samples))[1:]
        return cls(
            words=words,
            value=float(found.value),
            low=float(found.low),
            high=float(found.high),
            spread=float(error * np.sqrt(n)),
            n=int(n),
            provenance=provenance,
            **told,
        )

    @classmethod
    def single(
        cls,
        words,
        value,
        provenance,
        *,
        interval=(np.nan, np.nan),
        over="",
        unit="",
        published="",
        n=1,
    ):
        """Return one number, with the 95 % interval that came with it if there is one (of a fit, of a file)."""
        low, high = map(float, interval)
        return cls(
            words=words,
            value=float(value),
            low=low,
            high=high,
            spread=np.nan,
            n=n,
            over=over,
            unit=unit,
            published=published,
            provenance=provenance,
        )

    def one_more(self):
        """Return the 95 % interval (low, high) in which one further sample is expected: `expected`, or of normal samples.

        The paper shows one surface: its number is to be compared with this, not with the interval of our mean.
        """
        if self.expected is not None:
            return tuple(self.expected)
        spread = self.spread * np.sqrt(1 + 1 / self.n) if self.n else np.nan
        return tuple(student_interval(self.value, spread, self.n - 1).tolist())

    def allows(self, published, rounding=0.0):
        """Tell whether `published`, known to within `rounding`, lies where one further sample is expected."""
        low, high = self.one_more()
        return bool(low - rounding <= published <= high + rounding)

    @property
    def ordinary(self):
        """Whether the paper's file is an ordinary draw (95 %) of the protocol that we attribute to it; None without a file."""
        return None if self.in_file is None else self.allows(self.in_file)

    def beside(self, in_file):
        """Return this quantity with the number of the paper's file beside it (None: the file is not here)."""
        return replace(self, in_file=None if in_file is None else float(in_file))

    def above(self, threshold):
        """Tell whether the whole interval lies above `threshold`."""
        return bool(self.low > threshold)

    def below(self, threshold):
        """Tell whether the whole interval lies below `threshold`."""
        return bool(self.high < threshold)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Measured(Result):
    """What a claim's measurement gave.

    Attributes
    ----------
    quantities : dict of str to Quantity
        The numbers of the page, in its order; the rule sees these only.
    results : dict of str to Result or list of Result
        What the figure draws, the published data among it.
    provenance : Provenance
        Of the whole measurement; `study.measure` fills it in.
    """

    quantities: dict[str, Quantity]
    results: dict
    provenance: Provenance | None = None

    def __getitem__(self, name):
        """Return the Quantity of this name."""
        return self.quantities[name]


@dataclass(frozen=True)
class Judgement:
    """A verdict and the reason for it, with the numbers that decided.

    `verdict` is one of `VERDICTS`; `reason` says which correction or why not. `NOT_JUDGED` is for a claim about files
    that are not here.
    """

    verdict: str
    reason: str

    def __post_init__(self):
        one_of("verdict", self.verdict, VERDICTS)


@dataclass(frozen=True)
class Protocol:
    """How a number is made in the paper and here, in words: starts, walks, estimator, window, rates.

    Attributes
    ----------
    paper : str
        As the published notebook and files tell it; what neither tells is said to be unknown.
    ours : str
        Where the report departs from it, and why. Both are measured where both can be.
    no_file : str
        Why no number of the paper's files is held against draws of its protocol; empty where one is (`Quantity.beside`).
    """

    paper: str
    ours: str
    no_file: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes
    ----------
    name : str
        Of its files.
    title : str
    statement : str
        What the paper states, with its numbers.
    rule : str
        How the verdict follows from the numbers, with the reason for each threshold; printed on the page. A threshold that
        was set after its number had been seen says so.
    measure : callable
        measure(study) -> Measured. Draws surfaces from the study only, so that it runs on control landscapes too.
    judge : callable
        judge(quantities) -> Judgement, a pure function of the dict of Quantity: the rule.
    draw : callable or None
        draw(measured) -> Axes or array of Axes; None where nothing is measured.
    caption : str
        What the figure shows; states n.
    protocol : Protocol
    headline : dict of str to str
        Names of the quantities that the table of docs/reproduction.md shows, with short words for each.
    data : tuple of str
        Patterns (`fnmatch`) of the files that the measurement reads, by name in the paper's tree, or of a table in data/: if one
        of them changes, the claim is measured again.
    """

    name: str
    title: str
    statement: str
    rule: str
    measure: Callable
    judge: Callable
    draw: Callable | None
    caption: str
    protocol: Protocol
    headline: dict = field(default_factory=dict)
    data: tuple[str, ...] = ()


def _known(samples):
    """Return samples in one row, those that are not finite as NaN: they were not measured."""
    samples = np.asarray(samples, dtype=np.float64).ravel()
    return np.where(np.isfinite(samples), samples, np.nan)
