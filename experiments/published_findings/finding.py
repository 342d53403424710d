"""What one finding is: a text, and rows of numbers as published and as they should be."""

import inspect
from dataclasses import dataclass

import numpy as np

from multifractal.base.statistics import mean_interval


@dataclass(frozen=True)
class Row:
    """A quantity as the published behaviour gives it, and what it is held against; either may be a word, such as "refused".

    Attributes
    ----------
    quantity : str
    published, correct : float or str
    control : str
        What `correct` is and where it comes from: a closed form, a matrix of known spectrum, another section, ...
    tolerance : float
        By how much (relative) another machine's numbers may differ: rounding for what is deterministic, five standard errors
        for what is chaotic or drawn.
    error : float
        By how much the two may differ without there being a finding; default: the tolerance of `correct`.
    """

    quantity: str
    published: float | str
    correct: float | str
    control: str
    tolerance: float = 5e-3
    error: float | None = None

    @classmethod
    def drawn(cls, quantity, published, correct, control):
        """Return the row of means of samples, either perhaps one number: their 95 % intervals must not overlap."""
        one, other = (mean_interval(np.atleast_1d(samples)) for samples in (published, correct))
        halves = [found.bars[0] if found.n > 1 else 0.0 for found in (one, other)]
        relative = max(
            half / abs(found.value) if half else 0.0
            for half, found in zip(halves, (one, other), strict=True)
        )
        # two runs may differ by five standard errors, some 2.5 half widths
        tolerance = max(2.5 * relative, 5e-3)
        return cls(quantity, one.value, other.value, control, tolerance, sum(halves))

    @property
    def differs(self):
        """Whether the published number is another than the control by more than the error; a word is another than a number."""
        if isinstance(self.published, str) or isinstance(self.correct, str):
            return self.published != self.correct
        allowed = self.error
        if allowed is None:
            allowed = min(self.tolerance, 1) * abs(self.correct)
        return bool(abs(self.published - self.correct) > allowed)


@dataclass(frozen=True)
class Finding:
    """A title, what is found and why, and the numbers."""

    title: str
    text: str
    rows: list


def run(function):
    """Return the Finding of a function whose docstring is title and text, and which returns the rows."""
    title, _, text = inspect.cleandoc(function.__doc__).partition("\n")
    return Finding(title.rstrip("."), text.strip(), function())


def markdown(finding):
    """Return a finding as Markdown."""
    lines = [
        f"| {row.quantity} | {shown(row.published)} | {shown(row.correct)} | {row.control} |"
        for row in finding.rows
    ]
    return "\n".join(
        [
            f"### {finding.title}",
            "",
            finding.text,
            "",
            "| | as published | correct | held against |",
            "|---|---|---|---|",
            *lines,
        ]
    )


def shown(value):
    """Return a number with three digits; words as they are."""
    return value if isinstance(value, str) else f"{value:.3g}"
