"""A compact class-conditional U-Net: 0.40 M parameters and 41 MFLOP a 28x28 image, because all work is at half and quarter size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from germline.diffusion.network import ClassNetwork

EMBEDDING, HEADS = 128, 4


class Norm(nn.Module):
    """LayerNorm over the channels of each pixel. On channels_last images this is one contiguous pass; GroupNorm in bf16 is not."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return each pixel with mean 0 and variance 1 over its channels, scaled and shifted."""
        pixels = x.permute(0, 2, 3, 1)
        normal: Tensor = functional.layer_norm(pixels, self.scale.shape, self.scale.to(x.dtype), self.shift.to(x.dtype))
        return normal.permute(0, 3, 1, 2)


class Block(nn.Module):
    """x + conv(SiLU(norm(conv(SiLU(norm(x)))) (1 + a) + b)), (a, b) linear in the embedding; the last convolution starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.modulated = Norm(channels), Norm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(EMBEDDING, 2 * channels)

    def forward(self, x: Float[Tensor, "b c h w"], embedding: Float[Tensor, "b e"]) -> Float[Tensor, "b c h w"]:
        """Return the block's output."""
        a, b = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        y = self.first(functional.silu(self.norm(x)))
        y = functional.silu(torch.addcmul(b, self.modulated(y), 1 + a))
        residual: Tensor = self.second(y)
        return x + residual


class Attention(nn.Module):
    """Multi-head self-attention over pixels, pre-norm, residual; the output projection starts at 0.

    Written out as product, softmax, product: at 49 tokens the backward pass of the fused kernel takes most of a step on a CPU.

    Source: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, Eq. 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return x plus what each pixel gathers from all pixels."""
        b, c, h, w = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c)
        parts = self.queries_keys_values(tokens).reshape(b, h * w, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = parts.reshape(3, b * HEADS, h * w, c // HEADS)
        share = torch.softmax(torch.bmm(query * (c // HEADS) ** -0.5, key.transpose(1, 2)), dim=-1)
        heads = torch.bmm(share.to(value.dtype), value).reshape(b, HEADS, h * w, c // HEADS)
        gathered: Tensor = self.out(heads.permute(0, 2, 1, 3).reshape(b, h * w, c))
        return x + gathered.reshape(b, h, w, c).permute(0, 3, 1, 2)


class UNet(ClassNetwork):
    """F(image, noise, condition), any even height and width divisible by 4. Condition ``classes`` is the null class.

    Space to depth by 2; block; half size, block; attention, block; **add** the kept map, block; double size, add, block; back.
    Weights start from the given generator alone; the output starts at 0.

    Source: Ronneberger et al., "U-Net", arXiv 1505.04597; the modulation is that of Dhariwal and Nichol, arXiv 2105.05233.

    Raises:
        ValueError: a number of channels that the attention's heads do not divide.
    """

    def __init__(self, channels: tuple[int, int], image_channels: int, classes: int, generator: torch.Generator) -> None:
        wide, narrow = channels
        if narrow % HEADS or min(channels) < 1:
            raise ValueError(f"UNet needs channels that {HEADS} attention heads divide, but got channels={channels}; use (32, 64).")
        super().__init__()
        self.classes, self.image_channels = classes, image_channels
        with torch.device("meta"):
            self.label = nn.Embedding(classes + 1, EMBEDDING)
            self.embed = nn.Sequential(nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU())
            self.first = nn.Conv2d(4 * image_channels, wide, 3, padding=1)
            self.down_wide, self.shrink, self.down_narrow = Block(wide), nn.Conv2d(wide, narrow, 2, stride=2), Block(narrow)
            self.attention, self.middle = Attention(narrow), Block(narrow)
            self.up_narrow, self.grow, self.up_wide = Block(narrow), nn.Conv2d(narrow, 4 * wide, 1), Block(wide)
            self.norm, self.last = Norm(wide), nn.Conv2d(wide, 4 * image_channels, 3, padding=1)
        self.to_empty(device="cpu")
        self._start(generator)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Return the raw output for a noisy image, an embedded noise level, and a class or ``classes`` for none."""
        wide, narrow, embedding, middle = self._encode(image, noise, condition)
        x = self.up_narrow(middle + narrow, embedding)
        x = _restored(functional.pixel_shuffle(self.grow(x), 2))
        x = self.up_wide(x + wide, embedding)
        return functional.pixel_shuffle(self.last(functional.silu(self.norm(x))), 2)

    def bottleneck(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, " b"], condition: Int[Tensor, " b"]
    ) -> Float[Tensor, "b narrow h//4 w//4"]:
        """Return the middle block's output, the latents that latent-space filtering probes; the way up is not computed."""
        return self._encode(image, noise, condition)[3]

    def kernels(self) -> dict[str, nn.Parameter]:
        """Return the matrices and convolution kernels inside the network: all but vectors, label table, first and last convolution."""
        ends = ("label.weight", "first.weight", "last.weight")
        return {name: parameter for name, parameter in self.named_parameters() if parameter.ndim > 1 and name not in ends}

    def _encode(self, image: Tensor, noise: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if image.shape[2] % 4 or image.shape[3] % 4:
            raise ValueError(f"UNet needs a height and width divisible by 4, but got {tuple(image.shape[2:])}; pad or resize the images.")
        embedding = self._embedding(noise, condition)
        x = self.first(_restored(functional.pixel_unshuffle(image, 2)))
        wide = self.down_wide(x, embedding)
        narrow = self.down_narrow(self.shrink(wide), embedding)
        return wide, narrow, embedding, self.middle(self.attention(narrow), embedding)

    def _embedding(self, noise: Tensor, condition: Tensor) -> Float[Tensor, "b e"]:
        half = EMBEDDING // 2
        frequency = 8 * 1_000 ** (-torch.arange(half, dtype=noise.dtype, device=noise.device) / half)
        angle = noise[:, None] * frequency
        vector = torch.cat([angle.cos(), angle.sin()], dim=1) + self.label(condition)
        embedding: Tensor = self.embed(vector)
        return embedding

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        """Set kernels to U(-1, 1) / sqrt(fan in), the label table to N(0, 0.02^2), gains to 1, the rest to 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(name.endswith("scale"))
            elif name == "label.weight":
                parameter.normal_(0, 0.02, generator=generator)
            elif name.endswith("second.weight") or name in ("attention.out.weight", "last.weight"):
                parameter.zero_()
            else:
                bound = 1 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)


def of_arrays(arrays: Mapping[str, Tensor]) -> UNet:
    """Return the U-Net of these named parameters; their shapes tell its channels and classes.

    Raises:
        ValueError: a parameter is missing, superfluous, or of another shape.
    """
    try:
        first, shrink, label = arrays["first.weight"], arrays["shrink.weight"], arrays["label.weight"]
        network = UNet((first.shape[0], shrink.shape[0]), first.shape[1] // 4, label.shape[0] - 1, torch.Generator())
        network.load_state_dict(dict(arrays))
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"These arrays are not those of a UNet: {error}") from error
    return network


def _restored(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
