"""Training and checkpoints: what checks, records and reproducible draws cost over plain torch."""

import functools
import tempfile
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from benchmarks.harness import Case
from landscape_viz import checkpoint, datasets, models, training


def cases():
    """Return this chapter's cases."""
    files = _Files()
    return [
        Case(
            "training: an epoch of ResNet-20 on digits",
            _trained,
            _plainly_trained,
            against="plain torch loop",
            aim="about 1",
            repeats=3,
        ),
        Case(
            "checkpoint: save VGG-13 (106 MB), hashed, synced",
            files.save,
            files.torch_save,
            against="torch.save",
        ),
        Case(
            "checkpoint: load VGG-13, verified", files.load, files.torch_load, against="torch.load"
        ),
    ]


class _Files:
    """Two files of a VGG-13, ours and torch's, made when first timed and gone when the process ends."""

    @functools.cached_property
    def _made(self):
        folder = tempfile.TemporaryDirectory()
        state = models.build("vgg13").state_dict()
        checkpoint.save(Path(folder.name) / "ours", state)
        torch.save(state, Path(folder.name) / "plain")
        return folder, state, Path(folder.name) / "ours", Path(folder.name) / "plain"

    def save(self):
        """Write ours."""
        checkpoint.save(self._made[2], self._made[1], overwrite=True)

    def torch_save(self):
        """Write torch's."""
        torch.save(self._made[1], self._made[3])

    def load(self):
        """Read ours."""
        checkpoint.load(self._made[2])

    def torch_load(self):
        """Read torch's."""
        torch.load(self._made[3], weights_only=True)


def _trained():
    training.train(models.build("resnet20"), datasets.load("digits"), epochs=1)


def _plainly_trained():
    data = datasets.load("digits")
    model = models.build("resnet20").train()
    adam = torch.optim.Adam(model.parameters())
    for chosen in torch.randperm(
        len(data.train_targets), generator=torch.Generator().manual_seed(0)
    ).split(64):
        adam.zero_grad()
        cross_entropy(model(data.train_inputs[chosen]), data.train_targets[chosen]).backward()
        adam.step()
    with torch.no_grad():
        model.eval()(data.test_inputs)
