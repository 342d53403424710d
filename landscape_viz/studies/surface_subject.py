"""What `LL_visualisation.py` maps: the network, data, loss and directions that its flags ask for."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import Dropout
from torch.nn.functional import mse_loss, one_hot

from landscape_viz import Directions, Problem, checkpoint, datasets, directions, models
from landscape_viz.loss.call import importable
from multifractal.base.checks import refuse, require, whole_number


def softmax_mse(outputs, targets):
    """Return the mean square of probabilities minus one-hot targets: what plot_surface.py calls mse."""
    wanted = one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    return mse_loss(outputs.softmax(-1), wanted)


LOSSES = {"crossentropy": "cross_entropy", "softmax_mse": softmax_mse}


class Subject:
    """Network, data and loss by the flags.

    Attributes
    ----------
    data : Dataset
    factory : callable
        Makes the network without arguments, at its initial weights.
    loss : any loss of `Problem`
    """

    def __init__(self, flags):
        self.flags = flags
        self.data = _data(flags)
        self.factory = _factory(flags, self.data)
        self.loss = LOSSES.get(flags.loss, flags.loss)
        self.drops = any(isinstance(module, Dropout) for module in self.factory().modules())

    def problem(self, state):
        """Return the problem of the network at `state`, in the modes and on the images that are asked for."""
        flags, published = self.flags, self.flags.train_mode == "y"
        images, size = self._images()
        network = self.factory
        if flags.dir_type == "states":
            network = models.moving_statistics(self.factory())
        return Problem(
            network,
            state,
            self.loss,
            images,
            rng=flags.seed,
            batch_norm="batch" if published else "eval",
            dropout=flags.map_dropout or ("live" if published and self.drops else "off"),
            batch_size=None if size >= len(images[1]) else size,
        )

    def plane(self, problem):
        """Return one or two directions: those of --dir_file, towards other checkpoints, or random ones."""
        flags, path = self.flags, self.flags.dir_file and Path(self.flags.dir_file)
        if path and path.exists() and not flags.overwrite:
            return _read(path, problem, _count(flags))
        made = self._made(problem)
        if path:
            _write(path, made, problem, flags.overwrite)
        return made

    def _made(self, problem):
        flags = self.flags
        asked = [
            (flags.load_model2, flags.xnorm or flags.norm, flags.xignore or flags.ignore),
            (flags.load_model3, flags.ynorm or flags.norm, flags.yignore or flags.ignore),
        ][: _count(flags)]
        rows, drawn = [], {}
        for k, (file, norm, ignore) in enumerate(asked):
            if file:
                one = directions.toward(problem, checkpoint.load(file).state_dict)
                rows.append(replace(one, labels=[f"towards {Path(file).name}"]))
            else:
                if (norm, ignore) not in drawn:  # those of a large network take seconds
                    drawn[norm, ignore] = directions.random(
                        problem, len(asked), norm=norm, ignore=ignore, rng=flags.seed
                    )
                found = drawn[norm, ignore]
                rows.append(
                    replace(found, vectors=found.vectors[[k]], labels=found.labels[k : k + 1])
                )
        return directions.combined(*rows)

    def _images(self):
        """Return (inputs, targets) drawn once, and how many make a batch."""
        flags, data = self.flags, self.data
        if flags.split == "test":
            data = replace(data, train_inputs=data.test_inputs, train_targets=data.test_targets)
        count = _number(flags.n_samples, flags.batch_size, len(data.train_targets))
        labels = flags.shuffle == "y"
        return data.batch(count, rng=flags.seed, random_labels=labels), flags.batch_size


def _count(flags):
    return 1 if flags.y == "none" else 2


def _number(asked, usual, total):
    if asked is None:
        return usual
    if asked == "all":
        return total
    good = asked.isdigit() and 0 < int(asked) <= total
    require(good, "--n_samples", asked, f"be 1 to {total}, or all", "pass fewer")
    return int(asked)


def _data(flags):
    if flags.data is None:
        root, fetch = flags.data_root, flags.download_data
        return datasets.load(flags.dataset, data_root=root, download=fetch)
    found = importable("--data", flags.data)()
    if isinstance(found, datasets.Dataset):
        return found
    first, second = found
    train, test = (first, second) if isinstance(first, tuple | list) else (found, found)
    for part in (*train, *test):
        good = isinstance(part, torch.Tensor)
        require(good, "--data", type(part).__name__, "give tensors", "return (inputs, targets)")
    classes = not train[1].is_floating_point()
    return datasets.Dataset(
        flags.data, *train, *test, n_classes=int(train[1].max()) + 1 if classes else 1
    )


def _factory(flags, data):
    if ":" in flags.model:
        return importable("--model", flags.model)
    if flags.model not in models.BUILDERS:
        raise refuse(
            "--model",
            flags.model,
            f"be module:factory or one of {', '.join(models.BUILDERS)}",
            "choose one of these",
        )
    options = {"dropout": 0.0} if flags.no_drop == "y" and flags.model in ("vgg", "mlp") else {}
    return partial(
        models.build,
        flags.model,
        rng=whole_number("--seed", flags.seed, 0),
        input_shape=data.input_shape,
        n_classes=data.n_classes,
        **options,
    )


def _read(path, problem, count):
    is_npz = path.suffix == ".npz"
    found = Directions.load(path) if is_npz else directions.from_h5(problem, path)
    found.check(problem)
    require(
        len(found) >= count,
        "--dir_file",
        f"{path} with {len(found)} directions",
        f"hold {count}",
        "pass --y none for a line",
    )
    return replace(found, vectors=np.array(found.vectors[:count]), labels=found.labels[:count])


def _write(path, made, problem, overwrite):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        made.save(path, overwrite=overwrite)
    else:
        made.to_h5(path, problem, overwrite=overwrite)
