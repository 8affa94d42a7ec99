"""A small package with a recipe, a data set, a metric and parts of its own: installed, found, run, opened; and then missing."""

import importlib
import json
import os
import subprocess
import sys
import textwrap

import pytest

from germline import plugins, registry
from germline.cli import main
from germline.core.errors import BadInput

MINE = '''
"""A recipe, a data set and a metric of someone else's."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from germline.core.measurement import Measurement
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits, split
from germline.mixers import Accumulate
from germline.samplers import DrawGaussian
from germline.trainers import FitGaussian


@dataclass(frozen=True)
class EveryOther:
    """Choose every ``step``-th row."""

    step: int = 2

    def __call__(self, pool, ctx):
        return np.arange(0, len(pool), self.step)


@dataclass(frozen=True)
class Grey:
    """Mean grey level of the samples."""

    def __call__(self, evidence):
        return [Measurement("grey", float(evidence.samples.images[:].mean()), n=len(evidence.samples))]


@dataclass(frozen=True)
class Knobs:
    """Of the fit.

    Attributes:
        ddof: what is taken from n in the variance.
    """

    ddof: int = 0


def every_other(n: int = 40, step: int = 2, knobs: Knobs = Knobs()) -> Recipe:
    """Every other: train on every other row.

    Args:
        n: rows a generation.
        step: which.
        knobs: of the fit.
    """
    train = FitGaussian(knobs.ddof)
    return Recipe(source="mine", founder=train, mixer=Accumulate(), selector=EveryOther(step), trainer=train, sampler=DrawGaussian(n))


thirds = partial(every_other, step=3)


def stripes(size: int | None = None) -> Splits:
    """Stripes: grey images of two kinds."""
    side = size or 4
    images = np.random.default_rng(0).integers(0, 256, (200, side, side, 1)).astype(np.uint8)
    return split("stripes", images, np.arange(200) % 2, ("across", "down"), {"real": 40, "reserve": 0, "judge": 40, "held_out": 40})


def not_a_recipe(n: int = 1) -> int:
    return n


def no_default(n: int) -> Recipe:
    return every_other(n)


number = 7
'''
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "germline-mine"
version = "0.3"

[project.entry-points."germline.recipes"]
every-other = "minimal_mine:every_other"
replace = "minimal_mine:every_other"
broken = "minimal_mine.nowhere:recipe"

[project.entry-points."germline.data"]
stripes = "minimal_mine:stripes"

[project.entry-points."germline.metrics"]
grey = "minimal_mine:Grey"
gone = "minimal_mine:Gone"

