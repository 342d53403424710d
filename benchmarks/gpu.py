"""landscape_viz on a GPU: the zoo on CUDA against the CPU, and what points and products cost on networks of 0.3 to 124 M.

    python -m benchmarks.gpu                           # at most 6 minutes; prints tables, writes results/gpu.json
    python -m benchmarks.gpu --device cpu --small      # the same on tiny networks, to try the script itself

All is computed in full float32 (no TF32), ours and the others' alike. A cost is the median of calls; memory is the peak of what
torch allocated since before the job's network and data came to the device, in megabytes and in P, the bytes of the parameters.
PyHessian, curvlinops, timm and transformers take part where they can be imported.
"""

import argparse
import gc
import json
import statistics
import time
import warnings
from pathlib import Path

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_viz import HessianOperator, Problem, directions, models, section, top_eigenpairs
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.precision import quiet_numerics
from landscape_viz.loss.stacked import StackedEvaluator
from multifractal.base import files

_BUDGET = 40e9  # bytes of graphs
_ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 5e-3}


def main(argv=None):
    """Measure, print, and write the record; return how many cells of the zoo do not hold."""
    flags = _parsed(argv)
    if flags.device.startswith("cuda") and not torch.cuda.is_available():
        print("CUDA not run: torch finds no GPU here")
        return 0
    warnings.simplefilter("ignore")
    end = time.monotonic() + flags.seconds
    record = {"device": _device(flags.device), "torch": torch.__version__, "networks": {}}
    for name, make in NETWORKS.items():
        if flags.networks and not any(word in name for word in flags.networks):
            continue
        if time.monotonic() > end - 0.3 * flags.seconds:  # what is left is the zoo's
            print(f"{name}: not run, the time is over")
            continue
        record["networks"][name] = _network(name, make, flags)
        _write(flags.out, record)
    if flags.zoo:
        record["zoo"] = _zoo(flags.device, end)
        _write(flags.out, record)
    bad = [cell for cell in record.get("zoo", {}).get("cells", ()) if cell["outcome"] == "failed"]
    return len(bad)


def _parsed(argv):
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--device", default="cuda")
    flags.add_argument("--small", action="store_true", help="tiny networks, to try the script")
    flags.add_argument("--seconds", type=float, default=330, help="start nothing new then")
    flags.add_argument("--out", type=Path, default=Path("results/gpu.json"))
    flags.add_argument("--networks", nargs="*", help="words of their names (default: all)")
    flags.add_argument("--no_zoo", dest="zoo", action="store_false")
    return flags.parse_args(argv)


def _device(name):
    kind = torch.device(name)
    return torch.cuda.get_device_name(kind) if kind.type == "cuda" else name


def _write(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path, overwrite=True) as file:
        file.write(json.dumps(record, indent=1).encode())


# Networks: each makes (network, inputs, targets); the loss is the cross-entropy of network(inputs)


def _resnet20(small):
    side = 8 if small else 32
    images = torch.randn(4 if small else 512, 3, side, side)
    network = models.build("resnet20", input_shape=(3, side, side))
    return network.eval(), images, torch.arange(len(images)) % 10


def _vit(small):
    import timm

    sizes = {"img_size": 32, "embed_dim": 12, "depth": 2, "num_heads": 2} if small else {}
    network = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=100, **sizes)
    images = torch.randn(4, 3, 32, 32) if small else torch.randn(16, 3, 224, 224)
    return network.eval(), images, torch.arange(len(images)) % 100


class _LanguageModel(nn.Module):
    """A GPT-2 that gives logits of shape (samples, words, places)."""

    def __init__(self, config):
        super().__init__()
        from transformers import GPT2LMHeadModel

        self.inner = GPT2LMHeadModel(config)

    def forward(self, x):
        """Return logits."""
        return self.inner(x, use_cache=False).logits.transpose(1, 2)


