"""EdgeMonitor: critical sharpness and its relatives of any torch run, from one line in its loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from landscape_viz.loss.batches import n_samples
from landscape_viz.monitor import indicators
from landscape_viz.monitor.record import COLUMNS, EdgeRecord
from landscape_viz.monitor.sketch import Sketch
from landscape_viz.monitor.twin import Twin
from multifractal.base.checks import positive_number, require, whole_number
from multifractal.base.result import Provenance
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import Rng

_GUESS = 2.0  # of the critical factor, before one was found: at the edge of stability it is 1


class EdgeMonitor:
    """Watches a training run: what hovers at 2 / learning rate, measured on a twin of the network.

    Call `step(batch)` once for each step of the optimiser, with the batch of that step, before or after `optimizer.step()`::

        monitor = landscape_viz.EdgeMonitor(model, optimizer, "cross_entropy", every=100)
        for batch in loader:
            ...                     # your step, unchanged
            monitor.step(batch)
        record = monitor.record()

    The run is never touched: weights, gradients, buffers, the optimiser's state and the random state stay as they are, bit for
    bit. A twin of the network takes over weights, modes and buffers at each measurement; dropout draws one mask a
    measurement. Memory: the twin, where the run began, the last batches, and a copy of the optimiser's state while measuring.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
        Any, also one of your own; a virtual step is taken by a copy of it.
    loss : str, None, torch criterion, `batch_loss(function)`, or callable
        As for `Problem`: what the run minimises.
    every : int
        Steps between measurements of loss, norms, distance and critical sharpness (issue: 100): about 3 gradients each.
    curvature_every : int or None, optional
        Steps between those that need products with the Hessian, a multiple of `every` (our choice: 60 times as many, which
        keeps all below 5 % of the run's time): about 40 gradients each. None leaves them out.
    n_batches : int
        Last batches over which batch sharpness and noise scale are averaged (our choice 4).
    reference : batch, optional
        What the eigenvalues are those of; None (our choice) takes the batch of that step.
    max_norm : float, optional
        The run's clipping of the gradient's norm, so that the virtual step is the run's own.
    closure : bool, optional
        Give the optimiser's step a closure; None (our choice) does so where it cannot do without.
    log : callable, optional
        Called as `log(step, values)` with a dict at each measurement: `csv_log`, `json_log`, `tensorboard_log`, or your own
        (`lambda step, values: wandb.log(values, step=step)`).
    rng : int, SeedSequence or Generator
        For masks of dropout, projections and the first vector of the eigenvalue.

    Raises
    ------
    ValueError
        When the optimiser moves parameters that are not the network's, or a setting is out of its range.

    Notes
    -----
    Critical sharpness: D. Kalra et al. (2026). Batch sharpness: A. Andreyev and P. Beneventano, arXiv 2412.20553. Preconditioned
    sharpness: J. Cohen et al., arXiv 2207.14484. Noise scale: S. McCandlish et al., arXiv 1812.06162. With clipping, decay of
    weights or several networks under one optimiser the indicators are those of the update that the optimiser makes.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Any,
        *,
        every: int = 100,
        curvature_every: int | str | None = "60 every",
        n_batches: int = 4,
        reference: Any = None,
        max_norm: float | None = None,
        closure: bool | None = None,
        log: Callable[[int, dict[str, float]], object] | None = None,
        rng: Rng = 0,
    ) -> None:
        self._every = whole_number("every", every)
        self._curvature_every = _period(curvature_every, self._every)
        self._n_batches = whole_number("n_batches", n_batches)
        max_norm = None if max_norm is None else positive_number("max_norm", max_norm)
        require(
            log is None or callable(log),
            "log",
            log,
            "be callable as log(step, values)",
            "pass landscape_viz.monitor.csv_log(path)",
        )
        self._twin = Twin(model, optimizer, loss, max_norm=max_norm, closure=closure)
        self._optimizer, self._reference, self._log = optimizer, reference, log
        self._rng = as_seed_sequence(rng)
        self._recent, self._rows, self._steps = deque(maxlen=self._n_batches), [], []
        self._start, self._sketch = self._twin.origin, Sketch(self._twin.origin, self._rng)
        self._guess, self._vectors = _GUESS, {}
        self.n_steps, self._seconds, self._began = 0, 0.0, None

    def step(self, batch: Any) -> dict[str, float] | None:
        """Count a step of the run, whose batch this is, and measure where it is due; return the values, else None."""
        self._began = time.perf_counter() if self._began is None else self._began
        self._recent.append(batch)
        number, self.n_steps = self.n_steps, self.n_steps + 1
        if number % self._every:
            return None
        before = time.perf_counter()
        row = self._measured(number, batch)
        self._steps.append(number)
        self._rows.append([row[name] for name in COLUMNS])
        if self._log is not None:
            self._log(number, row)
        self._seconds += time.perf_counter() - before
        return row

    def record(self) -> EdgeRecord:
        """Return what was measured so far as an `EdgeRecord`."""
        table = np.array(self._rows, dtype=np.float64).reshape(-1, len(COLUMNS))
        positions, strides = self._sketch.positions()
        elapsed = 0.0 if self._began is None else time.perf_counter() - self._began
        return EdgeRecord(
            steps=np.array(self._steps, dtype=np.int64),
            columns={name: table[:, k].copy() for k, name in enumerate(COLUMNS)},
            positions=positions,
            position_steps=self._every * strides,
            optimizer=type(self._optimizer).__name__,
            n_parameters=len(self._start),
            seconds=self._seconds,
            seconds_of_run=elapsed,
            provenance=Provenance.of(
                "EdgeMonitor",
                rng=self._rng,
                packages=("numpy", "torch"),
                every=self._every,
                curvature_every=self._curvature_every,
                n_batches=self._n_batches,
            ),
        )

    def _measured(self, number, batch):
        """Return all columns by name; NaN is what was not measured."""
        twin, row = self._twin, dict.fromkeys(COLUMNS, np.nan)
        twin.follow(int(realisation(self._rng, number).integers(2**62)))
        loss, gradient = twin.gradient(batch)
        update, optimizer = twin.update(batch, gradient)
        rate = float(optimizer.param_groups[0]["lr"])
        self._sketch.add(twin.origin)
        slope = _dot(gradient, update)
        factor, error = self._critical(batch, loss, slope, update)
        row |= {
            "learning_rate": rate,
            "loss": loss,
            "gradient_norm": float(gradient.norm()),
            "update_norm": float(update.norm()),
            "distance": float((twin.origin - self._start).norm()),
        }
        if rate > 0:
            row["critical_sharpness"] = 2 / (rate * factor)
            row["critical_sharpness_error"] = 2 / (rate * factor) * (error / factor)
        due = self._curvature_every is not None and number % self._curvature_every == 0
        if due and bool(torch.isfinite(gradient).all()):
            of_optimizer = (
                indicators.stability_edge(optimizer),
                indicators.preconditioner(optimizer),
            )
            direction = update.div_(rate) if rate > 0 else None
            del (
                gradient,
                update,
                optimizer,
            )  # four vectors, not to be held beside the Hessian's graph
            row |= self._curvature(batch, direction, *of_optimizer)
        return row

    def _critical(self, batch, loss, slope, update):
        factor, error = indicators.critical_factor(
            lambda s: self._twin.loss(batch, s * update), loss, slope, guess=self._guess
        )
        self._guess = factor if np.isfinite(factor) else _GUESS
        return factor, error

    def _curvature(self, batch, direction, edge, scale):
        gradient, product = self._twin.hessian(batch)
        row = {"stability_edge": edge}
        if direction is not None and _dot(gradient, direction) < 0:
            along = _dot(direction, product(direction))
            row["directional_sharpness"] = along / -_dot(gradient, direction)
        row |= self._over_batches(batch, gradient, product)
        if self._reference is not None:
            product = self._twin.hessian(self._reference)[1]
        row |= self._eigenvalue("largest_eigenvalue", product)
        if scale is not None:
            root = scale.to(gradient.dtype).rsqrt_()
            row |= self._eigenvalue("preconditioned_sharpness", lambda v: root * product(root * v))
        return row

    def _over_batches(self, batch, gradient, product):
        """Return batch sharpness and noise scale over the last batches; those of the present one are known."""
        gradients, sharpness = [gradient], [_rayleigh(gradient, product)]
        for other in list(self._recent)[:-1]:
            gradient, product = self._twin.hessian(other)
            gradients.append(gradient)
            sharpness.append(_rayleigh(gradient, product))
        mean, error, _ = mean_and_error(np.array(sharpness))
        gram = np.array([[_dot(a, b) for a in gradients] for b in gradients])
        size = n_samples(batch)
        scale = indicators.noise_scale(gram, np.nan if size is None else size)
        return dict(
            zip(
                ("batch_sharpness", "batch_sharpness_error", "noise_scale", "noise_scale_error"),
                (float(mean), float(error), *scale),
                strict=True,
            )
        )

    def _eigenvalue(self, name, product):
        found = indicators.largest_eigenpair(product, self._first_vector(name))
        value, residual, self._vectors[name], _ = found
        return {name: value, f"{name}_error": residual}

    def _first_vector(self, name):
        """Return where an eigenvalue's search begins, and keep it no longer: the last one's vector, or a random one."""
        if name in self._vectors:
            return self._vectors.pop(name)
        draw = realisation(self._rng, len(self._vectors)).standard_normal(len(self._start))
        return torch.as_tensor(draw).to(self._start)


def _period(curvature_every, every):
    if curvature_every is None:
        return None
    if curvature_every == "60 every":
        return 60 * every
    period = whole_number("curvature_every", curvature_every)
    require(
        period % every == 0,
        "curvature_every",
        period,
        f"be a multiple of every = {every}",
        f"pass {-(-period // every) * every}",
    )
    return period


def _rayleigh(gradient, product):
    square = _dot(gradient, gradient)
    return _dot(gradient, product(gradient)) / square if square > 0 else np.nan


def _dot(a, b):
    return float(torch.dot(a.double(), b.double()))
