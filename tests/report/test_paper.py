"""Figures for papers: what is drawn is what was measured, fonts and bytes are what journals and git ask for."""

import base64
import io
import json
import re
import sys
from dataclasses import dataclass

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from conftest import gaussian_splits
from germline import registry
from germline.cli import main
from germline.core.errors import MissingExtra
from germline.core.intervals import over_seeds
from germline.core.measurement import Measurement
from germline.report import drawn
from germline.report.arms import groups
from germline.report.composition import compositions
from germline.report.curves import series_of
from germline.report.figures import COLOURS, colour
from germline.report.law import laws
from germline.report.origins import counts
from germline.report.paper import label, write_figures
from germline.report.plate import cells, plate
from germline.report.sheet import sheet
from report.test_law import OnTheLine
from report.test_page import MIXERS, NAMES, Spread, make

NAMES_HERE = ("replace <b>& $co$", *NAMES[1:])


@dataclass(frozen=True)
class Levels:
    """Two metrics of one title, and a level of real images that depends on the run."""

    def __call__(self, evidence):
        mean = float(evidence.samples.images[:].mean())
        twins = [Measurement(f"FD-{name}", mean, "samples", 20, name, better="low") for name in ("a", "b")]
        own = [Measurement("mnnd", mean - 127, of, 20, "a", 1) for of in ("samples", "reference")]
        return [*twins, *own]


@pytest.fixture(scope="module")
def data():
    return gaussian_splits(20, 6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    return make(tmp_path_factory.mktemp("runs"), data, names=NAMES_HERE, generations=2, seeds=(0, 1, 2), metrics=(Spread(), OnTheLine()))


@pytest.fixture(scope="module")
def group(runs):
    return groups(runs)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, runs):
    folder = tmp_path_factory.mktemp("figures")
    written = write_figures(runs, folder)
    assert sorted(written) == sorted(folder.iterdir())
    return folder


def axes():
    return Figure().add_subplot()


def named(axes, name):
    (line,) = [line for line in axes.get_lines() if line.get_label() == name]
    return line


def test_curves_are_the_means_and_bands_the_intervals_over_seeds(group):
    series, on = series_of(group)[0], axes()
    drawn.curves(on, series, group)
    assert len(on.collections) == len(group.arms)
    for arm, band in zip(group.arms, on.collections, strict=True):
        ends = [over_seeds([series.of("samples", run)[g].value for run in arm.runs]) for g in range(3)]
        line = named(on, arm.name)
        np.testing.assert_allclose(line.get_xydata(), [(g, end.mean) for g, end in enumerate(ends)])
        assert to_hex(line.get_color()).upper() == to_hex(band.get_facecolor()[0]).upper() == colour(arm.style)
        corners = {(x, round(y, 9)) for x, y in band.get_paths()[0].vertices}
        assert corners == {(g, round(y, 9)) for g, end in enumerate(ends) for y in (end.low, end.high)}
    (level,) = {point.value for points in series.points["reference"].values() for point in points.values()}
    assert set(named(on, "real images").get_ydata()) == {level}
    assert len(on.get_lines()) == len(group.arms) + 1


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_under_three_seeds_there_is_no_band_but_a_thin_line_a_seed(tmp_path, data, seeds):
    few = groups(make(tmp_path, data, generations=1, seeds=seeds))[0]
    series, on = series_of(few)[0], axes()
    drawn.curves(on, series, few)
    assert not on.collections
    thin = [line for line in on.get_lines() if line.get_linewidth() < 0.5]
    values = [[point.value for point in series.of("samples", run).values()] for arm in few.arms for run in arm.runs]
    assert [list(line.get_ydata()) for line in thin] == (values if len(seeds) > 1 else [])


def test_levels_of_real_images_that_differ_are_drawn_for_each_arm(tmp_path, data):
    few = groups(make(tmp_path, data, generations=1, metrics=(Levels(),)))[0]
    found = series_of(few)
    assert [label(series, found) for series in found] == ["Frechet distance (a) ↓", "Frechet distance (b) ↓", "Nearest-neighbour distance"]
    on = axes()
    drawn.curves(on, found[2], few)
    dashed = [line for line in on.get_lines() if line.get_linestyle() != "-" and line.get_marker() == "None"]
    assert [to_hex(line.get_color()).upper() for line in dashed] == list(COLOURS[:3])


def test_the_law_holds_every_point_and_the_null_line(group):
    (found,), on = laws(group), axes()
    drawn.law(on, found, group)
    for arm in group.arms:
        expected = [(point.entropy, point.log_gs) for point in found.points if point.run in arm.runs]
        assert len(expected) == 9
        np.testing.assert_array_equal(named(on, arm.name).get_xydata(), expected)
    for h, gs in named(on, "null line").get_xydata():
        assert gs == pytest.approx(found.constant + found.slope * h)


def test_layers_of_a_composition_are_the_shares_of_the_record_and_stack_to_the_whole(group):
    for found in compositions(group):
        on = axes()
        drawn.composition(on, found, group.last)
        rows = [counts(generation) for generation in found.arm.shown.generations]
        layers = dict(zip(found.shares, on.containers, strict=True))
        for made, bars in layers.items():
            heights = [100 * row.get(made, 0) / sum(row.values()) for row in rows]
            np.testing.assert_allclose([bar.get_height() for bar in bars], heights)
        tops = [bar.get_y() + bar.get_height() for bar in on.containers[-1]]
        np.testing.assert_allclose(tops, 100)
        assert on.containers[0].patches[0].get_hatch()  # real rows, told apart in grey


