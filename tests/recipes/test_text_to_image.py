"""The Chain of Diffusion and ReDiFine on tiny pipelines of the real architectures, by the command, and killed in the midst of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from killing import kill_at
from PIL import Image

import germline.trainers.tune_pipeline
from germline import registry
from germline.chain import Chain
from germline.cli import main
from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.flags import counted, preset_of, sided
from germline.loop import Loop
from germline.pipelines.denoising import bound
from germline.pipelines.opened import open_pipeline
from germline.pipelines.schedulers import scheduler
from germline.recipes.chain_of_diffusion import chain_of_diffusion
from germline.recipes.chain_setup import EMBEDDED, TEXT_TO_IMAGE
from germline.recipes.redifine import REMEDIED_PIPELINE, redifine
from germline.registry import DataFlags
from germline.report.effective import of_config
from germline.samplers import SamplePipeline
from germline.theory.guided_gaussian import effective_scale
from tiny_pipelines import SIDE, saved

ROWS, REAL = 48, 8
TINY = ["--images", "8", "--batch", "4", "--steps", "3", "--real", str(REAL)]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, folder / kind) for kind in ("sd1", "sdxl", "sd3")}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The same pictures, larger than a pipeline's and not square, captioned in both ways."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("jsonl", "txt")}
    rng, lines = np.random.default_rng(0), []
    for i in range(ROWS):
        picture, caption = Image.fromarray(rng.integers(0, 255, (40, 48, 3), np.uint8)), f"a cat of kind {i}"
        for folder in folders.values():
            picture.save(folder / f"{i:02}.png")
        (folders["txt"] / f"{i:02}.txt").write_text(caption)
        lines.append(json.dumps({"file_name": f"{i:02}.png", "text": caption}))
    (folders["jsonl"] / "metadata.jsonl").write_text("\n".join(lines))
    return folders


def command(pipeline, photos, out, recipe="redifine", *more):
    return ["run", recipe, "--model", str(pipeline), "--data", str(photos), *TINY, "--generations", "1", "--out", str(out), *more]


@pytest.mark.parametrize(("kind", "captions"), [("sd1", "jsonl"), ("sdxl", "txt"), ("sd3", "jsonl")])
def test_two_generations_of_any_folder_by_the_command(kind, captions, pipelines, photos, tmp_path, capsys):
    assert main(command(pipelines[kind], photos[captions], tmp_path / "run")) == 0
    opened = registry.open_run(tmp_path / "run")
    prompts = opened.data.real.condition
    assert len(opened.chain) == 2
    for generation in opened.chain.generations():  # as many as R has, though nobody said how many
        assert generation.samples.condition.tolist() == prompts.tolist()
        assert generation.samples.images.shape == (REAL, SIDE, SIDE, 3)
    assert len(set(prompts.tolist())) == REAL
    assert opened.chain.config["names"]["kwargs"]["n"] == REAL
    # ReDiFine's own: both remedies, u in the steps of training
    trainer, sampler = opened.recipe.trainer, opened.recipe.sampler
    assert (trainer.condition_drop, trainer.start, trainer.lora.rank) == (0.2, "base", 16)
    assert sampler.guidance_scale == GuidanceSchedule("exp_floor", 7.5, 3.0, "timestep")
    # the same command again does nothing; raised, it goes on
    last = opened.chain[1].digest
    capsys.readouterr()
    assert main(command(pipelines[kind], photos[captions], tmp_path / "run")) == 0
    assert Chain(tmp_path / "run")[1].digest == last
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "exp_floor from 7.5, a = 3, u = timestep; s_eff" in " ".join(capsys.readouterr().out.split())
    if kind == "sd1":
        assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 0
        assert "guidance of" in (tmp_path / "page.html").read_text()


def test_both_kinds_of_captions_make_one_record(pipelines, photos):
    both = [DataFlags(str(photos[kind]), real=REAL, size=SIDE).load() for kind in ("jsonl", "txt")]
    assert both[0].real.condition.tolist() == both[1].real.condition.tolist()
    assert np.array_equal(both[0].real.images[:], both[1].real.images[:])


def test_dry_run_estimates_and_writes_nothing(pipelines, photos, tmp_path, capsys):
    assert main(command(pipelines["sd1"], photos["txt"], tmp_path / "run", "redifine", "--dry-run", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cost"]["images"], said["cost"]["rows"]) == (16, 2 * REAL)
    assert said["guidance"]["levels"].endswith("of sd1")
    assert not (tmp_path / "run").exists()


def test_a_model_alone_means_the_preset_of_pipelines():
    assert preset_of("redifine", ["--model", "x"]) == preset_of("chain-of-diffusion", ["--model=x"]) == "text-to-image"
    assert preset_of("redifine", ["--model", "x", "--preset", "toy"]) == "toy"
    assert preset_of("redifine", []) == preset_of("replace", ["--model", "x"]) == "embedded"


def test_show_needs_no_pipeline(capsys):
    assert main(["show", "redifine", "--json"]) == 0
    presets = {line["preset"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert presets["text-to-image"]["guidance"]["schedule"] == "exp_floor from 7.5, a = 3, u = timestep"
    assert presets["text-to-image"]["guidance"]["levels"].startswith("Stable Diffusion's")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "pipeline"}, "needs one: --model"),
        ({"model": "x"}, "Only pipelines have model"),
        ({"solver": "own"}, "Only pipelines have solver own"),
        ({"ema": 0.9}, "Only pipelines have ema"),
    ],
)
def test_what_only_pipelines_have(change, says):
    with pytest.raises(BadInput, match=says):
        replace(EMBEDDED, **change)


def test_a_pipeline_has_no_ancestral_solver_and_a_class_network_no_vae():
    with pytest.raises(BadInput, match="no solver ancestral of pipelines"):
        replace(TEXT_TO_IMAGE, solver="ancestral")
    with pytest.raises(BadInput, match="network is unet; give --model"):
        chain_of_diffusion(control="vae")


def test_a_schedule_below_one_is_refused_before_any_training(pipelines):
    setup = replace(REMEDIED_PIPELINE, model=str(pipelines["sd1"]), guidance_schedule="exp")
    with pytest.raises(BadInput, match="below 1"):
        redifine(setup=setup)
    assert redifine(setup=replace(setup, below_one=True)).sampler.guidance_scale.below_one


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3"])
def test_the_levels_are_those_that_the_pipeline_visits(kind, pipelines):
    opened, schedule = open_pipeline(pipelines[kind]), GuidanceSchedule("exp_floor", 7.5, 3.0, "timestep")
    sampler = SamplePipeline(4, steps=7, guidance_scale=schedule, base=pipelines[kind])
    method = scheduler(opened, "own")
    method.set_timesteps(7)
    running = bound(schedule, opened, method)  # what a run is guided by
    grid = sampler.sigmas()
    assert len(grid) == 8
    assert grid[-1] == 0
    assert [sampler.scale()(sigma) for sigma in grid[:-1]] == [running(sigma) for sigma in grid[:-1]]
    if kind != "sd3":  # its first level is noise alone
        assert grid[:-1] == pytest.approx([opened.process.sigma(float(t)) for t in method.timesteps], rel=1e-6)


def test_matched_is_the_constant_that_moves_means_as_the_schedule_does(pipelines):
    setup = replace(REMEDIED_PIPELINE, model=str(pipelines["sd1"]))
    scheduled, matched = redifine(setup=setup).sampler, redifine(setup=replace(setup, matched=0.7)).sampler
    assert matched == replace(scheduled, guidance_scale=effective_scale(scheduled.scale(), 0.7, scheduled.sigmas()))
    assert 1 < matched.guidance_scale < 7.5


def test_s_eff_is_printed_over_the_pipelines_own_levels(pipelines):
    kwargs = {"setup": replace(REMEDIED_PIPELINE, model=str(pipelines["sd3"]))}
    sampler = redifine(**kwargs).sampler
    found = of_config({"parts": {"sampler": digest.describe(sampler)}, "names": {"kwargs": registry.plain(kwargs)}})
    assert dict(found.scales)[1] == pytest.approx(effective_scale(sampler.scale(), 1, sampler.sigmas()))
    assert found.levels.endswith("of sd3")


def test_controls_train_nothing_and_change_what_they_say(pipelines, photos, tmp_path):
    for control in ("reload", "vae"):
        out = tmp_path / control
        assert main(command(pipelines["sd1"], photos["txt"], out, "chain-of-diffusion", "--control", control)) == 0
        zero, one = (Chain(out)[number] for number in (0, 1))
        same = np.array_equal(zero.samples.images[:], one.samples.images[:])
        assert same == (control == "reload")
        assert (out / "gen_000" / "model.safetensors").read_bytes() == (out / "gen_001" / "model.safetensors").read_bytes()
        assert zero.samples.condition.tolist() == one.samples.condition.tolist()


def test_flags_reach_the_parts(pipelines):
    setup = replace(
        TEXT_TO_IMAGE, model=str(pipelines["sd1"]), images_a_prompt=3, rank=4, start="sequential", ema=0.9, min_snr=5.0, card=12
    )
    recipe = chain_of_diffusion(10, 0.25, setup=setup)
    assert (recipe.sampler.n, recipe.sampler.images_a_prompt) == (30, 3)
    assert (recipe.mixer.share, recipe.mixer.images_a_prompt) == (0.25, 3)
    tune = recipe.trainer
    assert (tune.lora.rank, tune.start, tune.ema, tune.min_snr) == (4, "sequential", 0.9, 5.0)
    assert (tune.accumulate, tune.checkpointing, tune.precision) == (8, True, "bf16")
    assert chain_of_diffusion(10, setup=replace(setup, rank=None)).trainer.lora is None


def test_size_and_rows_are_settled_by_pipeline_and_data(pipelines, photos):
    kwargs = {"n": None, "setup": replace(TEXT_TO_IMAGE, model=str(pipelines["sd1"]))}
    assert sided(kwargs, DataFlags()) == (kwargs, DataFlags(size=SIDE))
    smaller, flags = sided(kwargs, DataFlags(size=16))
    assert (smaller["setup"].pixels, flags.size) == (16, 16)
    assert counted(kwargs, DataFlags(str(photos["txt"]), real=REAL, size=SIDE).load())["n"] == REAL
    assert counted({"n": 3}, None) == {"n": 3}
    assert sided({"setup": EMBEDDED}, DataFlags()) == ({"setup": EMBEDDED}, DataFlags())


def test_generations_from_the_base_start_from_equal_weights(pipelines, photos):
    data, opened = DataFlags(str(photos["txt"]), real=REAL, size=SIDE).load(), open_pipeline(pipelines["sd1"])
    setup = replace(TEXT_TO_IMAGE, model=str(pipelines["sd1"]), images=8, batch=4)
    tune = chain_of_diffusion(setup=setup).trainer
    trained = tune(data.real, None, Context(0, 0, data))
    starts = [tune._begin(opened, before, Context(number, 0, data))[1].parameters for number, before in ((0, None), (1, trained))]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])
    going_on = replace(tune, start="sequential")._begin(opened, trained, Context(1, 0, data))[1].parameters
    assert any(not torch.equal(going_on[name], starts[0][name]) for name in going_on)


def chain(folder):
    """A chain whose training leaves a checkpoint after every step; pipeline and pictures lie beside it."""
    germline.trainers.tune_pipeline.CHECKPOINT_SECONDS, germline.trainers.tune_pipeline.CHECKPOINT_SHARE = 0.0, 1e9
    flags = DataFlags(str(folder.parent / "photos"), real=REAL, size=SIDE)
    setup = replace(REMEDIED_PIPELINE, model=str(folder.parent / "sd1"), images=12, batch=4, steps=3)
    return Loop.at(folder, redifine(REAL, setup=setup), flags.load())


WHERE = {  # stage: file, generation, moment
    "in a training": [("train.safetensors", 0, "after"), ("train.safetensors", 1, "during the write")],
    "in sampling": [("rows_", 0, "during the write"), ("rows_", 1, "before the rename")],
    "between them": [("model.safetensors", 0, "after"), ("model.safetensors", 1, "after")],
}


@pytest.mark.slow
def test_killed_twice_at_every_stage_the_last_record_is_the_same(pipelines, photos, tmp_path):
    (tmp_path / "sd1").symlink_to(pipelines["sd1"])
    (tmp_path / "photos").symlink_to(photos["jsonl"])
    list(chain(tmp_path / "calm").run(1))
    for stage, kills in WHERE.items():
        folder = tmp_path / stage.replace(" ", "-")
        assert [kill_at(chain, folder, 1, *kill) for kill in kills] == [True, True], stage
        *_, last = chain(folder).run(1)
        assert last.digest == Chain(tmp_path / "calm")[1].digest, stage
