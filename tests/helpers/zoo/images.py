"""Networks on images: a perceptron, LeNet with `view`, residual, dense, depthwise, U-shaped, attending ones, autoencoders."""

import torch
from torch import nn
from torch.nn import functional

from landscape_viz import batch_loss
from tests.helpers.zoo.entry import CLASSES, Entry, cross_entropy, images


def mlp():
    """Return a perceptron."""
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, CLASSES))


class LeNet(nn.Module):
    """Two convolutions and `view`, as in torch's first tutorial."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 2)
        self.fc1, self.fc2 = nn.Linear(12, 6), nn.Linear(6, CLASSES)

    def forward(self, x):
        """Return logits."""
        x = functional.max_pool2d(torch.relu(self.conv1(x)), 2, stride=1)
        x = torch.relu(self.conv2(x))
        x = x.view(x.size(0), -1)
        return self.fc2(torch.relu(self.fc1(x)))


class ResNet(nn.Module):
    """A convolution, a residual block with BatchNorm, a mean over pixels."""

    def __init__(self):
        super().__init__()
        self.stem, self.first = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.second, self.norms = (
            nn.Conv2d(3, 3, 3, padding=1, bias=False),
            nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)]),
        )
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x):
        """Return logits."""
        x = torch.tanh(self.stem(x))
        inner = torch.tanh(self.norms[0](self.first(x)))
        return self.head((x + self.norms[1](self.second(inner))).mean((2, 3)))


class DenseNet(nn.Module):
    """Three convolutions, each of all that came before."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv2d(channels, 2, 3, padding=1) for channels in (1, 3, 5)]
        )
        self.head = nn.Linear(7, CLASSES)

    def forward(self, x):
        """Return logits."""
        for layer in self.layers:
            x = torch.cat([x, torch.tanh(layer(x))], dim=1)
        return self.head(x.mean((2, 3)))


def mobilenet():
    """Return depthwise and pointwise convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Hardswish(),
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Conv2d(4, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, CLASSES),
    )


class UNet(nn.Module):
    """Down, up by a transposed convolution, and a skip connection: a class for each pixel."""

    def __init__(self):
        super().__init__()
        self.down, self.middle = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.head = nn.Conv2d(4, CLASSES, 1)

    def forward(self, x):
        """Return logits, (N, classes, height, width)."""
        wide = torch.tanh(self.down(x))
        deep = torch.tanh(self.middle(functional.avg_pool2d(wide, 2)))
        return self.head(torch.cat([wide, self.up(deep)], dim=1))


def pixels(rng):
    """Return images and a label for each pixel, a tenth of them ignored."""
    inputs, _ = images(rng)
    labels = torch.randint(CLASSES, (len(inputs), 6, 6), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.1] = -100
    return inputs, labels


def counted(sample):
    """Return how many labels count."""
    return int((sample[1] != -100).sum())


def pixel_truth(model, batch):
    """Return the mean cross-entropy over the pixels that are not ignored."""
    chances = torch.log_softmax(model(batch[0]), dim=1)
    kept = batch[1] != -100
    picked = chances.gather(1, batch[1].clamp(min=0)[:, None])[:, 0]
    return -picked[kept].sum() / kept.sum()


class ViT(nn.Module):
    """Patches, a class token, learned positions, one encoder layer of torch."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 3, stride=3)
        self.token, self.places = (
            nn.Parameter(torch.zeros(1, 1, 4)),
            nn.Parameter(0.1 * torch.randn(1, 5, 4)),
        )
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, 0.1, "gelu", batch_first=True)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x):
        """Return logits."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.layer(x)[:, 0])


class ConvNeXt(nn.Module):
    """A depthwise convolution, LayerNorm over channels, a wide pointwise pair with GELU, and a layer scale."""

    def __init__(self):
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(1, 4, 2, 2), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm, self.wide, self.narrow = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 4)
        self.scale, self.head = nn.Parameter(torch.full((4,), 0.1)), nn.Linear(4, CLASSES)

    def forward(self, x):
        """Return logits."""
        x = self.stem(x)
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        inner = self.scale * self.narrow(functional.gelu(self.wide(inner)))
        return self.head((x + inner.permute(0, 3, 1, 2)).mean((2, 3)))


def autoencoder():
    """Return a convolutional autoencoder."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 2, 2), nn.Tanh(), nn.ConvTranspose2d(3, 1, 2, 2), nn.Sigmoid()
    )


def reconstruction(model, batch):
    """Return the mean squared error of a reconstruction; a batch is images alone."""
    return ((model(batch) - batch) ** 2).mean()


class VAE(nn.Module):
    """A variational autoencoder, whose code is its mean in evaluation mode, as usual."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(36, 4), nn.Linear(2, 36)

    def forward(self, x):
        """Return (reconstruction, mean, logarithm of the variance)."""
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, dim=1)
        code = mean
        if self.training:
            code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decoder(code).view_as(x), mean, log_variance


def elbo(model, batch):
    """Return the negative evidence bound, (sum over the samples, their number)."""
    found, mean, log_variance = model(batch)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return ((found - batch) ** 2).sum() + divergence, len(batch)


def elbo_truth(model, batch):
    """Return the same for each sample, averaged."""
    total = 0.0
    for image in batch:
        found, mean, log_variance = model(image[None])
        total = total + ((found - image) ** 2).sum()
        total = total + 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return total / len(batch)


def only_images(rng):
    """Return images without labels."""
    return torch.sigmoid(images(rng)[0])


ZOO = {
    "MLP": Entry(mlp, images, cross_entropy),
    "LeNet with view": Entry(LeNet, images, cross_entropy),
    "ResNet": Entry(ResNet, images, cross_entropy),
    "DenseNet": Entry(DenseNet, images, cross_entropy),
    "MobileNet (depthwise)": Entry(mobilenet, images, cross_entropy),
    "U-Net, ignored pixels": Entry(
        UNet, pixels, pixel_truth, nn.CrossEntropyLoss(), weight=counted
    ),
    "ViT": Entry(ViT, images, cross_entropy),
    "ConvNeXt": Entry(ConvNeXt, images, cross_entropy),
    "autoencoder": Entry(autoencoder, only_images, reconstruction, batch_loss(reconstruction)),
    "VAE": Entry(VAE, only_images, elbo_truth, batch_loss(elbo)),
}
