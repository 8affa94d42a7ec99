"""Muon against torch's, the law of the rates, and an interruption that leaves no trace."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from germline.diffusion.denoiser import Denoising, Flow, weighted_mean
from germline.diffusion.ema import Ema
from germline.diffusion.muon import Muon, orthogonalise
from germline.diffusion.optimiser import Optimiser, share
from germline.diffusion.unet import UNet


def matrices(*shapes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return {str(i): torch.nn.Parameter(torch.randn(shape, generator=rng)) for i, shape in enumerate(shapes)}


def test_singular_values_are_brought_near_1_and_directions_kept():
    matrix = torch.randn(1, 24, 40, generator=torch.Generator().manual_seed(0))
    for given in (matrix, matrix.mT):
        u, _, vt = torch.linalg.svd(given, full_matrices=False)
        got = u.mT @ orthogonalise(given, torch.float32) @ vt.mT
        assert (torch.diagonal(got, dim1=1, dim2=2) > 0.6).all()
        assert (torch.diagonal(got, dim1=1, dim2=2) < 1.3).all()
        assert (got - torch.diag_embed(torch.diagonal(got, dim1=1, dim2=2))).abs().max() < 1e-4


def test_equals_torchs_muon_on_matrices():
    ours, theirs = matrices((16, 40), (40, 16), (16, 40)), matrices((16, 40), (40, 16), (16, 40))
    mine = Muon(ours, 0.01, torch.bfloat16)
    reference = torch.optim.Muon(theirs.values(), lr=0.01, weight_decay=0.0, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")
    start = {name: parameter.detach().clone() for name, parameter in ours.items()}
    for step in range(6):
        for name, gradient in matrices((16, 40), (40, 16), (16, 40), seed=step + 1).items():
            ours[name].grad = theirs[name].grad = gradient.detach()
        mine.step()
        reference.step()
    for name in ours:
        moved = (theirs[name] - start[name]).norm()
        assert (ours[name] - theirs[name]).norm() < 0.02 * moved


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_a_kernel_moves_as_its_matrix(memory):
    """A kernel's memory format changes nothing."""
    start = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    gradient = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    kernel = torch.nn.Parameter(start.clone(memory_format=memory))
    flat = torch.nn.Parameter(start.permute(0, 2, 3, 1).reshape(8, 36).clone())
    kernel.grad, flat.grad = gradient.clone(memory_format=memory), gradient.permute(0, 2, 3, 1).reshape(8, 36)
    Muon({"a": kernel}, 0.01, torch.float32).step()
    Muon({"a": flat}, 0.01, torch.float32).step()
    torch.testing.assert_close(kernel.permute(0, 2, 3, 1).reshape(8, 36), flat)
    moved = (kernel.detach() - start).square().mean().sqrt().item()
    assert moved == pytest.approx(0.01 * 0.2, rel=0.2), "the root mean square of AdamW's step"


def test_rates_rise_stay_and_fall():
    shares = np.array([share(step, 800) for step in range(800)])
    assert shares[:30] == pytest.approx(np.arange(1, 31) / 30)
    assert (shares[30:400] == 1).all()
    assert shares[-1] == pytest.approx(0.03)
    assert np.diff(shares[400:]) == pytest.approx(np.full(399, -0.97 / 400))
    assert share(0, 1) == 1


@pytest.mark.parametrize("warm_up, left", [(False, 0.9**10), (True, 1 / math.comb(10 + 9, 9))])
def test_ema_is_the_closed_form(warm_up, left):
    """What is left of the start after 10 steps: decay^10, or with warm-up the product of (1 + t) / (10 + t)."""
    weights, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        average.weight.fill_(1.0)
        weights.weight.fill_(0.0)
    ema = Ema(weights, average, 0.9, warm_up)
    for step in range(10):
        ema.update(step)
    assert average.weight.item() == pytest.approx(left, rel=1e-5)
    with pytest.raises(ValueError, match=r"is 1\.0"):
        Ema(weights, average, 1.0)


@pytest.mark.parametrize("with_muon", [True, False])
def test_resumed_training_has_the_same_bits(with_muon):
    """Six steps, or three steps, everything through bytes, new objects, three more."""

    def fresh():
        network, average = (UNet((8, 16), 1, 3, torch.Generator().manual_seed(0)) for _ in range(2))
        optimiser = Optimiser(network, network.kernels() if with_muon else {}, 3e-3, 2e-3, torch.bfloat16)
        return network, average, optimiser, Ema(network, average, 0.9)

    def train(parts, steps):
        network, _, optimiser, ema = parts
        for step in steps:
            rng = torch.Generator().manual_seed(step)
            x0, eps = torch.randn(2, 8, 1, 8, 8, generator=rng)
            loss = Denoising(network, Flow()).loss(x0, eps, torch.rand(8, generator=rng) + 0.1, torch.randint(0, 4, (8,), generator=rng))
            weighted_mean(loss, torch.ones(8)).backward()
            optimiser.step(share(step, 6))
            ema.update(step)

    def state(parts):
        network, average, optimiser, _ = parts
        named = {"raw": network.state_dict(), "ema": average.state_dict(), "optimiser": optimiser.state()}
        return {f"{part}/{name}": value.contiguous() for part, values in named.items() for name, value in values.items()}

    whole = fresh()
    train(whole, range(6))

    half = fresh()
    train(half, range(3))
    stored = load(save(state(half)))
    again = fresh()
    of = lambda part: {name.removeprefix(f"{part}/"): value for name, value in stored.items() if name.startswith(f"{part}/")}
    again[0].load_state_dict(of("raw"))
    again[1].load_state_dict(of("ema"))
    again[2].restore(of("optimiser"))
    train(again, range(3, 6))

    end, resumed = state(whole), state(again)
    assert [name for name in end if not torch.equal(end[name], resumed[name])] == []
    assert not torch.equal(end["raw/last.weight"], stored["raw/last.weight"])