def test_an_arm_keeps_its_own_look_for_twelve_arms():
    looks = [(colour(i), drawn.mark(i)[1], drawn.dash(i)) for i in range(12)]
    assert len(set(map(str, looks))) == 12
    grey = {(drawn.mark(i)[0], drawn.mark(i)[1] == drawn.PAPER) for i in range(12)}
    assert len(grey) == 12


def test_cells_of_the_grid_are_the_samples_pixel_by_pixel(group):
    picture, figure = sheet(group), Figure(figsize=(3.3, 3))
    plate(figure, picture, group)
    shown = [one.images[0] for one in figure.axes]
    assert {image.get_interpolation() for image in shown} == {"none"}
    flat = [cell for line in cells(picture, group) for cell in line]
    tile, step = 6 * picture.scale, 7 * picture.scale
    for cell, image in zip(flat, shown, strict=True):
        np.testing.assert_array_equal(image.get_array(), cell)
    for line, arm in enumerate(group.arms):
        for g in range(3):
            samples = arm.shown.generations[g].samples
            cell = flat[line * 4 + 1 + g]
            for i, row in enumerate(picture.rows):
                y, x = i // picture.columns * step, i % picture.columns * step
                here = cell[y : y + tile, x : x + tile, 0]
                expected = samples.images[[row]][0, :, :, 0].repeat(picture.scale, 0).repeat(picture.scale, 1)
                np.testing.assert_array_equal(here, expected)


def test_a_cell_that_was_not_run_says_so(tmp_path, data):
    short = make(tmp_path / "short", data, names=("replace",), mixers=MIXERS[:1], generations=1)
    long = make(tmp_path / "long", data, names=("accumulate",), mixers=MIXERS[1:2], generations=2)
    both = groups([*short, *long])[0]
    figure = Figure(figsize=(3.3, 3))
    plate(figure, sheet(both), both)
    assert [one.texts[0].get_text() for one in figure.axes if one.texts] == ["not run"]
    assert [len(one.images) for one in figure.axes].count(0) == 1


def test_the_raster_in_an_svg_is_the_cell_itself(folder, group):
    stored = re.findall(r"data:image/png;base64,\s*([^\"]+)", (folder / "grid.svg").read_text())
    images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in stored]
    expected = [cell for line in cells(sheet(group), group) for cell in line]
    assert len(images) == len(expected)
    assert all((image == cell).all() for image, cell in zip(images, expected, strict=True))
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "grid.png")), np.asarray(sheet(group).image))


def test_text_is_text_in_svg_and_truetype_in_pdf(folder):
    for name in ("FD-Pixels", "law-pixels-d4"):
        svg, pdf = (folder / f"{name}.svg").read_text(), (folder / f"{name}.pdf").read_bytes()
        for arm in ("replace &lt;b&gt;&amp; $co$", "accumulate", "real-only"):
            assert f">{arm}</text>" in svg
        assert pdf.startswith(b"%PDF-1.")
        assert b"/Subtype /Type3" not in pdf
        assert b"/CIDFontType2" in pdf or b"/Subtype /TrueType" in pdf
        assert b"CreationDate" not in pdf
        assert "<dc:date>" not in svg
    width, height = map(float, re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", (folder / "FD-Pixels.pdf").read_bytes()).groups())
    assert (width, height > 100) == (pytest.approx(3.3 * 72), True)


def test_captions_say_on_what_was_measured_and_what_the_lines_are(folder):
    captions = (folder / "captions.txt").read_text()
    assert "FD-Pixels: Frechet distance ↓." in captions
    assert "20 samples; 20 real rows; features: Pixels. Lines: means over 3 seeds. Bands: 95 % t-interval over seeds." in captions
    assert {line.split(":")[0] for line in captions.splitlines() if line} == {path.stem for path in folder.glob("*.pdf")}


def test_equal_runs_give_equal_bytes_whatever_the_users_own_style(folder, runs, tmp_path):
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "lines.linewidth": 9}):
        write_figures(runs, tmp_path / "again")
        assert matplotlib.rcParams["font.size"] == 20
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_data_sets_have_figures_of_their_own(tmp_path, data):
    other = gaussian_splits(20, 4, seed=1)
    both = [*make(tmp_path / "a", data, generations=1), *make(tmp_path / "b", other, generations=1)]
    names = {path.name for path in write_figures(both, tmp_path / "out")}
    assert {"1-grid.pdf", "2-grid.pdf", "1-FD-Pixels.svg", "2-FD-Pixels.svg", "captions.txt"} <= names


def test_without_matplotlib_the_error_names_the_extra(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'germline[figures]'")):
        write_figures(runs, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_lists_its_files_and_writes_a_page_only_where_it_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "standard_metrics", lambda: [Spread()])
    run = ["run", "replace", "--n", "40", "--images", "64", "--founder-images", "64", "--steps", "1", "--channels", "16", "32"]
    assert main([*run, "--data", "digits", "--generations", "1", "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["report", "run", "--figures", "figures", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["page"] is None
    assert sorted(said["figures"]) == sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "figures").iterdir())
    assert "figures/grid.pdf" in said["figures"]
    assert not (tmp_path / "report.html").exists()
