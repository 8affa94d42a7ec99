"""The text-to-image model that is shipped: opened by anybody, and by its name; a chain of it; the demo's arms."""

from dataclasses import replace

import numpy as np
import pytest

from germline import registry
from germline.data import emoji
from germline.flags import parse
from germline.loop import Loop
from germline.pipelines.opened import SHIPPED, open_pipeline, place
from germline.recipes.chain_setup import EMOJI, EMOJI_ROWS
from germline.recipes.redifine import REMEDIED_EMOJI, redifine
from germline.registry import DataFlags

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")
pytest.importorskip("peft", reason="extra: t2i")


def test_plain_diffusers_opens_it_and_an_apple_is_red():
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(SHIPPED["emoji"])
    pipeline.set_progress_bar_config(disable=True)
    import torch

    images = pipeline(
        ["red apple"] * 4, num_inference_steps=10, guidance_scale=3.0, generator=torch.Generator().manual_seed(0), output_type="np"
    ).images
    assert images.shape == (4, 32, 32, 3)
    middle = images[:, 10:24, 8:24].mean((1, 2))
    assert (middle[:, 0] > middle[:, 1:].max(1) + 0.2).all()
    assert images[:, [0, 0], [0, -1]].min() > 0.7, "the ground is white"


def test_it_is_small_enough_to_be_shipped():
    assert sum(file.stat().st_size for file in SHIPPED["emoji"].rglob("*") if file.is_file()) <= 20_000_000


def test_its_name_opens_it_and_chooses_preset_and_data():
    assert place("emoji") == SHIPPED["emoji"]
    assert open_pipeline("emoji").digest == open_pipeline(SHIPPED["emoji"]).digest
    for arguments in (["--model", "emoji"], ["--model=emoji"], ["--preset", "emoji"]):
        given = parse("redifine", arguments)
        assert given.real_images == DataFlags(data="emoji")
        assert given.kwargs == {"n": EMOJI_ROWS, "real_data": 0.0, "setup": REMEDIED_EMOJI}
    assert parse("chain-of-diffusion", ["--model", "emoji"]).kwargs["setup"] == EMOJI
    other = parse("redifine", ["--model", "emojis", "--data", "photos"])
    assert other.kwargs["setup"].images == 8_000
    assert other.real_images.data == "photos"


def test_two_generations_of_it(tmp_path):
    setup = replace(REMEDIED_EMOJI, images=32, batch=8, steps=3)
    loop = Loop.at(tmp_path / "run", redifine(4, setup=setup), emoji(sizes={"real": 16}))
    first, second = loop.run(1)
    assert first.samples.condition.tolist() == second.samples.condition.tolist()
    assert first.samples.images.shape == (4, 32, 32, 3)
    assert not np.array_equal(first.samples.images[:], second.samples.images[:])


def test_the_demo_has_three_scales_and_the_remedy_from_one_start():
    study = registry.study_names()["demo-t2i"]
    arms = dict(study())
    assert study.data == "emoji"
    assert list(arms) == ["guidance-1", "guidance-3", "guidance-7.5", "redifine-7.5"]
    assert [arms[f"guidance-{scale}"].sampler.guidance_scale for scale in ("1", "3", "7.5")] == [1.0, 3.0, 7.5]
    assert arms["guidance-1"].founder == arms["guidance-7.5"].founder
    assert arms["redifine-7.5"].founder == replace(arms["guidance-1"].founder, condition_drop=0.2)
