"""Files of mean and covariance: as other programs write and read them, and every way in which they can be wrong."""

import dataclasses

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.features import PCA, Bottleneck, Pixels
from germline.metrics import Frechet, statistics
from germline.metrics.frechet import frechet_distance, statistics_of

ROWS = np.random.default_rng(0).normal(size=(300, 8)) @ np.random.default_rng(1).normal(size=(8, 8))
MU, SIGMA = ROWS.mean(axis=0), np.cov(ROWS, rowvar=False)


@dataclasses.dataclass(frozen=True)
class Published:
    """An extractor that says it is the FID's."""

    name = "published"
    frechet_name = "FID"
    cached = False

    def __call__(self, pool, ctx):
        return pool.images[:].reshape(len(pool), -1)[:, :4].astype(np.float32)


@pytest.fixture
def evidence():
    data = gaussian_splits(40, 4)
    made = np.random.default_rng(5).integers(0, 256, (30, 4, 4, 1), dtype=np.uint8)
    return Evidence(Pool.of(made, generation=0), data.real, data, Context(1, 0, data))


def test_files_of_clean_fid_and_edm_are_read(tmp_path):
    path = tmp_path / "edm.npz"
    np.savez(path, mu=MU, sigma=SIGMA)  # EDM's fid.py and clean-fid's make_custom_stats write exactly these two
    found = statistics.load(path)
    np.testing.assert_array_equal(found.mean, MU)
    np.testing.assert_array_equal(found.covariance, SIGMA)
    assert (found.n, found.extractor, found.space) == (None, None, None)
    np.savez_compressed(path, mu=MU.astype(np.float32), sigma=SIGMA.astype(np.float32), images=np.zeros(3))
    assert statistics.load(path).covariance.dtype == np.float64


def test_what_is_saved_is_read_by_them_and_by_us(tmp_path):
    path = tmp_path / "ours.npz"
    statistics.save(statistics.Statistics(MU, SIGMA, 300, "pixels", "ab"), path)
    with np.load(path) as theirs:  # without allow_pickle, as they do
        assert theirs["mu"].dtype == theirs["sigma"].dtype == np.float64
        np.testing.assert_array_equal(theirs["sigma"], SIGMA)
    ours = statistics.load(path)
    assert (ours.n, ours.extractor, ours.space) == (300, "pixels", "ab")
    before = path.read_bytes()
    statistics.save(ours, path)
    assert path.read_bytes() == before


def test_distance_to_a_file_is_the_distance_to_its_rows(evidence, tmp_path):
    path = tmp_path / "held-out.npz"
    statistics.save(statistics_of(Pixels(), "held_out", evidence.data, evidence.ctx), path)
    to_file = Frechet(Pixels(), path)(evidence)
    to_rows = Frechet(Pixels())(evidence)
    assert [(m.of, m.value, m.n, m.d) for m in to_file] == [(m.of, m.value, m.n, m.d) for m in to_rows]
    assert {m.name for m in to_file} == {"FD-pixels@held-out"}
    foreign = tmp_path / "cifar10.npz"
    x = np.random.default_rng(3).normal(100, 30, (500, 16))
    np.savez(foreign, mu=x.mean(axis=0), sigma=np.cov(x, rowvar=False))
    samples = evidence.samples.images[:].reshape(30, 16).astype(np.float64)
    expected = frechet_distance(samples.mean(axis=0), np.cov(samples, rowvar=False), x.mean(axis=0), np.cov(x, rowvar=False))
    assert Frechet(Pixels(), foreign)(evidence)[0].value == pytest.approx(expected, rel=1e-9)


def test_only_the_published_network_gives_a_fid(evidence, tmp_path):
    path = tmp_path / "cifar10.npz"
    np.savez(path, mu=MU[:4], sigma=SIGMA[:4, :4])
    assert {m.name for m in Frechet(Published())(evidence)} == {"FID"}
    assert {m.name for m in Frechet(Published(), path)(evidence)} == {"FID@cifar10"}
    assert {m.name for m in Frechet(Pixels())(evidence)} == {"FD-pixels"}
    assert {m.name for m in Frechet(PCA(Published(), dims=2))(evidence)} == {"FD-pca2-published"}


