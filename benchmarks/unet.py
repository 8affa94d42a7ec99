"""The compact U-Net beside diffusers' ``UNet2DModel`` (32, 64, 64): images a CPU second, and the FLOP that explain them.

One thread, 28x28x1, one process, rounds of both in turn; the best round counts. A training step is loss, backward and AdamW for
diffusers, Muon with AdamW for ours. Not compute-matched: read the ratio a FLOP before the ratio.

    python benchmarks/unet.py [--rounds 3]
"""

import argparse
import time
from collections.abc import Callable

import diffusers
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from germline.diffusion.denoiser import Denoising, Flow
from germline.diffusion.optimiser import Optimiser
from germline.diffusion.precision import resolve
from germline.diffusion.unet import UNet

TRAIN, INFER, SIDE = 128, 250, 28


class Peer(nn.Module):
    """diffusers' network behind our signature."""

    def __init__(self) -> None:
        super().__init__()
        self.net = diffusers.UNet2DModel(
            sample_size=SIDE,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            norm_num_groups=8,
            num_class_embeds=11,
        )

    def forward(self, image: Tensor, noise: Tensor, condition: Tensor) -> Tensor:
        """Return the raw output."""
        return self.net(image, noise, class_labels=condition).sample


def batch(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    image = torch.randn(rows, 1, SIDE, SIDE, generator=rng)
    return image, torch.rand(rows, generator=rng) + 0.1, torch.randint(0, 11, (rows,), generator=rng)


def training(network: nn.Module, optimiser: Optimiser, precision: str) -> Callable[[], object]:
    image, sigma, condition = batch(TRAIN)
    denoising = Denoising(network, Flow(), precision)

    def step() -> None:
        denoising.loss(image, image.flip(0), sigma, condition).mean().backward()
        optimiser.step()

    return step


def inference(network: nn.Module, precision: str) -> Callable[[], object]:
    image, sigma, condition = batch(INFER)
    denoising = Denoising(network, Flow(), precision)

    @torch.inference_mode()
    def run() -> None:
        denoising(image, sigma, condition)

    return run


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    call()
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def mflop(network: nn.Module) -> float:
    with FlopCounterMode(display=False) as counter:
        network(*batch(1))
    return counter.get_total_flops() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)  # diffusers draws its weights from the global stream

    calls: dict[tuple[str, str, str], tuple[Callable[[], object], int]] = {}
    flop, size = {}, {}
    for precision in ("fp32", "bf16"):
        ours, peer = UNet((32, 64), 1, 10, torch.Generator().manual_seed(0)), Peer()
        nets = {
            "compact": (ours, Optimiser(ours, ours.kernels(), 3e-3, 2e-3, torch.bfloat16 if precision == "bf16" else torch.float32)),
            "diffusers": (peer, Optimiser(peer, {}, 3e-3, 2e-3, torch.float32)),
        }
        for name, (network, optimiser) in nets.items():
            calls[name, precision, "train"] = training(network, optimiser, precision), TRAIN
            calls[name, precision, "infer"] = inference(network, precision), INFER
            flop[name], size[name] = mflop(network), sum(p.numel() for p in network.parameters()) / 1e6
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for key, (call, _) in calls.items():
            best[key] = min(best[key], seconds(call))
    rate = {key: rows / best[key] for key, (_, rows) in calls.items()}

    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread, native bf16: {resolve('auto') == 'bf16'}")
    print(f"{'network':<10} {'M':>5} {'MFLOP':>6}   images a CPU second: {'train fp32':>10} {'bf16':>6} {'infer fp32':>11} {'bf16':>6}")
    for name in ("compact", "diffusers"):
        row = [rate[name, precision, what] for what in ("train", "infer") for precision in ("fp32", "bf16")]
        print(f"{name:<10} {size[name]:5.2f} {flop[name]:6.0f} {'':<22} {row[0]:12.0f} {row[1]:6.0f} {row[2]:11.0f} {row[3]:6.0f}")
    for what in ("train", "infer"):
        ours = rate["compact", "bf16", what] / max(rate["diffusers", precision, what] for precision in ("fp32", "bf16"))
        same = rate["compact", "fp32", what] / rate["diffusers", "fp32", what]
        fewer = flop["diffusers"] / flop["compact"]
        print(f"{what}: compact bf16 / diffusers at its best {ours:.1f}x, both fp32 {same:.1f}x;", end=" ")
        print(f"FLOP {fewer:.1f}x fewer, so a FLOP {ours / fewer:.1f}x")


if __name__ == "__main__":
    main()
