"""The page: everything is on it, it is what the runs hold, and nothing is fetched."""

import base64
import gzip
import html
import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from conftest import gaussian_recipe, gaussian_splits
from germline.core.errors import BadInput
from germline.core.generation import column_of
from germline.core.measurement import Measurement
from germline.core.pool import GIVEN, Pool
from germline.loop import Loop
from germline.measure import measure
from germline.mixers import Accumulate, Given, RealOnly, Replace
from germline.report import tables
from germline.report.arms import groups
from germline.report.composition import compositions
from germline.report.curves import FAINT, constants, joined, panels, series_of
from germline.report.grids import grid, spread, tile_rows
from germline.report.neighbours import galleries, nearest_rows
from germline.report.origins import counts
from germline.report.page import write_page
from germline.report.pictures import small
from germline.report.rendered import short
from germline.report.spent import Spent, spent
from germline.report.statement import statement
from germline.report.text import number, ratio
from germline.selectors import Uniform
from germline.trainers.gaussian import FitGaussian

NAMES = ("replace <b>& co</b>", "accumulate", "real-only")
MIXERS = (Replace(), Accumulate(), RealOnly())


@dataclass(frozen=True)
class Spread:
    """A metric of pixels, cheap: named as one that the page knows."""

    n: int | None = None

    def __call__(self, evidence):
        of = {"samples": evidence.samples, "training": evidence.training, "reference": evidence.data.held_out}
        values = {what: float(pool.images[: self.n].std()) for what, pool in of.items()}
        spreads = [Measurement("FD-Pixels", value, what, self.n or 20, "Pixels", better="low") for what, value in values.items()]
        return [*spreads, Measurement("real_share", float(evidence.training.real.mean()), "training", len(evidence.training))]


def make(folder, data, mixers=MIXERS, names=NAMES, generations=3, seeds=(0,), metrics=(Spread(),)):
    runs = []
    for seed in seeds:
        for i, (name, mixer) in enumerate(zip(names, mixers, strict=True)):
            loop = Loop.at(folder / f"{i}-{seed}", gaussian_recipe(20, mixer), data, seed=seed)
            for generation in loop.run(generations):
                measure(generation, data, metrics)
            runs.append((name, loop.chain, data))
    return runs


@pytest.fixture(scope="module")
def data():
    return gaussian_splits(20, 6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    return make(tmp_path_factory.mktemp("runs"), data)


@pytest.fixture(scope="module")
def page(tmp_path_factory, runs):
    out = tmp_path_factory.mktemp("page") / "page.html"
    write_page(runs, out)
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    return out.read_text()


@pytest.fixture(scope="module")
def group(runs):
    return groups(runs)[0]


def decoded(uri):
    head, body = uri.split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def own(page):
    """Return the page without plotly's library and the pictures."""
    return "".join(part for part in re.split(r"(<script[^>]*>.*?</script>)", page, flags=re.S) if len(part) < 1_000_000)


def test_every_arm_and_generation_is_there_and_names_are_escaped(page):
    assert "<b>& co</b>" not in page
    for name in NAMES:
        for generation in range(4):
            assert f'data-arm="{html.escape(name)}" data-generation="{generation}"' in page
    figures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, flags=re.S)
    assert figures
    assert all(set(json.loads(figure)) == {"data", "layout"} for figure in figures)


def test_nothing_is_fetched(page):
    rest = own(page)
    assert len(rest) < len(page) - 1_000_000
    assert "http:" not in rest
    assert "https:" not in rest
    assert not re.search(r"<link[^>]+href=\"(?!data:)|src=\"(?!data:)|@import|url\((?!data:)", rest)
    assert "default-src 'none'" in rest


def test_the_library_is_there_whole_and_a_third_of_its_size(page):
    packed = re.search(r'<script type="application/gzip" id="plotly">(.*?)</script>', page, flags=re.S).group(1)
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()
    assert len(packed) < len(get_plotlyjs()) / 2


def test_figures_have_six_digits(page):
    assert short({"y": [1 / 3, 123456789.0], "n": 7}) == {"y": [0.333333, 123457000.0], "n": 7}
    assert not re.search(r"0\.\d{8}", own(page))


