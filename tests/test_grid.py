"""``germline grid``: the picture on disk is what the JSON says, and mistakes are answered."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from germline.chain import Chain
from germline.cli import main
from germline.core.errors import BadInput
from germline.core.recipe import Recipe
from germline.mixers import Replace
from germline.report.sheet import TILE
from germline.samplers.gaussian import DrawGaussian
from germline.trainers.gaussian import FitGaussian
from germline.verbs.grid import conditions_of


def gaussian(n: int = 20) -> Recipe:
    """Refit on ``n`` rows a generation."""
    return Recipe(founder=FitGaussian(), mixer=Replace(), trainer=FitGaussian(), sampler=DrawGaussian(n))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "run"
    assert main(["run", f"{__name__}:gaussian", "--data", "digits", "--generations", "2", "--out", str(path), "--json"]) == 0
    return path


@pytest.mark.parametrize("name", ["grid.png", "grid.webp"])
def test_the_picture_is_what_the_json_says(run, tmp_path, capsys, name):
    capsys.readouterr()
    out = tmp_path / name
    assert main(["grid", str(run), "--classes", "3", "7", "--generations", "2", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    samples = Chain(run)[2].samples
    assert [int(samples.condition[row]) for row in told["rows"]] == [3, 7]
    with Image.open(out) as image:
        assert list(image.size) == told["size"]
        pixels = np.asarray(image.convert("RGB"))
    wanted = np.kron(samples.images[told["rows"][:1]][0, :, :, 0], np.ones((told["scale"],) * 2, np.uint8))
    assert told["scale"] == TILE // 8
    high, wide = wanted.shape
    found = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], wanted.shape)
    assert any(
        (found[y, x] == wanted).all() for y, x in np.argwhere(found[..., 0, 0] == wanted[0, 0]) if found[y, x, -1, -1] == wanted[-1, -1]
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert high == wide == TILE


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--out", "x.gif"], "--out must end in .png or .webp, but is x.gif."),
        (["--classes", "dog"], "No sample has the class 'dog'. There are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        (["--prompts", "a dog"], "have classes, not prompts; choose them by --classes"),
        (["--generations", "5"], "No run has a generation 5; there are 0 to 2."),
        (["--seeds", "4"], "No arm was run at seed 4. There are: 0."),
        (["--seeds", "0,4"], "No arm was run at seed 4. There are: 0."),
        (["--seeds", "one"], "--seeds takes whole numbers, 0 1 or 0,1, but got 'one'."),
        (["--scale", "400", "--out", "x.webp"], "WebP holds at most 16,383 a side"),
    ],
)
def test_mistakes_are_answered(run, tmp_path, capsys, monkeypatch, flags, says):
    monkeypatch.chdir(tmp_path)
    assert main(["grid", str(run), *flags]) == 1
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_adopted_chain_in_another_order_keeps_its_classes_in_place(run, tmp_path, capsys):
    """Its samples come in an order of its own, so the first rows of each class are shown, and the picture says so."""
    generations = Chain(run).generations()
    assert main(["export", str(run), "--what", "data", "--out", str(tmp_path / "data")]) == 0
    for g, rows in ((0, np.arange(20)), (1, np.arange(20)[::-1])):
        samples = generations[g].samples
        np.savez(tmp_path / f"s{g}.npz", images=samples.images[rows], labels=samples.condition[rows])
    splits = [
        word for name in ("real", "reserve", "judge", "held_out") for word in (f"--{name.replace('_', '-')}", str(tmp_path / "data" / name))
    ]
    given = [word for g in (0, 1) for word in ("--generation", str(tmp_path / f"s{g}.npz"))]
    assert main(["adopt", *splits, *given, "--out", str(tmp_path / "adopted")]) == 0
    capsys.readouterr()
    assert main(["grid", str(tmp_path / "adopted"), "--classes", "3", "--json", "--out", str(tmp_path / "a.png")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["conditions"] == ["3"]
    samples = Chain(tmp_path / "adopted")[1].samples
    first = int(np.flatnonzero(samples.condition == 3)[0])
    assert first != told["rows"][0]
    pixels, corner = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")), told["corners"][0][2]
    side = 8 * told["scale"]
    tile = pixels[corner[1] : corner[1] + side : told["scale"], corner[0] : corner[0] + side : told["scale"], 0]
    np.testing.assert_array_equal(tile, samples.images[[first]][0, :, :, 0])


def test_prompts_and_classes_do_not_mix():
    pool = SimpleNamespace(condition=np.array(["a dog"]))
    group = SimpleNamespace(arms=[SimpleNamespace(shown=SimpleNamespace(generations=[SimpleNamespace(samples=pool)]))])
    assert conditions_of(group, (), ("a dog",)) == ("a dog",)
    with pytest.raises(BadInput, match="have prompts, not classes; choose them by --prompts"):
        conditions_of(group, ("3",), ())


def test_runs_of_two_data_sets_are_refused(run, tmp_path, capsys):
    other = tmp_path / "other"
    assert main(["run", f"{__name__}:gaussian", "--data", "digits", "--real", "200", "--generations", "0", "--out", str(other)]) == 0
    assert main(["grid", str(run), str(other), "--out", str(tmp_path / "x.png")]) == 1
    assert "These runs are of 2 data sets" in capsys.readouterr().err
