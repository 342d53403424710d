"""Indicators of the edge of stability, each a function of a loss, a gradient or a product: nothing here knows a network."""

import numpy as np
import torch


def critical_factor(loss_at, here, slope, *, guess=2.0, tol=0.1, most=10):
    """Return (factor, error): by how much an update may be stretched before the loss is as high as without it.

    Parameters
    ----------
    loss_at : callable
        Gives the loss after `factor` times the update.
    here, slope : float
        The loss without it, and the update's product with the gradient: the slope at factor 0, below zero.
    guess : float
        Where the search begins.
    tol : float
        Relative width of the bracket at which it ends (our choice 0.1).
    most : int
        Losses computed at most (our choice 10).

    Returns
    -------
    factor, error : float
        The middle of the bracket and half its width; NaN where the update does not lower the loss, or no rise was found.

    Notes
    -----
    False position (the Illinois rule) on (loss - here) / factor, a straight line where the loss is quadratic, so that three
    losses are enough there. Where the loss crosses its first height more than once, the crossing need not be the first.
    """
    low, high, f_low, f_high = 0.0, np.inf, slope, np.nan
    factor, side = guess, 0
    if not slope < 0:
        return np.nan, np.nan
    for _ in range(most):
        rise = (loss_at(factor) - here) / factor
        above = not rise <= 0
        if above:
            high, f_high, f_low = factor, rise, f_low / 2 if side > 0 else f_low
        else:
            low, f_low, f_high = factor, rise, f_high / 2 if side < 0 else f_high
        side = 1 if above else -1
        if high <= low * (1 + tol):
            return (low + high) / 2, (high - low) / 2
        factor = _next(low, high, f_low, f_high, slope, 1 + tol / 3, above)
    return np.nan, np.nan


def _next(low, high, f_low, f_high, slope, margin, above):
    """Return the next factor: just beyond the root of the line, so that the bracket closes from both sides."""
    if np.isinf(high):
        root = low * slope / (slope - f_low) if f_low > slope else np.inf
        return float(np.clip(root * margin, 1.2 * low, 8 * low))
    if not f_high < -30 * slope:  # far above: the line's root would stay close to the lower end
        return (low + high) / 2
    root = low - f_low * (high - low) / (f_high - f_low)
    factor = root / margin if above else root * margin
    return factor if low < factor < high else (low + high) / 2


def largest_eigenpair(product, start, *, tol=0.05, most=20):
    """Return (value, residual, vector, products): the largest eigenvalue of a symmetric operator, from a good start.

    LOBPCG with one vector (Knyazev, SIAM J. Sci. Comput. 23, 2001): one product a step, six vectors of memory, on the device
    of `start`. It ends where |H x - theta x| <= tol |theta| (our choice 0.05: an eigenvalue lies within 5 %), or after `most`.
    Of an operator that is not finite the value is NaN.
    """
    x = start / start.norm()
    del start
    hx = product(x)
    p = hp = None
    for products in range(1, most + 1):
        theta = torch.dot(x, hx)
        w = hx - theta * x
        residual = float(w.norm())
        settled = not np.isfinite(residual) or residual <= tol * abs(float(theta))
        if settled or products == most:
            break
        w /= residual
        others = [(w, product(w))] if p is None else [(w, product(w)), (p, hp)]
        p, hp = _moved(x, hx, others)
    return float(theta), residual, x, products


def _moved(x, hx, others):
    """Move x, and hx with it, to the best vector in the span of x and one or two others; return how it moved, and its image.

    The others are pairs of a vector and its image. All is done in place, so that six vectors are held and no more.
    """
    basis = [(x, hx)]
    for pair in others:
        if _made_orthonormal(pair, basis):
            basis.append(pair)
    if len(basis) == 1:
        return torch.zeros_like(x), torch.zeros_like(x)
    seen = torch.stack([torch.stack([torch.dot(q, hr) for _, hr in basis]) for q, _ in basis])
    first, *rest = torch.linalg.eigh((seen + seen.T) / 2)[1][:, -1].tolist()
    p, hp = basis[1]
    for k, moved in enumerate((p, hp)):
        moved *= rest[0]
        for share, pair in zip(rest[1:], basis[2:], strict=True):
            moved.add_(pair[k], alpha=share)
        basis[0][k].mul_(first).add_(moved)
    length = p.norm().clamp_min(torch.finfo(p.dtype).tiny)
    p /= length
    hp /= length
    return p, hp


