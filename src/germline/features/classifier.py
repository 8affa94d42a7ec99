"""A small classifier of the data set's own classes, fitted on the judge split: a judge of samples, and a space to measure in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn
from torch.nn import functional

from germline.core.cache import Arrays
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool
from germline.core.seeds import rng
from germline.diffusion.optimiser import Optimiser, share
from germline.diffusion.precision import threads

FEATURES, WIDTHS = 64, (16, 32, 64)
MUON_RATE, ADAMW_RATE, DROP = 3e-3, 2e-3, 0.5


@dataclass(frozen=True)
class Classifier:
    """The 64 features before the last layer of a convolutional network that was fitted on the judge split, and its decisions.

    Fitted once a data set for ``images`` rows seen, with a fixed seed of its own, on one thread in float32: the same whatever the
    run's seed. Another ``seed`` is a second, independent judge. No augmentation: neither flips nor shifts helped (measured).

    Raises:
        BadInput: the data set has prompts, not classes.
    """

    seed: int = 0
    images: int = 40_000
    batch: int = 64
    needs: ClassVar[tuple[str, ...]] = ("judge",)

    @property
    def name(self) -> str:
        """Such as "classifier", or "classifier-1" for seed 1."""
        return f"classifier-{self.seed}" if self.seed else "classifier"

    def __call__(self, pool: Pool, ctx: Context) -> Float32[np.ndarray, "n 64"]:
        """Return (n, 64) float32, not below 0."""
        arrays = self._fitted(ctx)
        network = _restored(arrays, ctx)
        with threads(1), torch.inference_mode():
            features: np.ndarray = network.features(_standard(pool.images[:], arrays)).numpy()
        return features

    def log_probabilities(self, pool: Pool, ctx: Context) -> Float64[np.ndarray, "n c"]:
        """Return (n, classes) log-probabilities; the features they come from are cached."""
        arrays = self._fitted(ctx)
        features = ctx.features(self, pool).astype(np.float64)
        logits = np.stack([features @ row for row in arrays["head.weight"].astype(np.float64)], axis=1) + arrays["head.bias"]
        logits -= logits.max(axis=1, keepdims=True)
        log_probabilities: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return log_probabilities

    def predict(self, pool: Pool, ctx: Context) -> Int64[np.ndarray, " n"]:
        """Return the most probable class of each row."""
        classes: np.ndarray = self.log_probabilities(pool, ctx).argmax(axis=1)
        return classes.astype(np.int64)

    def accuracy(self, pool: Pool, ctx: Context) -> float:
        """Return the share of rows whose predicted class is their condition: on the held-out split how good a judge it is."""
        return float((self.predict(pool, ctx) == pool.condition).mean())

    def _fitted(self, ctx: Context) -> Arrays:
        return ctx.once(self, lambda: self._fit(ctx))

    def _fit(self, ctx: Context) -> Arrays:
        judge, classes = ctx.data.judge, len(ctx.data.classes)
        if not np.issubdtype(judge.condition.dtype, np.integer):
            raise BadInput(
                f"Classifier needs classes, but the conditions of {ctx.data.name} are prompts; measure in pixels or efficientnet."
            )
        if not len(judge):
            raise BadInput(f"Classifier is fitted on the judge split, but that of {ctx.data.name} is empty; give it rows.")
        images: np.ndarray = judge.images[:]
        scale = {"mean": images.mean(axis=(0, 1, 2), dtype=np.float64), "std": images.std(axis=(0, 1, 2), dtype=np.float64) + 1e-6}
        x, y = _standard(images, scale), torch.from_numpy(np.ascontiguousarray(judge.condition))
        with threads(1):
            network = Network(ctx.data.image_shape, classes)
            network.start(rng(self.seed, REAL, "classifier/weights"))
            self._train(network, x, y, ctx)
        return {**scale, **{name: value.contiguous().numpy() for name, value in network.state_dict().items()}}

    def _train(self, network: Network, x: Float[Tensor, "n c h w"], y: Tensor, ctx: Context) -> None:
        optimiser = Optimiser(network, network.kernels(), MUON_RATE, ADAMW_RATE, torch.float32)
        steps, order = math.ceil(self.images / self.batch), np.empty(0, np.int64)
        with ctx.progress("fit the classifier", self.images) as advance:
            for step in range(steps):
                if len(order) < min(self.batch, len(x)):
                    order = np.concatenate([order, rng(self.seed, REAL, "classifier/order", step).permutation(len(x))])
                rows, order = torch.from_numpy(order[: self.batch]), order[self.batch :]
                drop = rng(self.seed, REAL, "classifier/drop", step).random((len(rows), network.hidden.in_features), np.float32) < DROP
                loss = functional.cross_entropy(network.head(network.features(x[rows], torch.from_numpy(drop))), y[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step(share(step, steps))
                advance(len(rows))


class Network(nn.Module):
    """Convolutions 3x3 with pooling until the image is at most 8 high or wide, one more, a layer of 64, and one output a class."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        height, width, channels = image_shape
        halvings = max(min(height, width) > 1, math.ceil(math.log2(min(height, width) / 8)))
        widths = [channels, *(WIDTHS[min(i, len(WIDTHS) - 1)] for i in range(halvings + 1))]
        with torch.device("meta"):
            self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
            self.hidden = nn.Linear(widths[-1] * (height >> halvings) * (width >> halvings), FEATURES)
            self.head = nn.Linear(FEATURES, classes)
        self.to_empty(device="cpu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Float[Tensor, "b c h w"], drop: Tensor | None = None) -> Float[Tensor, "b 64"]:
        """Return what the last layer sees; ``drop`` marks values of the flattened map that are left out in training."""
        *pooled, last = self.convolutions
        for convolution in pooled:
            x = functional.relu(functional.max_pool2d(convolution(x), 2))
        flat = functional.relu(last(x)).flatten(1)
        if drop is not None:
            flat = flat.masked_fill(drop, 0) / (1 - DROP)
        return functional.relu(self.hidden(flat))

    def kernels(self) -> dict[str, nn.Parameter]:
        """Return the matrices inside: all but vectors, first and last layer."""
        ends = ("convolutions.0.weight", "head.weight")
        return {name: parameter for name, parameter in self.named_parameters() if parameter.ndim > 1 and name not in ends}

    @torch.no_grad()
    def start(self, generator: np.random.Generator) -> None:
        """Set weights to U(-1, 1) / sqrt(fan in) and biases to 0."""
        for parameter in self.parameters():
            values = generator.uniform(-1, 1, parameter.shape) / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 0.0
            parameter.copy_(torch.as_tensor(values))


def _restored(arrays: Mapping[str, np.ndarray], ctx: Context) -> Network:
    network = Network(ctx.data.image_shape, len(ctx.data.classes))
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items() if name not in ("mean", "std")})
    return network


def _standard(images: np.ndarray, scale: Arrays) -> Float[Tensor, "n c h w"]:
    """Return images with each channel's mean and standard deviation over the judge split taken out, channels_last in memory."""
    return torch.from_numpy(((images - scale["mean"]) / scale["std"]).astype(np.float32)).permute(0, 3, 1, 2)
