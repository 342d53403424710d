"""The update rules of the walkers: plain descent, momentum, Nesterov, Adam and noisy descent, as one kernel.

Every rule turns a gradient into a direction; the step is v <- v - direction lr. Conventions are torch's (no dampening, no
weight decay), so that a rule here and `torch.optim` on the same gradients agree to rounding. In the kernel:

g gradient (with its noise), m velocity or first moment, s second moment, t steps taken before this one.
"""

import functools
from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import finite_array, one_of, refuse, require
from multifractal.base.kernels import kernel

GD, MOMENTUM, NESTEROV, ADAM = range(4)
NO_NOISE, ISOTROPIC, CURVATURE, STABLE = range(4)

_DEFAULTS = {
    "gd": {},
    "momentum": {"momentum": 0.9},  # our choice, as in Sutskever et al. (2013)
    "nesterov": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},  # Kingma & Ba (2015), Algorithm 1
    "sgd": {"noise": "isotropic", "noise_scale": 1.0},  # our choice
}
_CODES = {"gd": GD, "momentum": MOMENTUM, "nesterov": NESTEROV, "adam": ADAM, "sgd": GD}
_UNIT_INTERVAL = ("momentum", "beta1", "beta2")
METHODS = tuple(_DEFAULTS)
_NOISES = {"isotropic": ISOTROPIC, "curvature": CURVATURE, "stable": STABLE}


@dataclass(frozen=True, eq=False)
class Rule:
    """An update rule with its parameters, ready for a kernel: a code, three numbers, the kind of noise, its scale and alpha."""

    method: str
    parameters: dict
    code: int
    numbers: np.ndarray
    noise: int
    noise_scale: float
    alpha: float


def checked_rule(method, parameters):
    """Return the `Rule` of a method's name and the parameters that differ from its defaults.

    Raises
    ------
    ValueError
        When there is no such method, when it has no such parameter, or when a value is out of range.
    """
    one_of("method", method, METHODS)
    return _rule(method, parameters) if parameters else _default_rule(method)


@functools.cache
def _default_rule(method):
    return _rule(method, {})


def _rule(method, parameters):
    known = _DEFAULTS[method]
    kind = (known | parameters).get("noise")
    if kind == "stable":  # its tail has no default
        known = known | {"alpha": None}
    for name, value in parameters.items():
        require(
            name in known,
            name,
            value,
            f"be left out with method={method!r}",
            f"its parameters are {', '.join(known) or 'none'}",
        )
    chosen = known | parameters
    if kind is not None:
        one_of("noise", kind, tuple(_NOISES))
    for name, value in chosen.items():
        if name != "noise":
            chosen[name] = _checked_number(name, value)
    numbers = np.zeros(3)
    given = [value for name, value in chosen.items() if method != "sgd"]
    numbers[: len(given)] = given
    noise = NO_NOISE if kind is None else _NOISES[kind]
    scale, alpha = chosen.get("noise_scale", 0.0), chosen.get("alpha", 2.0)
    return Rule(method, chosen, _CODES[method], numbers, noise, scale, alpha)


def _checked_number(name, value):
    if name == "alpha":
        require(value is not None, name, None, "be given with noise='stable'", "pass alpha=1.5")
        value = float(finite_array(name, value, ndim=0))
        require(0 < value <= 2, name, value, "lie in (0, 2]", "2 is normal noise")
        return value
    value = float(finite_array(name, value, ndim=0))
    below = 1 if name in _UNIT_INTERVAL else np.inf
    require(0 <= value < below, name, value, f"lie in [0, {below})", "pass another value")
    return value


def require_rng(rule, rng):
    """Refuse a noisy rule without `rng`, and `rng` where nothing is random."""
    if (rule.noise == NO_NOISE) != (rng is None):
        raise refuse(
            "rng",
            rng,
            f"be {'left out' if rule.noise == NO_NOISE else 'given'} with method={rule.method!r}",
            "pass an int seed, a SeedSequence or a Generator with method='sgd' only",
        )


@kernel
def direction(rule, p, g, m, s, decay):
    """Return (direction, m, s) of one component; `decay` holds Adam's beta1^(t+1) and beta2^(t+1) (kernel)."""
    if rule == GD:
        return g, m, s
    if rule == MOMENTUM:
        m = p[0] * m + g
        return m, m, s
    if rule == NESTEROV:
        m = p[0] * m + g
        return g + p[0] * m, m, s
    if rule != ADAM:
        raise ValueError("unknown code of an update rule")
    m = p[0] * m + (1 - p[0]) * g
    s = p[1] * s + (1 - p[1]) * g * g
    return (m / (1 - decay[0])) / (np.sqrt(s / (1 - decay[1])) + p[2]), m, s
