"""Random state: torch's, numpy's and Python's generators seeded inside a block and put back after it, on every device."""

import random
import threading
from contextlib import contextmanager

import numpy as np
import torch

_LOCK = threading.RLock()


@contextmanager
def seeded(seed):
    """Seed every global generator inside the block and put all states back after it; one thread at a time.

    `torch.manual_seed` is not called: it would also seed devices that are not in use yet, which nothing could put back.
    """
    with _LOCK:
        kept = [(device, device.get_rng_state_all()) for device in _devices()]
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            _seed(seed, [device for device, _ in kept])
            yield
        finally:
            torch.set_rng_state(states[0])
            random.setstate(states[1])
            np.random.set_state(states[2])  # noqa: NPY002
            for device, state in kept:
                device.set_rng_state_all(state)


def states():
    """Return the states of torch's generators, as bytes: the same before and after code that draws nothing."""
    parts = [torch.get_rng_state()]
    for device in _devices():
        parts += device.get_rng_state_all()
    return b"".join(part.cpu().numpy().tobytes() for part in parts)


def _seed(seed, devices):
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    for device in devices:
        device.manual_seed_all(seed)


def _devices():
    """Return torch's modules of the devices whose generators exist already."""
    found = [torch.cuda] if torch.cuda.is_initialized() else []
    xpu = getattr(torch, "xpu", None)
    if xpu is not None and xpu.is_available() and xpu.is_initialized():
        found.append(xpu)
    if torch.backends.mps.is_available():
        found.append(_Mps)
    return found


class _Mps:
    """`torch.mps` with the names of `torch.cuda`."""

    get_rng_state_all = staticmethod(lambda: [torch.mps.get_rng_state()])
    set_rng_state_all = staticmethod(lambda states: torch.mps.set_rng_state(states[0]))
    manual_seed_all = staticmethod(lambda seed: torch.mps.manual_seed(seed))
