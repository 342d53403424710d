"""Sections and Hessian products beside the obvious code and other packages: CPU time and peak memory, on one thread.

    python -m benchmarks.peers --record               # `make bench-peers`: also writes the table of docs/benchmarks.md
    python -m benchmarks.peers --record --networks "GPT-2 124 M" --places 64    # takes the place of these rows alone
    python -m benchmarks.peers --networks "GPT 10 M" --jobs "our product" "plain double backward"

Each job has a process of its own, so that no package is helped or hindered by what another does to the process. The jobs of a
small network take turns, so that what else the machine does meets all of them; a turn is as many calls as take .1 s. The process
of a large one tells its memory: the peak of the resident set over what was held before the network was made, in P, the bytes of
the parameters; it counts the user's network and the activations. GPT-2 is that of transformers, by its own configuration. A
section is one of 7 x 7 points with all that it takes to prepare, directions included, of a small network, and one point of a
large one. The obvious code of a product is double backward with a kept graph. Packages that are not installed are left out.
"""

import argparse
import contextlib
import io
import json
import math
import statistics
import time
from functools import partial
from pathlib import Path

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from multifractal.base.chunks import workers

_WIDTHS = {1: (64, 10), 10: (256, 10), 50: (512, 14), 100: (768, 13), 300: (1024, 23)}  # layers
_WORDS, _PLACES, _REPEATS, _SIDE = 8000, 64, 5, 7
_ONCE = 20  # CPU seconds: a call that takes longer is not repeated
_TURN = 0.1  # CPU seconds of a turn, at least
_HELD: dict = {}  # the call of this process's job, and how many make a turn
RECORD = Path(__file__).with_name("peers.json")


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


class _Gpt2(nn.Module):
    """GPT-2 of transformers, with random weights; gives logits of shape (samples, words, places)."""

    def __init__(self, **sizes):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.inner = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, **sizes))

    def forward(self, x):
        """Return logits."""
        return self.inner(x, use_cache=False).logits.transpose(1, 2)


LANGUAGE_MODELS = {
    **{f"GPT {millions} M": partial(GPT, *_WIDTHS[millions]) for millions in _WIDTHS},
    "GPT-2 124 M": _Gpt2,
}