def test_tiles_are_the_samples_of_equal_rows(runs, group):
    shown = grid(group)
    side, gap, across = 6, 1, shown.columns
    for row in shown.rows:
        for cell in row.cells:
            samples = row.arm.shown.generations[cell.generation].samples
            picture = decoded(cell.uri)
            for tile, number_ in enumerate(tile_rows(samples, 20)):
                y, x = tile // across * (side + gap), tile % across * (side + gap)
                np.testing.assert_array_equal(picture[y : y + side, x : x + side, 0], samples.images[[number_]][0, :, :, 0])
                assert (picture[y : y + side, x : x + side, 1] == 255).all()
    assert len({cell.uri for row in shown.rows for cell in row.cells[1:]}) == 9
    assert [label[0] for label in shown.classes[:2]] == ["a", "b"]


def test_tile_rows_take_every_class_in_turn():
    pool = Pool.of(np.zeros((30, 2, 2, 1), np.uint8), np.repeat(np.arange(3), 10))
    np.testing.assert_array_equal(tile_rows(pool, 6), [0, 10, 20, 1, 11, 21])
    many = Pool.of(np.zeros((100, 2, 2, 1), np.uint8), np.arange(100))
    np.testing.assert_array_equal(tile_rows(many, 3)[[0, -1]], [0, 99])


def test_generations_are_spread_with_both_ends():
    assert spread(5, 7) == (0, 1, 2, 3, 4, 5)
    assert spread(0, 7) == (0,)
    assert spread(30, 7) == (0, 5, 10, 15, 20, 25, 30)


def test_large_images_are_averaged():
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    by_hand = images.reshape(2, 64, 2, 64, 2, 3).astype(float).mean(axis=(2, 4))
    np.testing.assert_array_equal(small(images), np.rint(by_hand).astype(np.uint8))
    assert small(images[:, :64, :64]).shape == (2, 64, 64, 3)


def test_composition_is_that_of_the_choice(group):
    for one in compositions(group):
        for trace in one.figure.traces:
            made = -1 if trace["name"] == "real" else int(trace["name"].removeprefix("generation "))
            for number_, generation in enumerate(one.arm.shown.generations):
                chosen = generation.choice.filter(column_of(generation.choice, "order") >= 0)
                expected = (column_of(chosen, "generation") == made).sum()
                assert counts(generation).get(made, 0) == expected
                assert trace["y"][number_] == pytest.approx(100 * expected / len(chosen))
                assert f"{expected} of {len(chosen)} training rows" in trace["hovertext"][number_]


def test_arms_are_ordered_by_their_real_rows(group):
    assert [arm.name for arm in group.arms] == list(NAMES)
    assert [arm.control for arm in group.arms] == [False, False, True]


def test_nearest_rows_are_those_of_brute_force(runs, data, monkeypatch):
    monkeypatch.setattr("germline.report.neighbours.BLOCK", 7)
    generation = runs[1][1][3]
    query, base = generation.samples, generation.training(data)
    x, y = (pool.images[:].reshape(len(pool), -1) / 127.5 - 1 for pool in (query, base))
    distances = np.sqrt(((x[:, None] - y[None]) ** 2).sum(axis=2))
    rows, found = nearest_rows(query, base)
    np.testing.assert_array_equal(rows, distances.argmin(axis=1))
    np.testing.assert_allclose(found, distances.min(axis=1), rtol=1e-6)


def test_a_copy_is_at_distance_nought_and_knows_its_origin(runs, data):
    generation = runs[1][1][3]
    rows, found = nearest_rows(runs[1][1][1].samples.take([4]), generation.training(data))
    assert found[0] == 0
    np.testing.assert_array_equal(generation.training(data).origin[rows[0]], [1, 4])


def test_gallery_shows_first_and_last_generation(group):
    held_out, shown = galleries(group)
    assert {pair.origin for pair in held_out.pairs} == {"real"}
    for gallery in shown:
        assert [strip.title for strip in gallery.strips] == ["generation 0", "generation 3"]
        assert all(decoded(pair.uri).shape == (13, 6, 2) for strip in gallery.strips for pair in strip.pairs)
    assert {pair.origin for pair in shown[0].strips[1].pairs} == {"generation 2"}


def test_curves_are_the_measurements(runs, group):
    panel = next(panel for panel in panels(group) if panel.title == "Frechet distance")
    assert panel.direction == "Lower is better."
    assert "20 samples" in panel.conditions
    for name, chain, _ in runs:
        line = next(trace for trace in panel.figure.traces if trace["name"] == html.escape(name))
        values = [json.loads((chain[g].path / "metrics.json").read_text())["measurements"] for g in range(4)]
        expected = [next(v["value"] for e in at.values() for v in e["values"] if v["of"] == "samples") for at in values]
        assert line["y"] == expected
    assert sum(trace["name"] == "real images" for trace in panel.figure.traces) == 1


