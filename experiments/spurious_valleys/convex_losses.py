"""Losses that are convex in the outputs, and the output weights at which they are least when the features are fixed.

Theorem 8 holds for each of them: with the hidden weights fixed the loss is convex in U, so that it never rises on a straight
line to where it is least.
"""

import numpy as np
from scipy.linalg import lstsq
from scipy.optimize import minimize

_CUT = 1e-13  # singular values below this, relative, are rounding: filters beyond their dimension (our choice)
_MARGIN = 40.0  # where the logistic loss, log(1 + exp(-margin)), is 4e-18 (our choice)


class Square:
    """The mean over samples of |output - target|^2, summed over outputs as in the paper."""

    def value(self, outputs, targets):
        """Return the loss."""
        return float(np.sum((outputs - targets) ** 2) / len(outputs))

    def least(self, features, output, targets):
        """Return the output weights (m, p) of the least loss that are nearest to `output`."""
        return output + lstsq(features, targets - features @ output.T, cond=_CUT)[0].T


class Logistic:
    """The mean over samples and outputs of log(1 + exp(-target x output)); targets are -1 or 1.

    Where features separate the samples the infimum, 0, is not attained: `least` then goes to where each margin is 40 (or what
    it was, if larger), at a loss of 4e-18. Elsewhere it is the minimum, found by Newton's method on the convex function.
    """

    def value(self, outputs, targets):
        """Return the loss."""
        return float(np.mean(np.logaddexp(0, -targets * outputs)))

    def least(self, features, output, targets):
        """Return output weights (m, p) at which the loss is least, or is 4e-18 where it has no minimum."""
        now = features @ output.T
        wanted = targets * np.maximum(targets * now, _MARGIN)
        moved = output + lstsq(features, wanted - now, cond=_CUT)[0].T
        if np.allclose(features @ moved.T, wanted, rtol=0, atol=1e-6):
            return moved
        return np.array(
            [
                self._newton(features, row, column)
                for row, column in zip(output, targets.T, strict=True)
            ]
        )

    def _newton(self, features, start, target):
        signed = features * target[:, None]

        def loss(u):
            return np.mean(np.logaddexp(0, -signed @ u))

        def share(u):
            return 0.5 * (1 - np.tanh(signed @ u / 2))  # 1 / (1 + exp(margin))

        def gradient(u):
            return -signed.T @ share(u) / len(signed)

        def hessian(u):
            q = share(u)
            return (signed * (q * (1 - q))[:, None]).T @ signed / len(signed)

        options = {"gtol": 1e-11, "maxiter": 500}
        return minimize(
            loss, start, jac=gradient, hess=hessian, method="trust-exact", options=options
        ).x


SQUARE, LOGISTIC = Square(), Logistic()