def _gpt2(small):
    from transformers import GPT2Config

    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 99} if small else {}
    config = GPT2Config(bos_token_id=0, eos_token_id=0, **sizes)
    tokens = torch.randint(config.vocab_size, (4, 17 if small else 257))
    return _LanguageModel(config).eval(), tokens[:, :-1], tokens[:, 1:]


NETWORKS = {"ResNet-20": _resnet20, "ViT-B": _vit, "GPT-2 124 M": _gpt2}


def _network(name, make, flags):
    """Return the row of a network: parameters, and for each job milliseconds and peak memory; printed as it comes."""
    torch.manual_seed(0)
    try:
        network, inputs, targets = make(flags.small)
    except ImportError as error:
        print(f"{name}: not run, {error}")
        return {"not run": str(error)}
    subject = _Subject(network, inputs, targets, flags.device)
    row = {"parameters": subject.size, "batch": list(inputs.shape), "jobs": {}}
    print(
        f"\n{name}: {subject.size / 1e6:.1f} M parameters (P = {4 * subject.size / 1e6:.0f} MB), batch {row['batch']}"
    )
    print(
        "| job | ms | of a forward / gradient | peak MB | peak P | note |\n|---|---|---|---|---|---|"
    )
    for job, prepare in JOBS.items():
        row["jobs"][job] = found = _measured(subject, prepare)
        print(_line(job, found, row["jobs"]), flush=True)
    return row


class _Subject:
    """A network with one batch of data, and the problem made of them."""

    def __init__(self, network, inputs, targets, device):
        self.network, self.inputs, self.targets = network, inputs, targets
        self.device = torch.device(device)
        self.problem = Problem(network, None, "cross_entropy", (inputs, targets))
        self.size = sum(p.numel() for p in self.problem.chosen(self.problem.build()).values())

    def on_device(self):
        """Return a copy of the network, its inputs and targets on the device, as the others take them."""
        self.network.to(self.device)
        return self.network, self.inputs.to(self.device), self.targets.to(self.device)


def _forward(subject):
    network, inputs, targets = subject.on_device()

    def call():
        with torch.no_grad():
            return float(functional.cross_entropy(network(inputs), targets))

    return call, ""


def _gradient(subject):
    network, inputs, targets = subject.on_device()
    parameters = list(network.parameters())

    def call():
        loss = functional.cross_entropy(network(inputs), targets)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    return call, ""


def _our_gradient(subject):
    return Objective(subject.problem, device=subject.device).gradient, ""


def _section_point(subject):
    evaluator, count = _evaluator(subject, 1), iter(range(10**9))

    def call():
        evaluator.run([[0.1, 1e-3 * next(count)]])

    return call, evaluator.path


def _stacked_point(subject):
    evaluator, count = _evaluator(subject, None), iter(range(10**9))

    def call():
        evaluator.run([[0.1, 1e-3 * next(count)] for _ in range(evaluator.at_once)])

    call.share = evaluator.at_once
    return call, evaluator.path


def _evaluator(subject, at_once):
    vectors = directions.random(subject.problem, 2, norm="layer", rng=0).vectors
    return StackedEvaluator(
        subject.problem, vectors, ("loss",), at_once=at_once, device=subject.device
    )


def _our_product(subject):
    operator = HessianOperator(subject.problem, memory_budget=_BUDGET, device=subject.device)
    v = np.random.default_rng(0).standard_normal(subject.size).astype(np.float32)
    return lambda: operator @ v, f"graph of {operator.memory / 1e6:.0f} MB kept"


def _plain_product(subject):
    """Double backward with a kept graph, as in PyHessian."""
    network, inputs, targets = subject.on_device()
    parameters = [p for p in network.parameters() if p.requires_grad]
    with sdpa_kernel(SDPBackend.MATH):
        loss = functional.cross_entropy(network(inputs), targets)
    slopes = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    vectors = [torch.randn_like(p) for p in parameters]
    return lambda: torch.autograd.grad(slopes, parameters, vectors, retain_graph=True), ""


