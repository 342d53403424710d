"""Permutation matching: the hidden units of one network put in the order in which they resemble another's most.

A group is a set of hidden units: the list of (parameter or buffer, axis) that carry them. Permuting a group everywhere
leaves the network's function as it is; that is checked before anything is matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.loss.network import checked_module
from landscape_viz.loss.precision import checked_device
from landscape_viz.loss.problem import Problem, checked_problem, checked_state
from multifractal.base.checks import refuse, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, Rng

_SAME = 1e-4  # relative difference of outputs that rounding explains (float32, some 20 layers)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Matching(Result):
    """Permutations that bring one network's hidden units into another's order.

    Attributes
    ----------
    permutations : tuple
        One int64 array for each group: new unit i is old unit permutation[i].
    similarity_before, similarity_after : float
        Sum of products of matched weights, before and after.
    sweeps : int
        Sweeps over all groups until nothing changed.
    provenance : Provenance
    """

    permutations: tuple
    similarity_before: float
    similarity_after: float
    sweeps: int
    provenance: Provenance


def sequential_groups(model: torch.nn.Module) -> list[list[tuple[str, int]]]:
    """Return the groups of a network whose linear, convolutional and BatchNorm layers follow each other in one chain.

    Parameters
    ----------
    model : torch.nn.Module
        An MLP or a VGG, say, with modules registered in the order in which they are applied. A residual network's shortcuts
        tie groups together: write its groups by hand.

    Returns
    -------
    list of list of (str, int)
        A layer after flattening carries each channel as a block of columns, which its axis's length says.

    Raises
    ------
    ValueError
        When a layer with parameters is of another kind (Conv1d, transposed or grouped convolutions, LayerNorm, attention ...),
        whose units would be left out, or when the network has no hidden units.
    """
    _refuse_unknown(checked_module("model", model))
    groups, current = [], None
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, nn.Linear | nn.Conv2d):
            if current is not None:
                groups.append([*current, (f"{prefix}weight", 1)])
            current = [(f"{prefix}weight", 0)] + (
                [(f"{prefix}bias", 0)] if module.bias is not None else []
            )
        elif isinstance(module, _NormBase) and current is not None:
            tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            current += [
                (f"{prefix}{part}", 0) for part, tensor in tensors.items() if tensor.ndim == 1
            ]
    require(
        len(groups) > 0,
        "model",
        type(model).__name__,
        "have hidden units: two layers that follow each other",
        "there is nothing to match otherwise",
    )
    return groups


def _refuse_unknown(model):
    for name, module in model.named_modules():
        known = (
            isinstance(module, nn.Linear | _NormBase)
            or (isinstance(module, nn.Conv2d) and module.groups == 1)
            or next(module.parameters(recurse=False), None) is None
        )
        require(
            known,
            "model",
            f"{name or 'the model itself'} ({type(module).__name__})",
            "be made of Linear, Conv2d (groups=1) and BatchNorm layers only",
            "write the groups by hand: match(problem, other, groups), each a list of (name, axis)",
        )


def permuted(
    state: Mapping[str, torch.Tensor],
    groups: Sequence[Sequence[tuple[str, int]]],
    permutations: Sequence[Array],
) -> dict[str, torch.Tensor]:
    """Return a copy of a state dict with each group's units in the order of its permutation.

    `groups` and `permutations` are those of a Matching. ValueError where they do not fit the state, or each other.
    """
    checked_state("state", state)
    _check_permutations(state, _checked_groups(groups), permutations)
    state = {name: tensor.clone() for name, tensor in state.items()}
    for group, order in zip(groups, permutations, strict=True):
        for name, axis in group:
            blocks = state[name].unflatten(axis, (len(order), -1))
            state[name] = blocks.index_select(axis, torch.as_tensor(order)).flatten(axis, axis + 1)
    return state


def match(
    problem: Problem,
    other: Mapping[str, torch.Tensor],
    groups: list[list[tuple[str, int]]] | None = None,
    *,
    rng: Rng = 0,
    max_sweeps: int = 100,
    device: str | torch.device = "cpu",
) -> Matching:
    """Find the permutation of another network's hidden units that brings its weights closest to a problem's network.

    Coordinate descent over groups, each solved exactly as a linear assignment (Ainsworth et al. 2023, algorithm 1).

    Parameters
    ----------
    problem : Problem
        The network to resemble; its data serve to check that permuting leaves the function alone.
    other : dict of str to Tensor
        State dict of the network to permute.
    groups : list of list of (str, int), optional
        Our choice: `sequential_groups` of the network.
    rng : int, SeedSequence or Generator
        For the order of the groups and the check.
    max_sweeps : int
    device : str or torch.device
        Where the network is called for the check; the assignments are solved on the CPU.

    Returns
    -------
    Matching
        `permuted(other, groups, matching.permutations)` is the matched network.

    Raises
    ------
    ValueError
        When `sequential_groups` does not know the network, or a random permutation of the groups changes the network's
        outputs: the groups are not those of this network.
    """
    model, generator = checked_problem(problem).build(), as_generator(rng)
    device = checked_device(device)
    max_sweeps, other = whole_number("max_sweeps", max_sweeps), checked_state("other", other)
    groups = sequential_groups(model) if groups is None else _checked_groups(groups)
    reference = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    sizes = _sizes(reference, groups)
    _check_function_is_kept(problem, model.to(device), other, groups, sizes, generator)
    orders = [np.arange(size) for size in sizes]
    before = _similarity(reference, other, groups)
    sweeps, changed = 0, True
    while changed and sweeps < max_sweeps:
        changed, sweeps = False, sweeps + 1
        for g in generator.permutation(len(groups)):
            present = permuted(other, groups, orders)
            gain = _gains(reference, present, groups[g], sizes[g])
            _, order = linear_sum_assignment(gain, maximize=True)
            if gain[np.arange(sizes[g]), order].sum() > np.trace(gain) + 1e-9 * np.abs(gain).sum():
                orders[g], changed = orders[g][order], True
    after = _similarity(reference, permuted(other, groups, orders), groups)
    made_by = Provenance.of("match", rng=rng, packages=("numpy", "torch"), problem=problem)
    return Matching(
        permutations=tuple(orders),
        similarity_before=before,
        similarity_after=after,
        sweeps=sweeps,
        provenance=made_by,
    )


def _check_permutations(state, groups, permutations):
    """Refuse permutations that are not one order of all its units for each group."""
    sizes = _sizes(state, groups)
    good = isinstance(permutations, list | tuple) and len(permutations) == len(groups)
    good = good and all(
        np.shape(order) == (np.size(order),)
        and np.array_equal(np.sort(order), np.arange(np.size(order)))
        and np.size(order) > 0
        and size % np.size(order) == 0
        for size, order in zip(sizes, permutations, strict=True)
    )
    require(
        good,
        "permutations",
        permutations,
        f"hold one order of all units for each of the {len(groups)} groups, of {sizes} units",
        "take those of a Matching of this network",
    )


def _checked_groups(groups):
    good = isinstance(groups, list | tuple) and all(
        isinstance(group, list | tuple)
        and len(group) > 0
        and all(
            isinstance(member, list | tuple) and list(map(type, member)) == [str, int]
            for member in group
        )
        for group in groups
    )
    require(
        good,
        "groups",
        groups,
        "be lists of (name, axis)",
        "take those of sequential_groups as a pattern",
    )
    return groups


def _sizes(state, groups):
    sizes = []
    for group in groups:
        for name, axis in group:
            require(
                name in state,
                "groups",
                name,
                "name parameters or buffers of the network",
                "check the spelling",
            )
            require(
                -state[name].ndim <= axis < state[name].ndim,
                "groups",
                (name, axis),
                f"name an axis of {name}, whose shape is {tuple(state[name].shape)}",
                "pass 0 for outputs, 1 for inputs",
            )
        size = min(state[name].shape[axis] for name, axis in group)
        for name, axis in group:
            require(
                state[name].shape[axis] % size == 0,
                "groups",
                (name, axis),
                f"have an axis that is a multiple of the group's {size} units",
                "check which axis carries the units",
            )
        sizes.append(size)
    return sizes


def _gains(reference, other, group, size):
    """Return the (size, size) similarities of each reference unit with each other unit, over the group's parameters."""
    gain = np.zeros((size, size))
    for name, axis in group:
        if not name.rsplit(".", 1)[-1].startswith("running_"):
            a, b = (
                state[name].detach().double().movedim(axis, 0).reshape(size, -1).numpy()
                for state in (reference, other)
            )
            gain += a @ b.T
    return gain


def _similarity(reference, other, groups):
    names = {
        name
        for group in groups
        for name, _ in group
        if not name.rsplit(".", 1)[-1].startswith("running_")
    }
    return float(
        sum((reference[name].double() * other[name].double()).sum() for name in sorted(names))
    )


def _check_function_is_kept(problem, model, other, groups, sizes, generator):
    device = next(model.parameters()).device
    inputs = problem.load()[0][:16].to(device)
    model.load_state_dict(other)
    model.eval()
    with torch.no_grad():
        expected = model(inputs)
        model.load_state_dict(
            permuted(other, groups, [generator.permutation(size) for size in sizes])
        )
        got = model(inputs)
    difference = float((got - expected).norm() / expected.norm())
    if not difference < _SAME:
        raise refuse(
            "groups",
            f"{len(groups)} groups",
            "leave the network's function alone when permuted (its outputs "
            f"changed by {difference:.2g} of their size)",
            "list every tensor that carries a group's units",
        )
