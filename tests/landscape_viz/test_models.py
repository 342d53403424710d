"""Networks by name: published parameter counts, shapes, reproducible weights, and refusals."""

import re

import pytest
import torch
from torch import nn

from landscape_viz import models

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("vgg13", (1, 28, 28), 26_563_018),
        ("vgg16", (3, 32, 32), 33_646_666),
        ("resnet18", (1, 28, 28), 11_172_810),
        ("resnet18", (3, 32, 32), 11_173_962),
        ("resnet20", (3, 32, 32), 272_474),
        ("resnet20", (1, 28, 28), 272_474 - 2 * 9 * 16),
        ("resnet56", (3, 32, 32), 855_770),
        (
            "resnet56_noshort",
            (3, 32, 32),
            853_018,
        ),  # what shortcuts without weights leave (He et al.: 0.85 M)
        ("vgg9", (3, 32, 32), 2_789_706),
        ("densenet121", (3, 32, 32), 6_956_298),
        ("mlp", (1, 28, 28), 784 * 512 + 512 + 512 * 256 + 256 + 2560 + 10),
    ],
)
def test_parameter_counts_are_the_published_ones(name, shape, count):
    """Every architecture has the published number of parameters and gives one row of ten logits an image."""
    model = models.build(name, input_shape=shape).eval()
    assert models.parameter_count(model) == count
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


def test_layers_are_named_as_in_published_checkpoints():
    """Names of Li et al. (2018), one of each kind of layer, and no shortcut where the name says so."""
    names = {
        "vgg9": ["features.1.running_mean", "fc.1.bias", "classifier.weight"],
        "resnet56": ["layer2.0.shortcut.0.weight", "layer3.8.bn2.weight", "linear.bias"],
        "resnet56_noshort": ["layer1.0.conv1.weight", "layer3.8.bn2.weight"],
        "densenet121": ["dense4.15.conv2.weight", "trans3.bn.weight", "bn.bias"],
    }
    for name, keys in names.items():
        state = models.build(name).state_dict()
        assert set(keys) <= set(state)
        assert any("shortcut" in key for key in state) == (name == "resnet56")


def test_a_block_without_shortcut_lets_nothing_past():
    """With convolutions of 0 and BatchNorm at rest it gives 0, where the block with a shortcut gives its (positive) input."""
    images = torch.rand(2, 4, 3, 3)
    for shortcuts, expected in ((True, images), (False, torch.zeros_like(images))):
        block = models.ResidualBlock(4, 4, 1, shortcuts).eval()
        for convolution in (block.conv1, block.conv2):
            nn.init.zeros_(convolution.weight)
        assert torch.equal(block(images), expected)


def test_vgg_is_chosen_by_the_images_as_published():
    """The network "vgg" is VGG-13 for 28x28 images and VGG-16 for 32x32 ones, each with one Dropout(0.5) before the last layer."""
    small, large = (models.build("vgg", input_shape=shape) for shape in ((1, 28, 28), (3, 32, 32)))
    assert [sum(isinstance(m, nn.Conv2d) for m in model.modules()) for model in (small, large)] == [
        10,
        13,
    ]
    assert isinstance(small.fc[-2], nn.Dropout)
    assert small.fc[-2].p == 0.5
    assert sum(isinstance(m, nn.Dropout) for m in large.modules()) == 1


def test_order_within_vgg_stages_is_convolution_relu_batchnorm():
    """The published order puts BatchNorm after the ReLU."""
    kinds = [type(layer) for layer in models.build("vgg13").features[:7]]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * 2 + [nn.MaxPool2d]


@pytest.mark.parametrize("name", ["vgg13", "mlp"])
def test_without_dropout_two_training_passes_agree(name):
    """dropout=0 leaves no dropout layer, the number of parameters the same, and training passes deterministic."""
    images = torch.ones(2, 1, 28, 28)
    dropping, plain = (models.build(name, dropout=p) for p in (0.5, 0.0))
    assert models.parameter_count(dropping) == models.parameter_count(plain)
    assert not any(isinstance(m, nn.Dropout) for m in plain.modules())
    assert torch.equal(plain(images), plain(images))
    assert not torch.equal(dropping(images), dropping(images))


def test_seed_decides_the_weights_and_the_random_state_stays():
    """Equal seeds give equal weights, others differ, and torch's own random stream does not move."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (models.build("resnet20", rng=seed).conv1.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_residual_block_adds_its_input():
    """With the last BatchNorm's scale at 0 a block of equal shape is relu(input)."""
    block = models.ResidualBlock(4, 4, 1).eval()
    nn.init.zeros_(block.bn2.weight)
    images = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(images), images.relu())


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("alexnet", {}, "name must be one of 'resnet18', 'resnet20'"),
        (
            "vgg16",
            {"input_shape": (1, 28, 28)},
            "at least 32 pixels for 5 poolings, got (1, 28, 28)",
        ),
        (
            "resnet20",
            {"input_shape": (28, 28)},
            "input_shape must be three whole numbers, got (28, 28)",
        ),
        ("mlp", {"dropout": 1.0}, "dropout must lie in [0, 1), got 1.0"),
        ("mlp", {"hidden": (0,)}, "hidden must be a whole number, at least 1, got 0"),
        ("mlp", {"rng": -1}, "rng must be a whole number, at least 0, got -1"),
    ],
)
def test_bad_input_is_refused_with_its_rule(name, options, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        models.build(name, **options)