def main(argv=None):
    """Run the jobs and print the table."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    small = [*SMALL, "GPT 10 M", "GPT 50 M"]
    every = [*SMALL, *LANGUAGE_MODELS]
    flags.add_argument("--networks", nargs="+", default=small, choices=every)
    flags.add_argument("--jobs", nargs="+", help="of large networks (default: all)")
    flags.add_argument("--places", type=int, default=16, help="length of the sequence")
    flags.add_argument("--record", action="store_true", help="write the table of the page")
    flags = flags.parse_args(argv)
    rows = []
    for name in flags.networks:
        if name in SMALL:
            rows += _in_turn(name)
        else:
            jobs = flags.jobs or list(LARGE)
            rows += [_in_its_own_process(_alone, name, job, flags.places) for job in jobs]
    print(table(rows))
    if flags.record:
        RECORD.write_text(json.dumps(_merged(rows), indent=1) + "\n")
        from tools import tables

        tables.main([])


def _merged(rows):
    """Return the recorded rows with these in the place of those of the same network and job."""
    kept = {(row["network"], row["job"]): row for row in json.loads(RECORD.read_text())}
    kept |= {(row["network"], row["job"]): row for row in rows}
    order = list(dict.fromkeys(network for network, _ in kept))
    return sorted(kept.values(), key=lambda row: order.index(row["network"]))


def table(rows=None):
    """Return the table of rows, by default the recorded ones; times are also given in those of our job of that kind."""
    rows = json.loads(RECORD.read_text()) if rows is None else rows
    lines = ["| network | job | CPU s a call | times ours | peak (P) |", "|---|---|---|---|---|"]
    for row in rows:
        kind = row["job"].split()[-1]
        ours = [
            one["seconds"]
            for one in rows
            if one["network"] == row["network"] and one["job"] == f"our {kind}" and "seconds" in one
        ]
        if "failed" in row:
            lines.append(f"| {row['network']} | {row['job']} | {row['failed']} | | |")
            continue
        times = f"{row['seconds'] / ours[0]:.2f}" if ours else ""
        peak = f"{row['peak']:.1f}" if "peak" in row else ""
        job = row["job"] + (f" ({row['products']} products)" if "products" in row else "")
        lines.append(f"| {row['network']} | {job} | {row['seconds']:.3g} | {times} | {peak} |")
    return "\n".join(lines)


def _in_its_own_process(function, *arguments):
    with workers(1) as pool:
        return pool.submit(function, *arguments).result()


def _in_turn(name):
    """Return the rows of a small network: the median CPU seconds of a call of each job."""
    rows = []
    with contextlib.ExitStack() as stack:
        pools = {job: stack.enter_context(workers(1)) for job in JOBS_OF_SMALL}
        failed = {job: pool.submit(_ready, name, job).result() for job, pool in pools.items()}
        times = {job: [] for job in pools if failed[job] is None}
        for _ in range(_REPEATS):
            for job, taken in times.items():
                taken.append(pools[job].submit(_turn).result())
    for job in JOBS_OF_SMALL:
        row = {"network": name, "job": job}
        known = "seconds" if job in times else "failed"
        rows.append(row | {known: statistics.median(times[job]) if job in times else failed[job]})
    return rows


def _ready(name, job):
    """Make a job of a small network ready in this process, and call it once; return why it cannot be, or None."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        call = JOBS_OF_SMALL[job](*SMALL[name]())
        with _silent():
            call()
            _HELD.update(call=call, count=math.ceil(_TURN / _seconds(call)))
    except Exception as error:  # a package that is missing, or that cannot
        return _in_short(error)
    return None


def _turn():
    """Return the CPU seconds of a call of this process's job, over a turn of them."""
    with _silent():
        return _seconds(lambda: [_HELD["call"]() for _ in range(_HELD["count"])]) / _HELD["count"]


