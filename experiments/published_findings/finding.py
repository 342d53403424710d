"""What one finding is: a text, and rows of numbers as published and as they should be."""

import inspect
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A quantity as the published behaviour gives it and as it is; either may be a word, such as "refused".

    `tolerance` is by how much (relative) another machine's numbers may differ: rounding for what is deterministic, five
    standard errors for what is chaotic or drawn.
    """

    quantity: str
    published: float | str
    correct: float | str
    tolerance: float = 5e-3


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
        f"| {row.quantity} | {shown(row.published)} | {shown(row.correct)} |"
        for row in finding.rows
    ]
    return "\n".join(
        [
            f"### {finding.title}",
            "",
            finding.text,
            "",
            "| | as published | correct |",
            "|---|---|---|",
            *lines,
        ]
    )


def shown(value):
    """Return a number with three digits; words as they are."""
    return value if isinstance(value, str) else f"{value:.3g}"
