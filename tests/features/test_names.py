"""The names of extractors."""

from pathlib import Path

import pytest

from germline.core.errors import BadInput
from germline.features import PCA, AlexNet, Bottleneck, Classifier, EfficientNetLite0, Inception, MidBlock, Pixels, hugging_face
from germline.features.named import extractor


def test_names_make_extractors(tmp_path):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"x")
    assert extractor("pixels") == Pixels()
    assert extractor("classifier") == Classifier()
    assert extractor("bottleneck") == Bottleneck()
    assert extractor("efficientnet") == EfficientNetLite0()
    assert extractor("lpips") == AlexNet("lpips")
    assert extractor(f"alexnet-maps:{weights}") == AlexNet("maps", weights=weights)
    assert extractor(f"inception:{weights}") == Inception(weights)
    assert extractor(f"mid-block:{tmp_path}") == MidBlock(tmp_path)
    assert extractor(f"mid-block-pooled:{tmp_path}") == MidBlock(tmp_path, pooled=True)
    assert extractor("pca64-efficientnet") == PCA(EfficientNetLite0(), dims=64)
    assert extractor(extractor("pca8-pixels").name) == PCA(Pixels(), dims=8)
    assert extractor(f"pca128-inception:{weights}") == PCA(Inception(weights), dims=128)


def test_the_hub_is_asked_only_for_what_is_no_folder(tmp_path, monkeypatch):
    folder = tmp_path / "some" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "vit", "hidden_size": 384}')
    for name in ("preprocessor_config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert extractor("hf:some/model").weights == Path("some/model")
    assert extractor("hf-pooled:some/model").pooled
    asked = []
    monkeypatch.setattr("germline.features.named.from_hub", lambda name: asked.append(name) or folder)
    assert extractor("hf:facebook/dino-vits16").weights == folder
    assert asked == ["facebook/dino-vits16"]
    with pytest.raises(BadInput, match=r"some/model holds vit-small-\w{6}, which is no DINOv2; write hf:some/model"):
        extractor("dinov2:some/model")
    assert hugging_face.SIZES[384] == "small"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pixls", "There is no extractor 'pixls'. Did you mean pixels?"),
        ("xyz", r"There are: alexnet, .*, inception:PATH, .* each also as pca64-NAME"),
        ("inception", "The extractor inception needs its weights: write inception:PATH"),
        ("dinov2:", "The extractor dinov2 needs its weights"),
        ("pixels:/x", "The extractor pixels takes no weights"),
        ("inception:/gone.pth", "Inception: there is no /gone.pth"),
        ("hf:/gone", "HuggingFace: there is no /gone"),
        ("mid-block:/gone", "MidBlock: there is no /gone"),
        ("pca64-", "There is no extractor 'pca64-'"),
    ],
)
def test_what_is_no_extractor_is_answered(name, says):
    with pytest.raises(BadInput, match=says):
        extractor(name)
