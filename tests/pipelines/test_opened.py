"""Opening: what counts is the content, what runs is the libraries' own code, and errors name the part."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from germline.core.errors import BadInput, MissingExtra
from germline.pipelines import latents, opened, texts
from germline.pipelines.device import on
from germline.pipelines.latents import decoded, encoded
from germline.pipelines.opened import content, open_pipeline, place
from germline.pipelines.texts import NULL, Speaker, told
from tiny_pipelines import KINDS, saved, without_t5

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def libraries(folders):
    """The pipelines as the library itself opens them."""
    opens = diffusers.DiffusionPipeline.from_pretrained
    return {kind: opens(folder, local_files_only=True, **without_t5(kind)) for kind, folder in folders.items()}


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3", "sd3-t5"])
def test_a_prompt_tells_what_it_tells_the_librarys_pipeline(kind, folders, libraries):
    """Overheard in a guided step of the library: the empty prompt first, then the prompt."""
    pipeline, heard = libraries[kind], []
    network = pipeline.transformer if kind.startswith("sd3") else pipeline.unet
    hook = network.register_forward_pre_hook(lambda _, __, said: heard.append(said), with_kwargs=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline("a cat", height=32, width=32, num_inference_steps=1, guidance_scale=3.0, output_type="latent")
    hook.remove()
    theirs = {**heard[0], **(heard[0].get("added_cond_kwargs") or {})}
    ours = told(open_pipeline(folders[kind]), [NULL, "a cat"])
    assert {"encoder_hidden_states"} < ours.keys() or kind == "sd1"
    for name, rows in ours.items():
        torch.testing.assert_close(rows, theirs[name].float(), rtol=0, atol=1e-6, msg=name)
    assert not torch.equal(ours["encoder_hidden_states"][0], ours["encoder_hidden_states"][1])


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_in_the_order_of_the_prompts_and_the_empty_one_is_always_the_same(kind, folders):
    pipeline = open_pipeline(folders[kind])
    alone, mixed = told(pipeline, [NULL]), told(pipeline, ["b", NULL, "a", "b"])
    for name, rows in mixed.items():
        assert torch.equal(rows[1], alone[name][0]), "to the bit"
        assert torch.equal(rows[0], rows[3])
    assert not torch.equal(mixed["encoder_hidden_states"][0], mixed["encoder_hidden_states"][2])


def test_t5_speaks_where_the_folder_has_it_and_its_index_names_it(folders, tmp_path):
    """Silent where the index says null: then its files do not count either, and the words are those of SD3 without T5."""
    loud, without = folders["sd3-t5"], open_pipeline(folders["sd3"])
    assert (open_pipeline(loud).third, without.third) == (True, False)
    quiet = shutil.copytree(loud, tmp_path / "quiet")
    index = quiet / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {name: [None, None] for name in opened.THIRD}))
    before = content(quiet)
    shutil.rmtree(quiet / "text_encoder_3")
    assert content(quiet) == before
    assert not open_pipeline(quiet).third
    gone = shutil.copytree(loud, tmp_path / "gone")
    shutil.rmtree(gone / "text_encoder_3")
    assert not open_pipeline(gone).third, "named, but not there"
    said, silent = (told(open_pipeline(folder), ["a cat"])["encoder_hidden_states"] for folder in (loud, quiet))
    assert torch.equal(silent, told(without, ["a cat"])["encoder_hidden_states"])
    assert torch.equal(said[:, :77], silent[:, :77]), "CLIP's words"
    assert not silent[:, 77:].any()
    assert said[:, 77:].abs().max() > 0.1
    assert content(loud) != content(quiet)
    weights = loud / "text_encoder_3" / "model.safetensors"
    bent = shutil.copytree(loud, tmp_path / "bent")
    (bent / "text_encoder_3" / weights.name).write_bytes(weights.read_bytes()[:-4] + b"abcd")
    assert content(bent) != content(loud)


def test_who_asks_often_opens_t5_once_and_moves_nothing_that_is_in_place(folders, monkeypatch):
    asked, moved = [], []
    real, move = texts.t5, torch.nn.Module.to
    monkeypatch.setattr(texts, "t5", lambda *args: asked.append(args) or real(*args))
    speaker, pipeline = Speaker(open_pipeline(folders["sd3-t5"])), open_pipeline(folders["sd3-t5"])
    first = speaker([NULL, "a cat"])
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *args: moved.append(self) or move(self, *args))
    again = speaker(["a cat", NULL, "a dog"])
    encoded(pipeline, IMAGES)
    assert (len(asked), moved) == (1, [])
    for name, rows in first.items():
        assert torch.equal(rows[0], again[name][1]), "the empty prompt, to the bit"
        torch.testing.assert_close(rows[1], again[name][0], rtol=1e-5, atol=1e-6)
        assert torch.equal(again[name], told(pipeline, ["a cat", NULL, "a dog"])[name])


class Placed(torch.nn.Linear):
    """A module that says where it is told to lie."""

    def __init__(self):
        super().__init__(1, 1)
        self.calls = []

    def to(self, device):
        self.calls.append(str(device))
        self.weight = torch.nn.Parameter(torch.empty((1, 1), device="meta" if str(device) == "meta" else "cpu"))
        self.bias = None
        return self


def test_a_module_goes_back_when_whoever_brought_it_is_done():
    one, other = Placed(), Placed()
    with on(torch.device("meta"), one):
        with on(torch.device("meta"), one, other):
            assert (one.calls, other.calls) == (["meta"], ["meta"])
        assert (one.calls, other.calls) == (["meta"], ["meta", "cpu"])
    assert one.calls == ["meta", "cpu"]


def test_xl_is_told_the_size(folders):
    assert told(open_pipeline(folders["sdxl"]), ["a"], 64)["time_ids"].tolist() == [[64, 64, 0, 0, 64, 64]]
    assert told(open_pipeline(folders["sdxl"]), ["a"])["time_ids"].tolist() == [[32, 32, 0, 0, 32, 32]]


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_what_the_library_makes_and_reads(kind, folders, libraries):
    pipeline, vae = open_pipeline(folders[kind]), libraries[kind].vae
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 127.5 - 1
    shift, scale = vae.config.shift_factor or 0.0, vae.config.scaling_factor
    with torch.no_grad():
        law = vae.encode(x).latent_dist
        mean, std = encoded(pipeline, IMAGES)
        torch.testing.assert_close(mean, (law.mean - shift) * scale, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(std, law.std * scale, rtol=1e-5, atol=1e-6)
        expected = libraries[kind].image_processor.postprocess(vae.decode(mean / scale + shift).sample, output_type="np")
    assert np.abs(decoded(pipeline, mean).astype(int) - np.rint(expected * 255).astype(int)).max() <= 1
    assert pipeline.latent_shape() == (4, 16, 16)
    assert pipeline.latent_shape(48) == (4, 24, 24)
    assert encoded(pipeline, IMAGES[..., :1], 48)[0].shape == (3, 4, 24, 24), "grey and of another size"


def test_many_images_are_encoded_a_few_at_a_time(folders, monkeypatch):
    whole = encoded(open_pipeline(folders["sd1"]), IMAGES)
    monkeypatch.setattr(latents, "PIXELS", 32 * 32)
    for a, b in zip(whole, encoded(open_pipeline(folders["sd1"]), IMAGES), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_folder_counts_by_what_is_used_of_it(folders, tmp_path):
    there = folders["sd1"]
    copy = shutil.copytree(there, tmp_path / "copy")
    assert content(copy) == content(there)
    (copy / "v1-5-pruned.ckpt").write_bytes(b"never read")
    (copy / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"another form")
    (copy / "safety_checker").mkdir()
    (copy / "safety_checker" / "config.json").write_text("{}")
    assert content(copy) == content(there)
    assert open_pipeline(copy) is open_pipeline(str(copy))
    before = open_pipeline(copy)
    index = copy / "scheduler" / "scheduler_config.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"prediction_type": "v_prediction"}))
    assert open_pipeline(copy) is not before
    assert open_pipeline(copy).process.target == "v_prediction"


def test_the_2022_layout_is_the_same_pipeline(folders):
    new, old = open_pipeline(folders["sd1"]), open_pipeline(folders["sd1-2022"])
    for a, b in ((new.network, old.network), (new.vae, old.vae)):
        ours, theirs = a.state_dict(), b.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    words = ["a cat", NULL]
    assert torch.equal(told(new, words)["encoder_hidden_states"], told(old, words)["encoder_hidden_states"])
    assert np.array_equal(new.process.alpha_bar, old.process.alpha_bar)


def test_errors_name_the_part(folders, tmp_path, monkeypatch):
    def broken(name, change):
        copy = shutil.copytree(folders["sd1"], tmp_path / name)
        change(copy)
        return copy

    def edit(file, **more):
        return lambda folder: (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | more))

    cases = (
        (
            "flux",
            edit("model_index.json", _class_name="FluxPipeline"),
            "holds a FluxPipeline, but must hold one of StableDiffusionPipeline",
        ),
        ("x0", edit("scheduler/scheduler_config.json", prediction_type="sample"), "predicts 'sample'; epsilon, v_prediction and flow"),
        ("cut", lambda folder: shutil.rmtree(folder / "tokenizer"), "the tokenizer in .* cannot be opened"),
        ("mute", lambda folder: shutil.rmtree(folder / "text_encoder"), "the CLIPTextModel in .* cannot be opened"),
        ("blind", lambda folder: shutil.rmtree(folder / "vae"), "the AutoencoderKL in .*vae cannot be opened"),
        ("silent", lambda folder: (folder / "model_index.json").unlink(), "has no model_index.json; give a folder"),
    )
    for name, change, says in cases:
        with pytest.raises(BadInput, match=says):
            open_pipeline(broken(name, change))
    with pytest.raises(BadInput, match="there is no folder"):
        place(tmp_path / "gone")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="'nobody/nothing' is neither a folder here nor a pipeline that the hub gives"):
        open_pipeline("nobody/nothing")
    opened._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"needs diffusers; install it with: pip install 'germline\[t2i\]'"):
        open_pipeline(folders["sd1"])
