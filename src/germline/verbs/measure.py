"""Metrics over finished generations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from germline import registry, standard
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.core.protocols import Extractor, Metric, Scorer
from germline.features import PCA
from germline.features.named import extractor as extractor_of
from germline.measure import measure as measure_generation
from germline.metrics import Coverage, Entropy, Frechet, Generalisation, LatentStatistics, statistics
from germline.metrics.frechet import comparable, statistics_of
from germline.report.terminal import print_measurements
from germline.scorers import Ratings
from germline.scorers.named import scorer as scorer_of
from germline.verbs.arguments import Paths, print_json, run_folders


def measure(
    runs: Paths,
    extractor: str | None = None,
    pca: int | None = None,
    real: Path | None = None,
    write_real: Path | None = None,
    of: Literal["held_out", "real"] = "held_out",
    held_out: tuple[str, ...] = (),
    votes: str | None = None,
    again: bool = False,
    json: bool = False,
) -> None:
    """Measure the finished generations of runs; what was measured before is read back.

    With an extractor, distances, coverage, entropy, the generalisation score and the features' moments are measured in its space and
    added to the run.

    Examples:
      germline measure runs/demo
      germline measure runs/demo --extractor efficientnet --pca 64
      germline measure runs/big --extractor inception:weights-inception-2015-12-05-6726825d.pth --real cifar10-32x32.npz
      germline measure runs/big --extractor dinov2:facebook/dinov2-small --write-real held_out.npz
      germline measure runs/rsidiff --held-out pickscore imagereward
      germline measure runs/rsidiff --votes votes.parquet,by=image

    Args:
        runs: run folders, or folders that hold some.
        extractor: measure in this space: pixels, classifier, bottleneck, efficientnet, alexnet, alexnet-maps, lpips, inception:WEIGHTS.pth,
            dinov2:FOLDER, hf:FOLDER (or their names on the hub), mid-block:FOLDER (a diffusion model that diffusers saved).
        pca: keep only so many principal components of its features, fitted on the judge split.
        real: an .npz of real images' statistics (mu, sigma), as clean-fid and EDM write them, to measure the Frechet distance against.
        write_real: write such a file of one run's real images, instead of measuring.
        of: the real images of --write-real: the held-out ones, or those that the loop trains on.
        held_out: scorers that chose nothing (see docs/scorers.md): their means, and their rank correlation with those that chose.
        votes: people's ratings of samples, TABLE or TABLE,by=image|file|row, 1 keep and 0 reject: whether they agree with what is called a
            hallucination, and with the scorers.
        again: measure everything anew.
        json: print JSON.
    """
    space = _space(extractor, pca, "--real" if real else "--write-real" if write_real else "--pca" if pca is not None else None)
    folders = run_folders(runs)
    if write_real is not None:
        _write(folders, space, write_real, of)
        return
    for path in folders:
        opened = registry.open_run(path)
        metrics = [*_metrics(opened, space, real, [scorer_of(name) for name in held_out]), *_of_votes(opened, votes)]
        if space is not None and real is not None:
            _check(opened, space, real)
        rows = [
            (generation.number, measure_generation(generation, opened.data, metrics, progress=bars, again=again))
            for generation in opened.chain.generations()
        ]
        if rows and not any(values for _, values in rows):
            raise BadInput(f"{path}: nothing could be measured; the warnings above say why.")
        if json:
            print_json({"run": str(path), "generations": [[value.to_json() for value in values] for _, values in rows]})
        else:
            print_measurements(str(path), rows)


def _space(name: str | None, pca: int | None, asked: str | None) -> Extractor | None:
    if name is None:
        if asked:
            raise BadInput(f"{asked} needs the space to measure in; name it with --extractor, such as inception:WEIGHTS.pth or pixels.")
        return None
    found = extractor_of(name)
    return found if pca is None else PCA(found, dims=pca)


def _metrics(opened: registry.Run, space: Extractor | None, real: Path | None, held_out: Sequence[Scorer]) -> list[Metric]:
    if space is None:
        return registry.metrics_for(opened.data, opened.recipe, held_out)
    if real is not None:
        return [Frechet(space, real)]
    return [Frechet(space), Coverage(space), Entropy(space), Generalisation(space), LatentStatistics(space)]


def _of_votes(opened: registry.Run, votes: str | None) -> list[Metric]:
    return standard.of_votes(opened.recipe, opened.data, cast(Ratings, scorer_of(f"ratings:{votes}"))) if votes else []


def _check(opened: registry.Run, space: Extractor, real: Path) -> None:
    """Refuse statistics of another space before anything is computed but one block of features."""
    statistics.load(real)
    features = opened.chain.context(0, opened.data, bars).features(space, opened.data.held_out.take(range(1)))
    comparable(real, space, opened.data, features.shape[1])


def _write(folders: list[Path], space: Extractor | None, path: Path, of: Literal["held_out", "real"]) -> None:
    if len(folders) != 1:
        raise BadInput(f"--write-real writes the statistics of one run's real images, but {len(folders)} runs are named; name one.")
    assert space is not None
    opened = registry.open_run(folders[0])
    ctx = opened.chain.context(0, opened.data, bars)
    found = statistics_of(space, of, opened.data, ctx)
    statistics.save(found, path)
    print(f"{path}: mu and sigma of {found.n} images ({of}) in {len(found.mean)} features of {found.extractor}")
