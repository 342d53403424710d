"""Parameters: which of a network's a probe moves, what a filter of each is, and the sizes that random directions get."""

import warnings

import numpy as np
import torch
from torch import nn

from multifractal.base.checks import refuse, require

_TINY = 1e-10  # added to the norm of a random filter (Li et al. 2018, their code)
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


class Scale:
    """The sizes that a random direction gets: those of each filter, of each layer, of all that moves, of each weight, or none.

    `ignore` "biasbn" leaves tensors of one dimension where they are, unless there is nothing else.
    """

    def __init__(self, problem, weights, norm, ignore):
        self.weights, self.norm, self.groups = weights, norm, problem.filters
        single = all(w.dtype == np.float32 for w in weights.values())
        self.kind = np.float32 if single else np.float64
        still = ignore == "biasbn" and any(w.ndim > 1 for w in weights.values())
        self.sizes = {n: self._norms(n, w) for n, w in weights.items() if w.ndim > 1 or not still}
        if norm != "none":
            self._look_at_zeros()

    def normalised(self, generator, vector):
        """Write one direction into `vector`, tensor by tensor."""
        first, drawn = 0, 0.0
        for name, weight in self.weights.items():
            part = vector[first : first + weight.size]
            first += weight.size
            if name not in self.sizes:
                part[:] = 0.0
                continue
            draw = generator.standard_normal(weight.shape, dtype=self.kind)
            if self.norm == "model":
                drawn += np.sum(np.square(draw, dtype=np.float64))
            part[:] = self._scaled(name, draw).ravel()
        if self.norm == "model":
            moving = np.sqrt(sum(np.sum(size**2) for size in self.sizes.values()))
            vector *= self.kind(moving / np.sqrt(drawn))

    def _scaled(self, name, draw):
        """Return `draw` with each filter (or the whole tensor) scaled to the norm of that of the weights."""
        if self.norm == "weight":
            return draw * self.weights[name]
        if self.norm in ("none", "model"):
            return draw
        rows = self._rows(name, draw)
        drawn = np.linalg.norm(rows, axis=1)
        scale = (self.sizes[name] / (drawn + draw.dtype.type(_TINY))).astype(draw.dtype)
        groups = self.groups.get(name) if self.norm == "filter" else None
        return from_filters(rows * scale[:, None], draw.shape, groups)

    def _rows(self, name, tensor):
        if self.norm == "weight":
            return tensor.reshape(-1, 1)
        if self.norm != "filter":
            return tensor.reshape(1, -1)
        return as_filters(tensor, self.groups.get(name))

    def _norms(self, name, weight):
        return np.linalg.norm(self._rows(name, weight), axis=1)

    def _look_at_zeros(self):
        units = {"filter": "filters", "layer": "layers"}.get(self.norm, "weights")
        zero = {name: int((size == 0).sum()) for name, size in self.sizes.items()}
        count, total = sum(zero.values()), sum(len(size) for size in self.sizes.values())
        require(
            count < total,
            "state",
            f"{total} {units}, all of norm zero",
            f"have {units} that are not zero",
            "choose other params=, or pass your own directions by from_vectors",
        )
        if count and self.norm != "model":
            names = [name for name, number in zero.items() if number]
            warnings.warn(
                f"{count} of {total} {units} have norm zero and do not move (in {', '.join(names[:4])}"
                f"{' ...' if len(names) > 4 else ''}); norm='model' moves all by one scale",
                stacklevel=4,
            )
