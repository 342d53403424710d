"""Sketch: a run's weights projected on random directions, in bounded memory."""

import numpy as np
import torch

from multifractal.base.rng import realisation

DIRECTIONS = 256
MOST = 4096


class Sketch:
    """Positions of a long vector along a run, as sums with random signs over every 256th of its entries.

    Signs are drawn once, a byte a parameter. Squared distances are kept in the mean, each within about sqrt(2 / 256) = 9 %
    (Charikar, Chen and Farach-Colton 2002). When 4096 positions are kept, every second one is dropped.
    """

    def __init__(self, vector, rng):
        self._width = min(DIRECTIONS, len(vector))
        signs = 2 * realisation(rng, 2**40).integers(0, 2, len(vector), dtype=np.int8) - 1
        self._signs = torch.as_tensor(signs).to(vector.device)
        self._kept, self._stride, self._seen = [], 1, 0

    def add(self, vector):
        """Keep the projection of `vector`, if its turn has come."""
        if self._seen % self._stride == 0:
            signed = self._signs * vector
            signed = torch.nn.functional.pad(signed, (0, -len(signed) % self._width))
            sums = signed.view(-1, self._width).sum(0, dtype=torch.float64)
            self._kept.append(sums.cpu().numpy())
        self._seen += 1
        if len(self._kept) == MOST:
            self._kept, self._stride = self._kept[::2], 2 * self._stride

    def positions(self):
        """Return (positions, numbers): shape (n, d), and which of the vectors added they are."""
        kept = np.array(self._kept).reshape(len(self._kept), self._width)
        return kept, self._stride * np.arange(len(kept))