def test_the_statement_is_computed(group):
    said = statement(group)
    series = series_of(group)[0]
    first, last = series.ends(group.arms[0])
    assert said.lines[0].changes[0].first == number(first)
    assert said.lines[0].changes[0].last == number(last)
    assert said.lines[0].training == "20 rows, 0 % real"
    assert said.lines[1].training == "80 rows, 25 % real"
    assert "real-only trains on real images only" in said.controls[0]
    assert said.seeds == "One seed: differences between remedies are not significance-tested."


def test_values_on_other_numbers_of_rows_are_kept_apart(tmp_path, data):
    runs = (
        make(tmp_path / "a", data, generations=1, metrics=(Spread(20),))[:1]
        + make(tmp_path / "b", data, generations=1, metrics=(Spread(10),))[1:]
    )
    titles = [panel.title for panel in panels(groups(runs)[0])]
    assert titles[:2] == ["Frechet distance (n = 20)", "Frechet distance (n = 10)"]
    assert "cannot be compared" in statement(groups(runs)[0]).directions
    found = panels(groups(runs)[0])
    held = [panel.only for panel in found]
    assert held[:2] == [NAMES[0], "accumulate, real-only"]
    assert [panel.arms for panel in joined(found)[0]] == [2, 1]
    assert joined(found)[0][0].metric == "Frechet distance"
    table = tables.numbers(groups(runs)[0])
    row = dict(zip(table.head, next(row for row in table.rows if row[0] == "Frechet distance (n = 10)"), strict=True))
    assert [row[name].endswith(", n = 20") for name in NAMES] == [True, False, False]
    assert row["real images"].endswith(", n = 20")


def test_seeds_of_an_arm_are_one_line_and_its_mean(tmp_path, data):
    found = groups(make(tmp_path, data, generations=1, seeds=(0, 1, 2)))[0]
    assert [len(arm) for arm in found.arms] == [3, 3, 3]
    series = series_of(found)[0]
    values = [series.of("samples", run)[1].value for run in found.arms[0].runs]
    assert series.mean(found.arms[0], 1) == pytest.approx(np.mean(values))
    assert len(set(values)) == 3
    assert "3 seeds" in statement(found).seeds


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)])
def test_single_seeds_are_faint_where_a_band_shows_them(tmp_path, data, seeds):
    found = groups(make(tmp_path, data, generations=1, seeds=seeds))[0]
    panel = panels(found)[0]
    assert panel.only == ""
    single = [trace for trace in panel.figure.traces if ", seed " in (trace.get("name") or "")]
    assert len(single) == 3 * len(seeds)
    assert {trace.get("opacity") for trace in single} == ({FAINT} if len(seeds) == 3 else {None})
    assert sum(trace.get("fill") == "toself" for trace in panel.figure.traces) == (3 if len(seeds) == 3 else 0)


def test_budgets_have_network_evaluations_where_they_are_known(group):
    costs = {group.arms[1].shown.chain.path: Spent(images=None, rows=80, evaluations=4_321, real_rows=17)}
    plain, told = tables.budgets(group), tables.budgets(group, costs)
    assert "network evaluations" not in plain.head
    column = told.head.index("network evaluations")
    assert [row[column : column + 2] for row in told.rows] == [("", ""), ("4,321", "17"), ("", "")]
    assert all(len(row) == len(told.head) for row in told.rows)


def test_one_generation_without_metrics_and_two_data_sets(tmp_path, data):
    other = gaussian_splits(20, 5, seed=1)
    runs = make(tmp_path / "a", data, generations=0, metrics=()) + make(tmp_path / "b", other, generations=1)
    write_page(runs, tmp_path / "page.html")
    text = own((tmp_path / "page.html").read_text())
    assert "Nothing was measured yet" in text
    assert "runs on 2 data sets" in text
    assert text.count("<article") == 2


