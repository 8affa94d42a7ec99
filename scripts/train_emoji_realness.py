"""Train the realness scorer of emoji: drawn pictures of the split "judge" against those that the shipped model makes of their captions.

npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0
python scripts/train_emoji_realness.py --where FOLDER_WITH_THE_PACKAGES --work emoji-realness --out src/germline/scorers/embedded

It is judged on emoji of the split "held_out", which neither the model nor the scorer saw, drawn and made by the same model; and on what
--other generators made, which it never saw: NAME=samples.npy of a run. What the model made lies in --work, so that a killed run goes on;
--test alone judges a file that is there.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from germline.core.atomic import replacing
from germline.core.context import Context, Execution
from germline.core.digest import of_file
from germline.core.pool import Pool
from germline.core.progress import bars
from germline.core.seeds import rng
from germline.core.splits import Splits
from germline.data.emoji import family, split_of
from germline.data.emoji_files import Drawn, load
from germline.pipelines.opened import open_pipeline
from germline.pipelines.tuned import Tuned
from germline.recipes.rsidiff import SHIPPED
from germline.samplers import ReEncoded, SamplePipeline
from germline.scorers.dual_encoder import DualEncoder, Pictures, opened

STYLES = ("noto", "twemoji")  # those that the model was trained on: else it would be told apart by its style
SCALES = (1.5, 3.0, 3.0, 6.0)  # guidance, in turn: of training rows; the shipped model is sampled at 3
FOLDS, PENALTIES, DRAWS = 5, (1e-5, 1e-4, 1e-3, 1e-2), 1_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures and, of each, the family of the emoji."""

    images: UInt8[np.ndarray, "n 32 32 3"]
    families: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make pictures, fit, write the file, and print how well it tells them apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--where", type=Path, required=True, help="folder with the npm packages")
    parser.add_argument("--work", type=Path, default=Path("emoji-realness"), help="folder of what generators made")
    parser.add_argument("--out", type=Path, default=Path("emoji-realness"), help="folder of the file")
    parser.add_argument("--judge", type=int, default=240, help="pictures of each style that it is trained on")
    parser.add_argument("--held-out", type=int, default=120, help="pictures of each style that it is tested on")
    parser.add_argument("--other", nargs="*", default=[], metavar="NAME=FILE", help="pictures of other generators")
    parser.add_argument("--test", action="store_true", help="judge the file in --out")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    drawn, file = load(STYLES, 32, asked.where), asked.out / "emoji_realness.safetensors"
    trunk = opened(DualEncoder().pictures)
    if not asked.test:
        trained(drawn, trunk, file, asked.work, asked.judge)
    head = {name: value.numpy().astype(np.float64) for name, value in load_file(file).items()}
    real = of_split(drawn, "held_out", asked.held_out)
    made = shipped(drawn, "held_out", asked.work, asked.held_out)
    others = {"the shipped model, unseen emoji": made, "drawn, through the model's VAE and back": through_vae(real.images)}
    others |= {name: np.load(path, allow_pickle=False)[: 2 * asked.held_out] for name, path in (each.split("=", 1) for each in asked.other)}
    drawings = {"noto and twemoji": real.images, "fluent": of_split(load(("fluent",), 32), "held_out", 2 * asked.held_out).images}
    known = {style: scores(head, trunk.features(images).numpy()) for style, images in drawings.items()}
    for style, found in known.items():
        print(f"drawn, unseen emoji of {style}: called drawn {float((found > 0).mean()):.2f}, {len(found)} rows", flush=True)
    for name, images in others.items():
        found = scores(head, trunk.features(np.ascontiguousarray(images)).numpy())
        print(f"{name}: called drawn {float((found > 0).mean()):.2f}, {len(found)} rows", flush=True)
        for style, drawn_scores in known.items():
            value, low, high = told_apart(drawn_scores, found)
            print(f"  AUC against drawn {style} {value:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def trained(drawn: Drawn, trunk: Pictures, file: Path, work: Path, most: int) -> None:
    """Fit on the split "judge" and write the file."""
    real = of_split(drawn, "judge", most)
    made = shipped(drawn, "judge", work, most)
    head = fitted(trunk.features(real.images).numpy(), trunk.features(made).numpy(), (*real.families, *real.families))
    with replacing(file) as temporary:
        save_file({name: torch.tensor(value, dtype=torch.float32) for name, value in head.items()}, temporary)
    print(f"{file.name}: {len(real.images)} drawn and {len(made)} made, sha256 {of_file(file)}", flush=True)


def of_split(drawn: Drawn, part: str, most: int) -> Rows:
    """Return the drawn pictures of a split, families beside them."""
    chosen = chosen_of(drawn, part, most)
    return Rows(np.ascontiguousarray(drawn.images[chosen]), tuple(family(drawn.hexcodes[row]) for row in chosen))


def chosen_of(drawn: Drawn, part: str, most: int) -> list[int]:
    """Return the first rows of each style in a split."""
    rows = [row for row, code in enumerate(drawn.hexcodes) if split_of(code) == part]
    return [row for style in sorted(set(drawn.styles)) for row in [row for row in rows if drawn.styles[row] == style][:most]]


def shipped(drawn: Drawn, part: str, work: Path, most: int) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Return what the shipped model makes of a split's captions, in its rows' styles; scales take turns where it is trained on."""
    chosen = chosen_of(drawn, part, most)
    prompts = np.array([f"{drawn.styles[row]} emoji of {drawn.captions[row].label}" for row in chosen])
    scales = np.array(SCALES if part == "judge" else (SHIPPED.guidance_scale,))

    def make() -> np.ndarray:
        model, out = Tuned(open_pipeline("emoji")), np.empty((len(chosen), 32, 32, 3), np.uint8)
        for scale in np.unique(scales):
            rows = np.flatnonzero(scales[np.arange(len(chosen)) % len(scales)] == scale)
            asked = Pool.of(np.zeros((len(chosen), 32, 32, 3), np.uint8), prompts)
            data = Splits("prompts", (), asked, asked, asked, asked)
            ctx = Context(0, 0 if part == "judge" else 1, data, execution=Execution("fp32"), progress=bars)
            sampler = SamplePipeline(len(chosen), steps=SHIPPED.steps, guidance_scale=float(scale))
            for start in range(0, len(rows), 64):
                some = rows[start : start + 64]
                out[some] = sampler(model, some, ctx).images[:]
        return out

    return once(work / f"shipped_{part}.npy", make)


def through_vae(images: UInt8[np.ndarray, "n 32 32 3"]) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Return drawn pictures as the model's VAE gives them back: what of the score is the VAE's alone."""
    rows = Pool.of(np.ascontiguousarray(images), np.full(len(images), "an emoji"))
    ctx = Context(0, 0, Splits("drawn", (), rows, rows, rows, rows), execution=Execution("fp32"))
    again: ReEncoded[None] = ReEncoded(len(images), "emoji")
    return np.asarray(again(None, np.arange(len(images)), ctx).images[:])


def once(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array in a file, made now if it is not there."""
    if not path.exists():
        made = make()
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, made)
    return np.load(path, allow_pickle=False)


def fitted(real: Float[np.ndarray, "n f"], made: Float[np.ndarray, "m f"], families: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the regression; its penalty is the one of the best AUC over folds of families, so that no emoji is on both sides."""
    x, y = np.concatenate([real, made]).astype(np.float64), np.repeat([1, 0], [len(real), len(made)])
    names = sorted(set(families))
    place = dict(zip(names, rng(0, 0, "realness/folds").permutation(len(names)) % FOLDS, strict=True))
    fold = np.array([place[name] for name in families])
    held = {c: np.mean([_held(x, y, fold == k, c) for k in range(FOLDS)]) for c in PENALTIES}
    best = max(held, key=lambda c: held[c])
    print(f"AUC over {FOLDS} folds of families by 1 / penalty: {', '.join(f'{c:g} {v:.3f}' for c, v in held.items())}", flush=True)
    return _fit(x, y, best)


def _held(x: np.ndarray, y: np.ndarray, out: np.ndarray, c: float) -> float:
    return float(roc_auc_score(y[out], scores(_fit(x[~out], y[~out], c), x[out])))


def _fit(x: np.ndarray, y: np.ndarray, c: float) -> dict[str, np.ndarray]:
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-3
    model = LogisticRegression(C=c, max_iter=2_000, tol=1e-5).fit((x - mean) / std, y)
    return {"mean": mean, "std": std, "weight": model.coef_[0], "bias": model.intercept_[0]}


def scores(head: dict[str, np.ndarray], features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
    """Return log-odds."""
    found: np.ndarray = (features - head["mean"]) / head["std"] @ head["weight"] + head["bias"]
    return found


def told_apart(real: Float[np.ndarray, " n"], made: Float[np.ndarray, " m"]) -> tuple[float, float, float]:
    """Return the AUC and its 95 % bootstrap interval over rows."""
    y = np.repeat([1, 0], [len(real), len(made)])
    drawn = []
    for number in range(DRAWS):
        draw = rng(0, 0, "realness/bootstrap", number)
        drawn.append(roc_auc_score(y, np.concatenate([draw.choice(real, len(real)), draw.choice(made, len(made))])))
    return (float(roc_auc_score(y, np.concatenate([real, made]))), *map(float, np.quantile(drawn, [0.025, 0.975])))


if __name__ == "__main__":
    main()
