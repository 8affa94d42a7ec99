"""The judge on the command line: verdict, best, --stop-on and --rollback, on a Gaussian chain of few rows that collapses."""

import json
from importlib import import_module

import pytest

from germline.chain import Chain
from germline.cli import main
from germline.core.generation import MODEL, folder
from germline.core.recipe import Recipe
from germline.core.verdict import Verdict
from germline.mixers import RealOnly, Replace
from germline.samplers.gaussian import DrawGaussian
from germline.trainers.gaussian import FitGaussian

LAST = 7


def shrinking(n: int = 12) -> Recipe:
    """Refit on ``n`` rows a generation: the variance falls by 1/n each time."""
    return Recipe(founder=FitGaussian(), mixer=Replace(), trainer=FitGaussian(), sampler=DrawGaussian(n))


def refreshed(n: int = 12) -> Recipe:
    """Fit the real rows again."""
    return Recipe(founder=FitGaussian(), mixer=RealOnly(), trainer=FitGaussian(), sampler=DrawGaussian(n))


def start(recipe, *flags, generations=LAST):
    return main(["run", f"{__name__}:{recipe}", "--data", "digits", "--generations", str(generations), *map(str, flags)])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that --stop-on ended."""
    path = tmp_path_factory.mktemp("judge") / "run"
    assert start("shrinking", "--out", path, "--stop-on", "collapsing", "diverging") == 0
    assert 2 <= len(Chain(path)) <= LAST
    return path


def said(verb, path, capsys, *flags):
    capsys.readouterr()
    assert main([verb, str(path), "--json", *map(str, flags)]) == 0
    return json.loads(capsys.readouterr().out)


def test_verdict_names_word_axes_and_best(stopped, capsys):
    verdict = said("verdict", stopped, capsys)
    assert verdict["word"] in ("collapsing", "diverging")
    assert verdict["since"] == len(Chain(stopped)) - 1
    assert {axis["name"] for axis in verdict["axes"]} == {"fidelity", "diversity", "novelty", "agreement"}
    assert said("verdict", stopped, capsys, "--generations", 2)["generations"] == 2
    assert main(["verdict", str(stopped)]) == 0
    assert verdict["word"] in capsys.readouterr().out


def test_one_generation_is_refused_a_verdict(stopped, capsys):
    assert main(["verdict", str(stopped), "--generations", "1"]) == 1
    assert "needs at least two" in capsys.readouterr().err


def test_best_exports_samples_and_model(stopped, tmp_path, capsys):
    best = said("best", stopped, capsys, "--out", tmp_path / "best")["best"]
    assert len(list((tmp_path / "best" / "samples").rglob("*.png"))) == 12
    assert (tmp_path / "best" / MODEL).read_bytes() == (stopped / folder(best) / MODEL).read_bytes()
    assert main(["best", str(stopped), "--out", str(tmp_path / "best")]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_a_stopped_run_stops_again_and_goes_on_without_the_flag(stopped, tmp_path, capsys):
    generations = len(Chain(stopped))
    assert start("shrinking", "--out", stopped, "--stop-on", "collapsing", "diverging") == 0
    assert "Stopped" in capsys.readouterr().out
    assert len(Chain(stopped)) == generations
    assert start("shrinking", "--out", stopped, generations=generations) == 0
    assert len(Chain(stopped)) == generations + 1


def test_rollback_shares_the_generations_up_to_the_best_and_running_twice_goes_on(stopped, capsys):
    best, new = said("best", stopped, capsys)["best"], stopped.with_name("new")
    assert start("refreshed", "--rollback", stopped, "--out", new, generations=best + 1) == 0
    for number in range(best + 1):
        assert Chain(new)[number].digest == Chain(stopped)[number].digest
    after = Chain(new)[best + 1].digest
    assert Chain(new)[best + 1].training_known
    assert len(Chain(new)) == best + 2
    assert start("refreshed", "--rollback", stopped, "--out", new, generations=best + 2) == 0
    assert len(Chain(new)) == best + 3
    assert Chain(new)[best + 1].digest == after


@pytest.mark.parametrize(("asked", "generations"), [(("collapsing", "diverging"), 3), (("unclear",), 2)])
def test_an_unclear_chain_goes_on_unless_unclear_was_asked_for(tmp_path, monkeypatch, capsys, asked, generations):
    monkeypatch.setattr(import_module("germline.verbs.run_loop"), "judge", lambda *_, **__: Verdict("unclear", (), 0, 2))
    path = tmp_path / "a run"
    assert start("refreshed", "--out", path, "--stop-on", *asked, generations=2) == 0
    assert len(Chain(path)) == generations
    text = capsys.readouterr().out
    assert ("Stopped: unclear" in text) == (generations == 2)
    assert f"germline {'best' if generations == 2 else 'report'} '{path}'" in text, "as a shell takes it"
