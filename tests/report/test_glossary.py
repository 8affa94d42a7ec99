"""Every name that a metric can produce has an entry of its own, and what an entry says of a distance fits the name."""

import dataclasses

import pytest

from conftest import gaussian_recipe, gaussian_splits
from contract.test_parts import example, parts
from germline.core.evidence import Evidence
from germline.features import Pixels
from germline.loop import Loop
from germline.metrics import Frechet, Spectrum, Vendi, statistics
from germline.metrics.frechet import frechet_name, statistics_of
from germline.mixers import Accumulate
from germline.report import glossary
from germline.report.glossary import KNOWN, entry, rank


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    data = gaussian_splits(20, 4, reserve=20)
    loop = Loop.at(tmp_path_factory.mktemp("glossary") / "run", gaussian_recipe(20, Accumulate()), data)
    *_, last = loop.run(1)
    return Evidence(last.samples, last.training(data), data, loop.chain.context(1, data))


@pytest.mark.parametrize("part", parts("metrics"), ids=lambda part: part.__name__)
def test_whatever_a_metric_measures_has_an_entry(part, evidence):
    names = {value.name for value in example(part)(evidence)}
    assert names
    for name in names:
        assert entry(name).meaning, f"{name} of {part.__name__} has no entry in report/glossary.py"
        assert rank(name) < len(KNOWN)


def test_every_entry_but_that_of_the_fid_is_of_a_metric_that_exists(evidence):
    # The FID needs a file of weights that is not here, colourfulness needs colours, and kappa votes on both sides.
    measured = {glossary._start(value.name) for part in parts("metrics") for value in example(part)(evidence)}
    assert set(KNOWN) - measured == {"FID", "colourfulness", "vote_kappa"}


@pytest.mark.parametrize("metric", [Vendi(Pixels(), order=2), Spectrum(Pixels(), order=2)])
def test_another_order_is_the_same_entry(metric, evidence):
    (name,) = {value.name for value in metric(evidence) if "order" in value.name}
    assert entry(name).meaning == entry(name.split(",")[0]).meaning != ""


def test_a_name_that_only_begins_like_a_known_one_is_not_known():
    assert entry("entropy_of_mine") == glossary.Entry("Entropy of mine", "")
    assert entry("entropy").title == "Entropy"
    assert rank("entropy_of_mine") == len(KNOWN)


def test_only_the_distance_of_the_published_network_is_the_fid():
    @dataclasses.dataclass(frozen=True)
    class Published:
        frechet_name = "FID"

    assert entry(frechet_name(Published())).title == "FID"
    assert "Comparable with papers" in entry("FID").meaning
    for other in (frechet_name(Pixels()), "FD-inception-123456"):
        assert entry(other).title == "Frechet distance"
        assert "Not the FID" in entry(other).meaning


@pytest.mark.parametrize("name, title", [("FD-pixels@cifar10", "Frechet distance to cifar10"), ("FID@ffhq, 64", "FID to ffhq, 64")])
def test_a_distance_to_a_file_names_the_file_and_not_the_held_out_images(name, title):
    found = entry(name)
    assert found.title == title
    assert f"the images whose statistics {name.partition('@')[2]} holds" in found.meaning
    assert "held-out" not in found.meaning
    assert rank(name) == rank(name.partition("@")[0])


def test_the_metric_names_its_file_as_the_glossary_reads_it(evidence, tmp_path):
    path = tmp_path / "mine.npz"
    statistics.save(statistics_of(Pixels(), "real", evidence.data, evidence.ctx), path)
    names = {value.name for value in Frechet(Pixels(), against=path)(evidence)}
    assert {entry(name).title for name in names} == {"Frechet distance to mine"}
