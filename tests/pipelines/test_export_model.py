"""What is exported opens with plain diffusers, and makes the images that the loop's own sampler makes."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from conftest import gaussian_recipe, gaussian_splits
from germline import registry
from germline.cli import main
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.loop import Loop
from germline.mixers import Replace
from germline.pipelines.export import export
from germline.pipelines.lora import Lora
from germline.pipelines.opened import open_pipeline
from germline.pipelines.tuned import Tuned
from germline.samplers import SamplePipeline
from germline.trainers import Import, TunePipeline
from tiny_pipelines import KINDS, SIDE, diffusers, saved, without_t5

PROMPTS = np.array(["a cat", "bad dog"])
LORA = Lora(4, alpha=2.0)  # alpha is not the rank: readers that take it for the rank make other images
STEPS, SCALE = 3, 4.0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def tuned(folders):
    """Of every kind a LoRA far from its start; its EMA is another one."""
    return {kind: drawn(open_pipeline(folder)) for kind, folder in folders.items()}


def drawn(opened, ema=True):
    from germline.pipelines import lora
    from germline.pipelines.device import copied

    network, rng = copied(opened.network, torch.device("cpu"), torch.float32, shared=True), np.random.default_rng(0)
    lora.add(network, LORA)
    arrays = {name: 0.4 * rng.standard_normal(array.shape).astype(np.float32) for name, array in lora.arrays(network).items()}
    return Tuned(opened, {**arrays, **({f"ema.{name}": 0.9 * array for name, array in arrays.items()} if ema else {})}, LORA)


def context():
    images = np.random.default_rng(0).integers(0, 256, (len(PROMPTS), SIDE, SIDE, 3), dtype=np.uint8)
    pool = Pool.of(images, PROMPTS)
    none = pool.take(np.arange(0))
    return Context(1, 5, Splits("captioned", (), pool, none, none, none))


def loops_own(model):
    return SamplePipeline(2, steps=STEPS, guidance_scale=SCALE)(model, [0, 1], context()).images[:].astype(int)


def plain(opened, folder, adapter=None):
    """The images of the library's pipeline, from the loop's noise."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **without_t5(opened.folder.name))
    pipeline.set_progress_bar_config(disable=True)
    if adapter is not None:
        pipeline.load_lora_weights(str(adapter))
    noise = torch.from_numpy(context().normal("sample/noise", [0, 1], opened.latent_shape()))
    made = pipeline(list(PROMPTS), num_inference_steps=STEPS, guidance_scale=SCALE, latents=noise, output_type="np")
    return np.rint(made.images * 255).astype(int)


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, form) for kind in KINDS for form in ("diffusers", "lora", "kohya") if not (kind.startswith("sd3") and form == "kohya")],
)
def test_loads_back_and_makes_the_same_images(kind, form, tuned, folders, tmp_path):
    model, out = tuned[kind], tmp_path / ("made.safetensors" if form == "kohya" else "made")
    export(model, out, form)
    own = loops_own(model)
    theirs = plain(model.base, out) if form == "diffusers" else plain(model.base, folders[kind], out)
    np.testing.assert_allclose(theirs, own, atol=1)
    assert np.abs(own - loops_own(Tuned(model.base))).max() > 20, "the LoRA says something"
    assert np.abs(own - loops_own(Tuned(model.base, model.last(), LORA))).max() > 1, "and its running mean something else"


def hashes(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("kind", "inner"), [("sd1-2022", "unet"), ("sdxl", "unet"), ("sd3", "transformer"), ("sd3-t5", "transformer")])
def test_frozen_parts_are_the_bases_bytes_and_the_base_stays(kind, inner, tuned, folders, tmp_path):
    before = {name: value.clone() for name, value in tuned[kind].base.network.state_dict().items()}
    export(tuned[kind], tmp_path / "made", "diffusers")
    made, base, weights = hashes(tmp_path / "made"), hashes(folders[kind]), f"{inner}/diffusion_pytorch_model.safetensors"
    assert made.keys() == base.keys()
    assert [name for name in base if made[name] != base[name]] == [weights]
    new, old = load_file(tmp_path / "made" / weights), load_file(folders[kind] / weights)
    assert new.keys() == old.keys()
    changed = {name for name in new if not torch.equal(new[name], old[name])}
    assert changed == {f"{name.removeprefix('lora.').rpartition('.')[0]}.weight" for name in tuned[kind].last()}
    after = tuned[kind].base.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "the opened base is as it was"


def test_a_whole_fine_tuning_is_exported_as_a_folder_only(folders, tmp_path):
    opened = open_pipeline(folders["sd1"])
    rng = np.random.default_rng(0)
    arrays = {f"unet.{name}": value.detach().numpy() for name, value in opened.network.named_parameters()}
    arrays = {name: array + 0.05 * rng.standard_normal(array.shape).astype(np.float32) for name, array in arrays.items()}
    model = Tuned(opened, arrays)
    export(model, tmp_path / "made", "diffusers")
    np.testing.assert_allclose(plain(opened, tmp_path / "made"), loops_own(model), atol=1)
    for form in ("lora", "kohya"):
        with pytest.raises(BadInput, match="trained whole, so there is no LoRA to export; export it as diffusers"):
            export(model, tmp_path / "x.safetensors", form)


def test_the_files_say_alpha(tuned, tmp_path):
    export(tuned["sd1"], tmp_path / "lora", "lora")
    with safe_open(tmp_path / "lora" / "pytorch_lora_weights.safetensors", "pt") as file:
        assert list(file.metadata()) == ["lora_adapter_metadata"], "one key: with more, the bytes of a file vary"
        told = json.loads(file.metadata()["lora_adapter_metadata"])
    assert (told["unet.r"], told["unet.lora_alpha"]) == (4, 2.0)
    export(tuned["sd1"], tmp_path / "kohya.safetensors", "kohya")
    tensors = load_file(tmp_path / "kohya.safetensors")
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    assert tensors[f"{name}.alpha"].item() == 2.0
    assert tensors[f"{name}.lora_down.weight"].shape == (4, 16)
    assert len(tensors) == 3 * len(tuned["sd1"].last()) // 2


