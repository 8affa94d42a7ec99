"""How far the estimate of a prompt's length, made without a tokenizer, is off CLIP's count: in tokens, in sum, and at the limit of 75.

Counted are PartiPrompts, the good and vague prompts of labelled_prompts.tsv, the garbled ones, and PartiPrompts joined six at a time by
", " (20 random orders), which come near the limit. The vocabulary is bpe_simple_vocab_16e6.txt.gz as CLIP published it, or a folder with
CLIP's tokenizer as transformers saves it; germline ships neither. The wheel of open_clip_torch (MIT) holds the former:

    pip download --no-deps open_clip_torch==3.3.0 && unzip open_clip_torch-3.3.0-py3-none-any.whl
    python benchmarks/prompt_lengths.py --vocabulary open_clip/bpe_simple_vocab_16e6.txt.gz
"""

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np

from germline.prompts.length import CLIP_USABLE, Count, counter, estimate
from germline.prompts.read import read_prompts

LABELLED = Path(__file__).parent / "labelled_prompts.tsv"
TOKENS, LETTERS, ENDS = 49_408, 512, 2  # all; bytes, within and at the end of words; start and end; the rest are merges
JOINED, ORDERS = 6, 20


def published(file: Path) -> Count:
    """Return what counts with the merges in CLIP's own file; their order matters, the tokens' numbers do not."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    lines = gzip.decompress(file.read_bytes()).decode().split("\n")[1:]  # the first says its version
    merges = [(first, second) for first, second in map(str.split, lines[: TOKENS - LETTERS - ENDS])]
    letters = ByteLevel.alphabet()
    words = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer({word: number for number, word in enumerate(words)}, merges)
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--vocabulary", type=Path, help="CLIP's file of merges, or the folder of a tokenizer")
    given = flags.parse_args()
    if given.vocabulary is None:
        print("left out: it needs --vocabulary; --help says where one is")
        return
    count = counter(given.vocabulary)[0] if given.vocabulary.is_dir() else published(given.vocabulary)
    parti = read_prompts(["parti"])["prompt"].to_pylist()
    with LABELLED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rng = np.random.default_rng(0)
    sets = {
        "PartiPrompts": parti,
        "labelled, good and vague": [row["prompt"] for row in rows if row["label"] != "garbled"],
        "labelled, garbled": [row["prompt"] for row in rows if row["label"] == "garbled"],
        "PartiPrompts, six joined": [", ".join(some) for _ in range(ORDERS) for some in rng.permutation(parti).reshape(-1, JOINED)],
    }
    print("% of all texts: longer than 75 tokens; such a one kept; another one lost")
    print(f"{'':<26}{'texts':>7}{'tokens':>8}{'off by':>8}{'sum':>8}{'longer':>9}{'kept':>7}{'lost':>7}")
    for name, texts in sets.items():
        true, found = np.array(count(texts)), np.array([estimate(text) for text in texts])
        off, total = np.abs(found - true).mean(), found.sum() / true.sum() - 1
        long, said = true > CLIP_USABLE, found > CLIP_USABLE
        shares = "".join(f"{each.mean():>{width}.1%}" for each, width in ((long, 9), (long & ~said, 7), (said & ~long, 7)))
        print(f"{name:<26}{len(texts):>7,}{true.mean():>8.1f}{off:>8.2f}{total:>+8.1%}{shares}")


if __name__ == "__main__":
    main()