def _made_orthonormal(pair, basis):
    """Take from a unit vector what lies in the span of a basis, twice against rounding; False where little is left."""
    vector, image = pair
    for _ in range(2):
        for q, hq in basis:
            share = float(torch.dot(q, vector))
            vector.sub_(q, alpha=share)
            image.sub_(hq, alpha=share)
        length = float(vector.norm())
        if length < 1e-3:
            return False
        vector /= length
        image /= length
    return True


def noise_scale(gram, batch_size):
    """Return (scale, error): tr(Sigma) / |G|^2 in samples, from the inner products of the gradients of n batches.

    Parameters
    ----------
    gram : ndarray, shape (n, n)
        Inner products of the batches' gradients.
    batch_size : float

    Returns
    -------
    scale, error : float
        McCandlish et al. (2018): the simple noise scale, and its jackknife error over the batches; NaN where the batches
        tell no signal, |G|^2 coming out below zero, or are too few (2 for the scale, 3 for the error).
    """
    n = len(gram)
    value = _ratio(gram, batch_size)
    others = [_ratio(np.delete(np.delete(gram, i, 0), i, 1), batch_size) for i in range(n)]
    error = np.sqrt((n - 1) / n * np.sum((np.array(others) - np.mean(others)) ** 2))
    return value, float(error)


def _ratio(gram, batch_size):
    n = len(gram)
    if n < 2:
        return np.nan
    signal = (gram.sum() - np.trace(gram)) / (n * (n - 1))
    noise = batch_size * (np.trace(gram) / n - signal)
    return float(noise / signal) if signal > 0 else np.nan


def preconditioner(optimizer):
    """Return what an optimiser divides its step by, as a flat tensor after its step, in units of group 0's learning rate.

    None where that is one number for all: the step is along the gradient. Of Adam and AdamW the two corrections of bias are
    part of it (Cohen et al. 2022, equation 2); RMSProp and Adagrad as torch has them.
    """
    first = float(optimizer.param_groups[0]["lr"])
    parts, plain = [], True
    for group in optimizer.param_groups:
        relative = float(group["lr"]) / first if first > 0 else 1.0
        for p in group["params"]:
            diagonal = _diagonal(optimizer.state.get(p, {}), group)
            plain = plain and diagonal is None and relative == 1
            parts.append((torch.ones_like(p) if diagonal is None else diagonal) / relative)
    return None if plain else torch.cat([part.detach().reshape(-1) for part in parts])


def _diagonal(state, group):
    if "exp_avg_sq" in state and "betas" in group and "exp_avg" in state:
        first, second = group["betas"]
        steps = float(state["step"])
        squares = state.get("max_exp_avg_sq", state["exp_avg_sq"])
        root = (squares / (1 - second**steps)).sqrt() + group["eps"]
        return root * (1 - first**steps)
    if "square_avg" in state and "alpha" in group:
        centre = state["grad_avg"] if group.get("centered") else 0.0
        return (state["square_avg"] - centre**2).clamp_min(0).sqrt() + group["eps"]
    if "sum" in state and "lr_decay" in group:
        return state["sum"].sqrt() + group["eps"]
    return None


def stability_edge(optimizer):
    """Return the largest (preconditioned) eigenvalue at which an optimiser's steps on a quadratic stay bounded; NaN if unknown.

    With heavy-ball momentum b it is (2 + 2 b) / eta, with Nesterov's (2 + 2 b) / ((1 + 2 b) eta), and with Adam's averaged
    momentum (2 + 2 b) / ((1 - b) eta), which is 38 / eta at b = 0.9; without momentum 2 / eta. Decay of weights is left out.
    """
    group, kind = optimizer.param_groups[0], type(optimizer)
    rate = float(group["lr"])
    if not rate > 0:
        return np.nan
    if kind in (torch.optim.Adam, torch.optim.AdamW):
        b = float(group["betas"][0])
        return (2 + 2 * b) / (1 - b) / rate
    if kind in (torch.optim.SGD, torch.optim.RMSprop):
        b, damping = group["momentum"], group.get("dampening", 0.0)
        nesterov = 1 + 2 * b if group.get("nesterov") else 1.0
        return (2 + 2 * b) / nesterov / (1 - damping if b else 1.0) / rate
    return 2 / rate if kind is torch.optim.Adagrad else np.nan
