"""Make data/embedded/emoji_rounds.parquet: prompts of emoji that the shipped model was trained on, cleaned and dealt out to rounds.

python scripts/make_emoji_prompts.py

Four forms of each caption: its label, the label in the two styles that the model knows, and the label with tags. Captions of judge and
held-out emoji are left out: they are for scorers and for evaluation.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from germline.core.digest import of_file
from germline.core.seeds import rng
from germline.data.emoji import split_of, tagged
from germline.data.emoji_files import EMBEDDED_SIZE, Caption, load
from germline.data.emoji_files import ROUNDS as OUT
from germline.prompts import Cleaning, clean, rounds

STYLES, ROUNDS, SIZE = ("noto", "twemoji"), 9, 384  # generation 0 and eight rounds


def main() -> None:
    """Read the captions, write the rounds."""
    drawn = load(("noto",), EMBEDDED_SIZE)
    told = [
        text
        for code, caption in zip(drawn.hexcodes, drawn.captions, strict=True)
        if split_of(code) in ("real", "reserve")
        for text in forms(code, caption)
    ]
    cleaned = clean(pa.table({"prompt": told}), Cleaning(min_words=1))
    dealt = rounds(cleaned.kept.select(["prompt"]), ROUNDS, SIZE)
    pq.write_table(dealt.kept, OUT, compression="zstd")
    print(f"{len(told)} captions, {len(cleaned.kept)} left, {len(dealt.kept)} dealt out; sha256 {of_file(OUT)}")


def forms(code: str, caption: Caption) -> Iterator[str]:
    """Yield an emoji's caption in four forms."""
    yield caption.label
    yield from (f"{style} emoji of {caption.label}" for style in STYLES)
    yield tagged(caption, rng(0, 0, f"prompts/{code}"))


if __name__ == "__main__":
    main()