def test_too_few_rows_name_the_cure_and_no_reference_is_made_up(evidence, tmp_path):
    few = Evidence(evidence.samples.take(range(16)), evidence.training, evidence.data, evidence.ctx)
    with pytest.raises(BadInput, match=r"more rows than the 16 features of pixels, but got 16; .* --pca 64, or PCA\(extractor, dims=64\)"):
        Frechet(Pixels())(few)
    path = tmp_path / "cifar10.npz"
    x = np.random.default_rng(3).normal(100, 30, (500, 16))
    np.savez(path, mu=x.mean(axis=0), sigma=np.cov(x, rowvar=False))
    small = gaussian_splits(16, 4)
    ctx = Context(1, 0, small)
    found = Frechet(Pixels(), path)(Evidence(evidence.samples, evidence.training, small, ctx))
    assert [m.of for m in found] == ["samples", "training"]


def test_statistics_of_another_space_are_refused(evidence, tmp_path):
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, mu=MU, sigma=SIGMA)
    with pytest.raises(BadInput, match=r"wrong.npz holds statistics of 8 features, but pixels gives 16: they are of another extractor"):
        Frechet(Pixels(), wrong)(evidence)
    with pytest.raises(BadInput, match="pca8-pixels is fitted on this data set or run, so no file of another program"):
        Frechet(PCA(Pixels(), dims=8), wrong)(evidence)
    ours = tmp_path / "ours.npz"
    reduced = PCA(Pixels(), dims=4)
    statistics.save(statistics_of(reduced, "real", evidence.data, evidence.ctx), ours)
    assert Frechet(reduced, ours)(evidence)[2].value == pytest.approx(0, abs=1e-6)  # the real split against itself
    with pytest.raises(BadInput, match="holds statistics of pca4-pixels, not of published"):
        Frechet(Published(), ours)(evidence)
    other = gaussian_splits(40, 4, seed=1)
    with pytest.raises(BadInput, match="fitted on another data set"):
        Frechet(reduced, ours)(Evidence(evidence.samples, other.real, other, Context(1, 0, other)))
    with pytest.raises(BadInput, match="bottleneck reads the run's own generation 0"):
        statistics_of(Bottleneck(), "real", evidence.data, evidence.ctx)


def damaged(path):
    np.savez_compressed(path, mu=MU, sigma=SIGMA)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


NAN, SKEW, NEGATIVE = SIGMA.copy(), SIGMA.copy(), SIGMA.copy()
NAN[2, 3], SKEW[0, 1], NEGATIVE[0, 0] = np.nan, 99, -1


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: None, "There is no file .*stats.npz; give an .npz with mu and sigma"),
        (lambda path: path.write_bytes(b"no archive"), "cannot be read as an .npz of numbers"),
        (lambda path: path.write_bytes(b""), "cannot be read as an .npz of numbers"),
        (damaged, "cannot be read as an .npz of numbers"),
        (lambda path: np.savez(path, mu=MU), r"should be an .npz that holds mu and sigma, but holds \['mu'\]"),
        (lambda path: np.save(path.open("wb"), MU), "but holds one array"),
        (lambda path: np.savez(path, mu=np.array([None], dtype=object), sigma=SIGMA), "cannot be read as an .npz of numbers"),
        (lambda path: np.savez(path, mu=MU, sigma=SIGMA[:7]), r"sigma should be floats of shape \(8, 8\), but is float64 \(7, 8\)"),
        (lambda path: np.savez(path, mu=MU[None], sigma=SIGMA), r"mu should be floats of shape \(8,\), but is float64 \(1, 8\)"),
        (lambda path: np.savez(path, mu=MU.astype(int), sigma=SIGMA), "mu should be floats"),
        (lambda path: np.savez(path, mu=MU, sigma=NAN), "sigma holds 1 NaN or infinite values"),
        (lambda path: np.savez(path, mu=MU, sigma=SKEW), "sigma is no covariance: it differs from its transpose by"),
        (lambda path: np.savez(path, mu=MU, sigma=NEGATIVE), "1 variances are negative"),
    ],
)
def test_files_that_are_wrong_are_refused(write, says, tmp_path):
    path = tmp_path / "stats.npz"
    write(path)
    with pytest.raises(BadInput, match=says):
        statistics.load(path)
