"""Parameters: which of a network's a probe moves, and what a filter of each is."""

import torch
from torch import nn

from multifractal.base.checks import refuse, require

_COLUMNS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def chosen(model, params=None):
    """Return the parameters that `params` names, by name, tied ones once.

    `params` is None (those that require a gradient), the start of their names, a list of names, or a function of name and
    parameter. Raises ValueError where none is left, or one cannot be moved (complex or whole numbers).
    """
    everything = dict(model.named_parameters())
    found = {name: p for name, p in everything.items() if _test(params, everything)(name, p)}
    if params is None:
        require(
            len(found) > 0,
            "model",
            type(model).__name__,
            "have parameters that require a gradient",
            "call requires_grad_(True) on those to probe, or choose some with Problem(..., params=...)",
        )
    require(
        len(found) > 0,
        "params",
        params,
        "choose at least one parameter",
        f"the names are {', '.join(everything)}",
    )
    for name, parameter in found.items():
        if not parameter.is_floating_point() or parameter.dtype.itemsize < 2:
            raise refuse(
                "model",
                f"{name} of {parameter.dtype}",
                "have parameters of real floating numbers",
                "keep real and imaginary parts, or the weights before quantisation, as parameters "
                "of their own; or leave this one out with Problem(..., params=...)",
            )
    return found


def _test(params, everything):
    if params is None:
        return lambda name, p: p.requires_grad
    if isinstance(params, str):
        return lambda name, p: name.startswith(params)
    if callable(params):
        return params
    names = list(params) if isinstance(params, list | tuple | set | frozenset) else [params]
    unknown = [name for name in names if name not in everything]
    if unknown or not names:
        raise refuse(
            "params",
            params,
            "be the start of names, a list of names, or a function of name and parameter",
            f"the names are {', '.join(everything)}",
        )
    return lambda name, p: name in names


def tied(model):
    """Return groups of names that stand for one and the same parameter."""
    groups = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def filter_groups(model):
    """Return {name: groups} of the weights whose filters are not the rows, (out, ...), but columns, (in, out / groups, ...).

    These are the weights of transposed convolutions and of the layer that GPT-2 calls Conv1D. In all others a filter is
    what belongs to one entry of the first axis: an output unit of a linear layer (packed projections of attention and the
    gates of recurrent layers too), an output channel of a convolution (grouped and depthwise too), a word of an embedding.
    """
    found = {}
    for path, module in model.named_modules():
        columns = isinstance(module, _COLUMNS)
        if columns or (type(module).__name__ == "Conv1D" and hasattr(module, "nf")):
            name = f"{path}.weight" if path else "weight"
            found[name] = module.groups if columns else 1
    return found


def as_filters(tensor, groups=None):
    """Return a weight as (n_filters, size), a filter a row: `groups` as from `filter_groups`, None where filters are rows.

    The result may be a copy; `from_filters` goes back. Tensors of one dimension or none are one filter.
    """
    if tensor.ndim < 2:
        return tensor.reshape(1, -1)
    if groups is None:
        return tensor.reshape(len(tensor), -1)
    parts = tensor.reshape(groups, len(tensor) // groups, tensor.shape[1], -1)
    return parts.swapaxes(1, 2).reshape(groups * tensor.shape[1], -1)


def from_filters(rows, shape, groups=None):
    """Return the tensor of that shape whose filters are `rows`."""
    if groups is None or len(shape) < 2:
        return rows.reshape(shape)
    parts = rows.reshape(groups, shape[1], shape[0] // groups, -1)
    return parts.swapaxes(1, 2).reshape(shape)


def checked_finite(named):
    """Refuse weights that are NaN or inf, naming the first tensor."""
    for name, tensor in named.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise refuse(
                "state",
                f"{bad} of {tensor.numel()} numbers in {name} that are not finite",
                "hold finite weights",
                "take an earlier checkpoint; the network has diverged",
            )