[tool.setuptools]
py-modules = ["minimal_mine"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package, built and installed by pip into a folder of its own."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    (source / "minimal_mine.py").write_text(MINE)
    (source / "pyproject.toml").write_text(PROJECT)
    command = ["-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--no-deps", "-t", str(place), str(source)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    return place


PROGRAM = """
import json, sys
from germline import plugins, registry
from germline.cli import main
registry.standard_metrics = plugins.metrics
sys.exit(max([main(arguments) for arguments in json.loads(sys.argv[1])], default=0))
"""


def germline(place, cwd, *commands: list[str]) -> subprocess.CompletedProcess:
    """Run commands in one fresh process that sees what is installed in ``place``; only the metrics of other packages are measured."""
    path = os.pathsep.join([*([str(place)] if place else []), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    return subprocess.run(code, cwd=cwd, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


def test_an_installed_package_is_used_like_our_own(installed, tmp_path, monkeypatch, capsys):
    run = ["run", "every-other", "--data", "stripes", "--size", "6", "--ddof", "1", "--preset", "thirds", "--generations", "1"]
    done = germline(
        installed, tmp_path, ["ls", "--json"], [*run, "--out", "mine", "--json"], ["measure", "mine", "--json"], ["show", "every-other"]
    )
    assert done.returncode == 0, done.stderr
    listing, *generations, measured, parts = [line for line in done.stdout.splitlines() if line.startswith(("{", "every-other", "│"))][:5]
    names = json.loads(listing)
    assert names["recipes"]["every-other"] == "Every other: train on every other row. (from germline-mine 0.3)"
    assert names["recipes"]["replace"].startswith("Replace: T_g = S_{g-1}"), "no package takes our names"
    assert "cannot be loaded: ModuleNotFoundError" in names["recipes"]["broken"]
    assert names["data"]["stripes"] == "Stripes: grey images of two kinds. (from germline-mine 0.3)"
    assert [json.loads(line)["values"][0]["name"] for line in generations] == ["grey", "grey"]
    assert json.loads(measured)["generations"] == [json.loads(line)["values"] for line in generations]
    assert "every-other" in parts
    config = json.loads((tmp_path / "mine/config.json").read_text())
    assert config["parts"]["selector"] == {"part": "minimal_mine:EveryOther", "version": 1, "step": 3}
    assert config["parts"]["trainer"]["ddof"] == 1
    assert config["names"]["packages"] == {"germline-mine": "0.3"}
    assert "Goes on without a metric: The metric gone: minimal_mine has no 'Gone'" in done.stderr

    monkeypatch.chdir(tmp_path)
    assert main(["measure", "mine"]) == main(["run", "every-other"]) == 1
    said = capsys.readouterr().err
    assert "was made with germline-mine==0.3, which is not installed here: install it to open the run" in said
    assert "There is no recipe 'every-other'" in said


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The module as a file in the folder that one is in; nothing of it stays imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "standard_metrics", list)
    (tmp_path / "their_own.py").write_text(textwrap.dedent(MINE))
    yield tmp_path
    sys.modules.pop("their_own", None)


def test_a_file_beside_you_is_enough(beside, capsys):
    assert main(["run", "their_own:every_other", "--data", "their_own:stripes", "--n", "30", "--generations", "1"]) == 0
    assert main(["export", "runs/every_other", "--out", "made"]) == 0
    assert main(["study", "their_own:every_other", "--dry-run", "--data", "their_own:stripes"]) == 0
    config = json.loads((beside / "runs/every_other/config.json").read_text())
    assert config["names"]["packages"] == {"their_own": ""}
    assert config["parts"]["sampler"]["n"] == 30
    (beside / "their_own.py").unlink()
    sys.modules.pop("their_own")
    importlib.invalidate_caches()
    assert main(["export", "runs/every_other", "--out", "again"]) == 1
    assert "was made with the module their_own, which is not installed here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "their_own:nothing"], "their_own has no 'nothing'; check the name"),
        (["run", "nowhere_at_all:recipe"], "cannot be loaded: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (["run", "their_own:number"], "must be a function that returns a Recipe, but is a int"),
        (["run", "their_own:no_default"], "its argument 'n' must have a type and a default"),
        (["run", "their_own:not_a_recipe", "--data", "digits"], "must return a Recipe, but returned a int"),
        (["run", "their_own:every_other", "--data", "their_own:not_a_recipe"], "must return Splits, but returned a int"),
        (["run", "their_own:every_other", "--data", "their_own:stripes", "--whole"], "takes no --whole; it takes size"),
        (["run", "their_own:every_other", "--preset", "halves"], "There is no preset of their_own:every_other 'halves'"),
        (["run", "their_own:every_other", "--data", "their_own:stripes", "--real", "3"], "takes no --real"),
    ],
)
def test_what_cannot_be_used_is_told(beside, capsys, arguments, says):
    assert main(arguments) == 1
    assert says in capsys.readouterr().err


def test_two_packages_with_one_name_are_told_apart(monkeypatch):
    class Entry:
        name, group, attr = "twice", "germline.recipes", "recipe"
        dist = None

        def __init__(self, module):
            self.module, self.value = module, f"{module}:recipe"

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Entry("one"), Entry("two")])
    with pytest.raises(BadInput, match=r"Several packages bring a recipe 'twice'.*one:recipe.*two:recipe.*as module:function"):
        plugins.load(plugins.RECIPES, "twice")
