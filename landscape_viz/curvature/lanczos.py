"""The Lanczos recurrence, fully reorthogonalised, on the operator's device; with thick restarts where memory is short.

K. Wu, H. Simon, "Thick-restart Lanczos method for large symmetric eigenvalue problems", SIAM J. Matrix Anal. Appl. 22 (2000) 602.

Symbols: Q basis (its vectors are rows here), T the operator seen in it, theta Ritz values, s their vectors in the basis, beta
the next coupling: A Q = Q T + beta q e', q the next vector and e the last unit vector.
"""

import numpy as np
import torch

_BLOCK = 16  # vectors by which a basis grows (our choice)
_TURNED = 2**20  # numbers of a basis that are turned at once


class Lanczos:
    """Lanczos steps with Gram-Schmidt applied twice against the whole basis, so that no ghost appears.

    Parameters
    ----------
    product : Products
    first : Tensor, shape (n,)
        Is overwritten.
    max_steps : int
    generator : numpy Generator
        Of the vector to go on from where the basis is invariant.
    apart : Tensor, shape (k, n), optional
        Orthonormal rows: the operator is then that on their complement.
    most : int, optional
        Vectors that the basis may hold; None, as many as steps. A full basis is replaced by the Ritz vectors of the first
        (2 most + 2) // 3 by `rank`.
    rank : callable, optional
        Of Ritz values: what is kept is where it is highest.

    Attributes
    ----------
    steps : int
        Products made.
    size : int
        Vectors in the basis.
    """

    def __init__(self, product, first, max_steps, generator, apart=None, *, most=None, rank=None):
        self._product, self._generator, self._apart = product, generator, apart
        self._most, self._rank = min(most or max_steps, max_steps), rank
        self._max_steps, self.steps, self.size = max_steps, 0, 0
        self._blocks, self._image = [], None
        self._T, self._beta, self._past = np.zeros((self._most + 1,) * 2), 0.0, []
        self._next = self._orthogonal(first.div_(first.norm()))
        self._next.div_(self._next.norm())

    def advance(self, n_steps):
        """Add `n_steps` vectors to the basis, one product each."""
        for _ in range(n_steps):
            if self.size == self._most:
                self._restart()
            newest, w = self._grown(), self._next
            w = self._product(newest, into=w)
            m, scale = self.size - 1, float(w.norm())
            self._T[m, m] = float(newest @ w)
            self.steps += 1
            self._orthogonal(w)
            self._beta = float(w.norm())
            if self.steps < self._max_steps:
                self._continue(w, scale)

    def ritz(self):
        """Return (theta, s, residuals) of all Ritz pairs, ascending."""
        theta, s = torch.linalg.eigh(torch.from_numpy(self._T[: self.size, : self.size].copy()))
        theta, s = theta.numpy(), s.numpy()
        return theta, s, self._beta * np.abs(s[-1])

    def chance_beyond(self, value):
        """Return a bound on the chance that the first vector, drawn at random, hides an eigenvalue at `value`.

        p holds the parts of its eigenvector along the basis and the next vector, in units of that along the first one, which
        follow from T and beta. Their squares add up to at most 1, and that along a random unit vector is below x with a
        chance of sqrt(2 n / pi) x.

        J. van Dorsselaer, M. Hochstenbach, H. van der Vorst, "Computing probabilistic bounds for extreme eigenvalues of
        symmetric matrices with the Lanczos method", SIAM J. Matrix Anal. Appl. 22 (2001) 837.
        """
        p = np.ones(1)
        with np.errstate(all="ignore"):
            for T, s in self._past:
                p = _parts_along(p, T, value, len(s) + 1)
                p = np.r_[s.T @ p[:-1], p[-1]]
            T = self._T.copy()
            T[self.size - 1, self.size] = self._beta
            square = np.square(_parts_along(p, T, value, self.size + 1)).sum()
        # beyond all numbers where the steps split or grow without end: nothing is hidden
        return float(np.sqrt(2 * self._product.size / (np.pi * square))) if square < np.inf else 0.0

    def combined(self, s):
        """Return the rows s' Q: the vectors of Ritz pairs whose columns of `s` are given."""
        found = self._product.rows(s.shape[1]).zero_()
        for rows, block in zip(
            self._product.on_device(s).split(_BLOCK), self._filled(), strict=True
        ):
            found.addmm_(rows.T, block)
        return found

    def _grown(self):
        """Move the next vector into the basis and return it there."""
        place = self.size % _BLOCK
        if place == 0:
            height = min(_BLOCK, self._most - self.size)
            self._blocks.append(self._product.rows(height))
        self.size += 1
        return self._blocks[-1][place].copy_(self._next)

    def _continue(self, w, scale):
        """Make the next vector of what is left of an image, and note the coupling."""
        m = self.size
        if self._beta <= 50 * self._product.eps * max(
            scale, np.abs(np.diag(self._T[:m, :m])).max()
        ):
            # the basis is invariant: go on from a direction it does not hold
            self._beta = 0.0
            w = self._orthogonal(self._product.normal(self._generator))
        self._T[m - 1, m] = self._T[m, m - 1] = self._beta
        self._next = w.div_(w.norm())

    def _orthogonal(self, w):
        """Take off `w`, in place, what lies in the basis and in the vectors apart."""
        blocks = self._filled() if self._apart is None else [self._apart, *self._filled()]
        for _ in range(2):
            for block in blocks:
                w.addmv_(block.T, block @ w, alpha=-1)
        return w

    def _restart(self):
        """Replace the basis by its best Ritz vectors, which the next vector couples to as the last did."""
        theta, s, _ = self.ritz()
        count = (2 * self._most + 2) // 3
        kept = np.argsort(-self._rank(theta), kind="stable")[:count]
        self._turn(self._product.on_device(s[:, kept]))
        self._past.append((self._T.copy(), s[:, kept]))
        self._T[:] = 0.0
        self._T[range(count), range(count)] = theta[kept]
        self._T[:count, count] = self._T[count, :count] = self._beta * s[-1, kept]
        self.size = count

    def _turn(self, s):
        """Write s' Q in the place of the first vectors of Q, some columns at a time."""
        width = max(1, _TURNED // len(s))
        for first in range(0, self._product.size, width):
            columns = [block[:, first : first + width] for block in self._blocks]
            turned = s.T @ torch.cat(columns)
            for rows, column in zip(turned.split(_BLOCK), columns, strict=False):
                column[: len(rows)] = rows
        del self._blocks[-(-s.shape[1] // _BLOCK) :]

    def _filled(self):
        """Return the blocks of the basis, each up to its last vector that is filled."""
        return [block[: self.size - _BLOCK * k] for k, block in enumerate(self._blocks)]


def three_term_recurrence(product, first, n_steps):
    """Return T, shape (n_steps, n_steps), of Lanczos steps that keep no vectors but the last two; `first` is overwritten.

    Where the steps end early (an invariant space), what follows in T is apart from its first vector.
    """
    T, before, now = np.zeros((n_steps, n_steps)), None, first.div_(first.norm())
    image, beta = None, 0.0
    for m in range(n_steps):
        image = product(now, into=image if before is not None else None)
        scale = float(image.norm())
        if before is not None:
            image.add_(before, alpha=-beta)
        T[m, m] = float(now @ image)
        image.add_(now, alpha=-T[m, m])
        beta = float(image.norm())
        if m + 1 == n_steps or beta <= 50 * product.eps * scale:
            break
        T[m, m + 1] = T[m + 1, m] = beta
        before, now, image = now, image.div_(beta), before
    T[range(m + 1, n_steps), range(m + 1, n_steps)] = T[m, m]
    return T


def _parts_along(p, T, value, count):
    """Return `count` parts along the basis of the eigenvector at `value`, of which `p` are the first."""
    p = list(p)
    for m in range(len(p), count):
        p.append((value * p[m - 1] - T[m - 1, :m] @ p) / T[m - 1, m])
    return np.array(p)
