"""How far samples lie from the base's own, and what weights that gives them."""

from pathlib import Path

import numpy as np

from germline import registry
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.registry import Run
from germline.report.terminal import print_columns
from germline.verbs.arguments import Name, one_run, print_json
from germline.weighters import DistributionWeight
from germline.weighters.distribution_weight import calibrated, effective, log_weights

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def calibrate(run: Name, keep: float = 0.9, tail: float = 0.99, json: bool = False) -> None:
    """Print the distances of a run's samples to those of its generation 0, and propose beta and sigma2 for the weights of later ones.

    Of RSIDiff's weights (arXiv 2502.09963, Eq. 5). Generation 0 is enough to propose; with more of them their columns show how far the
    model drifts. How beta and sigma2 are proposed is ours.

    Examples:
      germline run rsidiff --generations 0 --out runs/rsidiff
      germline calibrate runs/rsidiff
      germline calibrate runs/rsidiff --keep 0.8

    Args:
        run: the run folder; its recipe weighs by distance.
        keep: share of generation 0's samples that are to count whole, which sets beta.
        tail: the quantile of their distances that is to have the weight 1/2, which sets sigma2.
        json: print JSON.

    Raises:
        BadInput: the recipe has no such weights, or no generation is finished.
    """
    opened = registry.open_run(one_run(Path(run)))
    weighter, last = _weighter(opened, run), len(opened.chain) - 1
    if last < 0:
        raise BadInput(f"{run} has no finished generation; germline calibrate reads the samples of generation 0.")
    ctx = opened.chain.context(last, opened.data, bars)
    distances = {number: weighter.distances(ctx.samples(number), ctx) for number in range(last + 1)}
    beta, sigma2 = calibrated(distances[0], keep, tail)
    now = weighter.limits(ctx)
    columns = {number: _column(found, *now) for number, found in distances.items()}
    if json:
        used, proposed = ({"beta": float(b), "sigma2": float(s)} for b, s in (now, (beta, sigma2)))
        return print_json({"run": run, "used": used, "proposed": proposed, "generations": columns})
    print_columns(f"{run}: {weighter.distance} to the samples of generation 0", columns)
    print(f"The run weighs with beta {now[0]:.4g}, sigma2 {now[1]:.4g}. Proposed: --beta {beta:.4g} --sigma2 {sigma2:.4g}")
    if columns[0]["counts whole"] == 1:
        print(
            "Every sample of generation 0 counts whole: weights of that beta tell nothing apart. beta belongs to its distance and its VAE."
        )


def _weighter(opened: Run, run: str) -> DistributionWeight:
    found = [] if opened.recipe is None else [one for one in opened.recipe.weighters if isinstance(one, DistributionWeight)]
    if not found:
        raise BadInput(f"{run} does not weigh rows by their distance to generation 0; germline run rsidiff makes a run that does.")
    return found[0]


def _column(distances: np.ndarray, beta: float, sigma2: float) -> dict[str, Json]:
    """Return quantiles of distances, the share that counts whole, and the share of rows that the weights leave in effect."""
    whole, share = float(np.mean(distances <= beta)), effective(log_weights(distances, beta, sigma2)) / len(distances)
    names = (f"distance, {round(100 * q)} %" for q in QUANTILES)
    return {**dict(zip(names, np.quantile(distances, QUANTILES).tolist(), strict=True)), "counts whole": whole, "effective share": share}
