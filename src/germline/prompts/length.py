"""How many tokens of a text encoder a prompt takes: counted by the user's tokenizer, else estimated."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from germline.core.errors import BadInput, MissingExtra

CLIP_USABLE = 75  # 77 with start and end
IMAGEREWARD_USABLE = 33  # ImageReward reads 35 word pieces, [CLS] and [SEP] among them
PIECE = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|_)+", re.I)  # how CLIP cuts a text before it merges letters
FREE, LETTERS, MARKS = 8, 2, 3  # of the estimate: letters of a one-token word, letters of each further token, marks of a token
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

    A digit is one; marks are a third each; a word of Latin letters is one, and one more for every two letters beyond eight; what is not
    ASCII goes by two bytes of UTF-8 a token, since the vocabulary merges little of it. Ours: fitted to the real vocabulary on PartiPrompts;
    docs/results/prompts.md states the error.
    """
    total = 0
    for match in PIECE.finditer(text):
        piece = match[0]
        if not piece.isascii():
            total += math.ceil(len(piece.encode("utf-8", "replace")) / 2)
        elif piece[0].isalpha():
            total += 1 + max(0, len(piece) - FREE) // LETTERS
        else:
            total += math.ceil(len(piece) / MARKS)
    return total
