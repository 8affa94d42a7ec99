"""Vision models from folders: the same numbers as transformers gives on images that Pillow prepared by hand."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.features import HuggingFace, hugging_face

transformers = pytest.importorskip("transformers", reason="extra: vision")

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 28, 3), dtype=np.uint8)
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 56, "patch_size": 14}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models of the real architectures, each with an image processor."""
    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    made = {
        "dinov2": transformers.Dinov2Model(transformers.Dinov2Config(**{**SMALL, "image_size": 224})),
        "vit": transformers.ViTModel(transformers.ViTConfig(**SMALL)),
        "clip": transformers.CLIPModel(
            transformers.CLIPConfig(vision_config=SMALL, text_config={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2})
        ),
        "convnext": transformers.ConvNextModel(transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1])),
    }
    with torch.no_grad():
        for name, model in made.items():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.1)  # norms and biases too: nothing is at its neutral value
            model.eval().save_pretrained(root / name)
            edge, crop = (256, 224) if name == "dinov2" else (56, 56)
            transformers.BitImageProcessorPil(
                size={"shortest_edge": edge}, crop_size={"height": crop, "width": crop}, image_mean=MEAN, image_std=DEVIATION
            ).save_pretrained(root / name)
    return root, made


@pytest.fixture
def ctx():
    return Context(1, 0, None)


def by_hand(images, edge, crop):
    """Short edge, bicubic; centre crop; mean and deviation: with Pillow and NumPy alone."""
    out = []
    for image in images:
        height, width = image.shape[:2]
        short = min(height, width)
        size = (int(edge * width / short), int(edge * height / short))
        x = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), np.float64) / 255
        top, left = (x.shape[0] - crop) // 2, (x.shape[1] - crop) // 2
        out.append((x[top : top + crop, left : left + crop] - MEAN) / DEVIATION)
    return torch.tensor(np.stack(out).transpose(0, 3, 1, 2), dtype=torch.float32)


