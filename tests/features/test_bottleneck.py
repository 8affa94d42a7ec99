"""The condition that generation 0 is fed for every row: the null class, or one label, and never the row's own."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.names import name_of
from germline.diffusion.denoiser import Flow
from germline.diffusion.model import ClassModel, of_images
from germline.diffusion.unet import UNet
from germline.features import Bottleneck


@dataclass(frozen=True)
class Founder:
    model: object


@pytest.fixture
def ctx(tiny):
    """A founder of three classes whose zero layers are not."""
    network = UNet((8, 16), 1, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return Context(1, 0, tiny, generations=(Founder(ClassModel(network, network, Flow())),))


def test_one_label_is_fed_to_all_rows_and_each_label_sees_something_else(ctx, tiny):
    pool, fed = tiny.real, {label: Bottleneck(label=label)(tiny.real, ctx) for label in (None, 0, 1, 2)}
    for label, seen in fed.items():
        condition = torch.full((len(pool),), 3 if label is None else label)
        expected = ctx.model(0).bottleneck(of_images(pool.images[:]), torch.ones(len(pool)), condition)
        np.testing.assert_allclose(seen, expected.detach().flatten(1).numpy(), atol=1e-5)
        relabelled = replace(pool, condition=2 - pool.condition)
        np.testing.assert_array_equal(Bottleneck(label=label)(relabelled, ctx), seen)
    assert all(np.abs(fed[a] - fed[b]).max() > 1e-3 for a in fed for b in fed if a != b)


def test_the_noise_level_that_it_is_told_matters(ctx, tiny):
    low, high = (Bottleneck(sigma)(tiny.real, ctx) for sigma in (0.1, 3.0))
    assert np.abs(low - high).max() > 1e-3


def test_the_pooled_one_is_the_mean_over_space(ctx, tiny):
    flat, pooled = Bottleneck()(tiny.real, ctx), Bottleneck(pooled=True)(tiny.real, ctx)
    np.testing.assert_allclose(flat.reshape(len(flat), pooled.shape[1], -1).mean(axis=2), pooled, atol=1e-5)


def test_names_say_what_is_not_usual():
    extractors = (Bottleneck(), Bottleneck(0.34, True), Bottleneck(label=2), Bottleneck(2.0, label=0))
    assert list(map(name_of, extractors)) == ["bottleneck", "bottleneck-pooled-sigma0.34", "bottleneck-label2", "bottleneck-sigma2-label0"]


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_generation_0_does_not_know(ctx, tiny, label):
    with pytest.raises(BadInput, match=f"label must be one of the classes 0 to 2, but is {label}"):
        Bottleneck(label=label)(tiny.real, ctx)
