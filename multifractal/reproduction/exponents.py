"""Diffusion exponents that the paper states: how ours are read off, and the rule that holds one against the other."""

from dataclasses import dataclass

import numpy as np

from multifractal.diffusion.displacement import DiffusionExponent
from multifractal.reproduction.claim import CORRECTED, NOT_REPRODUCED, REPRODUCED, Judgement

ROUNDING = 0.05  # the paper states exponents to one decimal
RULE = (
    "Not reproduced unless the 95 % interval of our mean lies on the same side of 1, ordinary diffusion, as the "
    "exponent stated, and above 0: what rests or oscillates does not diffuse. Reproduced if, besides, the number stated "
    "(to its one decimal) lies where {one} is expected with 95 %: the paper shows one. Reproduced with a correction if "
    "only the number differs."
)


@dataclass(frozen=True)
class Stated:
    """An exponent the paper states.

    Attributes
    ----------
    name : str
        Of the Quantity of our mean.
    one : str
        Of the Quantity whose spread is that of what the paper shows: a single walk, path or run.
    published : float
    lags : (int, int)
        First and last lag in steps it is read at.
    words : str
        Where it is read, for the page.
    """

    name: str
    one: str
    published: float
    lags: tuple
    words: str

    @property
    def side(self):
        """On which side of 1 it lies, "below" or "above"."""
        return "below" if self.published < 1 else "above"

    def on_its_side(self, found):
        """Tell whether the interval of our mean lies on the stated side of 1, and above 0."""
        mean = found[self.name]
        return mean.above(0) and mean.below(1) if self.side == "below" else mean.above(1)

    def allowed(self, found):
        """Tell whether one further walk, path or run may show the number stated."""
        return found[self.one].allows(self.published, ROUNDING)

    def read_off(self, lag_times, curves):
        """Return the exponent of each displacement curve (..., n_lags), by least squares in log-log; NaN where it rests."""
        inside = (lag_times >= self.lags[0]) & (lag_times <= self.lags[1])
        return log_slope(lag_times[inside], np.asarray(curves)[..., inside])

    def line(self, lag_times, curve, found):
        """Return a Quantity `found` as the power law that goes through the middle of a curve over its lags."""
        inside = (lag_times >= self.lags[0]) & (lag_times <= self.lags[1])
        moving = bool((curve[inside] > 0).all())
        height = np.log(curve[inside]).mean() if moving else np.nan
        return DiffusionExponent(
            exponent=found.value,
            low=found.low,
            high=found.high,
            prefactor=float(np.exp(height - found.value * np.log(lag_times[inside]).mean())),
            lag_range=np.array(self.lags, dtype=np.float64),
            interval_of=f"{found.n} {found.over}",
            provenance=found.provenance,
        )


def log_slope(lag_times, curves):
    """Return the log-log slope of each curve (..., n_lags) over `lag_times`, shape (...); NaN where one is not positive."""
    x = np.log(lag_times) - np.log(lag_times).mean()
    moving = (curves > 0).all(axis=-1)
    return np.where(moving, np.log(np.where(curves > 0, curves, 1.0)) @ x / (x @ x), np.nan)


def judge(stated, found, why=""):
    """Return the Judgement by `RULE` on all of `stated`; `why` is added where a statement fails."""
    resting = [each for each in stated if found[each.name].n < 2]
    if resting:
        return Judgement(NOT_REPRODUCED, f"Nothing moves {resting[0].words}: there is no exponent.")
    wrong = [each for each in stated if not each.on_its_side(found)]
    if wrong:
        return Judgement(
            NOT_REPRODUCED,
            "The kind of diffusion is another: "
            + _told(
                found,
                wrong,
                lambda each: "not between 0 and 1" if each.side == "below" else "not above 1",
            )
            + why,
        )
    off = [each for each in stated if not each.allowed(found)]
    if off:
        return Judgement(
            CORRECTED,
            "The kind of diffusion holds, but a number differs: "
            + _told(found, off, lambda each: _expected(found, each, "outside")),
        )
    return Judgement(
        REPRODUCED,
        "Kind of diffusion and numbers hold: "
        + _told(found, stated, lambda each: _expected(found, each, "in")),
    )


def _told(found, chosen, then):
    return (
        "; ".join(
            f"{each.words} our mean is {found[each.name].value:.2f} "
            f"[{_ends((found[each.name].low, found[each.name].high))}], {then(each)}"
            for each in chosen
        )
        + "."
    )


def _expected(found, each, where):
    return f"the paper's {each.published:g} lies {where} [{_ends(found[each.one].one_more())}], where one more is expected"


def _ends(ends):
    return f"{ends[0]:.2f}, {ends[1]:.2f}"
