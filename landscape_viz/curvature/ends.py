"""The ends of the Hessian's spectrum at positions along directions, as metrics of a section (Li et al. 2018, section 6)."""

import numpy as np

from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.metrics import EIGENVALUES
from multifractal.base.rng import realisation

_WHICH = {"largest_eigenvalue": "LA", "smallest_eigenvalue": "SA"}
_TOL = 1e-3  # relative accuracy (our choice)


class EndsEvaluator:
    """An `Evaluator` that also measures the Hessian's largest and smallest eigenvalue.

    Every position starts from a vector of its own, drawn from the problem's `rng` and the number of the position, so that its
    values do not depend on what was computed before. Where Lanczos has not converged the value is NaN.

    Parameters
    ----------
    problem, vectors, measured, device
        As for `Evaluator`; `measured` has one of `metrics.EIGENVALUES` at least.
    """

    def __init__(self, problem, vectors, measured, *, device="cpu"):
        others = {name: m for name, m in measured.items() if m not in EIGENVALUES}
        self._plain = Evaluator(problem, vectors, others or {"loss": "loss"}, device=device)
        self._operator = HessianOperator(problem, device=device)
        self.metrics, self.problem = measured, problem
        self.objective, self.path = self._plain.objective, self._plain.path
        self.loss_at, self.loss_at_origin = self._plain.loss_at, self._plain.loss_at_origin

    @property
    def relative_size(self):
        """As of `Evaluator`."""
        return self._plain.relative_size

    def run(self, positions, first=0):
        """Return the metrics at `positions`, numbered from `first` on, as an array of shape (n_metrics, n_positions)."""
        known = dict(zip(self._plain.metrics, self._plain.run(positions, first), strict=True))
        ends = np.array([self._ends(p, first + k) for k, p in enumerate(positions)]).T
        found = iter(ends)
        return np.array([next(found) if m in _WHICH else known[n] for n, m in self.metrics.items()])

    def _ends(self, position, number):
        """Return the eigenvalues that are asked for at a position."""
        self._plain.move(position)
        self._operator.move(self.objective.get())
        rng = realisation(self.problem.rng, number)
        asked = [metric for metric in self.metrics.values() if metric in _WHICH]
        pairs = [top_eigenpairs(self._operator, 1, _WHICH[m], _TOL, rng=rng) for m in asked]
        return [pair.values[0] if pair.converged else np.nan for pair in pairs]
