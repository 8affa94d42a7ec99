"""How often the intervals of simulated user studies hold the preference that was planted, beside a plain interval's.

Each study: raters x pairs, every rater judges every pair. Raters and prompts differ: their logits are normal around the planted share's,
with the deviations given. "plain" is the t-interval that takes answers for independent. Strengths: three arms, without a spread between
raters, as the model of Bradley and Terry has it, and with one. A true 95 % interval holds 0.95 of the studies, give or take 0.010 in 2,000
of them, and 0.019 in 500.

    python benchmarks/votes.py [--studies 2000]
"""

import argparse
import math

import numpy as np

from germline.core.intervals import over_seeds
from germline.core.progress import bars
from germline.studio.bradley_terry import strengths
from germline.studio.shares import Judged, share_of

SPREADS = ((0.0, 0.0), (0.4, 0.6), (0.8, 1.2))
SHAPES = ((8, 150), (8, 30), (3, 150), (20, 150))
WORTH = {"a": 0.0, "b": 0.4, "c": 1.0}


def middle(planted: float, spread: float) -> float:
    """Return the logit whose share over a normal spread is the planted one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    low, high = -8.0, 8.0
    for _ in range(60):
        at = (low + high) / 2
        share = (weights / (1 + np.exp(-(at + spread * nodes)))).sum() / weights.sum()
        low, high = (at, high) if share < planted else (low, at)
    return at


def shares(studies: int, planted: float, raters: int, pairs: int, by_rater: float, by_prompt: float) -> tuple[float, float, float]:
    """Return the share of studies whose clustered and whose plain interval holds the planted share, and the clustered one's mean width."""
    at = middle(planted, math.hypot(by_rater, by_prompt))
    rows, columns = np.repeat(np.arange(raters).astype(str), pairs), np.tile(np.arange(pairs).astype(str), raters)
    held, plain, width = 0, 0, 0.0
    for seed in range(studies):
        rng = np.random.default_rng([seed, raters, pairs])
        z = at + rng.normal(0, by_rater, (raters, 1)) + rng.normal(0, by_prompt, (1, pairs))
        won = (rng.random((raters, pairs)) < 1 / (1 + np.exp(-z))).ravel().astype(float)
        found, other = share_of(won, rows, columns), over_seeds(won)
        held += found.low <= planted <= found.high
        plain += other.low <= planted <= other.high
        width += found.high - found.low
    return held / studies, plain / studies, width / studies


def fitted(studies: int, raters: int, pairs: int, by_rater: float) -> float:
    """Return the share of strengths whose interval holds the planted one; ``by_rater`` is how much a rater's strengths differ."""
    met = [("b", "a"), ("c", "a"), ("c", "b")]
    held = []
    for seed in range(studies):
        rng = np.random.default_rng([seed, 1])
        own = {arm: worth + (rng.normal(0, by_rater, raters) if worth else np.zeros(raters)) for arm, worth in WORTH.items()}
        answers = [
            Judged(f"r{r}", f"p{p}", "q", one, other, "", float(rng.random() < 1 / (1 + math.exp(own[other][r] - own[one][r]))))
            for r in range(raters)
            for p in range(pairs)
            for one, other in met
        ]
        held += [one.low <= WORTH[one.arm] <= one.high for one in strengths(answers, "a")[1:]]
    return float(np.mean(held))


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--studies", type=int, default=2_000)
    given = flags.parse_args()
    cells = [(planted, *shape, *spread) for shape in SHAPES for spread in SPREADS for planted in (0.5, 0.69)]
    print(f"{given.studies:,} studies a line\n{'raters x pairs':<16}{'planted':>8}{'spread':>12}{'holds':>8}{'plain':>8}{'width':>8}")
    with bars("studies", len(cells)) as advance:
        for planted, raters, pairs, by_rater, by_prompt in cells:
            held, plain, width = shares(given.studies, planted, raters, pairs, by_rater, by_prompt)
            print(
                f"{f'{raters} x {pairs}':<16}{planted:>8.2f}{f'{by_rater} {by_prompt}':>12}{held:>8.3f}{plain:>8.3f}{width:>8.3f}",
                flush=True,
            )
            advance(1)
    for by_rater in (0.0, 0.3):
        print(f"strengths of three arms, 8 x 40, raters' spread {by_rater}: {fitted(given.studies // 10, 8, 40, by_rater):.3f}", flush=True)


if __name__ == "__main__":
    main()
