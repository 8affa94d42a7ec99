"""How a text-to-image loop chooses its training images: what else there is to say than by which scorers; and its first round."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, cast

from germline.core.errors import BadInput
from germline.core.protocols import Sampler, Scorer, Selector
from germline.data.emoji_files import GROUPS
from germline.data.rated import COLUMN
from germline.diffusion.model import ClassModel
from germline.features import EfficientNetLite0, MidBlock
from germline.features.named import extractor
from germline.mixers import Given, Replace
from germline.pipelines.opened import place
from germline.recipes.chain_setup import ChainSetup
from germline.recipes.lsf import SIGMAS
from germline.scorers import Confidence, Grouped, Support, TrajectoryVariance
from germline.scorers.absent import present
from germline.scorers.trajectory_variance import Watched
from germline.selectors import Capped, Farthest, Preference, Then, Top, Uniform, Voted

Choose = Literal["preference", "random", "farthest", "lsf"]


def named(name: str, sampler: Sampler[ClassModel]) -> Scorer:
    """Return a scorer by name: also the two of hallucinations, of which one asks the run's own sampler and one the real rows.

    Raises:
        BadInput: there is no scorer or space of this name.
    """
    kind, _, space = name.partition(":")
    if name == TrajectoryVariance.name:
        return TrajectoryVariance(cast(Watched[ClassModel], sampler))
    if kind == Support.name:
        return Support(extractor(space) if space else EfficientNetLite0())
    return present(name)


@dataclass(frozen=True)
class Scoring:
    """How scores are combined.

    Attributes:
        score_weights: of the scorers, where ranks or z-scores are added; all 1 when not given.
        floors: with --combine thresholds: what a row needs of each scorer; the first one orders those that pass.
        floors_are: scores, or quantiles of the offer from 0 to 1.
        allow_fewer: train on fewer than ``kept`` where floors, cap or blank images leave fewer.
        groups: of --choose lsf: a table of prompt and group, the labels that a probe sees; that of emoji when not given.
    """

    score_weights: tuple[float, ...] | None = None
    floors: tuple[float, ...] | None = None
    floors_are: Literal["scores", "quantiles"] = "scores"
    allow_fewer: bool = False
    groups: str | None = None

    def preference(
        self, kept: int, by: tuple[str, ...], combine: Literal["rank_sum", "z_score", "thresholds", "pareto"], cap: int
    ) -> Preference:
        """Return the selector of the rows that scorers like best."""
        return Preference(kept, by, combine, self.score_weights, self.floors, self.floors_are, cap, self.allow_fewer)

    def chosen(self, choose: Choose, best: Preference, offered: int, images_a_prompt: int) -> Selector:
        """Return the selector: the best; any; or of the better half those far apart, or those most surely of their own group.

        Raises:
            BadInput: fewer rows are on offer than are to be kept, or nothing is left to choose of the better half.
        """
        if best.n > offered and not self.allow_fewer:
            raise BadInput(
                f"--kept {best.n} is more than the {offered} images that are on offer (prompts, times --cap of each); give a smaller"
                " --kept, more prompts with --n, a larger --cap, or --allow-fewer."
            )
        cap = images_a_prompt if best.cap is None else best.cap
        if choose == "random":  # a draw of which a cap leaves nothing out is the plain one
            return Uniform(best.n) if images_a_prompt <= cap else Capped(Uniform(best.n), cap)
        if choose == "preference":
            return best
        if best.n > offered // 2:
            raise BadInput(
                f"--choose {choose} takes rows of the better half of what is on offer, {offered // 2}, but --kept is {best.n};"
                " give a smaller --kept, or a larger --cap."
            )
        half = replace(best, n=offered // 2)
        if choose == "farthest":
            return Then(half, Farthest(best.n, EfficientNetLite0()))
        return Then(half, Top(best.n, Confidence.name))

    def scorers(self, choose: Choose, told: tuple[Scorer, ...], setup: ChainSetup) -> tuple[Scorer, ...]:
        """Return the scorers that this choice needs."""
        return () if choose == "random" else (*told, self.probe(setup)) if choose == "lsf" else told

    def probe(self, setup: ChainSetup) -> Scorer:
        """Return how surely a probe of the base's own network, fitted on the judge split, puts a row into its prompt's group.

        Raises:
            BadInput: the base is not a folder here.
        """
        folder = place(setup.source())
        if not isinstance(folder, Path) or not folder.is_dir():
            raise BadInput(f"--choose lsf reads the base's network from a folder, but the model is {folder}; download it: --model FOLDER.")
        spaces = tuple(MidBlock(folder, sigma, pooled=True) for sigma in SIGMAS)
        return Grouped(Confidence(spaces, fit_on="judge"), GROUPS if self.groups is None else Path(self.groups).expanduser())


@dataclass(frozen=True)
class FirstRound:
    """What is trained on first.

    Attributes:
        pool: a folder or file of your own captioned images, which replace the base's in round 1; the base draws its own all the same, since
            weights and measures are taken against them.
        ratings: votes on them, a table with score and file_name, sha256 or image; what has none is left out, and they choose in place of
            the scorers.
        rated_from: the least mean rating that is trained on.
    """

    pool: str | None = None
    ratings: str | None = None
    rated_from: float = 0.5

    def __post_init__(self) -> None:
        if self.ratings is not None and self.pool is None:
            raise BadInput("--ratings are of the images in --pool; give it too.")

    def settled(self) -> Self:
        """Return it with paths that name the same files wherever the run is opened from."""
        pool, ratings = (path if path is None else str(Path(path).expanduser().resolve()) for path in (self.pool, self.ratings))
        return replace(self, pool=pool, ratings=ratings)

    def mixer(self) -> Replace | Given:
        """Return the mixer."""
        return Replace() if self.pool is None else Given(Replace())

    def selector(self, kept: int, cap: int, later: Selector) -> Selector:
        """Return the selector: by votes in round 1, where there are any, and ``later`` in the others."""
        if self.ratings is None:
            return later
        voted = Preference(kept, (COLUMN,), "thresholds", floors=(self.rated_from,), cap=cap, allow_fewer=True)
        return Voted(voted, later)


SCORING, NONE_GIVEN = Scoring(), FirstRound()