def test_an_arm_that_was_given_a_pool_is_on_the_same_data_set_and_other_pools_are_other_arms(tmp_path, data):
    rng, runs = np.random.default_rng(3), make(tmp_path / "plain", data, mixers=MIXERS[:1], names=("plain",), generations=1)
    for seed, name in enumerate("ab"):
        pool = Pool.of(rng.integers(0, 256, (8, 6, 6, 1), np.uint8), np.arange(8) % 2, GIVEN)
        beside = replace(data, given=pool)
        loop = Loop.at(tmp_path / name, gaussian_recipe(20, Given(Replace()), selector=Uniform(6)), beside, seed=seed)
        for generation in loop.run(1):
            measure(generation, beside, [])
        runs.append((name, loop.chain, beside))
    (found,) = groups(runs)
    assert sorted(arm.name for arm in found.arms) == ["a", "b", "plain"]
    write_page(runs, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "data sets. Their numbers cannot be compared" not in text
    assert "6 rows, 0 % real, 100 % of the given pool" in text


@dataclass(frozen=True)
class Imported(FitGaussian):
    """A founder that trains on nothing, as that of a pretrained pipeline."""

    images: ClassVar[int] = 0


def test_a_pretrained_generation_0_was_trained_on_nothing_here(tmp_path, data):
    for number_, mixer in enumerate((Replace(), RealOnly())):
        loop = Loop.at(tmp_path / str(number_), replace(gaussian_recipe(20, mixer), founder=Imported()), data)
        for generation in loop.run(1):
            measure(generation, data, [Spread()])
        (arm,) = groups([("run", loop.chain, data)])[0].arms
        (composed,) = compositions(groups([("run", loop.chain, data)])[0])
        assert "real (generation 0: pretrained, trained on nothing here)" in composed.text
        assert [sum(layer[g] for layer in composed.shares.values()) for g in (0, 1)] == [0, 100]
        assert arm.control == (mixer == RealOnly())
        assert spent(loop.recipe, loop.chain, data).real_rows == (20 if arm.control else 0)
    alone = Loop.at(tmp_path / "alone", replace(gaussian_recipe(20), founder=Imported()), data)
    list(alone.run(0))
    write_page([("alone", alone.chain, data)], tmp_path / "page.html")
    text = own((tmp_path / "page.html").read_text())
    assert "last training set: none: pretrained, trained on nothing here" in text
    assert "generation 0, pretrained: not trained on these" in text
    assert "20 rows" not in text


def test_a_metric_that_never_moves_becomes_a_sentence(tmp_path, data):
    found = groups(make(tmp_path, data, mixers=MIXERS[2:], names=("control",), generations=1))[0]
    assert constants(found) == ["Real share: 1.00 in every arm and generation."]


@dataclass(frozen=True)
class Fixed:
    """A metric of one value, on ``n`` samples."""

    n: int
    value: float

    def __call__(self, evidence):
        return [Measurement("duplicates", self.value, "samples", self.n)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (0.0, ["Duplicates: 0 in every arm and generation."]),
        (0.5, ["Duplicates (n = 20): 0 in every arm and generation.", "Duplicates (n = 10): 0.500 in every arm and generation."]),
    ],
)
def test_one_value_on_two_numbers_of_samples_is_one_sentence(tmp_path, data, other, said):
    runs = make(tmp_path / "a", data, names=("x", "b", "c"), generations=1, metrics=(Fixed(20, 0.0),))[:1]
    runs += make(tmp_path / "b", data, names=("a", "y", "c"), generations=1, metrics=(Fixed(10, other),))[1:2]
    assert constants(groups(runs)[0]) == said


def test_what_differs_and_how_to_make_it_again(group, tmp_path, data):
    table = tables.differences(group)
    assert table.rows == (("mixer", "Replace()", "Accumulate()", "RealOnly()"),)
    names = {
        "recipe": "replace",
        "kwargs": {"n": 20, "setup": {"channels": [32, 64], "clip": False}},
        "data": {"data": "my photos/", "size": None},
    }
    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), data, names=names)
    list(loop.run(1))
    assert tables.commands(groups([("run", loop.chain, data)])[0]) == [
        "germline run replace --out runs/run --generations 1 --seed 0 --n 20 --channels 32 64 --no-clip --data 'my photos/'"
    ]


def test_no_run_and_no_generation_are_said(tmp_path, data):
    with pytest.raises(BadInput, match="at least one run"):
        write_page([], tmp_path / "page.html")
    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), data)
    with pytest.raises(BadInput, match="no finished generation"):
        write_page([("run", loop.chain, data)], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_numbers_as_text():
    assert [number(v) for v in (15713.2, 39.71, 6.14, 0.031, -4.4, 0, 2e-7, float("nan"))] == [
        "15,713", "39.7", "6.14", "0.031", "\N{MINUS SIGN}4.40", "0", "2.0e\N{MINUS SIGN}07", "n/a",
    ]  # fmt: skip
    assert [ratio(6.1, 39.7), ratio(0.22, 0.017), ratio(1, 1), ratio(-1, 2), ratio(1e-6, 1)] == [
        "6.5×",
        "÷13",
        "1.0×",
        None,
        "1,000× or more",
    ]


def test_the_report_does_not_import_torch():
    code = "import germline.report.page, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
