"""The Hessian of a problem's loss as a linear operator: products with vectors, never the matrix."""

from __future__ import annotations

import inspect
from contextlib import contextmanager

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch.autograd.graph import get_gradient_edge
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_viz.curvature.twice import CheapSecondDerivatives
from landscape_viz.loss.batches import n_samples
from landscape_viz.loss.objective import Objective, as_tensor, backward_into, empty_vector
from landscape_viz.loss.problem import Problem
from multifractal.base.checks import finite_number, positive_number, refuse
from multifractal.base.types import Array, ArrayLike

_BUDGET = 2e9  # bytes
_ROOTS = inspect.signature(torch.autograd.backward).parameters["tensors"]
_TAKES_EDGES = "GradientEdge" in str(_ROOTS)  # older ones take edges as `inputs` only
_LACKING = "is not implemented"  # what torch says of a derivative that it lacks


class HessianOperator(LinearOperator):
    """The Hessian H (plus `damping` I) of a problem's mean loss at its weights, by double backward.

    A product costs about 2 gradients while the graph of the gradient is kept (measured 2.0 to 2.1 on ResNet-20), 3 to 4 when
    it is recomputed each time. Attention is computed by its plain formula, the only one that can be differentiated twice.

    Being a `scipy.sparse.linalg.LinearOperator`, it goes into `eigsh` and everything else that takes one.

    Parameters
    ----------
    problem : Problem
        Network, weights, loss and data; the caller's network is not touched.
    params : None, str, list of str, or callable
        As for `Problem`, in the place of the problem's own choice: the start of names (a layer), a list, or a function.
    damping : float
        Added to the diagonal.
    memory_budget : float
        Bytes that graphs may take (our choice 2e9). Within it the graphs of all batches are kept, else each product computes
        one batch after the other.
    device : str or torch.device

    Attributes
    ----------
    shape : (n, n)
    products : int
        How many products with a vector were made.
    retained : bool
        Whether graphs are kept.
    memory : int
        Bytes that the graphs of all batches take, as measured on the first.

    Raises
    ------
    ValueError
        As `Objective`; also when a module cannot be differentiated twice (the message names it).
    MemoryError
        When the graph of one batch alone is larger than the budget; the message says what would fit.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import HessianOperator, Problem
    >>> data = torch.eye(3), torch.tensor([[1.0], [2.0], [3.0]])
    >>> operator = HessianOperator(Problem(torch.nn.Linear(3, 1, bias=False), None, "mse", data))
    >>> print(operator @ [1.0, 0.0, 0.0])  # the mean of squares has H = 2 / 3 times the identity here
    [0.6666667 0.        0.       ]
    """

    def __init__(
        self,
        problem: Problem,
        params: object = None,
        *,
        damping: float = 0.0,
        memory_budget: float = _BUDGET,
        device: str | torch.device = "cpu",
    ) -> None:
        damping = finite_number("damping", damping)
        budget = positive_number("memory_budget", memory_budget)
        self.objective = Objective(problem, params, device=device)
        self.damping, self.products = damping, 0
        super().__init__(self.objective.dtype, (self.objective.size, self.objective.size))
        self.objective.around = _twice
        for block in self.objective.blocks:
            block.watch = self._refuse_cut
        with self._saying_what_fits(()), self.objective.evaluating():
            with _CountSaved(self.objective.model) as saved:
                self._gradient_graph(0)
        self.memory = saved.bytes * len(self.objective.batches)
        if saved.bytes > budget:
            raise MemoryError(
                f"memory_budget must hold the graph of one batch, got {budget:.3g} bytes; "
                f"make a HessianOperator(problem, memory_budget={1.01 * saved.bytes:.3g}), or pass a smaller batch_size in the Problem"
            )
        self.retained = self.memory <= budget
        self._graphs = self._computed_graphs()

    @property
    def gradient(self) -> Array:
        """The gradient at the same point, shape (n,)."""
        return self.objective.gradient()

    def move(self, vector: ArrayLike) -> None:
        """Go to other weights, shape (n,): products and the gradient are those at `vector` from now on."""
        self.objective.set(vector)
        self._graphs = self._computed_graphs()

    def to_dense(self) -> Array:
        """Return the whole matrix, shape (n, n), symmetrised; n products, for small networks."""
        matrix = self.matmat(np.eye(self.shape[0], dtype=self.dtype))
        return (matrix + matrix.T) / 2

    def product_torch(self, vector: torch.Tensor, into: torch.Tensor | None = None) -> torch.Tensor:
        """Return the product with a tensor of shape (n,) on the operator's device, where it stays; in `into`, if given."""
        self.products += 1
        objective = self.objective
        total = into
        if total is None:
            total = empty_vector(self.shape[0], objective.problem.dtype, objective.device)
        with self._saying_what_fits(self._graphs), objective.evaluating():
            for k in range(len(objective.batches)):
                graph = self._graphs[k] if self.retained else self._gradient_graph(k)
                self._write_product(graph, vector, total, add=k > 0)
        objective.summed(total)
        return total.add_(vector, alpha=self.damping) if self.damping else total

    def _matvec(self, vector):
        vector = as_tensor(vector, self.dtype).to(self.objective.device)
        return self.product_torch(vector).cpu().numpy()

    def _adjoint(self):
        return self

    def _gradient_graph(self, k):
        with _twice():
            loss = self.objective.batch_loss(k)
        parameters = list(self.objective.parameters.values())
        slopes = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        self._refuse_cut(slopes)
        return [None if s is None or s.grad_fn is None else _root(s) for s in slopes]

    def _refuse_cut(self, slopes):
        if any(slope is not None and _is_cut(slope) for slope in slopes):
            raise self._refusal()

    def _refusal(self):
        for block in self.objective.blocks:
            block.active = False
        return refuse(
            "model",
            _once_differentiable(self.objective),
            "be differentiable twice in every module",
            "replace that module by one made of operations that torch differentiates twice",
        )

    def _computed_graphs(self):
        """Return the graphs of all batches, or none where they do not fit the budget."""
        graphs = []
        if self.retained:
            with self._saying_what_fits(graphs), self.objective.evaluating():
                for k in range(len(self.objective.batches)):
                    graphs.append(self._gradient_graph(k))
        return graphs

    @contextmanager
    def _saying_what_fits(self, graphs):
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(
                error
            ):
                raise
            batches = self.objective.batches
            if not graphs or len(batches) == 1:
                raise MemoryError(
                    f"the graph of a batch of {n_samples(batches[0])} samples must fit the device, and does not; "
                    "pass a smaller batch_size in the Problem"
                ) from error
            raise MemoryError(
                f"the graphs of {len(batches)} batches, {self.memory:.3g} bytes, must fit the device, and "
                f"{len(graphs)} did; make a HessianOperator(problem, memory_budget={1.01 * self.memory / len(batches):.3g}), so that none "
                "is kept"
            ) from error

    def _write_product(self, slopes, v, total, *, add):
        """Write the derivative of the slopes along v into `total`, or add it."""
        parameters = list(self.objective.parameters.values())
        parts = torch.split(v, [p.numel() for p in parameters])
        moving = [
            (slope, part.view(p.shape).to(p.dtype))
            for slope, p, part in zip(slopes, parameters, parts, strict=True)
            if slope is not None  # else the loss is linear in it
        ]
        if not moving:
            return None if add else total.zero_()
        try:
            roots, directions = zip(*moving, strict=True)
            options = {"add": add, "retain_graph": self.retained, "inputs": parameters}
            return backward_into(total, parameters, roots, directions, **options)
        except RuntimeError as error:
            if _LACKING in str(error):
                raise self._refusal() from error
            raise


