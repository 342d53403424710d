"""The Hessian of a problem's loss as a linear operator: products with vectors, never the matrix."""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from landscape_viz.evaluate import quiet_numerics
from landscape_viz.objective import Objective
from multifractal._checks import positive_number, refuse, require

_BUDGET = 2e9  # bytes


class HessianOperator(LinearOperator):
    """The Hessian H (plus `damping` I) of a problem's mean loss at its weights, by double backward.

    A product costs 1.7 to 2.2 gradients while the graph of the gradient is kept, 3 to 4 when it is computed anew each time.
    Being a `scipy.sparse.linalg.LinearOperator`, it goes into `eigsh` and everything else that takes one.

    Parameters
    ----------
    problem : Problem
        Network, weights, loss and data; the caller's network is not touched.
    params : None, str, or callable
        As for `Objective`: all parameters, those of a layer (the start of their names), or those a filter chooses.
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
    """

    def __init__(self, problem, params=None, *, damping=0.0, memory_budget=_BUDGET, device="cpu"):
        require(np.isfinite(damping), "damping", damping, "be finite", "pass a number")
        budget = positive_number("memory_budget", memory_budget)
        self.objective = Objective(problem, params, device=device)
        self.damping, self.products = float(damping), 0
        super().__init__(self.objective.dtype, (self.objective.size, self.objective.size))
        with quiet_numerics(self.objective.device), self.objective.masks():
            with _CountSaved() as saved:
                first = self._gradient_graph(0)
            self.memory = saved.bytes * len(self.objective.batches)
            if saved.bytes > budget:
                raise MemoryError(f"memory_budget must hold the graph of one batch, got {budget:.3g} bytes; "
                                  f"pass memory_budget={saved.bytes:.3g}, or a smaller batch_size in the Problem")
            self.retained = self.memory <= budget
            rest = range(1, len(self.objective.batches)) if self.retained else []
            self._graphs = [first, *map(self._gradient_graph, rest)] if self.retained else []

    @property
    def gradient(self):
        """The gradient at the same point, shape (n,)."""
        return self.objective.gradient()

    def to_dense(self):
        """Return the whole matrix, shape (n, n), symmetrised; n products, for small networks."""
        matrix = self.matmat(np.eye(self.shape[0], dtype=self.dtype))
        return (matrix + matrix.T) / 2

    def _matvec(self, vector):
        self.products += 1
        objective = self.objective
        v = torch.as_tensor(np.array(vector, dtype=self.dtype).reshape(-1)).to(objective.device)
        total = torch.zeros_like(v)
        with quiet_numerics(objective.device), objective.masks():
            for k in range(len(objective.batches)):
                graph = self._graphs[k] if self.retained else self._gradient_graph(k)
                total += self._product(graph, v)
        return total.cpu().numpy() + self.dtype.type(self.damping) * np.asarray(vector, self.dtype).reshape(-1)

    def _adjoint(self):
        return self

    def _gradient_graph(self, k):
        try:
            graph = self.objective.flat_gradient(self.objective.batch_loss(k), create_graph=True)
        except torch.OutOfMemoryError as error:
            samples = len(self.objective.batches[k][0])
            raise MemoryError(f"the graph of a batch of {samples} samples does not fit the device; pass a smaller "
                              "batch_size in the Problem") from error
        if _is_cut(graph):
            raise refuse("model", _once_differentiable(self.objective), "be differentiable twice in every module",
                         "replace that module's autograd.Function by one with a differentiable backward")
        return graph

    def _product(self, graph, v):
        if graph.grad_fn is None:  # the loss is linear in the parameters
            return torch.zeros_like(v)
        return self.objective.flat_gradient(graph, grad_outputs=v, retain_graph=self.retained)


def _is_cut(graph):
    """Whether a node marked as differentiable once only lies in the graph: autograd would leave its part out in silence."""
    seen, waiting = set(), [graph.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            if node.name().endswith("Error"):
                return True
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return False


class _CountSaved:
    """Count the bytes that autograd saves in a block, each storage once, without those of the parameters."""

    def __init__(self):
        self._seen, self.bytes = set(), 0

    def __enter__(self):
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *error):
        return self._hooks.__exit__(*error)

    def _pack(self, tensor):
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter) and storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor


def _once_differentiable(objective):
    """Return the name of the first module whose gradient cannot be differentiated again."""
    inputs = {}
    leaves = {name: module for name, module in objective.model.named_modules() if not list(module.children())}
    hooks = [module.register_forward_hook(lambda module, args, out, name=name: inputs.update({name: args}))
             for name, module in leaves.items()]
    with torch.no_grad():
        objective.model(objective.batches[0][0][:2].to(objective.device))
    for hook in hooks:
        hook.remove()
    for name, args in inputs.items():
        if args[0].is_floating_point():
            x = args[0].detach().clone().requires_grad_()
            out = leaves[name](x)
            weights = torch.ones_like(out).requires_grad_()
            if _is_cut(torch.autograd.grad((out * weights).sum(), x, create_graph=True)[0]):
                return f"{name or 'the model'} ({type(leaves[name]).__name__})"
    return type(objective.model).__name__
