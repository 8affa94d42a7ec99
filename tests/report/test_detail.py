"""Spectra and fingerprints on the page: what is drawn is what was measured, and what was planted."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from conftest import gaussian_recipe, gaussian_splits
from germline.core.pool import Pool
from germline.loop import Loop
from germline.measure import measure
from germline.metrics import Fingerprint, PowerSpectrum
from germline.report.arms import groups
from germline.report.fingerprints import fingerprints, shaded
from germline.report.page import write_page
from germline.report.spectra import spectra

SIDE = 8


@dataclass(frozen=True)
class Striped:
    """White noise of deviation 10 + 5 g, with stripes of 6 grey levels in every image."""

    n: int = 40

    def __call__(self, model, rows, ctx):
        noise = ctx.normal("stripes", rows, (SIDE, SIDE, 1)) * (10 + 5 * ctx.generation)
        stripes = 6 * (-1.0) ** np.arange(SIDE)[None, :, None]
        return Pool.of(np.clip(np.rint(128 + noise + stripes), 0, 255).astype(np.uint8), np.asarray(rows) % 2, ctx.generation)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = gaussian_splits(40, SIDE, sd=10.0)
    recipe = gaussian_recipe(40)
    loop = Loop.at(tmp_path_factory.mktemp("detail") / "run", type(recipe)(recipe.founder, recipe.mixer, recipe.trainer, Striped()), data)
    for generation in loop.run(2):
        measure(generation, data, [PowerSpectrum(), Fingerprint()])
    return "run", loop.chain, data


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))), np.float64)


def test_the_spectra_are_those_measured_of_first_last_and_real_images(run):
    (group,) = groups([run])
    found = spectra(group)
    real, first, last = found.figure.traces
    assert [trace["name"] for trace in found.figure.traces] == ["real images", "run, generation 0", "run, generation 2"]
    assert real["x"] == [(i + 1) / SIDE for i in range(SIDE // 2)]
    # White noise is flat at its variance. Stripes of height a put a^2 x 64 into one of the bins of the last ring.
    assert np.mean(first["y"][:2]) == pytest.approx((10 / 127.5) ** 2, rel=0.15)
    assert np.mean(last["y"][:2]) == pytest.approx((20 / 127.5) ** 2, rel=0.15)
    ring = (np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))) * SIDE) == 4).sum()
    assert first["y"][3] == pytest.approx((10**2 + 36 * 64 / ring) / 127.5**2, rel=0.15)
    assert found.figure.layout["yaxis"]["type"] == "log"
    assert "At the highest frequency" in found.spoken


def test_the_planted_stripes_are_seen_and_real_images_are_grey(run):
    (group,) = groups([run])
    found = fingerprints(group)
    (row,) = found.rows
    assert [one.title for one in row.pictures] == ["generation 0", "generation 2"]
    planted = (-1.0) ** np.broadcast_to(np.arange(SIDE), (SIDE, SIDE))
    seen = pixels(row.pictures[0].uri) - 128
    assert np.corrcoef(seen.ravel(), planted.ravel())[0, 1] > 0.95
    assert np.abs(pixels(found.real.uri) - 128).mean() < 0.5 * np.abs(seen).mean()
    assert 6 < found.span < 16, "8 of the stripes, and what chance adds"
    low = float(row.pictures[0].size.split("[")[1].split(",")[0])
    assert low > 3, "found"
    assert float(found.real.size.split("[")[1].split(",")[0]) == 0, "not found among real images"


def test_shades_are_linear_and_cut_off():
    assert shaded(np.array([[[-2.0], [-1.0], [0.0], [0.5], [3.0]]]), 1.0).ravel().tolist() == [0, 1, 128, 192, 255]


def test_the_page_shows_both_with_words(run, tmp_path):
    write_page([run], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    for words in ("Fine detail", "Power spectrum", "chance alone", "Fingerprint of run, generation 2", "cycles a pixel"):
        assert words in text, words
    assert "Collapse rate" not in text, "no distance was measured"


def test_a_page_of_runs_without_these_measures_has_no_such_section(tmp_path):
    data = gaussian_splits(20, 4)
    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), data)
    list(loop.run(1))
    (group,) = groups([("run", loop.chain, data)])
    assert spectra(group) is None
    assert fingerprints(group) is None
