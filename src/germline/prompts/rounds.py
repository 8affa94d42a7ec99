"""Rounds: the prompts of each generation, disjoint, drawn once by seed."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.prompts.duplicates import key
from germline.prompts.write import Outcome


def rounds(prompts: pa.Table, count: int, size: int | None = None, seed: int = 0) -> Outcome:
    """Return the prompts of ``count`` rounds of ``size`` each with a column ``round`` (0, 1, ...), round after round.

    A prompt's place depends on the seed and its text only, not on the order of the file, so a file that was sorted anew gives the same
    rounds. What is left over is rejected as such. Without ``size``, as many as there are.

    Source: arXiv 2502.09963 has 40,000 prompts and 8 rounds of 5,000; that they are disjoint slices is inferred, and drawing them by
    hash is ours.

    Raises:
        BadInput: there are too few prompts, or one occurs twice and could be in two rounds.
    """
    texts = prompts["prompt"].to_pylist()
    size = len(texts) // max(count, 1) if size is None else size
    if count < 1 or size < 1 or count * size > len(texts):
        raise BadInput(f"{count} rounds of {size} prompts need {count * size}, but there are {len(texts)}; lower --rounds or --size.")
    if len({key(text) for text in texts}) < len(texts):
        raise BadInput("Some prompts occur more than once and could be in two rounds; run germline prompts clean on the file first.")
    place = [blake2b(f"{seed}/{text}".encode(), digest_size=16).digest() for text in texts]
    order = sorted(range(len(texts)), key=place.__getitem__)
    table = prompts.drop_columns([name for name in ("round", "reason") if name in prompts.column_names]).take(order)
    kept = table.slice(0, count * size).append_column("round", pa.array(np.repeat(np.arange(count), size)))
    rejected = table.slice(count * size)
    rejected = rejected.append_column("reason", pa.array(["left over"] * len(rejected), pa.string()))
    about: dict[str, Json] = {"stage": "rounds", "rounds": count, "size": size, "seed": seed}
    return Outcome(kept, rejected, about)
