"""Slow, obvious twins for `landscape_viz`: the shortest transcription of each definition, with plain torch and numpy."""

import copy
import itertools

import numpy as np
import torch

# --- sections, directions, trajectory --------------------------------------------------------------------------------


def section(problem, vectors, axes):
    """Loss and accuracy at every grid point, by setting each parameter and calling the network (all data in one batch)."""
    model, (inputs, targets) = problem.build(), problem.load()
    values = []
    for position in itertools.product(*axes):
        set_parameters(model, problem, vectors, position)
        with torch.no_grad():
            outputs = model(inputs)
        loss = torch.nn.functional.cross_entropy(outputs.double(), targets)
        values.append([float(loss), float((outputs.argmax(1) == targets).double().mean())])
    return np.array(values).T.reshape(2, *map(len, axes))


def set_parameters(model, problem, vectors, position):
    """Write origin + sum_k position_k vectors_k into the network, one parameter after the other."""
    start = problem.build().state_dict()
    parts = [problem.unflatten(torch.tensor(np.array(vector))) for vector in vectors]
    for name, parameter in model.named_parameters():
        parameter.data = start[name].clone()
        for coordinate, part in zip(position, parts, strict=True):
            parameter.data += coordinate * part[name]


def filter_normalised(draw, weight):
    """Scale each filter of `draw` to the norm of the same filter of `weight`, one filter after the other."""
    return np.stack(
        [
            d * np.linalg.norm(w) / (np.linalg.norm(d) + 1e-10)
            for d, w in zip(draw, weight, strict=True)
        ]
    )


def principal_directions(moves, n):
    """The first n right singular vectors of the displacements."""
    return np.linalg.svd(np.asarray(moves, dtype=np.float64), full_matrices=False)[2][:n]


def projected(moves, vectors):
    """Least-squares coordinates of each displacement, and the distance it keeps from the plane."""
    coordinates, *_ = np.linalg.lstsq(
        vectors.T.astype(np.float64), moves.T.astype(np.float64), rcond=None
    )
    return coordinates.T, np.linalg.norm(moves - coordinates.T @ vectors, axis=1)


# --- derivatives -----------------------------------------------------------------------------------------------------


def moved(model, vector):
    """Return a deep copy of a network whose trainable parameters are those in `vector`, one after the other."""
    model = copy.deepcopy(model)
    place(model, vector)
    return model


def place(model, vector):
    """Write the numbers of `vector` into the trainable parameters of a network."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                part, vector = vector[: parameter.numel()], vector[parameter.numel() :]
                parameter.copy_(part.view_as(parameter))


def position(model):
    """Return the trainable parameters of a network as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in model.parameters() if p.requires_grad])


def gradient(model, loss):
    """Return the gradient of loss(model) in its trainable parameters; zeros for those it does not depend on."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    parts = torch.autograd.grad(loss(model), parameters, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if part is None else part.to_dense()).reshape(-1)
            for p, part in zip(parameters, parts, strict=True)
        ]
    )


def hessian_by_differences(model, loss, step=1e-5):
    """Return the Hessian of loss(model) by central differences of gradients, for float64 networks.

    Where torch leaves a gradient at zero whatever the weights (the row of `padding_idx`), the weight counts as one that stays.
    """
    start = position(model)
    model, rows = copy.deepcopy(model), []

    def gradient_at(vector):
        place(model, vector)
        return gradient(model, loss)

    for move in step * torch.eye(len(start), dtype=start.dtype):
        rows.append((gradient_at(start + move) - gradient_at(start - move)) / (2 * step))
    matrix = torch.stack(rows).numpy()
    matrix[~matrix.any(axis=0)] = 0
    return (matrix + matrix.T) / 2


def lanczos(matrix, first, n_steps):
    """The tridiagonal matrix of Lanczos steps and its basis (columns), each image made orthogonal to all vectors before."""
    basis, T = [first / np.linalg.norm(first)], np.zeros((n_steps, n_steps))
    for m in range(n_steps):
        w = matrix @ basis[m]
        T[m, m] = basis[m] @ w
        for q in 2 * basis:
            w = w - (q @ w) * q
        if m + 1 < n_steps:
            T[m, m + 1] = T[m + 1, m] = np.linalg.norm(w)
            basis.append(w / np.linalg.norm(w))
    return T, np.stack(basis, axis=1)


# --- degeneracy ------------------------------------------------------------------------------------------------------


def langevin_losses(value_and_gradient, start, noise, *, learning_rate, nbeta, localization):
    """The loss before each step of a Langevin chain on all data, whose noise is given, one row a step."""
    w, losses = np.array(start), []
    for xi in noise:
        loss, gradient = value_and_gradient(w)
        losses.append(loss)
        force = nbeta * gradient + localization * (w - start)
        w = w - learning_rate / 2 * force + np.sqrt(learning_rate) * xi
    return np.array(losses)
