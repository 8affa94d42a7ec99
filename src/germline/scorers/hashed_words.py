"""A text read as the bag of its words and of their pieces, each a row of a table that its hash picks: no vocabulary, no tokenizer."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

PIECES = (3, 4)  # letters; of a word with its ends marked


def pieces(text: str) -> list[str]:
    """Return the words of a text in lower case, ends marked, and all their pieces of three and four letters; of no words, the mark."""
    words = [f"<{word}>" for word in re.findall(r"[^\W_]+", text.lower())]
    found = [part for word in words for part in (word, *(word[i : i + n] for n in PIECES for i in range(len(word) - n + 1)))]
    return found or ["<>"]


def rows(texts: Sequence[str], size: int) -> tuple[Tensor, Tensor]:
    """Return which of ``size`` rows each text's pieces pick, one text after the other, and where each text begins."""
    each = [[zlib.crc32(piece.encode()) % size for piece in pieces(text)] for text in texts]
    starts = [0, *torch.tensor([len(some) for some in each]).cumsum(0).tolist()][:-1]
    return torch.tensor([row for some in each for row in some]), torch.tensor(starts)


def vectors(texts: Sequence[str], tensors: Mapping[str, Tensor]) -> Float32[Tensor, "n d"]:
    """Return a unit vector a text: the mean of its rows of ``table``, then two layers.

    Source: bags of pieces of words, arXiv 1607.04606, Section 3.2; the rest is ours.
    """
    picked, starts = rows(texts, len(tensors["table"]))
    mean = functional.embedding_bag(picked, tensors["table"], starts, mode="mean")
    inner = functional.gelu(functional.linear(mean, tensors["first.weight"], tensors["first.bias"]))
    return functional.normalize(functional.linear(inner, tensors["last.weight"], tensors["last.bias"]), dim=-1)
