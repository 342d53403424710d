"""One rank of a job of two: `python -m tests.helpers.ranks_job FOLDER`, with torchrun's variables in the environment.

Runs the script of docs/beyond_one_machine.md, then writes what the tests of `Ranks` look at into FOLDER/rank_N.json.
"""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from landscape_viz import (
    EdgeMonitor,
    HessianOperator,
    Objective,
    Problem,
    Ranks,
    directions,
    section,
    sharpness,
    top_eigenpairs,
)
from tests.conftest import ROOT

BATCHES = {"batch_size": 16, "batch_norm": "batch"}


def network():
    """Return a network with BatchNorm."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()


def data(count=70):
    """Return samples that no power of two divides; the last of their batches is smaller."""
    draws = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, generator=draws, dtype=torch.float64), torch.arange(count) % 3


def made(**options):
    """Return a problem whose normalisation is by the statistics of each batch."""
    asked = BATCHES | options
    return Problem(network(), None, "cross_entropy", asked.pop("data", data()), **asked)


def numbers(problem):
    """Return what is computed with the data shared out, and must be what one process finds."""
    objective, operator = Objective(problem), HessianOperator(problem)
    v = np.cos(np.arange(objective.size))
    plane = directions.random(problem, 2)
    return {
        "loss": objective.loss(),
        "value and gradient": np.hstack(objective.value_and_gradient()).tolist(),
        "product": (operator @ v).tolist(),
        "eigenvalues": top_eigenpairs(operator, 2).values.tolist(),
        "section": section(problem, plane, ["-1:1:3", "-1:1:2"]).grid.ravel().tolist(),
        "sharpness": sharpness.sam_sharpness(problem).value,
    }


def mean(outputs, targets):
    """Return a loss of one's own, of which nothing is known."""
    return nn.functional.cross_entropy(outputs, targets)


def own_part(ranks):
    """Return a problem of which each rank is given its own samples, by count and content."""
    x, y = data()
    cut = slice(0, 32) if ranks.index == 0 else slice(32, None)
    return made(data=(x[cut], y[cut]), ranks=Ranks(own_data=True))


def refusal(call):
    """Return the words with which a call is refused."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return "nothing"


def refusals(ranks):
    """Return the words of everything that a job must refuse, by name."""
    shared = made(ranks=ranks)
    sharded = fully_shard(nn.Sequential(nn.Linear(4, 3)))
    x, y = data()
    other = network()
    nn.init.constant_(other[0].bias, ranks.index)
    return {
        "a batch's gradient": refusal(lambda: Objective(shared).batch_gradient(0)),
        "samples": refusal(lambda: sharpness.fisher_rao_norm(shared)),
        "dropout": refusal(lambda: made(ranks=ranks, dropout="fixed")),
        "few batches": refusal(lambda: Objective(made(ranks=ranks, batch_size=None))),
        "other data": refusal(lambda: made(data=(x + ranks.index, y), ranks=ranks)),
        "other weights": refusal(
            lambda: Problem(other, None, "cross_entropy", data(), batch_size=16, ranks=ranks)
        ),
        "shards": refusal(lambda: Problem(sharded, None, "cross_entropy", data())),
        "shards watched": refusal(
            lambda: EdgeMonitor(sharded, torch.optim.SGD(sharded.parameters()), "cross_entropy")
        ),
        "state in shards": refusal(
            lambda: Problem(nn.Sequential(nn.Linear(4, 3)), sharded.state_dict(), "mse", data())
        ),
        "a pool": refusal(ranks.__getstate__),
    }


def gathered():
    """Return the loss of a network in shards, its weights gathered as the refusal says."""
    sharded, options = fully_shard(network()), StateDictOptions(full_state_dict=True)
    weights = [get_model_state_dict(sharded, options=options)]
    distributed.broadcast_object_list(weights)  # only the first rank is given them
    return Objective(Problem(network, weights[0], "cross_entropy", data(), **BATCHES)).loss()


def trained(model):
    """Return the weights after two steps of a model in data parallelism, every probe between them, and a monitor's sharpness."""
    x, y = (part[distributed.get_rank() :: 2] for part in data())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    monitor = EdgeMonitor(model, optimizer, "cross_entropy", every=1, curvature_every=None)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        row = monitor.step((x, y))
        numbers(Problem(model, None, "cross_entropy", data(), **BATCHES))
    return [p.tolist() for p in model.parameters()], row["critical_sharpness"]


def main(folder):
    """Run the page's script, then the job of the tests."""
    page = (ROOT / "docs" / "beyond_one_machine.md").read_text()
    script = re.findall(r"as `sweep_ranks.py`:\n\n```python\n(.*?)```", page, re.DOTALL | re.I)[0]
    os.chdir(folder)
    exec(compile(script, "sweep_ranks.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", **_place())
    ranks = Ranks()
    wrapped = nn.parallel.DistributedDataParallel(network())
    found = {
        "shared": numbers(made(ranks=ranks)),
        "alone": numbers(made()),
        "own": Objective(own_part(ranks)).loss(),
        "one batch each": [
            Objective(Problem(network(), None, mean, data(), batch_size=35, ranks=share)).loss()
            for share in (ranks, None)
        ],
        "wrapped": numbers(Problem(wrapped, None, "cross_entropy", data(), ranks=ranks, **BATCHES)),
        "trained": trained(wrapped),
        "gathered": gathered(),
        "refusals": refusals(ranks),
    }
    Path(folder, f"rank_{ranks.index}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _place():
    return {"rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