@pytest.mark.parametrize(
    ("kind", "form", "out", "says"),
    [
        ("sd3", "kohya", "x.safetensors", "kohya's layers of Stable Diffusion 3 are others"),
        ("sd1", "kohya", "x", "one new file whose name ends in .safetensors, but .*x was named"),
        ("sd1", "lora", "there", "there is there already, and export overwrites nothing"),
        ("sd1", "diffusers", "there", "there is there already"),
    ],
)
def test_what_cannot_be_exported(kind, form, out, says, tuned, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(BadInput, match=says):
        export(tuned[kind], tmp_path / out, form)
    assert [path.name for path in tmp_path.iterdir()] == ["there"], "nothing half done is left"


def test_an_unchanged_base(folders, tmp_path):
    model = Tuned(open_pipeline(folders["sdxl"]))
    with pytest.raises(BadInput, match="this model is its base, unchanged"):
        export(model, tmp_path / "x", "lora")
    export(model, tmp_path / "copy", "diffusers")
    assert hashes(tmp_path / "copy") == hashes(folders["sdxl"])


def test_what_is_no_part_of_the_pipeline_is_left_out(folders, tmp_path):
    """Of the hub's folders: old weights in other forms, single-file checkpoints, hidden files; and a part that was not downloaded."""
    base = tmp_path / "base"
    shutil.copytree(folders["sd1"], base)
    (base / ".cache").mkdir()
    for name in (
        ".cache/x.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "v1-5.ckpt",
        "v1-5.safetensors",
    ):
        (base / name).write_bytes(b"0")
    (base / "LICENSE.md").write_text("CreativeML")
    index = base / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}))
    model = drawn(open_pipeline(base))
    export(model, tmp_path / "made", "diffusers")
    assert hashes(tmp_path / "made").keys() == {*hashes(folders["sd1"]), "LICENSE.md"}
    np.testing.assert_allclose(plain(model.base, tmp_path / "made"), loops_own(model), atol=1)


def test_a_full_disk_leaves_nothing(tuned, tmp_path, monkeypatch):
    from germline.pipelines import export as module

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    for form, out in (("diffusers", "a"), ("lora", "b"), ("kohya", "c.safetensors")):
        with pytest.raises(GermlineError, match="Cannot write .*: No space left on device. Free the disk"):
            export(tuned["sd1"], tmp_path / out, form)
    assert not list(tmp_path.iterdir())


def chain(base: str = "", n: int = 3) -> Recipe:
    """A tiny chain on a pipeline, by name."""
    trainer = TunePipeline(base, images=8, lora=Lora(2, alpha=1.0), learning_rate=0.05, ema=0.5)
    return Recipe(source="ours", founder=Import(base), mixer=Replace(), trainer=trainer, sampler=SamplePipeline(n, steps=2))


def test_the_verb_exports_the_model_of_a_run(folders, tmp_path, capsys):
    """Generation 1 after the loop's own training, its EMA; with plain diffusers, the samples on record."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, prompt in enumerate(("a cat", "bad dog", "red", "the sun") * 4):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{number:02}.png")
        (pictures / f"{number:02}.txt").write_text(prompt)
    kwargs, flags = {"base": str(folders["sd1"])}, registry.DataFlags(data=str(pictures))
    names, data = {"recipe": f"{__name__}:chain", "kwargs": kwargs, "data": registry.plain(flags)}, flags.load()
    *_, last = Loop.at(tmp_path / "run", chain(**kwargs), data, names=names, execution=Execution("fp32")).run(1)
    assert main(["export", str(tmp_path / "run"), "--what", "model", "--out", str(tmp_path / "made")]) == 0
    assert "the model of generation 1" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "--what", "model", "--format", "lora", "--out", str(tmp_path / "lora")]) == 0
    for folder, adapter in ((tmp_path / "made", None), (folders["sd1"], tmp_path / "lora")):
        pipeline = diffusers.DiffusionPipeline.from_pretrained(folder)
        if adapter:
            pipeline.load_lora_weights(str(adapter))
        noise = torch.from_numpy(Context(1, 0, data).normal("sample/noise", [0, 1, 2], (4, 16, 16)))
        prompts = last.samples.condition.tolist()
        images = pipeline(prompts, num_inference_steps=2, guidance_scale=7.5, latents=noise, output_type="np").images
        error = np.abs(np.rint(images * 255) - last.samples.images[:])
        assert error.max() <= 1
    assert (
        main(["export", str(tmp_path / "run"), "--what", "model", "--generation", "0", "--format", "lora", "--out", str(tmp_path / "x")])
        == 1
    )
    assert "this model is its base, unchanged" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run"), "--what", "model", "--format", "parquet", "--out", str(tmp_path / "x")]) == 1
    assert "--what model has the formats diffusers, lora, kohya, but --format parquet" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "run"), "--format", "kohya", "--out", str(tmp_path / "x")]) == 1
    assert "--what samples has the formats imagefolder, parquet, webdataset" in capsys.readouterr().err


def test_the_verb_says_which_models_are_no_pipelines(tmp_path, monkeypatch):
    from germline.verbs.export import pipeline_of

    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), gaussian_splits(20, 4))
    list(loop.run(0))
    with pytest.raises(BadInput, match="The model of this run is a .*, no pipeline of diffusers; its arrays are in .*model.safetensors"):
        pipeline_of(loop.chain[0])
