"""Words as tokens, by the tokenizers of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from jaxtyping import Int64
from torch import Tensor

from germline.core.errors import BadInput, reason
from germline.core.extras import imported


class Tokens(Protocol):
    """A tokenizer of transformers, as far as it is used."""

    unk_token_id: int | None

    def __call__(self, text: Sequence[str], *, padding: str, truncation: bool, max_length: int, return_tensors: str) -> dict[str, Tensor]:
        """Return ``input_ids`` and ``attention_mask``."""
        ...

    def convert_tokens_to_ids(self, tokens: str) -> int | None:
        """Return a token's number."""
        ...

    def __len__(self) -> int: ...


def tokens(tokenizer: Tokens, prompts: Sequence[str], length: int) -> tuple[Int64[Tensor, "n {length}"], Int64[Tensor, "n {length}"]]:
    """Return token numbers and mask, all of one length; a longer prompt is cut, and keeps its end token."""
    made = tokenizer(list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return made["input_ids"], made["attention_mask"]


@lru_cache(maxsize=8)
def tokenizer(who: str, kind: str, folder: Path, end: str, rows: int, content: str) -> Tokens:
    """Return the tokenizer of class ``kind`` in a folder; ``content`` is its files' hash, so that changed ones are read anew.

    Raises:
        MissingExtra: transformers is not installed.
        BadInput: the folder holds none, or one of another vocabulary than the model's, which has ``rows`` rows.
    """
    try:
        made: Tokens = getattr(imported(who, "transformers", "rewards"), kind).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{who}: the tokenizer in {folder} cannot be opened: {reason(error)}") from error
    # A folder without a vocabulary gives a tokenizer that knows its special tokens only, and no error.
    last, first_word = made.convert_tokens_to_ids(end), int(tokens(made, ["a photo"], 8)[0][0, 1])
    if last is None or first_word in (last, made.unk_token_id):
        raise BadInput(f"{who}: {folder} holds no vocabulary of a {kind}; put its files there (vocab.json and merges.txt, or vocab.txt).")
    if len(made) > rows or last >= rows:
        raise BadInput(
            f"{who}: the tokenizer in {folder} knows {len(made)} tokens, but the model has {rows}; give the model's own tokenizer."
        )
    return made