@contextlib.contextmanager
def _silent():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _alone(name, job, places):
    """Return the row of a job of a large network."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    row = {"network": f"{name}, {places} words", "job": job}
    try:
        _warm_up(name, job, places)
        before = _start_of_peak()
        network = LANGUAGE_MODELS[name]().eval()
        call = LARGE[job](network, *_sentence(places))
        times = [_seconds(call)]
        while len(times) < _REPEATS and times[0] < _ONCE:
            times.append(_seconds(call))
    except Exception as error:  # a package that is missing, or that cannot
        return row | {"failed": _in_short(error)}
    size = sum(p.numel() for p in network.parameters())
    peak = (_status("VmHWM") - before) / (4 * size)
    found = {"size": size, "peak": peak, "seconds": statistics.median(times)}
    return row | found | getattr(call, "told", {})


def _in_short(error):
    return "not installed" if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"


def _warm_up(name, job, places):
    """Run the job on a tiny network, so that what is imported and compiled is not counted."""
    tiny = _Gpt2(n_layer=2, n_embd=32, n_head=1) if "-2" in name else GPT(32, 2)
    LARGE[job](tiny.eval(), *_sentence(places))()


def _sentence(places):
    tokens = torch.randint(_WORDS, (1, places + 1))
    return tokens[:, :-1], tokens[:, 1:]


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


def _problem(network, inputs, targets, **options):
    from landscape_viz import Problem

    return Problem(network, None, "cross_entropy", (inputs, targets), **options)


def _point(network, inputs, targets):
    """Return the call of a point of a plane, which is drawn before, as users do."""
    from landscape_viz import directions
    from landscape_viz.loss.evaluate import Evaluator

    problem = _problem(network, inputs, targets)
    evaluator = Evaluator(problem, directions.random(problem, 2, rng=0).vectors, ("loss",))
    count = iter(range(10**6))
    return lambda: evaluator.run([[0.1, 1e-3 * next(count)]])


def _our_eigenvalue(network, inputs, targets):
    """Return the call of the largest eigenvalue to 1e-2, which tells its products."""
    from landscape_viz import HessianOperator, top_eigenpairs

    operator = HessianOperator(_problem(network, inputs, targets), memory_budget=1e10)

    def call():
        found = top_eigenpairs(operator, 1, tol=1e-2)
        call.told = {"products": found.products, "converged": found.converged}

    return call


def _our_section(network, inputs, targets):
    from landscape_viz import directions, section

    def call():
        problem = _problem(network, inputs, targets)
        plane = directions.random(problem, 2, rng=0)
        axis = f"-1:1:{_SIDE}"
        return section(problem, plane, [axis, axis], metrics=("loss",), progress=False)

    return call


def _loss_landscapes(network, inputs, targets):
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    metric = Loss(functional.cross_entropy, inputs, targets)
    options = {"distance": 1, "steps": _SIDE, "normalization": "filter", "deepcopy_model": True}

    def call():
        with torch.no_grad():
            return random_plane(network, metric, **options)

    return call


def _landscaper(network, inputs, targets):
    from landscaper import LossLandscape

    def loss(model, data):
        return float(functional.cross_entropy(model(data[0]), data[1]))

    def call():
        ways = [[torch.randn_like(p) for p in network.parameters()] for _ in range(2)]
        return LossLandscape.compute(
            network, (inputs, targets), ways, loss, steps=_SIDE, distance=1.0, dim=2, device="cpu"
        )

    return call


def _our_product(network, inputs, targets, **options):
    from landscape_viz import HessianOperator

    problem = _problem(network, inputs, targets, **options)
    operator = HessianOperator(problem, memory_budget=1e10)
    v = np.random.default_rng(0).standard_normal(operator.shape[0], dtype=np.float32)
    return lambda: operator @ v


def _plain_product(network, inputs, targets):
    parameters = list(network.parameters())
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        loss = functional.cross_entropy(network(inputs), targets)
    slopes = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    vectors = [torch.randn_like(p) for p in parameters]
    return lambda: torch.autograd.grad(slopes, parameters, vectors, retain_graph=True)


def _pyhessian(network, inputs, targets):
    from pyhessian import hessian
    from pyhessian.utils import hessian_vector_product

    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        made = hessian(network, functional.cross_entropy, data=(inputs, targets), cuda=False)
    vectors = [torch.randn_like(p) for p in made.params]
    return lambda: hessian_vector_product(made.gradsH, made.params, vectors)


def _eigenthings(network, inputs, targets):
    from hessian_eigenthings import HessianOperator

    def loss(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1])

    operator = HessianOperator(network, [(inputs, targets)], loss)
    v = torch.randn(sum(p.numel() for p in network.parameters()))

    def call():
        with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
            return operator.matvec(v)

    return call


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


def _mlp():
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return network, torch.randn(256, 1, 28, 28), torch.arange(256) % 10


def _resnet20():
    from landscape_viz import models

    network = models.build("resnet20", input_shape=(3, 32, 32)).eval()
    return network, torch.randn(16, 3, 32, 32), torch.arange(16) % 10


SMALL = {"MLP": _mlp, "ResNet-20": _resnet20}
PRODUCTS = {
    "our product": _our_product,
    "plain double backward product": _plain_product,
    "PyHessian product": _pyhessian,
    "hessian-eigenthings product": _eigenthings,
    "curvlinops product": _curvlinops,
}
JOBS_OF_SMALL = {
    "our section": _our_section,
    "loss-landscapes section": _loss_landscapes,
    "Landscaper section": _landscaper,
    **PRODUCTS,
}
LARGE = {
    "forward pass": _forward,
    "our section point": _point,
    "our largest eigenvalue": _our_eigenvalue,
    "our checkpointed product": partial(_our_product, checkpoint=True),
    **PRODUCTS,
}

if __name__ == "__main__":
    raise SystemExit(as_command(main, "peers"))
