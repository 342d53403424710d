"""Two ranks of a distributed job have the numbers of one process, the page's script runs, and what cannot be shared is refused."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from torch import distributed

from landscape_viz import Ranks
from landscape_viz.devices.ranks import _Part
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Folder of a finished job of two processes with what each found; not to be changed."""
    folder = tmp_path_factory.mktemp("job")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = os.environ | {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.helpers.ranks_job", str(folder)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=300) for process in running]
    assert all(process.returncode == 0 for process in running), said
    assert said[0][0].strip() == "equal to the bit"
    return folder


@pytest.fixture(scope="module")
def found(job):
    """What each rank found."""
    return [json.loads((job / f"rank_{rank}.json").read_text()) for rank in range(2)]


def test_the_numbers_are_those_of_one_process(found):
    """Loss, gradient, product, eigenvalues, section and sharpness, in float64: equal to some roundings of sums of 70 terms."""
    for name, value in found[0]["shared"].items():
        np.testing.assert_allclose(
            value, found[0]["alone"][name], rtol=1e-11, atol=1e-13, err_msg=name
        )


def test_every_rank_has_the_same_bits(found):
    """What is summed over ranks is the same number on each, so that iterations end at the same step."""
    assert found[0]["shared"] == found[1]["shared"]


def test_each_rank_may_hold_its_own_part(found):
    """32 samples here and 38 there have the loss of the 70 in the same batches."""
    assert found[0]["own"] == pytest.approx(found[0]["alone"]["loss"], rel=1e-12)


def test_ranks_with_one_batch_each(found):
    """A loss of one's own, checked on the only batch that a rank has, is that of one process."""
    shared, alone = found[0]["one batch each"]
    assert shared == pytest.approx(alone, rel=1e-12)


def test_a_model_in_ddp_is_taken_out_of_it(found):
    """Loss, gradient, product, eigenvalues, section and sharpness are those of the network itself."""
    assert found[0]["wrapped"] == found[0]["shared"]


def test_a_run_in_ddp_goes_on_between_probes(found):
    """Both ranks have the same weights after two steps, and each its own batch's critical sharpness."""
    (weights, sharpness), (others, other) = (one["trained"] for one in found)
    assert weights == others
    assert 0 < sharpness != other > 0


def test_shards_are_gathered_as_the_refusal_says(found):
    """The loss of a network under FSDP, by the state that its refusal asks for, is that of one process."""
    assert [one["gathered"] for one in found] == 2 * [found[0]["alone"]["loss"]]


def test_only_the_first_rank_writes(job):
    """The page's section left one store."""
    assert (job / "section.store").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a batch's gradient", "hold all data in this process for the gradient of a batch"),
        ("samples", "hold all data in this process for fisher_rao_norm"),
        ("dropout", "depend on the order of the batches"),
        ("few batches", "pass a smaller batch_size"),
        ("other data", "be the same on every rank, which takes its share of the batches"),
        ("other weights", "state must be the same on every rank"),
        ("shards", "get_model_state_dict"),
        ("shards watched", "train under DistributedDataParallel"),
        ("state in shards", "full_tensor()"),
        ("a pool", "stay in their own job"),
    ],
)
def test_what_cannot_be_shared_out_is_refused_on_every_rank(found, name, words):
    """Each refusal says the rule or the remedy, and none leaves the other rank waiting."""
    for one in found:
        assert words in one["refusals"][name]


def test_without_a_job_there_are_no_ranks():
    """The words name torchrun."""
    if distributed.is_initialized():  # by a network of the zoo
        distributed.destroy_process_group()
    with pytest.raises(ValueError, match="start the script by torchrun"):
        Ranks()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_hold_each_item_once(count):
    """The parts of all ranks together are the items."""
    parts = [list(_Part(list(range(7)), index, count)) for index in range(count)]
    assert sorted(sum(parts, [])) == list(range(7))
