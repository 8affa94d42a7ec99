"""The vectors of texts, each made once: kept by text, so another order, a dropped row or another stage makes none again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from germline.core import digest
from germline.core.atomic import replacing
from germline.core.cache import Cache
from germline.core.progress import Progress, silent
from germline.prompts.encoders import TextEncoder

BLOCK = 1024  # texts that are lost at most by a kill


def embedded(
    encoder: TextEncoder, texts: Sequence[str], cache: Cache | None = None, progress: Progress = silent
) -> Float32[np.ndarray, "n d"]:
    """Return the vectors of all texts; only those that ``cache`` does not have are made, block after block."""
    hashes = [digest.of_bytes(text.encode()) for text in texts]
    text_of = dict(zip(hashes, texts, strict=True))
    folder = (cache or Cache(None)).file(digest.of_part(encoder), ".vectors")
    found = _kept(folder, text_of) if folder else {}
    missing = [key for key in text_of if key not in found]
    known = f", {len(found):,} known" if found else ""
    with progress(f"embed ({encoder.name}{known})", len(missing)) as advance:
        for start in range(0, len(missing), BLOCK):
            block = missing[start : start + BLOCK]
            vectors = encoder([text_of[key] for key in block])
            if folder:
                _keep(folder, block, vectors)
            found |= zip(block, vectors, strict=True)
            advance(len(block))
    return np.stack([found[key] for key in hashes]) if hashes else np.zeros((0, 1), np.float32)


def _keep(folder: Path, hashes: Sequence[str], vectors: Float32[np.ndarray, "n d"]) -> None:
    """Write a block of its own: nothing that is there is changed, so several processes may add at once."""
    texts = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    with replacing(folder / f"{digest.of_array(texts)}.safetensors") as temporary:
        save_file({"texts": texts, "vectors": np.ascontiguousarray(vectors)}, temporary)


def _kept(folder: Path, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Return the vectors of those wanted texts that are there, by hash; a damaged block counts as not there."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            block = load_file(path)
        except SafetensorError:
            continue
        hashes = [row.tobytes().hex() for row in block["texts"]]
        found |= {key: vector for key, vector in zip(hashes, block["vectors"], strict=True) if key in wanted}
    return found
