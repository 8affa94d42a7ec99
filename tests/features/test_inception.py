"""The FID's network: torch-fidelity's own call gives the same numbers; only the published file may be called FID."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.features import PCA, Inception, inception

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def reference():
    """Torch-fidelity's network with random weights of a size that keeps activations alive."""
    pytest.importorskip("tqdm")
    try:
        made = inception._architecture()
    except MissingExtra:
        pytest.skip("extra: fid, or pip install --no-deps torch-fidelity")
    patch = pytest.MonkeyPatch()
    patch.setattr(torch, "load", lambda *arguments, **options: {})
    patch.setattr(torch.nn.Module, "load_state_dict", lambda module, state: None)
    network = made("inception", ["2048"], feature_extractor_weights_path="none")
    patch.undo()
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
    return network


@pytest.fixture(scope="module")
def weights(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(reference.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(weights):
    return Inception(weights, checksum=digest.of_file(weights))


@pytest.fixture(scope="module", autouse=True)
def _memory():
    yield
    inception._network.cache_clear()


def test_features_are_those_of_torch_fidelity(extractor, reference):
    found = extractor(Pool.of(IMAGES), Context(1, 0, None))
    with torch.inference_mode():
        (expected,) = reference(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()))
    assert found.shape == (2, 2048)
    assert found.std() > 0.1, "the random network says something"
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_grey_is_three_equal_channels_and_rows_stand_alone(extractor, tmp_path):
    ctx = Context(1, 0, None, cache=Cache(tmp_path), execution=Execution(block=1))
    grey = IMAGES[..., :1]
    whole = ctx.features(extractor, Pool.of(grey))
    np.testing.assert_array_equal(ctx.features(extractor, Pool.of(np.repeat(grey, 3, axis=3))), whole)
    np.testing.assert_array_equal(ctx.features(extractor, Pool.of(grey, np.ones(2, np.int64)).take([1])), whole[[1]])


def test_only_the_published_file_is_called_fid(weights, extractor, tmp_path):
    claimed = Inception(weights)
    assert (claimed.name, claimed.frechet_name) == ("inception-2015-12-05", "FID")
    found = digest.of_file(weights)
    with pytest.raises(BadInput, match=rf"weights.pth is not the file .* should be {inception.PUBLISHED}, but is {found}"):
        claimed(Pool.of(IMAGES), Context(1, 0, None))
    assert inception.PUBLISHED.startswith("6726825d"), "the name of the published file ends so"
    assert (extractor.name, extractor.frechet_name) == (f"inception-{found[:6]}", f"FD-inception-{found[:6]}")
    assert not hasattr(PCA(claimed), "frechet_name")
    moved = tmp_path / "moved.pth"
    moved.hardlink_to(weights)
    assert digest.of_part(Inception(moved)) == digest.of_part(claimed) != digest.of_part(extractor)


def test_faults_are_named(weights, tmp_path):
    with pytest.raises(BadInput, match=r"Inception: there is no .*gone.pth; give the path"):
        Inception(tmp_path / "gone.pth")
    other = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(3)}, other)
    with pytest.raises(BadInput, match="other.pth holds another network than torch-fidelity's Inception"):
        Inception(other, digest.of_file(other))(Pool.of(IMAGES), Context(1, 0, None))


def test_torchvision_is_not_needed_and_torch_fidelity_stays_whole(reference):
    code = (
        "import sys; sys.modules['torchvision'] = None; from germline.features import inception; inception._architecture();"
        " assert not [name for name in sys.modules if name.startswith('torch_fidelity')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torch_fidelity_the_extra_is_named(weights, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    inception._network.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'germline\[fid\]'.*--no-deps torch-fidelity"):
        Inception(weights, digest.of_file(weights))(Pool.of(IMAGES), Context(1, 0, None))
