"""Sections and Hessian products of GPT-like networks beside the obvious code and other packages: CPU time and peak memory.

    python -m benchmarks.peers                        # 10 and 50 M parameters: `make bench-peers`
    python -m benchmarks.peers --millions 10 --jobs "our product" "plain double backward"

Each job runs in a process of its own, on one thread, in turn with the others. Memory is the peak of the resident set over what
the process held before the network was made, in P, the bytes of the parameters; it counts the user's network and the
activations. The obvious code of a product is double backward with a kept graph, as PyHessian has it. Packages that are not
installed are left out.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_WIDTHS = {1: (64, 10), 10: (256, 10), 50: (512, 14), 100: (768, 13), 300: (1024, 23)}  # layers
_WORDS, _PLACES, _REPEATS = 8000, 64, 5


class GPT(nn.Module):
    """A language model with tied embeddings; gives logits of shape (samples, words, places)."""

    def __init__(self, width, depth):
        super().__init__()
        self.words, self.places = nn.Embedding(_WORDS, width), nn.Embedding(_PLACES, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, width // 32, 4 * width, 0.0, batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x):
        """Return logits."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        x = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return functional.linear(self.norm(x), self.words.weight).transpose(1, 2)


def main(argv=None):
    """Run the jobs and print the table."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    flags.add_argument("--millions", nargs="+", type=int, default=[10, 50], choices=list(_WIDTHS))
    flags.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS))
    flags.add_argument("--places", type=int, default=16, help="length of the sequence")
    flags.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    flags = flags.parse_args(argv)
    rows = []
    print("| job | M parameters | P (MB) | peak (P) | CPU s to prepare | CPU s a call |")
    print("|---|---|---|---|---|---|")
    for millions in flags.millions:
        for job in flags.jobs:
            rows.append(row := _in_its_own_process(job, millions, flags.places))
            print(_line(row), flush=True)
    if flags.out:
        flags.out.write_text(json.dumps(rows, indent=1))


def _line(row):
    if "failed" in row:
        return f"| {row['job']} | {row['millions']} | | | | {row['failed']} |"
    return (
        f"| {row['job']} | {row['size'] / 1e6:.1f} | {4e-6 * row['size']:.0f} | {row['peak']:.1f} | "
        f"{row['prepare']:.2f} | {row['seconds']:.3g} |"
    )


def _in_its_own_process(job, millions, places):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, job, millions, places).result()


def _measured(job, millions, places):
    """Return the row of a job."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        _warm_up(job, places)
        before = _start_of_peak()
        network = GPT(*_WIDTHS[millions]).eval()
        tokens = torch.randint(_WORDS, (1, places + 1))
        start = time.process_time()
        call = JOBS[job](network, tokens[:, :-1], tokens[:, 1:])
        prepare = time.process_time() - start
        seconds = statistics.median(_seconds(call) for _ in range(_REPEATS))
    except Exception as error:  # a package that is missing, or that cannot
        return {"job": job, "millions": millions, "failed": f"{type(error).__name__}: {error}"}
    size = sum(p.numel() for p in network.parameters())
    peak = (_status("VmHWM") - before) / (4 * size)
    row = {"job": job, "millions": millions, "size": size, "peak": peak}
    return row | {"prepare": prepare, "seconds": seconds}


def _warm_up(job, places):
    """Run the job on a tiny network, so that what is imported and compiled is not counted."""
    tokens = torch.randint(_WORDS, (1, places + 1))
    JOBS[job](GPT(32, 1).eval(), tokens[:, :-1], tokens[:, 1:])()


def _seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def _start_of_peak():
    """Begin the peak of the resident set anew, and return what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(word):
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{word}:")[1].split()[0])


def _forward(network, inputs, targets):
    def call():
        with torch.no_grad():
            return float(functional.cross_entropy(network(inputs), targets))

    return call


def _problem(network, inputs, targets):
    from landscape_viz import Problem

    return Problem(network, None, "cross_entropy", (inputs, targets))


def _section(network, inputs, targets):
    """Return the call of a point of a plane, which is drawn before, as users do."""
    from landscape_viz import directions
    from landscape_viz.loss.evaluate import Evaluator

    problem = _problem(network, inputs, targets)
    evaluator = Evaluator(problem, directions.random(problem, 2, rng=0).vectors, ("loss",))
    count = iter(range(10**6))
    return lambda: evaluator.run([[0.1, 1e-3 * next(count)]])


def _our_product(network, inputs, targets):
    from landscape_viz import HessianOperator

    operator = HessianOperator(_problem(network, inputs, targets), memory_budget=1e10)
    v = np.random.default_rng(0).standard_normal(operator.shape[0], dtype=np.float32)
    return lambda: operator @ v


def _plain_product(network, inputs, targets):
    parameters = list(network.parameters())
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        loss = functional.cross_entropy(network(inputs), targets)
    slopes = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    vectors = [torch.randn_like(p) for p in parameters]
    return lambda: torch.autograd.grad(slopes, parameters, vectors, retain_graph=True)


def _curvlinops(network, inputs, targets):
    from curvlinops import HessianLinearOperator

    operator = HessianLinearOperator(
        network,
        nn.CrossEntropyLoss(),
        list(network.parameters()),
        [(inputs, targets)],
        check_deterministic=False,
    )
    v = torch.randn(operator.shape[1])

    def call():
        with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
            return operator @ v

    return call


JOBS = {
    "forward pass": _forward,
    "our section point": _section,
    "our product": _our_product,
    "plain double backward": _plain_product,
    "curvlinops product": _curvlinops,
}

if __name__ == "__main__":
    main()
