"""Precision: in which numbers a loss is computed, what stays off meanwhile, and how far two values may differ by rounding."""

from contextlib import ExitStack, contextmanager

import torch

from multifractal.base.checks import require

PRECISIONS = ("as-is", "float32", "float64")
_ROUNDINGS = 2000  # by which two ways to compute one loss may differ (our choice)


@contextmanager
def pinned_threads(count):
    """Let torch use `count` threads in this block, and as many as before after it."""
    before = torch.get_num_threads()
    if count != before:  # setting it costs as much as a layer of a small network
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def quiet_numerics(device, autocast=None, *, cudnn=True):
    """Switch off what makes a section rough or wrong: TF32, benchmarks of cuDNN, and autocast's cache of stale weights.

    `autocast` is the dtype to cast to, where the problem was made under autocast; None switches autocast off.
    Without `cudnn` its kernels are left out: those of recurrent layers have no backward pass in evaluation mode, and none twice.
    """
    with ExitStack() as stack:
        stack.enter_context(_full_float32(device))
        stack.enter_context(autocast_to(device, autocast))
        if device.type == "cuda":
            stack.enter_context(_deterministic_cudnn(cudnn))
        yield


def autocast_to(device, kind):
    """Return the context of autocast to that dtype without its cache, or without autocast for None."""
    return torch.autocast(device.type, dtype=kind, enabled=kind is not None, cache_enabled=False)


@contextmanager
def _deterministic_cudnn(enabled):
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, cudnn.enabled
    cudnn.benchmark, cudnn.deterministic, cudnn.enabled = False, True, before[2] and enabled
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic, cudnn.enabled = before


@contextmanager
def _full_float32(device):
    """Compute float32 in float32. torch has two sets of switches, and reading the old one raises once the new one was set.

    What is so already is let be: to set and put back all took 5 % of a product with the Hessian of a small network.
    """
    full = ("ieee", "none") if device.type == "cpu" else ("ieee",)  # a CPU is rough if told so only
    rough = [(switch, switch.fp32_precision) for switch in _switches(device)]
    rough = [(switch, value) for switch, value in rough if value not in full]
    try:
        legacy = torch.get_float32_matmul_precision()
    except RuntimeError:
        legacy = "highest"
    if legacy != "highest":
        torch.set_float32_matmul_precision("highest")
    for switch, _ in rough:
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        if legacy != "highest":
            torch.set_float32_matmul_precision(legacy)
        for switch, value in rough:
            switch.fp32_precision = "none"  # what it then reads as is inherited
            if switch.fp32_precision != value:
                switch.fp32_precision = value


def _switches(device):
    """Return the switches that a network on the device obeys."""
    backends = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):  # before torch 2.9
        return []
    mkldnn = backends.mkldnn
    of_cpu = [mkldnn.matmul, mkldnn.conv, mkldnn.rnn]
    of_cuda = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    return of_cpu if device.type == "cpu" else of_cuda + of_cpu


def checked_device(device):
    """Return the torch.device of that name; raise if this machine does not have it."""
    try:
        found = torch.device(device) if isinstance(device, str | torch.device) else None
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        found = None
    require(
        found is not None,
        "device",
        device,
        "be a device that torch finds here",
        "pass 'cpu', or 'cuda' on a GPU",
    )
    return found


def promoted(model, precision):
    """Return `model` with its floating parameters and buffers in the asked precision, in place."""
    return model if precision == "as-is" else model.to(getattr(torch, precision))


def cast(tensor, precision):
    """Return a tensor of data in the asked precision; whole numbers stay whole."""
    kind = tensor.dtype if precision == "as-is" else getattr(torch, precision)
    return tensor.to(kind) if tensor.is_floating_point() else tensor


def vector_dtype(kinds):
    """Return the dtype of vectors of weights: float64 where any parameter is, else float32; it holds each half exactly."""
    return torch.float64 if torch.float64 in kinds else torch.float32


def tolerance(kinds, size):
    """Return by how much two values of a loss of that size may differ when the parameters are of these dtypes."""
    return _ROUNDINGS * max(torch.finfo(kind).eps for kind in kinds) * max(1.0, abs(size))