@pytest.mark.parametrize(("name", "pooled"), [("dinov2", False), ("vit", False), ("vit", True), ("clip", False), ("convnext", True)])
def test_features_are_those_of_transformers(name, pooled, folders, ctx):
    root, made = folders
    found = HuggingFace(root / name, pooled)(Pool.of(IMAGES), ctx)
    x = by_hand(IMAGES, *((256, 224) if name == "dinov2" else (56, 56)))
    with torch.inference_mode():
        if name == "clip":
            expected = made[name].vision_model(x).pooler_output
        elif pooled:
            expected = made[name](x).pooler_output
        else:
            expected = made[name](x).last_hidden_state[:, 0]
    assert found.std() > 0.1
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_the_class_token_of_dinov2_is_after_the_layer_norm(folders, ctx):
    root, made = folders
    found = HuggingFace(root / "dinov2")(Pool.of(IMAGES), ctx).astype(np.float64)
    norm = made["dinov2"].layernorm
    bare = (found - norm.bias.detach().numpy()) / norm.weight.detach().numpy()
    np.testing.assert_allclose(bare.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(bare.std(axis=1), 1, atol=1e-4)


def test_grey_is_three_equal_channels_and_rows_stand_alone(folders, tmp_path):
    extractor = HuggingFace(folders[0] / "vit")
    ctx = Context(1, 0, None, cache=Cache(tmp_path), execution=Execution(block=2))
    grey = IMAGES[..., :1]
    whole = ctx.features(extractor, Pool.of(grey))
    np.testing.assert_array_equal(ctx.features(extractor, Pool.of(np.repeat(grey, 3, axis=3))), whole)
    np.testing.assert_array_equal(ctx.features(extractor, Pool.of(grey, np.ones(5, np.int64)).take([4, 0])), whole[[4, 0]])


def test_identity_is_the_content(folders, tmp_path):
    there = HuggingFace(folders[0] / "dinov2")
    shutil.copytree(there.weights, tmp_path / "moved")
    moved = HuggingFace(tmp_path / "moved")
    assert digest.of_part(moved) == digest.of_part(there)
    assert moved.name == there.name
    assert there.name.startswith("dinov2-d48-")
    assert HuggingFace(folders[0] / "clip").name.startswith("clip-d48-")
    assert HuggingFace(folders[0] / "convnext", pooled=True).name.startswith("convnext-d24-pooled-")
    weights = moved.weights / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert digest.of_part(moved) != digest.of_part(there)
    assert moved.name != there.name


def test_faults_are_named(folders, tmp_path, ctx):
    root, _ = folders
    with pytest.raises(BadInput, match=r"there is no .*gone"):
        HuggingFace(tmp_path / "gone")
    shutil.copytree(root / "vit", tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"pickled should hold .* but has no \*\.safetensors"):
        HuggingFace(tmp_path / "pickled")(Pool.of(IMAGES), ctx)
    with pytest.raises(BadInput, match=r"pickled should hold"):
        _ = HuggingFace(tmp_path / "pickled").name
    with pytest.raises(BadInput, match=r"convnext has maps, \(5, 24, 1, 1\), and no class token; use its pooled output"):
        HuggingFace(root / "convnext")(Pool.of(IMAGES), ctx)
    shutil.copytree(root / "vit", tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"the model in \S*cut cannot be opened"):
        HuggingFace(tmp_path / "cut")(Pool.of(IMAGES), ctx)


def test_tensors_that_are_not_there_are_never_drawn_at_random(folders, tmp_path, ctx):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "holes"
    shutil.copytree(folders[0] / "vit", folder)
    arrays = load_file(folder / "model.safetensors")
    save_file({name: a for name, a in arrays.items() if not name.startswith("pooler.")}, folder / "model.safetensors", {"format": "pt"})
    np.testing.assert_array_equal(
        HuggingFace(folder)(Pool.of(IMAGES), ctx), HuggingFace(folders[0] / "vit")(Pool.of(IMAGES), ctx), "the class token needs no pooler"
    )
    with pytest.raises(BadInput, match=r"holes lack 2 of the model's tensors, first pooler"):
        HuggingFace(folder, pooled=True)(Pool.of(IMAGES), ctx)
    save_file({name: a for name, a in arrays.items() if "layernorm" not in name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"holes lack \d+ of the model's tensors"):
        HuggingFace(folder)(Pool.of(IMAGES), ctx)


def test_code_in_the_folder_never_runs(folders, tmp_path, ctx):
    folder, mark = tmp_path / "own", tmp_path / "it-ran"
    shutil.copytree(folders[0] / "vit", folder)
    config = json.loads((folder / "config.json").read_text())
    auto_map = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "my_own", "auto_map": auto_map}))
    (folder / "code.py").write_text(f"open({str(mark)!r}, 'w')")
    with pytest.raises(BadInput, match=r"cannot be opened: .* never code of the folder's own"):
        HuggingFace(folder)(Pool.of(IMAGES), ctx)
    assert not mark.exists()


def test_a_model_of_the_hub_is_its_snapshots_folder(folders, tmp_path, monkeypatch):
    """The hub's own cache, filled by hand: what a download leaves behind is found again without a network."""
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--tiny"
    shutil.copytree(folders[0] / "vit", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = hugging_face.from_hub("somebody/tiny")
    assert digest.of_part(HuggingFace(found)) == digest.of_part(HuggingFace(folders[0] / "vit"))
    with pytest.raises(BadInput, match="'somebody/else' is neither a folder here nor a model that the hub gives"):
        hugging_face.from_hub("somebody/else")


def test_without_transformers_the_extra_is_named(folders, monkeypatch, ctx):
    import sys

    hugging_face._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'germline\[vision\]'"):
        HuggingFace(folders[0] / "vit")(Pool.of(IMAGES), ctx)
