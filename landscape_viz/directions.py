"""Directions in the space of weights: random and normalised, towards other networks, of a Hessian, of a training run."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.parameters import Scale
from landscape_viz.loss.problem import Problem, checked_problem, checked_state
from landscape_viz.mapping import plot_surface
from multifractal.base import checks
from multifractal.base.checks import one_of, real_array, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, ArrayLike, PathLike, Rng

NORMS = ("filter", "layer", "model", "weight", "none")
IGNORED = ("biasbn", "none")
ABOUT = ("end", "mean")
_MOST_STATES = 10_000  # their Gram matrix takes 800 MB


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Directions(Result):
    """One or more directions in the space of a network's moving parameters; frozen ones and buffers (running statistics) stay.

    Attributes
    ----------
    vectors : ndarray, shape (n, n_parameters), float32 (float64 for a float64 network), read-only
        In the order of `Problem.shapes`, each tensor in C order.
    labels : list of str
        What each direction is, for axes of figures.
    provenance : Provenance
    """

    vectors: np.ndarray
    labels: list
    provenance: Provenance

    def __post_init__(self):
        self.vectors.setflags(write=False)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def norms(self) -> Array:
        """Euclidean norms, shape (n,), float64."""
        return np.sqrt(np.diag(gram(self.vectors)))

    @property
    def angles(self) -> Array:
        """Angles between the directions in degrees, shape (n, n), float64."""
        products = gram(self.vectors)
        norms = np.sqrt(np.diag(products))
        cosines = products / np.outer(norms, norms)
        np.fill_diagonal(cosines, 1.0)
        return np.degrees(np.arccos(np.clip(cosines, -1, 1)))

    @property
    def hash(self) -> str:
        """SHA-256 of the vectors, in hexadecimal."""
        digest = hashlib.sha256(f"{self.vectors.dtype.str}{self.vectors.shape}".encode())
        digest.update(np.ascontiguousarray(self.vectors))
        return digest.hexdigest()

    def orthogonalised(self) -> Directions:
        """Return the directions after Gram-Schmidt in their order (twice, in float64), each with the norm it had."""
        basis = []
        for vector, norm in zip(self.vectors, self.norms, strict=True):
            rest = vector.astype(np.float64)
            for other in 2 * basis:
                rest -= (other @ rest) * other
            size = np.linalg.norm(rest)
            require(
                size > 1e-6 * norm,
                "directions",
                self.labels,
                "be linearly independent",
                "leave out the parallel ones",
            )
            basis.append(rest / size)
        vectors = np.array(
            [norm * unit for norm, unit in zip(self.norms, basis, strict=True)], self.vectors.dtype
        )
        return replace(
            self, vectors=vectors, provenance=_of("orthogonalised", directions=self.provenance.call)
        )

    def to_h5(self, path: PathLike, problem: Problem, *, overwrite: bool = False) -> None:
        """Write these directions, one or two, of `problem` to `path` as a direction file of plot_surface.py; needs h5py.

        Tensors that do not move are zero there. FileExistsError where the file exists and `overwrite` is False; ValueError
        where there are more than two.
        """
        self.check(problem)
        named = [{n: t.numpy() for n, t in problem.unflatten(v).items()} for v in self.vectors]
        plot_surface.write_directions(
            path,
            [[d.get(n, np.zeros(problem.state[n].shape)) for n in _stored(problem)] for d in named],
            overwrite=overwrite,
        )

    def check(self, problem: Problem) -> None:
        """Raise ValueError unless these directions fit the network of `problem`, are finite and not zero."""
        count = sum(int(np.prod(shape)) for shape in problem.shapes.values())
        require(
            self.vectors.shape[1] == count,
            "directions",
            self.vectors.shape,
            f"have the network's {count} parameters",
            "make them from the same factory",
        )
        good = np.isfinite(self.vectors).all() and (self.norms > 0).all()
        require(
            good,
            "directions",
            self.norms,
            "be finite and not zero",
            "check what they were made from",
        )


def random(
    problem: Problem,
    n: int = 2,
    *,
    norm: Literal["filter", "layer", "model", "weight", "none"] = "filter",
    ignore: Literal["biasbn", "none"] = "biasbn",
    rng: Rng = 0,
) -> Directions:
    """Return Gaussian random directions, normalised to the sizes of the network's weights.

    What has norm zero stays where it is, with a warning that counts it.

    Parameters
    ----------
    problem : Problem
        Only its moving parameters (`params`) move.
    n : int
        How many; direction k is drawn from `rng` and k alone.
    norm : {"filter", "layer", "model", "weight", "none"}
        filter (paper; Li et al. 2018, section 4): each filter gets the norm of that filter of the network. A filter is one
        entry of the tensor's first axis: an output unit of a linear layer, also of packed attention projections and of the
        gates of recurrent layers; an output channel of a convolution, grouped and depthwise too; a word of an embedding. For
        transposed convolutions (and GPT-2's Conv1D) it is an output channel, which lies on their second axis.
        layer: each tensor gets its norm. model: the whole direction gets the norm of the moving weights. weight: each number
        is multiplied by its weight (Li et al., their code). none: all have variance 1.
    ignore : {"biasbn", "none"}
        biasbn (our choice, and Li et al.'s in their figures): tensors of one dimension (biases, norms) do not move, unless the
        problem's `params` chooses nothing else. none: they move too, each as one filter. (Their code then moves them along
        themselves, d = w, whatever was drawn.)
    rng : int, SeedSequence or Generator
        0 is the paper's seed (its generator is torch's, so the numbers differ).

    Raises
    ------
    ValueError
        When all filters (or layers) have norm zero, so that nothing would move.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import Problem, directions
    >>> data = (torch.randn(8, 4), torch.randn(8, 1))
    >>> problem = Problem(torch.nn.Linear(4, 1), None, "mse", data)
    >>> directions.random(problem, n=2).vectors.shape
    (2, 5)
    """
    one_of("norm", norm, NORMS)
    one_of("ignore", ignore, IGNORED)
    seed = as_seed_sequence(rng)
    n, weights = whole_number("n", n), checked_problem(problem).unflatten(problem.weights())
    weights = {name: tensor.numpy() for name, tensor in weights.items()}
    scale = Scale(problem, weights, norm, ignore)
    vectors = np.empty((n, sum(w.size for w in weights.values())), scale.kind)
    for k, vector in enumerate(vectors):
        scale.normalised(realisation(seed, k), vector)
    return Directions(
        vectors=vectors,
        labels=[f"random direction {k + 1} (in {norm} norms)" for k in range(n)],
        provenance=_of("random", rng=seed, n=n, norm=norm, ignore=ignore),
    )


def toward(problem: Problem, *states: Mapping[str, torch.Tensor]) -> Directions:
    """Return one direction for each state dict: coordinate 0 is the problem's network, 1 the network of that state.

    Running statistics of BatchNorm stay those of the problem, so that in eval mode the loss at coordinate 1 is not the other
    network's own; `batch_norm="recalibrate"` removes the difference. `states` are state dicts of the problem's architecture;
    ValueError where one does not fit, or there is none.
    """
    checked_problem(problem)
    require(
        len(states) > 0,
        "states",
        states,
        "hold at least one state dict",
        "pass the other network's state_dict()",
    )
    origin = problem.weights().double()
    for state in _checked_states(states):
        _warn_of_unmoved(problem, state)
    vectors = [(problem.flatten(state).double() - origin).numpy() for state in states]
    return from_vectors(problem, vectors, [f"towards network {k + 2}" for k in range(len(states))])


def _warn_of_unmoved(problem, state):
    """Say when another network differs in what does not move, so that coordinate 1 is not that network."""
    names = problem.unmoved(state)
    if names:
        warnings.warn(
            f"{len(names)} parameters that do not move differ between the two networks ({names[0]} first), so that "
            "coordinate 1 is not the other network itself; choose them with Problem(..., params=...)",
            stacklevel=3,
        )


def from_vectors(
    problem: Problem, vectors: ArrayLike, labels: Sequence[str] | None = None
) -> Directions:
    """Return your own `vectors` as directions of `problem`, with `labels` (default: numbered).

    Each vector is an array of shape (n_parameters,) in the order of `problem.shapes`, or a dict of tensors by name. Raises
    ValueError where one does not fit the problem.
    """
    good = isinstance(vectors, list | tuple) or (
        isinstance(vectors, np.ndarray) and vectors.ndim == 2
    )
    good = good and len(vectors) > 0
    require(
        good, "vectors", vectors, "be a sequence of vectors, one at least", "pass a list of arrays"
    )
    kind = _dtype(checked_problem(problem))
    rows = [
        problem.flatten(v).numpy()
        if isinstance(v, dict)
        else real_array("vectors", v, ndim=1, dtype=kind)
        for v in vectors
    ]
    require(
        len({len(row) for row in rows}) == 1,
        "vectors",
        [len(row) for row in rows],
        "have one length",
        "give each the network's number of parameters",
    )
    made = Directions(
        vectors=np.array(rows, kind),
        labels=list(labels or [f"direction {k + 1}" for k in range(len(rows))]),
        provenance=_of("from_vectors", n=len(rows)),
    )
    made.check(problem)
    return made


def from_h5(problem: Problem, path: PathLike) -> Directions:
    """Return the directions in a direction file of plot_surface.py at `path`, of the weights or of all states; needs h5py.

    Tensors that do not move in `problem` are left out. Raises ValueError where the file does not fit the network.
    """
    checked_problem(problem)
    found = []
    for arrays in plot_surface.read_directions(path):
        names = problem.names if len(arrays) == len(problem.names) else list(problem.state)
        shapes = [tuple(problem.state[name].shape) for name in names]
        require(
            [a.shape for a in arrays] == shapes,
            "path",
            f"{path} with {len(arrays)} tensors",
            f"hold one tensor a parameter ({len(problem.names)}), or one an entry of the state ({len(problem.state)}), in order",
            "make the problem of the network that the file is of",
        )
        tensors = {n: torch.from_numpy(a) for n, a in zip(names, arrays, strict=True)}
        found.append(problem.flatten(tensors).numpy())
    words = [f"direction {k + 1} of {checks.path('path', path).name}" for k in range(len(found))]
    return from_vectors(problem, found, words)


def _stored(problem):
    """Return the names in the order of plot_surface.py: parameters, or all states where running statistics move."""
    moving = set(problem.shapes)
    buffers = any(name.rsplit(".", 1)[-1].startswith("running_") for name in moving)
    return list(problem.state) if buffers else problem.names


def combined(*directions: Directions) -> Directions:
    """Return several `directions` (each a `Directions` of the same problem) as one, in order; ValueError where they are not."""
    for d in directions:
        _checked_directions(d)
    lengths = sorted({d.vectors.shape[1] for d in directions})
    require(
        len(lengths) == 1,
        "directions",
        lengths,
        "be those of one problem, one at least",
        "make them from the same problem",
    )
    return Directions(
        vectors=np.concatenate([d.vectors for d in directions]),
        labels=[label for d in directions for label in d.labels],
        provenance=_of("combined", calls=[d.provenance.call for d in directions]),
    )


def pca(
    problem: Problem,
    states: Sequence[Mapping[str, torch.Tensor]],
    n: int = 2,
    *,
    about: Literal["end", "mean"] = "end",
) -> Directions:
    """Return the principal directions of a training run, of norm 1.

    A pure random walk in many dimensions "explains" most of its variance by two directions too, so that the labels give
    its shares beside those of the run (see `random_walk_shares`).

    Parameters
    ----------
    problem : Problem
        Its weights are the end of the run, and the origin of a section along these directions.
    states : sequence of state dicts
        The run, at least n + 1 states.
    n : int
    about : {"end", "mean"}
        Where variance is taken about: the problem's weights (our choice), or the mean (Li et al. 2018, their code).

    Raises
    ------
    ValueError
        When the states span fewer than `n` directions.
    """
    one_of("about", about, ABOUT)
    moves = displacements(problem, states)
    products = gram(moves)
    if about == "mean":
        products = _centred(products)
        moves = moves - moves.mean(axis=0, dtype=np.float64).astype(moves.dtype)
    values, vectors = np.linalg.eigh(products)
    values, vectors = values[::-1], vectors[:, ::-1]
    require(
        whole_number("n", n) < len(moves) and values[n - 1] > 1e-12 * values[0],
        "n",
        n,
        "be less than the number of independent states",
        "pass more states or a smaller n",
    )
    rows = vectors[:, :n].T.astype(moves.dtype) @ moves
    rows /= np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True).astype(moves.dtype)
    shares, walk = values / values.sum(), random_walk_shares(len(moves), about)
    labels = [
        f"weights along PC {k + 1} ({shares[k]:.0%}; random walk {walk[k]:.0%})" for k in range(n)
    ]
    return from_vectors(problem, rows, labels)


def random_walk_shares(n_states: int, about: Literal["end", "mean"] = "end") -> Array:
    """Return the shares of variance that the principal directions of an endless-dimensional random walk explain.

    Shape (n_states,), descending, for a walk of `n_states` states; `about` as for `pca`. In infinitely many dimensions the
    Gram matrix of steps s and t about the end is exactly proportional to the steps that
    both still have to go. For many states: 81 % and 9 % about the end, 61 % and 15 % about the mean.
    ValueError with fewer than 2 states or more than 10 000, or another `about`.
    """
    n_states, about = whole_number("n_states", n_states, 2), one_of("about", about, ABOUT)
    require(
        n_states <= _MOST_STATES,
        "n_states",
        n_states,
        f"be at most {_MOST_STATES}",
        "pass fewer: the shares of many states do not depend on their number",
    )
    left = np.arange(n_states)[::-1]
    products = np.minimum.outer(left, left).astype(np.float64)
    values = np.linalg.eigvalsh(products if about == "end" else _centred(products))[::-1]
    return values / values.sum()


def displacements(problem: Problem, states: Sequence[Mapping[str, torch.Tensor]]) -> Array:
    """Return the states' parameters minus the problem's, shape (n_states, n_parameters), rounded once."""
    origin, states = checked_problem(problem).weights(), _checked_states(states)
    return np.array(
        [
            (problem.flatten(state).double() - origin.double()).to(origin.dtype).numpy()
            for state in states
        ]
    )


def _checked_directions(directions):
    """Return `directions`; raise if they are not Directions."""
    require(
        isinstance(directions, Directions),
        "directions",
        directions,
        "be Directions",
        "pass those of landscape_viz.directions, for example directions.random(problem, 2)",
    )
    return directions


def _checked_states(states):
    """Return `states` as a list of state dicts; raise if they are not a sequence of them."""
    good = isinstance(states, list | tuple) and len(states) > 0
    require(
        good, "states", states, "be a sequence of state dicts, one at least", "pass a list of them"
    )
    return [checked_state("states", state) for state in states]


def hessian(
    problem: Problem,
    n: int = 2,
    *,
    tol: float = 1e-3,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> Directions:
    """Return the eigenvectors of the `n` largest eigenvalues of the Hessian of the problem's loss, of norm 1.

    Parameters
    ----------
    problem : Problem
        Without live dropout and recalibrated BatchNorm, which leave no Hessian.
    n : int
    tol : float
        Relative accuracy of the eigenvalues (`eigenpairs.top_eigenpairs`); 1e-3 is our choice.
    rng : int, SeedSequence or Generator
        Start vector.
    device : str or torch.device

    Returns
    -------
    Directions
        A warning says so where the eigenvectors have not converged to `tol`.

    Raises
    ------
    ValueError
        If `n` is not a whole number, or the problem has no Hessian.
    """
    n = whole_number("n", n)
    pairs = top_eigenpairs(HessianOperator(problem, device=device), n, tol=tol, rng=rng)
    if not pairs.converged:
        warnings.warn(
            f"the Hessian's eigenvectors have not converged to tol={tol}: residuals {pairs.residuals}",
            stacklevel=2,
        )
    labels = [
        f"Hessian eigenvector {k + 1} (λ = {value:.3g})" for k, value in enumerate(pairs.values)
    ]
    return from_vectors(problem, pairs.vectors.T, labels)


def gram(vectors: Array, block: int = 1 << 20) -> Array:
    """Return vectors @ vectors.T in float64, of an array of shape (n, n_parameters), block by block of columns.

    ValueError where `vectors` are no such array, or `block` is no whole number.
    """
    vectors, block = real_array("vectors", vectors, ndim=2), whole_number("block", block)
    total = np.zeros((len(vectors), len(vectors)))
    for first in range(0, vectors.shape[1], block):
        part = vectors[:, first : first + block].astype(np.float64)
        total += part @ part.T
    return total


def _centred(gram):
    """Return the Gram matrix of the same points about their mean."""
    return gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()


def _dtype(problem):
    return np.float64 if problem.dtype == torch.float64 else np.float32


def _of(function, **arguments):
    return Provenance.of(f"directions.{function}", packages=("numpy", "torch"), **arguments)