def _pyhessian(subject):
    from pyhessian import hessian
    from pyhessian.utils import hessian_vector_product

    network, inputs, targets = subject.on_device()
    with sdpa_kernel(SDPBackend.MATH):
        made = hessian(
            network,
            functional.cross_entropy,
            data=(inputs, targets),
            cuda=subject.device.type == "cuda",
        )
    vectors = [torch.randn_like(p) for p in made.params]
    return lambda: hessian_vector_product(made.gradsH, made.params, vectors), ""


def _curvlinops(subject):
    from curvlinops import HessianLinearOperator

    network, inputs, targets = subject.on_device()
    parameters = [p for p in network.parameters() if p.requires_grad]
    operator = HessianLinearOperator(
        network,
        nn.CrossEntropyLoss(),
        parameters,
        [(inputs, targets)],
        check_deterministic=False,
        batch_size_fn=len,
    )
    v = torch.randn(subject.size, device=subject.device)

    def call():
        with sdpa_kernel(SDPBackend.MATH):
            return operator @ v

    return call, "mean over samples" if targets.ndim == 1 else "its own normalisation"


def _top_eigenvalue(subject):
    operator = HessianOperator(subject.problem, memory_budget=_BUDGET, device=subject.device)
    found = {}

    def call():
        before = operator.products
        pairs = top_eigenpairs(operator, 1, tol=1e-2, max_products=60)
        found["products"] = operator.products - before
        call.note = f"{found['products']} products, converged: {pairs.converged}"

    call.once = True
    return call, ""


JOBS = {
    "forward": _forward,
    "gradient": _gradient,
    "our gradient": _our_gradient,
    "section point": _section_point,
    "section point, stacked": _stacked_point,
    "our Hessian product": _our_product,
    "plain double backward": _plain_product,
    "PyHessian product": _pyhessian,
    "curvlinops product": _curvlinops,
    "top eigenvalue to 1e-2": _top_eigenvalue,
}


