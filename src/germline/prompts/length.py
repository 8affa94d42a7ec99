"""How many tokens of a text encoder a prompt takes: counted by the user's tokenizer, else estimated."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from germline.core.errors import BadInput, MissingExtra

CLIP_USABLE = 75  # 77 with start and end
IMAGEREWARD_USABLE = 33  # ImageReward reads 35 word pieces, [CLS] and [SEP] among them
PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|_)+", re.I)  # how CLIP cuts a text before it merges letters
LETTERS, MARKS = 8, 3  # of the estimate: one token a word, and one more for every so many letters; so many marks a token
Count = Callable[[Sequence[str]], list[int]]


def counter(folder: Path | None) -> tuple[Count, str]:
    """Return a function that counts tokens without start and end, and what it is called in reports.

    ``folder`` holds a tokenizer as diffusers and transformers save it, or a pipeline with one in ``tokenizer``. Without it the count is
    an estimate of CLIP's.

    Raises:
        MissingExtra: a folder is given, and transformers is not installed.
        BadInput: the folder holds no tokenizer.
    """
    if folder is None:
        return lambda texts: [estimate(text) for text in texts], "estimate"
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtra(f"Counting by a tokenizer needs {error.name}; install it with: pip install 'germline[prompts]'") from error
    inner = folder / "tokenizer"
    try:
        tokenizer = AutoTokenizer.from_pretrained(inner if inner.is_dir() else folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{folder} holds no tokenizer that transformers can open ({error}).") from error
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]], folder.name


def estimate(text: str) -> int:
    """Return about how many tokens CLIP's vocabulary would take for ``text``.

    A digit is one, a mark about a third, a word of Latin letters one and one more for every eight letters beyond four; other letters
    and emoji go by their bytes in UTF-8, since the vocabulary merges few of them. Ours: fitted by eye to the real vocabulary;
    docs/results/prompts.md states the error.
    """
    total = 0
    for match in PIECE.finditer(text):
        piece = match[0]
        if not piece.isascii() and any(len(c.encode("utf-8", "replace")) > 2 for c in piece):
            total += math.ceil(len(piece.encode("utf-8", "replace")) / 2)
        elif piece[0].isalpha():
            total += 1 + max(0, len(piece) - 5) // LETTERS
        else:
            total += math.ceil(len(piece) / MARKS)
    return total
