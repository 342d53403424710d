"""The truth about an entry's loss: float64, all data in one batch, plain torch; the Hessian by differences of gradients."""

import functools

import numpy as np
import torch

from tests.helpers import naive_networks
from tests.helpers.zoo.entry import generator


class Truth:
    """Loss, gradient and Hessian of an entry as functions of the vector of its trainable parameters."""

    def __init__(self, entry):
        self.entry = entry
        self.model = self.network()
        self.dtypes = {p.dtype for p in self.model.parameters()}
        self.model = self.model.double().train(entry.training)
        if entry.training:
            for module in self.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.eval()
        self.batch = mapped(_double, self.data())
        self.origin = naive_networks.position(self.model).numpy()

    def network(self):
        """Return the plain network, in its own dtype."""
        torch.manual_seed(0)
        return (self.entry.plain or self.entry.make)()

    def data(self):
        """Return the whole data as one batch."""
        return self.entry.data(generator())

    def at(self, vector):
        """Return the network at a vector."""
        return naive_networks.moved(self.model, torch.as_tensor(np.asarray(vector, np.float64)))

    def loss(self, vector):
        """Return the loss at a vector."""
        return float(self.entry.truth(self.at(vector), self.batch).detach())

    def gradient(self, vector):
        """Return the gradient at a vector."""
        return naive_networks.gradient(self.at(vector), self._loss_of).numpy()

    @functools.cached_property
    def hessian(self):
        """The Hessian at the origin, by central differences of gradients."""
        return naive_networks.hessian_by_differences(self.model, self._loss_of)

    def of_samples(self, rows):
        """Return the gradient of the loss of these samples alone."""
        batch = mapped(lambda tensor: tensor[rows], self.batch)
        return naive_networks.gradient(
            self.model, lambda model: self.entry.truth(model, batch)
        ).numpy()

    def shares(self):
        """Return the gradients of what each sample adds to the loss; together they are the gradient."""
        if self.entry.shares is not None:
            parts = range(len(self.entry.shares(self.model, self.batch)))
            return np.array(
                [
                    naive_networks.gradient(
                        self.model, lambda model, i=i: self.entry.shares(model, self.batch)[i]
                    ).numpy()
                    for i in parts
                ]
            )
        alone = [mapped(lambda tensor, i=i: tensor[i : i + 1], self.batch) for i in range(10)]
        weights = np.array([self.entry.weight(sample) for sample in alone], float)
        slopes = [self.of_samples([i]) if weights[i] else 0 * self.origin for i in range(10)]
        return weights[:, None] / weights.sum() * np.array(slopes)

    def _loss_of(self, model):
        return self.entry.truth(model, self.batch)


class NoTruth:
    """In the place of the truth about an entry that is refused: numbers that are asked for before the refusal comes."""

    dtypes = (torch.float32,)
    origin, hessian = np.ones(1), np.eye(1)

    def loss(self, vector):
        """Return a number."""
        return 1.0

    def gradient(self, vector):
        """Return a vector."""
        return np.ones(1)


def mapped(function, batch):
    """Return a batch of tensors, alone, in a tuple or by name, with `function` applied to each."""
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, tuple):
        return tuple(map(function, batch))
    return {name: function(tensor) for name, tensor in batch.items()}


def _double(tensor):
    return tensor.double() if tensor.is_floating_point() else tensor