def _measured(subject, prepare):
    """Return {"ms", "peak MB", "peak P", "note"} of a job, alone on the device, or {"note"} where it cannot run."""
    device = subject.device
    _cleared(subject)
    before = _allocated(device)
    try:
        with quiet_numerics(device):
            call, note = prepare(subject)
            seconds = _median_seconds(call, device)
            peak = (
                torch.cuda.max_memory_allocated(device) - before if device.type == "cuda" else None
            )
        note = getattr(call, "note", note)
    except ImportError:
        return {"note": "not installed"}
    except Exception as error:  # whatever stops one job is told, and the others run
        return {"note": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
    finally:
        call = None
        _cleared(subject)
    found = {"ms": 1e3 * seconds, "note": note}
    if peak is not None:
        found |= {"peak MB": peak / 1e6, "peak P": peak / (4 * subject.size)}
    return found


def _cleared(subject):
    subject.network.to("cpu").zero_grad(set_to_none=True)
    gc.collect()
    if subject.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(subject.device)


def _allocated(device):
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _median_seconds(call, device, at_most=1.0):
    """Return the median seconds of a call, over as many as take a second (three at least), two apart as a warm-up."""
    once = getattr(call, "once", False)
    times = []
    for _ in range(0 if once else 2):
        _seconds(call, device)
    while not times or (not once and (len(times) < 3 or sum(times) < at_most) and len(times) < 50):
        times.append(_seconds(call, device))
    return statistics.median(times) / getattr(call, "share", 1)


def _seconds(call, device):
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _line(job, found, jobs):
    if "ms" not in found:
        return f"| {job} | | | | | {found['note']} |"
    ratios = [
        f"{found['ms'] / jobs[other]['ms']:.2f}"
        for other in ("forward", "gradient")
        if "ms" in jobs.get(other, {})
    ]
    peaks = [f"{found[key]:.4g}" if key in found else "" for key in ("peak MB", "peak P")]
    return f"| {job} | {found['ms']:.3g} | {' / '.join(ratios)} | {' | '.join(peaks)} | {found['note']} |"


# The zoo: each entry under each probe on both devices, which must agree to rounding, or refuse alike


def _zoo(device, end):
    from tests.helpers.zoo import ZOO

    cells, missing = [], []
    for name, entry in ZOO.items():
        if time.monotonic() > end:
            missing.append(name)
            continue
        problem = _problem_of(entry)
        for probe, (run, factor) in PROBES.items():
            outcome, words = _cell(problem, run, factor, device)
            cells.append({"network": name, "probe": probe, "outcome": outcome, "words": words})
            if outcome == "failed":
                print(f"  FAILED {name}, {probe}: {words}", flush=True)
    counts = {
        kind: sum(cell["outcome"] == kind for cell in cells)
        for kind in ("right", "refused", "failed")
    }
    print(f"\nzoo on {device} against the CPU, {len(ZOO)} networks, {len(PROBES)} probes: {counts}")
    if missing:
        print(f"not run, the time was over: {', '.join(missing)}")
    return {"counts": counts, "not run": missing, "cells": cells}


def _problem_of(entry):
    """Return the problem of an entry, or the refusal of it."""
    torch.manual_seed(0)
    try:
        whole = entry.data(torch.Generator().manual_seed(0))
        data = entry.batches(whole) if entry.batches else whole
        return Problem(entry.make(), None, entry.loss, data, **entry.options)
    except Exception as error:
        return error


def _cell(problem, run, factor, device):
    """Return (outcome, words) of a probe: "right" where both devices agree, "refused" where both refuse."""
    there, here = _tried(problem, run, device), _tried(problem, run, "cpu")
    if isinstance(here, ValueError) and isinstance(there, ValueError):
        return "refused", str(there)
    for place, found in (("CPU", here), (device, there)):
        if isinstance(found, Exception):
            return "failed", f"on the {place}: {type(found).__name__}: {str(found)[:300]}"
    kinds = {p.dtype for p in problem.build().parameters()}
    allowed = 2 * factor * max(_ROUNDING[kind] for kind in kinds)  # each device rounds once
    scale = max(np.abs(here).max(), np.finfo(float).tiny)
    error = np.abs(there - here).max() / scale
    words = f"off by {error:.2g} where rounding allows {allowed:.2g}"
    return ("right" if error <= allowed else "failed"), words


def _tried(problem, run, device):
    if isinstance(problem, Exception):
        return problem
    try:
        return np.asarray(run(problem, device), dtype=np.float64)
    except Exception as error:  # a refusal, or a fault: both are results
        return error


def _line_through(problem, device, at_once=None):
    plane = directions.random(problem, 1, rng=0)
    axis = np.linspace(-0.5, 0.5, 5)
    found = section(
        problem, plane, [axis], metrics=("loss",), device=device, at_once=at_once, progress=False
    )
    return found.values["loss"]


def _product_of_zoo(problem, device):
    operator = HessianOperator(problem, device=device)
    v = np.random.default_rng(0).standard_normal(operator.shape[0])
    return operator @ v.astype(operator.dtype)


def _eigenvalues(problem, device):
    operator = HessianOperator(problem, device=device)
    return top_eigenpairs(operator, min(2, operator.shape[0]), tol=1e-6).values


PROBES = {
    "loss": (lambda problem, device: Objective(problem, device=device).loss(), 1),
    "gradient": (lambda problem, device: Objective(problem, device=device).gradient(), 10),
    "section": (_line_through, 2),
    "section, point by point": (lambda p, device: _line_through(p, device, at_once=1), 2),
    "Hessian product": (_product_of_zoo, 100),
    "top eigenvalues": (_eigenvalues, 100),
}


if __name__ == "__main__":
    raise SystemExit(as_command(lambda: int(bool(main())), "gpu"))
