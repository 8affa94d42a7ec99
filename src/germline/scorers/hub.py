"""Weights by their names on the Hugging Face hub, downloaded once."""

from __future__ import annotations

import re
from pathlib import Path

from germline.core.errors import BadInput, reason
from germline.core.extras import imported

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # owner/name
WORDS = ("*.json", "merges.txt", "vocab.txt")
CLIP, CLIP_H, BERT = "openai/clip-vit-large-patch14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "google-bert/bert-base-uncased"


def folder(who: str, where: str, weights: bool = True) -> Path:
    """Return a folder, or where the hub's repository of this name lies: configuration, words and, if wanted, safetensors.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        BadInput: there is neither, or no network and no earlier download.
    """
    path = Path(where).expanduser()
    if path.exists() or not NAME.fullmatch(where):
        return path
    hub = imported(who, "huggingface_hub", "rewards")
    try:
        return Path(hub.snapshot_download(where, allow_patterns=[*WORDS, *(["*.safetensors"] if weights else [])]))
    except (OSError, ValueError) as error:
        raise _nowhere(who, where, error) from error


def file(who: str, where: str, name: str) -> Path:
    """Return a file, or where the file ``name`` of the hub's repository of this name lies.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        BadInput: there is neither, or no network and no earlier download.
    """
    path = Path(where).expanduser()
    if path.exists() or not NAME.fullmatch(where):
        return path / name if path.is_dir() else path
    hub = imported(who, "huggingface_hub", "rewards")
    try:
        return Path(hub.hf_hub_download(where, name))
    except (OSError, ValueError) as error:
        raise _nowhere(who, where, error) from error


def _nowhere(who: str, where: str, error: Exception) -> BadInput:
    return BadInput(
        f"{who}: {where!r} is neither here nor a repository that the hub gives ({reason(error)}). Give the path of the weights."
    )
