"""Objective: the loss of a problem and its gradient as functions of one flat vector of parameters, all or some of them."""

import numpy as np
import torch

from landscape_viz.loss.evaluate import (
    batches,
    checked_device,
    dropout_masks,
    loss_function,
    quiet_numerics,
)
from landscape_viz.loss.problem import checked_problem
from multifractal.base.checks import refuse, require


class Objective:
    """The mean loss of a problem over its data, differentiable, on a network of its own: the caller's is never touched.

    Parameters
    ----------
    problem : Problem
        Its modes of BatchNorm and dropout are kept; dropout "live" and BatchNorm "recalibrate" are refused, because a
        derivative needs the same function twice. The loss is that of a section's origin, to rounding, dropout included.
    params : None, str, or callable
        Which parameters the vector holds: all, those whose name starts with the string (a layer), or those for which
        `params(name, parameter)` is true.
    device : str or torch.device

    Raises
    ------
    ValueError
        When no parameter that requires a gradient is left, or the loss is not a differentiable scalar.
    """

    def __init__(self, problem, params=None, *, device="cpu"):
        checked_problem(problem)
        require(
            problem.dropout != "live",
            "dropout",
            problem.dropout,
            "be 'off' or 'fixed' for derivatives",
            "choose one of these in the Problem",
        )
        require(
            problem.batch_norm != "recalibrate",
            "batch_norm",
            problem.batch_norm,
            "be 'eval' or 'batch' for derivatives",
            "choose one of these in the Problem",
        )
        self.problem, self.device = problem, checked_device(device)
        self.model = problem.build().to(self.device)
        self.parameters = _chosen(self.model, params)
        self.size = sum(parameter.numel() for parameter in self.parameters.values())
        self.dtype = np.dtype(str(problem.dtype).removeprefix("torch."))
        self.loss_of = loss_function(problem)
        inputs, targets = problem.load()
        # masks are drawn in memory order, which is that of sections
        if problem.dropout == "fixed" and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        self.batches, self.n_samples = list(batches(problem, inputs, targets)), len(inputs)
        self.origin = self.get()

    def get(self):
        """Return the present parameters as a vector, shape (size,), in the network's dtype."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters.values()]).cpu().numpy()

    def set(self, vector):
        """Move the network to `vector`, shape (size,)."""
        vector = torch.as_tensor(np.ascontiguousarray(vector)).to(self.device)
        with torch.no_grad():
            for parameter, part in zip(self.parameters.values(), self._split(vector), strict=True):
                parameter.copy_(part.view_as(parameter))

    def loss(self, vector=None):
        """Return the mean loss at `vector` (without it, where the network is)."""
        if vector is not None:
            self.set(vector)
        with torch.no_grad(), quiet_numerics(self.device), self.masks():
            return sum(float(self.batch_loss(k)) for k in range(len(self.batches)))

    def gradient(self, vector=None):
        """Return the gradient of the mean loss at `vector` (without it, where the network is), shape (size,)."""
        if vector is not None:
            self.set(vector)
        total = torch.zeros(self.size, dtype=self.problem.dtype, device=self.device)
        with quiet_numerics(self.device), self.masks():
            for k in range(len(self.batches)):
                total += self.flat_gradient(self.batch_loss(k))
        return total.cpu().numpy()

    def batch_gradient(self, k, vector):
        """Return the gradient of the mean loss over batch k alone at `vector`, shape (size,); masks as in a first batch."""
        self.set(vector)
        with quiet_numerics(self.device), self.masks():
            share = self.n_samples / len(self.batches[k][0])
            return (share * self.flat_gradient(self.batch_loss(k))).cpu().numpy()

    def batch_loss(self, k):
        """Return batch k's share of the mean loss, a differentiable scalar."""
        inputs, targets = (part.to(self.device) for part in self.batches[k])
        loss = self.loss_of(self.model(inputs), targets)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise refuse(
                "loss",
                getattr(loss, "shape", type(loss)),
                "give one number a batch",
                "average over the batch (reduction='mean')",
            )
        if torch.is_grad_enabled() and loss.grad_fn is None:
            raise refuse(
                "loss",
                self.problem.loss,
                "be differentiable in the parameters",
                "do not detach or round outputs",
            )
        return loss.reshape(()) * (len(inputs) / self.n_samples)

    def flat_gradient(self, scalar, **autograd):
        """Return the gradient of `scalar` as a flat tensor; parameters it does not depend on give zeros."""
        parts = torch.autograd.grad(
            scalar, list(self.parameters.values()), allow_unused=True, **autograd
        )
        return torch.cat(
            [
                torch.zeros_like(p).reshape(-1) if part is None else part.reshape(-1)
                for p, part in zip(self.parameters.values(), parts, strict=True)
            ]
        )

    def masks(self):
        """Return the context in which dropout draws the same masks at each pass."""
        return dropout_masks(self.problem, 0, self.device)

    def _split(self, vector):
        return torch.split(vector, [parameter.numel() for parameter in self.parameters.values()])


def _chosen(model, params):
    everything = {name: p for name, p in model.named_parameters() if p.requires_grad}
    require(
        len(everything) > 0,
        "model",
        type(model).__name__,
        "have parameters that require a gradient",
        "call requires_grad_(True) on those to differentiate",
    )
    keep = (
        (lambda name, p: True)
        if params is None
        else ((lambda name, p: name.startswith(params)) if isinstance(params, str) else params)
    )
    chosen = {name: p for name, p in everything.items() if keep(name, p)}
    require(
        len(chosen) > 0,
        "params",
        params,
        "choose at least one parameter",
        f"the names are {', '.join(everything)}",
    )
    for name, parameter in everything.items():
        parameter.requires_grad_(name in chosen)  # no graph for the others
    return chosen
