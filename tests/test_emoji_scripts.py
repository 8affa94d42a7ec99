"""The script that trains the emoji model: a tiny one is made in seconds, opens in diffusers, and is the same after kills."""

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

pytest.importorskip("diffusers", reason="extra: t2i")
pytest.importorskip("transformers", reason="extra: t2i")

SCRIPTS = Path(__file__).parent.parent / "scripts"
FILES = ("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors")


@pytest.fixture(scope="module")
def script():
    """The script, with a teacher that needs no package: a fixed vector for each token."""
    sys.path.insert(0, str(SCRIPTS))
    found, text = importlib.import_module("train_emoji_pipeline"), importlib.import_module("emoji_base.text")
    stage = importlib.import_module("emoji_base.stage")

    class Teacher:
        def __init__(self, words):
            self._words = words

        def __call__(self, lines):
            table = torch.randn(len(self._words), 384, generator=torch.Generator().manual_seed(0))
            return table[text.tokens(self._words, lines)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "Teacher", Teacher)
        yield found, text, stage, patch
    sys.path.remove(str(SCRIPTS))


def run(script, folder, stage="write"):
    threads = torch.get_num_threads()
    try:
        script[0].main([stage, "--tiny", "--steps", "4", "--work", str(folder / "work"), "--out", str(folder / "model")])
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run(script, folder)
    return folder


def test_the_folder_opens_in_diffusers_and_makes_pictures(script, whole):
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(whole / "model", dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    kinds = [type(part).__name__ for part in (pipeline.vae, pipeline.text_encoder, pipeline.unet, pipeline.scheduler, pipeline.tokenizer)]
    assert kinds == ["AutoencoderKL", "CLIPTextModel", "UNet2DConditionModel", "DDIMScheduler", "CLIPTokenizer"]
    assert pipeline.tokenizer("red apple").input_ids[-1] == len(pipeline.tokenizer) - 1
    picture = pipeline("red apple", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np").images
    assert picture.shape == (1, 32, 32, 3)
    assert np.isfinite(picture).all()
    # The text model says the same as in the working folder, in half precision: no weight was lost on the way.
    words = pipeline.tokenizer
    trained, _ = script[1].trained(
        script[2].Stage(whole / "work" / "text.safetensors", script[2].Budget(0, 4), 1e-3),
        script[1].network(words, 32, 1),
        words,
        [""],
        ["", "cat"],
    )
    ids = script[1].tokens(words, ["red apple", "cat"])
    torch.testing.assert_close(script[1].said(pipeline.text_encoder, ids), script[1].said(trained, ids), atol=2e-2, rtol=0)


def test_latents_have_mean_0_and_variance_1_in_each_channel(script, whole):
    from diffusers import AutoencoderKL

    pictures = importlib.import_module("emoji_base.pictures")
    vae = AutoencoderKL.from_pretrained(whole / "model" / "vae", dtype=torch.float32)
    data = pictures.rows(("noto",), None, pictures.TRAINED, variations=2, most=24)
    law = vae.encode(pictures.tensor(np.concatenate(data.images))).latent_dist
    mean, variance = law.mean.mean((0, 2, 3)), law.mean.var((0, 2, 3)) + law.std.square().mean((0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(4), atol=0.02, rtol=0)
    torch.testing.assert_close(variance, torch.ones(4), atol=0.02, rtol=0)
    assert vae.config.scaling_factor == 1


def test_taking_up_the_scale_changes_no_picture(script):
    vae_part, folder = importlib.import_module("emoji_base.vae"), importlib.import_module("emoji_base.folder")
    torch.manual_seed(0)
    vae, x = vae_part.network((8, 8, 16), 8).eval(), torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        law = vae.encode(x).latent_dist
        before = vae.decode(law.mean).sample
        folder.standardised(vae, law.mean + 3.0, 2 * law.std)  # any moments do
        after = vae.encode(x).latent_dist
        torch.testing.assert_close(vae.decode(after.mean).sample, before, atol=1e-4, rtol=1e-4)
        scale = law.mean / after.mean
        assert float(scale.std()) > 0
        torch.testing.assert_close((law.std / after.std).flatten(2).std(2), torch.zeros(3, 4), atol=1e-4, rtol=0)


def test_a_killed_training_goes_on_to_the_same_bytes(script, whole, tmp_path):
    """Killed once in each stage, right after a checkpoint: what it was about to do is done again."""
    stage, patch = script[2], pytest.MonkeyPatch()
    save, seen = stage._save, {}

    def killed(file, *rest):
        save(file, *rest)
        seen[file.stem] = seen.get(file.stem, 0) + 1
        if seen[file.stem] == 2:
            raise KeyboardInterrupt

    patch.setattr(stage, "_save", killed)
    try:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                run(script, tmp_path)
        run(script, tmp_path)
    finally:
        patch.undo()
    assert set(seen) == {"text", "vae", "unet"}
    for name in FILES:
        assert (tmp_path / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


def test_a_larger_budget_goes_on_with_a_finished_stage(script, whole, tmp_path):
    stage = script[2]
    network = torch.nn.Linear(2, 1)

    def loss(step):
        return network(torch.ones(1, 2)).square().mean(), {"loss": 1.0}

    steps = []
    for budget in (4, 4, 8):
        _, log = stage.train(stage.Stage(tmp_path / "x.safetensors", stage.Budget(0, budget), 1e-3), network, loss, lambda average: {})
        steps.append(log[-1]["step"])
    assert steps == [4, 4, 8]


@pytest.mark.parametrize(("file", "refused"), [("text", "unet"), ("vae", "unet")])
def test_a_stage_is_refused_whose_older_one_is_another_now(script, whole, tmp_path, file, refused):
    shutil.copytree(whole / "work", tmp_path / "work")
    place = tmp_path / "work" / f"{file}.safetensors"
    tensors = load_file(place)
    with safe_open(place, "pt") as opened:
        about = opened.metadata()
    name = next(name for name in tensors if name.startswith("average."))
    save_file({**tensors, name: tensors[name] + 1}, place, metadata=about)
    with pytest.raises(SystemExit, match=rf"{refused}\.safetensors was trained on another {file}\.safetensors.*Delete {refused}"):
        run(script, tmp_path)


def test_the_teachers_vectors_are_those_of_the_texts_and_whole(script, whole, tmp_path):
    """Of other texts they are other files; a kill while they are written leaves none."""
    text, words = script[1], importlib.import_module("transformers").CLIPTokenizer.from_pretrained(whole / "work" / "tokenizer")
    assert text.digest(words, ["cat"]) != text.digest(words, ["dog"])
    assert [file.name for file in (whole / "work").glob("*.npy")] == [f"teacher-{text.digest(words, texts_of(script))[:12]}.npy"]

    def killed(opened, array):
        opened.write(b"half")
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text.np, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            run(script, tmp_path)
    assert not list((tmp_path / "work").glob("*.npy"))


def texts_of(script):
    drawn = importlib.import_module("germline.data.emoji_files").load(("noto",))
    captions = list(dict(zip(drawn.hexcodes, drawn.captions, strict=True)).values())
    return script[1].texts(captions[: 4 * script[0].TINY.most], script[0].TINY.captions)
