"""Twin: a copy of a network in training and of its optimiser, on which steps are tried; the run itself is never touched."""

import copy
import inspect
from collections import OrderedDict

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_viz.curvature.twice import CheapSecondDerivatives
from landscape_viz.devices.random_state import seeded
from landscape_viz.loss import sameness
from landscape_viz.loss.batch_loss import made
from landscape_viz.loss.network import copied, plain_layers, unwrapped, whole
from landscape_viz.loss.precision import quiet_numerics
from multifractal.base.checks import refuse, require

_SAVED = (
    "train under DistributedDataParallel, or gather checkpoints by get_model_state_dict of torch.distributed.checkpoint.state_dict "
    "and measure them by top_eigenpairs and sharpness"
)


class Twin:
    """The loss of a batch, its gradient and products with its Hessian at the weights of a run, as flat tensors.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
        What it moves is what vectors hold, in its order.
    loss : str, None, torch criterion, `batch_loss(function)`, or callable
        As for `Problem`.
    max_norm : float, optional
        The run's clipping of the gradient's norm, repeated before a virtual step.
    closure : bool, optional
        Whether the optimiser's step is given a closure; None asks its signature.
    """

    def __init__(self, model, optimizer, loss, *, max_norm=None, closure=None):
        require(
            isinstance(model, torch.nn.Module),
            "model",
            type(model).__name__,
            "be a torch.nn.Module",
            "pass the network in training",
        )
        self._run, self._optimizer = whole(unwrapped(model), _SAVED), bare(optimizer)
        self._loss, self._max_norm = made(loss), max_norm
        self._closure = _needs_closure(self._optimizer) if closure is None else closure
        self.model = plain_layers(copied(self._run))
        own = dict(self.model.named_parameters())
        pairs = {id(p): own[name] for name, p in self._run.named_parameters()}
        moved = [p for group in self._optimizer.param_groups for p in group["params"]]
        strangers = [tuple(p.shape) for p in moved if id(p) not in pairs]
        require(
            not strangers,
            "optimizer",
            f"parameters of shapes {strangers[:3]} that are not the network's",
            "move parameters of the network only",
            "pass the network that holds them all",
        )
        self._pairs = [(p, pairs[id(p)]) for p in moved]
        places = {(p.device, p.is_complex()) for p in moved}
        require(
            len(places) == 1 and not places.copy().pop()[1],
            "model",
            sorted(map(str, places)),
            "have real parameters on one device",
            "watch one stage of it",
        )
        self.parameters = [twin for _, twin in self._pairs]
        self.device = moved[0].device
        self.follow(0)

    def follow(self, seed):
        """Take over the weights, buffers and modes that the run has now; `seed` chooses the masks of dropout."""
        for owner, other in zip(self._run.modules(), self.model.modules(), strict=True):
            other.training = owner.training
        tensors = zip(_tensors(self._run), _tensors(self.model), strict=True)
        for theirs, ours in tensors:
            ours.data = theirs.detach().clone()
            ours.grad = None
        for theirs, ours in self._pairs:
            ours.requires_grad_(theirs.requires_grad)
        self._moving = [p for p in self.parameters if p.requires_grad]
        self._seed, self.origin = seed, self._flat(self.parameters).detach()

    def loss(self, batch, offset=None):
        """Return the mean loss of a batch at the run's weights plus `offset`, a flat tensor, as a float."""
        if offset is not None:
            self._point(self.origin + offset)
        try:
            with torch.no_grad():
                return float(self._mean(batch))
        finally:
            if offset is not None:
                self._point(self.origin)

    def gradient(self, batch):
        """Return (loss, gradient) of a batch: a float and a flat tensor."""
        with torch.enable_grad():
            loss = self._mean(batch)
            return float(loss.detach()), self._gradient(loss)

    def hessian(self, batch):
        """Return (gradient, product): the gradient of a batch, and the function v -> H v while its graph is kept."""
        with torch.enable_grad(), CheapSecondDerivatives(), sdpa_kernel(SDPBackend.MATH):
            graph = self._gradient(self._mean(batch), create_graph=True)
        require(
            graph.grad_fn is not None,
            "loss",
            "a gradient that does not depend on the weights",
            "be differentiable twice",
            "pass curvature_every=None",
        )

        def product(vector):
            return self._gradient(graph @ vector.to(graph.dtype), retain_graph=True)

        return graph.detach(), product

    def update(self, batch, gradient):
        """Return (update, optimiser): what the run's optimiser would add to the weights now, and its copy after that step."""
        twins = {id(theirs): ours for theirs, ours in self._pairs}
        optimizer = copied_optimizer(self._optimizer, twins)
        self._give(gradient)
        if self._closure:
            type(optimizer).step(optimizer, lambda: self._reevaluated(batch))
        else:
            type(optimizer).step(optimizer)
        update = self._flat(self.parameters).detach() - self.origin
        self._point(self.origin)
        for parameter in self.parameters:
            parameter.grad = None
        return update, optimizer

    def _reevaluated(self, batch):
        loss, gradient = self.gradient(batch)
        self._give(gradient)
        return torch.tensor(loss)

    def _give(self, gradient):
        parts = gradient.split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            moving = parameter.requires_grad
            parameter.grad = part.view_as(parameter).to(parameter.dtype) if moving else None
        if self._max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._moving, self._max_norm)

    def _mean(self, batch):
        recurrent = any(isinstance(module, torch.nn.RNNBase) for module in self.model.modules())
        kind = self.device.type
        autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        numerics = quiet_numerics(self.device, autocast, cudnn=not recurrent)
        with seeded(self._seed), numerics:
            term = self._loss(self.model, batch)
        return term.total / (1.0 if self._loss.reduction == "sum" else sameness.weight_of(term))

    def _gradient(self, scalar, **autograd):
        found = iter(torch.autograd.grad(scalar, self._moving, allow_unused=True, **autograd))
        return self._flat([next(found) if p.requires_grad else None for p in self.parameters])

    def _flat(self, tensors):
        filled = [
            torch.zeros_like(p) if t is None else t
            for p, t in zip(self.parameters, tensors, strict=True)
        ]
        return torch.cat([tensor.reshape(-1) for tensor in filled])

    def _point(self, vector):
        parts = vector.split([p.numel() for p in self.parameters])
        with torch.no_grad():
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))


