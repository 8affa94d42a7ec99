"""A planted chain, whose training absorbs a known share h and whose sampler multiplies displacement by a known g(s)."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from germline import registry
from germline.cli import main
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import split
from germline.diffusion.schedule import karras
from germline.guidance import CANDIDATE, foretold, leak, matched_start, observed, predict, side_of
from germline.loop import Loop
from germline.mixers import Replace
from germline.theory.guided_gaussian import effective_scale

SIDE, CLASSES, N = 8, 4, 400
AWAY = np.random.default_rng(0).choice([-14.0, 14.0], (CLASSES, SIDE, SIDE, 1))


@dataclass(frozen=True)
class Fade:
    """Learns class means, h of the way from the mean of all."""

    h: float = 0.8

    def __call__(self, data, previous, ctx):
        x, (classes, place) = data.images[:].astype(np.float64), np.unique(data.condition, return_inverse=True)
        means = np.stack([x[place == number].mean(axis=0) for number in range(len(classes))])
        return {"middle": x.mean(axis=0), "away": self.h * (means - x.mean(axis=0))}

    def arrays(self, model):
        return model

    def restore(self, arrays):
        return arrays


@dataclass(frozen=True)
class Exaggerate:
    """Draws N(middle + g(s) away, 10^2) with g(s) = s^power."""

    n: int = N
    guidance_scale: float = 1.0
    power: float = 1.0
    prompts: bool = False

    def __call__(self, model, rows, ctx):
        rows = np.asarray(rows)
        label = rows % CLASSES
        x = model["middle"] + self.guidance_scale**self.power * model["away"][label] + 10 * ctx.normal("sample", rows, (SIDE, SIDE, 1))
        condition = np.array([f"prompt {row if self.prompts else row % CLASSES}" for row in rows]) if len(ctx.data.classes) == 0 else label
        return Pool.of(np.clip(np.rint(x), 0, 255).astype(np.uint8), condition, ctx.generation)


def world():
    labels = np.arange(2 * N + 200) % CLASSES
    noise = np.random.default_rng(1).normal(0, 10, (len(labels), SIDE, SIDE, 1))
    images = np.clip(np.rint(127.5 + AWAY[labels] + noise), 0, 255).astype(np.uint8)
    return split("planted", images, labels, tuple("abcd"), {"real": N, "reserve": 100, "judge": 100, "held_out": 100})


DATA = world()


def loop(path, generations=0, h=0.8, **sampler):
    made = Loop.at(path, Recipe(founder=Fade(h), mixer=Replace(), trainer=Fade(h), sampler=Exaggerate(**sampler)), DATA)
    list(made.run(generations))
    return made


def foresee(made, **options):
    return predict(made.recipe.sampler, made.chain, DATA, **options)


@pytest.mark.parametrize("h, power", [(0.8, 1.0), (0.9, 0.7), (0.65, 1.3)])
def test_h_and_the_critical_scale_are_the_planted_ones(tmp_path, h, power):
    found = foresee(loop(tmp_path / "run", h=h, power=power))
    critical = h ** (-1 / power)
    assert found.h.value == pytest.approx(h, abs=0.02)
    assert found.critical.value == pytest.approx(critical, abs=0.04)
    assert found.h.low < h < found.h.high
    assert found.critical.low < found.critical.value < found.critical.high
    assert (found.rows, found.classes) == (300, CLASSES)
    for at in found.scales:
        assert at.growth == pytest.approx(h * at.scale**power, rel=0.03)


def test_intervals_hold_the_planted_h_about_as_often_as_they_say(tmp_path):
    held = 0
    for seed in range(12):
        made = Loop.at(tmp_path / str(seed), Recipe(founder=Fade(), mixer=Replace(), trainer=Fade(), sampler=Exaggerate()), DATA, seed=seed)
        list(made.run(0))
        h = foresee(made, scales=(1.0, 2.0), rows=80).h
        held += h.low <= 0.8 <= h.high
    assert held >= 9


@pytest.mark.parametrize("scale, side", [(1.0, "blur"), (1.1, "blur"), (1.5, "exaggerate"), (3.0, "exaggerate")])
def test_the_side_is_the_one_that_the_chain_takes(tmp_path, scale, side):
    """h = 0.8, g(s) = s: s* = 1.25. The naive rule, above 1 exaggerates, is wrong at 1.1."""
    made = loop(tmp_path / "run", guidance_scale=scale)
    before = foresee(made)
    list(made.run(4))
    after = observed(made.chain, DATA)
    assert before.own.side == before.own.likely == side_of(after) == side
    assert next((at.side for at in before.scales if at.scale == scale), side) == side
    curve = foretold(before.own.growth, 5, before.most)
    unclipped = [k for k in range(5) if curve[k] < 4]
    assert [after[k] for k in unclipped] == pytest.approx([curve[k] for k in unclipped], rel=0.12)
    assert max(after) <= before.most


def test_near_the_critical_scale_it_holds(tmp_path):
    found = foresee(loop(tmp_path / "run", guidance_scale=1.25))
    assert found.own.side == "hold"
    assert found.own.scale == pytest.approx(1.25, abs=0.03)


def test_the_runs_own_rows_are_drawn_again_to_the_bit(tmp_path):
    made = loop(tmp_path / "run", guidance_scale=1.5)
    assert foresee(made, rows=N).scales[2].growth == pytest.approx(foresee(made, rows=N).own.growth, rel=1e-12)


@pytest.mark.parametrize("h, scales, constant", [(0.1, (1.0, 2.0), 2.0), (1.3, (1.0, 2.0), 1.0), (0.8, (1.0, 2.0), 1.25)])
def test_what_is_recommended(tmp_path, h, scales, constant):
    found = foresee(loop(tmp_path / "run", h=h), scales=scales)
    assert found.constant == pytest.approx(constant, abs=0.03)
    assert (found.critical.value is None) == (h != 0.8)
    if h == 1.3:
        assert found.critical.low is None
    assert found.spread == pytest.approx(10 / 127.5, rel=0.03)


def test_the_recommended_schedule_has_the_scales_effect():
    class Gridded:
        def sigmas(self):
            return karras(20, 40.0, 0.01)

    start = matched_start(Gridded(), 1.25, 0.3)
    grid = karras(20, 40.0, 0.01).tolist()
    assert effective_scale(replace(CANDIDATE, start=start).of(grid), 0.3, grid) == pytest.approx(1.25, abs=1e-6)
    assert matched_start(object(), 1.25, 0.3) is None


def test_the_leak_of_a_base_is_how_far_its_unconditional_samples_moved(tmp_path):
    """Unconditional samples of the base lie at grey 90, of the tuned model at the data's mean: a leak of 1."""

    @dataclass(frozen=True)
    class Grey:
        def model(self, ctx):
            return {"middle": np.full((SIDE, SIDE, 1), 90.0), "away": 0 * AWAY}

    @dataclass(frozen=True)
    class Tuned(Fade):
        base: Grey = Grey()

    made = loop(tmp_path / "run")
    assert leak(made.recipe, made.chain, DATA) is None
    assert leak(replace(made.recipe, founder=Tuned()), made.chain, DATA) == pytest.approx(1.0, abs=0.02)


