"""The toy's network against its formula, and a low-rank change against the merged kernels that it stands for."""

import numpy as np
import pytest
import torch

from germline.diffusion import low_rank, mlp
from germline.diffusion.denoiser import EDM, Denoising, Flow
from germline.diffusion.low_rank import LowRank
from germline.diffusion.mlp import MLP
from germline.diffusion.model import ClassModel, arrays_of, of_model_arrays
from germline.diffusion.optimiser import Optimiser, cosine
from germline.diffusion.unet import UNet


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs(n=5, side=8, classes=10):
    image = torch.randn(n, 1, side, side, generator=seeded(1))
    return image, torch.linspace(-1.2, 0.9, n), torch.tensor([0, 3, 9, 10, 10][:n]) % (classes + 1)


def test_the_mlp_is_its_formula():
    network, (image, noise, condition) = MLP(64, 10, seeded()), inputs()
    weight = {name: value.detach().numpy().astype(np.float64) for name, value in network.named_parameters()}
    silu = lambda z: z / (1 + np.exp(-z))
    frequency = np.exp(np.linspace(np.log(0.5), np.log(16), 16))
    angle = noise.numpy()[:, None].astype(np.float64) * frequency
    label = np.zeros((5, 10))
    label[[0, 1, 2], [0, 3, 9]] = 1  # rows 3 and 4 have no class: all zeros
    x = np.concatenate([image.numpy().reshape(5, 64), np.sin(angle), np.cos(angle), label], axis=1)
    x = silu(x @ weight["first.weight"].T + weight["first.bias"])
    for name in ("second", "third"):
        x = x + silu(x @ weight[f"{name}.weight"].T + weight[f"{name}.bias"])
    expected = (x @ weight["last.weight"].T + weight["last.bias"]).reshape(5, 1, 8, 8)
    np.testing.assert_allclose(network(image, noise, condition).detach().numpy(), expected, atol=2e-6)
    assert [tuple(kernel.shape) for kernel in network.kernels().values()] == [(256, 106), (256, 256), (256, 256), (64, 256)]


def changed(frozen, rank=3):
    network = LowRank(frozen, rank, seeded(2))
    with torch.no_grad():
        for up in network.up.values():
            up.normal_(0, 0.1, generator=seeded(3))
    return network


def unet():
    """A U-Net whose last convolution is not zero, as it is before training."""
    network = UNet((8, 16), 1, 10, seeded())
    torch.nn.init.normal_(network.last.weight, 0, 0.1, generator=seeded(5))
    return network


@pytest.mark.parametrize("of", [lambda: MLP(64, 10, seeded()), unet], ids=["mlp", "unet"])
def test_a_low_rank_change_is_what_its_merged_kernels_are(of):
    merged, network = of(), changed(of())
    assert not torch.equal(merged(*inputs()), network(*inputs()))
    with torch.no_grad():
        for name, kernel in merged.kernels().items():
            key = name.replace(".", "/")
            kernel += torch.einsum("or,rk->ok", network.up[key], network.down[key]).reshape(kernel.shape)
    torch.testing.assert_close(network(*inputs()), merged(*inputs()), rtol=0, atol=1e-5)


def test_it_starts_as_the_frozen_network_with_factors_of_the_stated_size():
    frozen = MLP(64, 10, seeded())
    before = frozen(*inputs())
    network = LowRank(frozen, 16, seeded(4))
    assert torch.equal(network(*inputs()), before)
    assert set(network.down) == {"first/weight", "second/weight", "third/weight", "last/weight"}
    for down, rest in zip(network.down.values(), (106, 256, 256, 256), strict=True):
        assert down.shape == (16, rest)
        assert down.var().item() == pytest.approx(1 / rest, rel=0.15)
    assert all(bool((up == 0).all()) for up in network.up.values())


def test_only_the_factors_are_trained():
    network = changed(MLP(64, 10, seeded()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = Optimiser(network, network.kernels(), 1e-2, 1e-2, torch.float32)
    assert all(name.split(".")[1] in ("down", "up") for name in optimiser.state()), "no state for what is frozen"
    image, _, condition = inputs()
    Denoising(network, EDM()).loss(image, image.flip(0), torch.full((5,), 0.5), condition).mean().backward()
    optimiser.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not name.startswith("frozen.")}


@pytest.mark.parametrize(
    "of", [lambda: MLP(16, 3, seeded(), 32), lambda: changed(MLP(16, 3, seeded(), 32)), lambda: UNet((8, 16), 1, 3, seeded())]
)
def test_models_of_every_network_survive_their_arrays(of):
    network, base = of(), "ab" * 32
    model = ClassModel(network, network, Flow(), base)
    arrays = arrays_of(model)
    assert not any(name.startswith("ema.") for name in arrays), "one network is stored once"
    again = of_model_arrays(arrays, Flow())
    assert (again.base, again.null, again.average) == (base, 3, again.network)
    args = inputs(3, 4, 3)
    assert torch.equal(again.network(*args), network(*args))
    assert {name: value.tobytes() for name, value in arrays_of(again).items()} == {name: value.tobytes() for name, value in arrays.items()}


def test_arrays_of_something_else_are_refused():
    with pytest.raises(ValueError, match="not those of an MLP"):
        mlp.of_arrays({"third.weight": torch.zeros(3, 3)})
    with pytest.raises(ValueError, match="not those of a low-rank change"):
        low_rank.of_arrays({"frozen.x": torch.zeros(1)}, MLP(16, 3, seeded()))
    with pytest.raises(ValueError, match="rank of at least 1, but got 0"):
        LowRank(MLP(16, 3, seeded()), 0, seeded())


def test_the_rate_rises_for_100_steps_and_falls_to_a_twentieth():
    assert [cosine(step, 1_000) for step in (0, 49, 99)] == pytest.approx([0.01, 0.5, 1])
    assert cosine(549, 1_000) == pytest.approx(0.525)
    assert cosine(999, 1_000) == pytest.approx(0.05)
    assert cosine(24, 100) == 1, "a short run warms up in a quarter of it"