@contextmanager
def _twice():
    """Compute in a form that can be differentiated twice, cheaply."""
    with CheapSecondDerivatives(), sdpa_kernel(SDPBackend.MATH):
        yield


def _root(tensor):
    """Return what `torch.autograd.backward` starts from: the edge alone, which does not hold the numbers, or the tensor."""
    return get_gradient_edge(tensor) if _TAKES_EDGES else tensor


def _is_cut(graph):
    """Whether a node without derivative lies in the graph.

    That is one marked as differentiable once only, whose part autograd would leave out in silence, or one that torch lacks.
    """
    seen, waiting = set(), [graph.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            if node.name().endswith(("Error", "NotImplemented")):
                return True
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return False


class _CountSaved:
    """Count the bytes that autograd saves in a block, each storage once, without those of the parameters.

    The graph is given a number for each tensor and is of no use after the block: a node that held its own output would be a
    cycle that Python's collector cannot see, and the whole graph would stay in memory.
    """

    def __init__(self, model):
        self._seen = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self._kept, self.bytes = [], 0

    def __enter__(self):
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, self._kept.__getitem__)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error):
        self._kept.clear()
        return self._hooks.__exit__(*error)

    def _pack(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        self._kept.append(tensor)
        return len(self._kept) - 1


def _once_differentiable(objective):
    """Return the name of the innermost module whose gradient cannot be differentiated again."""
    calls = {}
    modules = dict(objective.model.named_modules())
    hooks = [
        module.register_forward_hook(
            lambda module, args, kwargs, out, name=name: calls.update({name: (args, kwargs)}),
            with_kwargs=True,
        )
        for name, module in modules.items()
    ]
    with torch.no_grad(), objective.evaluating():
        objective.term(0)
    for hook in hooks:
        hook.remove()
    for name in sorted(calls, key=lambda name: -name.count(".") - bool(name)):
        if _cannot_repeat(modules[name], *calls[name]):
            return f"{name or 'the model'} ({type(modules[name]).__name__})"
    return type(objective.model).__name__


def _cannot_repeat(module, args, kwargs):
    """Whether the gradient of a module's outputs, in its inputs and parameters, has no derivative."""
    args = [
        x.detach().clone().requires_grad_()
        if isinstance(x, torch.Tensor) and x.is_floating_point()
        else x
        for x in args
    ]
    outputs = module(*args, **kwargs)
    outputs = [
        out
        for out in (outputs if isinstance(outputs, tuple | list) else [outputs])
        if isinstance(out, torch.Tensor) and out.requires_grad
    ]
    sources = [
        x for x in (*args, *module.parameters()) if isinstance(x, torch.Tensor) and x.requires_grad
    ]
    weights = [torch.ones_like(out).requires_grad_() for out in outputs]
    parts = (
        torch.autograd.grad(outputs, sources, weights, create_graph=True, allow_unused=True)
        if outputs
        else []
    )
    parts = [part for part in parts if part is not None and part.requires_grad]
    if any(map(_is_cut, parts)):
        return True
    try:
        torch.autograd.grad([part.sum() for part in parts], [*sources, *weights], allow_unused=True)
    except RuntimeError as error:
        return _LACKING in str(error)
    return False