def test_what_cannot_be_foretold_says_why(tmp_path):
    made = loop(tmp_path / "run")
    with pytest.raises(BadInput, match="two rising scales or more, the first of them 1"):
        foresee(made, scales=(1.5, 2.0))
    with pytest.raises(BadInput, match="of classes, and cannot be here: . of them have two rows or more .* the 2 drawn.*--rows"):
        foresee(made, rows=2)
    with pytest.raises(BadInput, match="Fade has no guidance_scale"):
        predict(Fade(), made.chain, DATA)
    with pytest.raises(BadInput, match="no finished generation"):
        predict(made.recipe.sampler, replace(made.chain, path=tmp_path / "none"), DATA)


def captioned(unique):
    """The planted world with prompts for classes; rows that are ``unique`` have a prompt of their own."""
    own = np.array([f"row {row}" if unique(row) else f"prompt {row % CLASSES}" for row in range(N)])
    named = np.array([f"prompt {label}" for label in DATA.real.condition])
    named = np.where([unique(row) for row in range(N)], own, named)
    return replace(DATA, classes=(), real=replace(DATA.real, condition=named))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_prompts_that_repeat_are_classes(tmp_path, share):
    data = captioned(lambda row: row % 10 < 10 * share)
    made = Loop.at(tmp_path / "run", Recipe(founder=Fade(), mixer=Replace(), trainer=Fade(), sampler=Exaggerate()), data)
    # The planted model is of the whole classes; it knows no prompt that stands alone.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Fade,
            "__call__",
            lambda self, data, previous, ctx: {"middle": np.full(AWAY[0].shape, 127.5) + AWAY.mean(0), "away": 0.8 * (AWAY - AWAY.mean(0))},
        )
        list(made.run(0))
    found = predict(made.recipe.sampler, made.chain, data)
    assert found.classes == CLASSES
    assert found.h.value == pytest.approx(0.8, abs=0.03)


