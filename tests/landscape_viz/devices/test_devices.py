"""Several devices: who takes which, and what lies where."""

import platform
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from landscape_viz import Problem, directions, section
from landscape_viz.devices import claims, random_state
from landscape_viz.loss import batches, placing

pytestmark = pytest.mark.quick

META = torch.device(
    "meta"
)  # a device without memory: what lies there shows which batches were moved


def one_linear():
    """Return a network that a worker can make."""
    return torch.nn.Linear(3, 2)


@pytest.fixture
def problem():
    """Return a small problem."""
    draws = torch.Generator().manual_seed(0)
    data = torch.randn(6, 3, generator=draws), torch.arange(6) % 2
    return Problem(one_linear, None, "cross_entropy", data)


def test_workers_number_themselves(monkeypatch, tmp_path):
    """Two holders have the first two devices, the third shares the first, and who has ended makes room."""
    monkeypatch.setattr(claims.tempfile, "gettempdir", lambda: str(tmp_path))

    class Worker:
        pass

    taken = []
    for _ in range(3):
        monkeypatch.setattr(claims, "_own", Worker())
        taken.append((claims.claimed(["a", "b"]), claims._own))
    assert [device for device, _ in taken] == ["a", "b", "a"]
    assert claims.claimed(["x", "y", "z"]) == "z"  # the third worker stays the third
    taken[1][1].lock.close()
    monkeypatch.setattr(claims, "_own", Worker())
    assert claims.claimed(["a", "b"]) == "b"


def test_a_section_over_devices_has_the_bits_of_one(problem):
    """A process each for two names of the CPU gives the grid of this process; both names are recorded."""
    plane = directions.random(problem, 1), ["-1:1:4"]
    mapped = section(problem, *plane, devices=["cpu", "cpu"])
    assert np.array_equal(mapped.grid, section(problem, *plane).grid)
    assert mapped.settings["device"] == "cpu, cpu"


@pytest.mark.parametrize("devices", [[], "cuda:0", ["nowhere"]])
def test_devices_are_checked(problem, devices):
    """An empty list, a bare name and a device that is not here."""
    with pytest.raises(ValueError, match="device"):
        section(problem, directions.random(problem, 1), ["-1:1:4"], devices=devices)


def test_data_lie_on_the_device_within_the_budget(monkeypatch):
    """Of three batches of 40 bytes two fit a quarter of 360 free bytes; the third, and all after it, stay here."""
    monkeypatch.setattr(placing, "free_bytes", lambda device: 360)
    found = [torch.zeros(10) for _ in range(3)] + [torch.zeros(1)]
    placed = placing.near(found, META, lambda b: batches.mapped(lambda t: t.to(META), b))
    assert [batch.device.type for batch in placed] == ["meta", "meta", "cpu", "cpu"]


def test_a_full_device_leaves_the_data_here():
    """Where moving runs out of memory all the same, batches stay."""

    def full(batch):
        raise torch.OutOfMemoryError("full")

    assert [b.device.type for b in placing.near([torch.zeros(3)] * 2, META, full)] == ["cpu"] * 2


def test_what_does_not_fit_is_pinned_for_cuda(monkeypatch):
    """On CUDA the batches that stay are copied to pinned memory; this machine need not have any."""
    pinned = []
    monkeypatch.setattr(placing, "free_bytes", lambda device: 0)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: pinned.append(t) or t)
    found = [(torch.zeros(2), torch.zeros(2))]
    assert placing.near(found, torch.device("cuda"), None)[0][0].device.type == "cpu"
    assert len(pinned) == 2


def test_streamed_data_stay_streamed():
    """What is no list is read again at each pass."""
    stream = object()
    assert placing.near(stream, META, None) is stream


def test_every_generator_is_seeded_inside_and_put_back_after():
    """Inside, torch, numpy and Python draw what fresh generators of that seed draw; after it, they go on as if nothing had been."""
    for seed in (7, 2**32 + 7):  # numpy takes 32 bits
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1:]  # noqa: NPY002
        with random_state.seeded(seed):
            drawn = torch.rand(3), random.random(), np.random.random(3)  # noqa: NPY002
        fresh = torch.rand(3, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(drawn[0], fresh)
        assert drawn[1] == random.Random(seed).random()
        np.testing.assert_array_equal(drawn[2], np.random.RandomState(7).random_sample(3))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        np.testing.assert_equal(np.random.get_state()[1:], before[2])  # noqa: NPY002


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's way of keeping memory")
def test_freed_memory_is_kept():
    """Blocks of 1 MiB take 256 new pages each at every use before, and none once freed memory is kept."""
    code = """if True:
        import resource, torch
        from landscape_viz.devices.heap import keep_freed_memory
        torch.set_num_threads(1)

        def pages():
            found = []
            for _ in range(3):
                before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                blocks = [torch.zeros(2**18) for _ in range(4)]
                del blocks
                found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
            return found[-1]

        before = pages()
        keep_freed_memory()
        print(before, pages())
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    before, after = map(int, done.stdout.split())
    assert after < 10 < 500 < before
