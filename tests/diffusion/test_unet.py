"""The U-Net: its size, what it starts as, what it depends on, and that rows do not see one another."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from germline.diffusion.denoiser import Denoising, Flow
from germline.diffusion.precision import resolve
from germline.diffusion.unet import UNet, of_arrays


def network(channels=(32, 64), image_channels=1, classes=10, seed=0):
    return UNet(channels, image_channels, classes, torch.Generator().manual_seed(seed))


def stirred(**arguments):
    """A network whose zero-initialised parts are not zero."""
    made = network(**arguments)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=rng))
    return made


def batch(rows, channels=1, side=28):
    rng = torch.Generator().manual_seed(2)
    image = torch.randn(rows, channels, side, side, generator=rng)
    return image, torch.rand(rows, generator=rng) * 4 - 2, torch.randint(0, 11, (rows,), generator=rng)


def test_it_has_the_size_it_says():
    made = network()
    assert sum(parameter.numel() for parameter in made.parameters()) == 395_812
    with FlopCounterMode(display=False) as counter:
        made(*batch(1))
    assert counter.get_total_flops() == pytest.approx(41e6, rel=0.01)


@pytest.mark.parametrize("channels, side", [(1, 28), (3, 32), (1, 8)])
def test_it_starts_at_zero_and_learns_every_parameter(channels, side):
    made = network(image_channels=channels)
    image, noise, condition = batch(4, channels, side)
    assert (made(image, noise, condition) == 0).all()
    made = stirred(image_channels=channels)
    made(image, noise, condition).square().sum().backward()
    still = [name for name, parameter in made.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum() > 0]
    assert still == []


def test_weights_come_from_the_generator_and_from_nothing_else():
    before = torch.get_rng_state()
    first, again, other = network(seed=3), network(seed=3), network(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.first.weight, other.first.weight)


def test_each_input_matters():
    made = stirred()
    image, noise, condition = batch(3)
    out = made(image, noise, condition)
    for changed in ((image + 0.1, noise, condition), (image, noise + 0.1, condition), (image, noise, (condition + 1) % 11)):
        assert not torch.allclose(made(*changed), out)


def test_attention_is_that_of_torch():
    made = stirred().attention
    x = torch.randn(2, 64, 7, 7, generator=torch.Generator().manual_seed(0))
    tokens = made.norm(x).flatten(2).mT
    q, k, v = made.queries_keys_values(tokens).reshape(2, 49, 3, 4, 16).permute(2, 0, 3, 1, 4)
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    want = x + made.out(heads.permute(0, 2, 1, 3).reshape(2, 49, 64)).mT.reshape(2, 64, 7, 7)
    torch.testing.assert_close(made(x), want)


@pytest.mark.parametrize("precision", sorted({"fp32", resolve("auto")}))
def test_a_row_does_not_depend_on_its_batch(precision):
    """The samples of a row are promised to be the same whatever rows are made beside it."""
    denoising = Denoising(stirred(), Flow(), precision)
    image, noise, condition = batch(100)
    sigma = noise.exp()
    with torch.inference_mode():
        whole = denoising(image, sigma, condition)
        for rows in (slice(0, 1), slice(99, 100), slice(3, 10), slice(36, 100)):
            torch.testing.assert_close(denoising(image[rows], sigma[rows], condition[rows]), whole[rows], rtol=0, atol=1e-5)


def test_bottleneck_is_the_middle_blocks_output():
    made = stirred()
    caught = []
    made.middle.register_forward_hook(lambda module, inputs, output: caught.append(output))
    made(*batch(2))
    got = made.bottleneck(*batch(2))
    assert torch.equal(got, caught[0])
    assert got.shape == (2, 64, 7, 7)


def test_it_is_rebuilt_from_its_arrays_alone():
    made = stirred(channels=(8, 16), image_channels=3, classes=5)
    again = of_arrays({name: value.contiguous() for name, value in made.state_dict().items()})
    assert torch.equal(again(*batch(2, 3, 32)[:2], torch.tensor([0, 5])), made(*batch(2, 3, 32)[:2], torch.tensor([0, 5])))
    with pytest.raises(ValueError, match="not those of a UNet"):
        of_arrays({"first.weight": torch.zeros(3, 4, 3, 3)})


def test_sizes_it_cannot_take():
    with pytest.raises(ValueError, match=r"divisible by 4, but got \(30, 28\)"):
        network()(torch.zeros(1, 1, 30, 28), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"channels=\(8, 18\)"):
        network(channels=(8, 18))