def test_prompts_that_never_repeat_cannot_be_compared(tmp_path):
    data = captioned(lambda row: True)
    made = Loop.at(tmp_path / "run", Recipe(founder=Fade(), mixer=Replace(), trainer=Fade(), sampler=Exaggerate(prompts=True)), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fade, "__call__", lambda self, data, previous, ctx: {"middle": np.full(AWAY[0].shape, 127.5), "away": AWAY})
        list(made.run(0))
    with pytest.raises(BadInput, match="mean images of prompts, and cannot be here: 0 of them .*data in which prompts repeat"):
        predict(made.recipe.sampler, made.chain, data)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    made = loop(tmp_path / "run", guidance_scale=1.1)
    monkeypatch.setattr(registry, "open_run", lambda path: registry.Run("planted", made.chain, made.recipe, DATA))
    return made


def test_the_verb_foretells_once_and_then_holds_it_against_the_chain(opened, tmp_path, capsys):
    path = opened.chain.path
    assert main(["guidance", str(path), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["finished"], first["observed_side"], first["prediction"]["own"]["likely"]) == (1, None, "blur")
    before, record = (path / "guidance.json").read_bytes(), opened.chain[0].digest
    list(opened.run(3))
    figure = tmp_path / "figure.html"
    assert main(["guidance", str(path), "--figure", str(figure)]) == 0
    said = capsys.readouterr().out
    assert "foretold before any generation after 0" in said
    assert "observed side: blur; foretold: blur" in said
    assert "recommended: a constant guidance scale of 1.2" in said
    assert (path / "guidance.json").read_bytes() == before
    assert opened.chain[0].digest == record
    assert opened.chain.check()
    assert "foretold for this run" in figure.read_text()


def test_the_verb_never_changes_a_prediction(opened, capsys):
    path = opened.chain.path
    assert main(["guidance", str(path), "--rows", "100"]) == 0
    before = (path / "guidance.json").read_bytes()
    assert main(["guidance", str(path), "--rows", "200"]) == 1
    assert "predictions are never changed" in capsys.readouterr().err
    assert (path / "guidance.json").read_bytes() == before
    (path / "guidance.json").write_bytes(before.replace(b'"rows": 100', b'"rows": 101'))
    assert main(["guidance", str(path), "--rows", "100"]) == 1
    assert "damaged" in capsys.readouterr().err


def test_a_scale_beyond_those_drawn_is_not_passed_off_as_critical(opened, capsys):
    assert main(["guidance", str(opened.chain.path), "--scales", "1", "1.1", "--no-observe"]) == 0
    said = capsys.readouterr().out
    assert "s*, the scale that holds: not on these scales (its interval lies beyond the scales on both sides)" in said
    assert "a constant guidance scale of 1.10 (the nearest drawn: s* lies beyond the scales)" in said
    assert "observed" not in said


def test_a_late_prediction_says_so(opened, capsys):
    list(opened.run(2))
    assert main(["guidance", str(opened.chain.path)]) == 0
    assert "foretold when generations 0 to 2 were finished" in capsys.readouterr().out


def test_several_runs_are_foretold_and_counted_together(tmp_path, monkeypatch, capsys):
    made = {name: loop(tmp_path / "runs" / name, guidance_scale=scale) for name, scale in (("low", 1.1), ("high", 1.5), ("late", 1.5))}
    list(made["late"].run(1))
    monkeypatch.setattr(registry, "runs_under", lambda path: [one.chain.path for one in made.values()])
    monkeypatch.setattr(registry, "open_run", lambda path: registry.Run(path.name, made[path.name].chain, made[path.name].recipe, DATA))
    folder = str(tmp_path / "runs")
    assert main(["guidance", folder]) == 0
    assert "0 of 0 runs took the side foretold; 1 were foretold late" in capsys.readouterr().out
    for name in ("low", "high"):
        list(made[name].run(3))
    assert main(["guidance", folder]) == 0
    said = capsys.readouterr().out
    assert said.endswith("2 of 2 runs took the side foretold; 1 were foretold late and are not counted\n")
    assert "low:\n" in said
    assert main(["guidance", folder, "--json"]) == 0
    assert [one["observed_side"] for one in json.loads(capsys.readouterr().out)] == ["blur", "exaggerate", "exaggerate"]
    assert main(["guidance", folder, "--figure", str(tmp_path / "figure.html")]) == 1
    assert "--figure draws one run, but there are 3" in capsys.readouterr().err