def bare(optimizer):
    """Return the torch optimiser inside what wraps it."""
    while not isinstance(optimizer, torch.optim.Optimizer) or _wraps(optimizer):
        inner = getattr(optimizer, "optimizer", None)
        if not isinstance(inner, torch.optim.Optimizer):
            raise refuse(
                "optimizer",
                type(optimizer).__name__,
                "be a torch.optim.Optimizer",
                "pass the one whose step() the run calls",
            )
        optimizer = inner
    return optimizer


def copied_optimizer(optimizer, twins):
    """Return a copy of an optimiser, state included, that moves `twins`, by id of the parameters; hooks are left behind."""
    twin = type(optimizer).__new__(type(optimizer))
    memo = dict(twins)
    for name, value in vars(optimizer).items():
        if name == "step":  # a scheduler counts the run's steps there
            continue
        hooks = name.endswith("_hooks")
        twin.__dict__[name] = OrderedDict() if hooks else copy.deepcopy(value, memo)
    return twin


def _wraps(optimizer):
    return isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer)


def _needs_closure(optimizer):
    """Return whether the step of an optimiser cannot do without a closure."""
    if isinstance(optimizer, torch.optim.LBFGS):
        return True
    asked = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    return any(
        p.name == "closure" and p.default is inspect.Parameter.empty and p.kind is not p.VAR_KEYWORD
        for p in asked
    )


def _tensors(model):
    return [*model.parameters(), *model.buffers()]
