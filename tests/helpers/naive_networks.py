"""Slow, obvious twins for `landscape_viz`: the shortest transcription of each definition, with plain torch and numpy."""

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
