"""Image-text alignment and the safety checker's rate, against closed forms and diffusers' own checker."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny_scorers
from germline import registry, standard
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.metrics import Alignment, Flagged
from germline.metrics.alignment import over_captions
from germline.mixers import Replace
from germline.report.glossary import entry
from germline.samplers import SamplePipeline
from germline.scorers import Function, Safety, published
from germline.scorers.named import scorer as scorer_of
from germline.trainers import Import, TunePipeline

CTX = Context(0, 0, None)
PICTURES = (np.random.default_rng(1).integers(0, 256, (40, 40, 40, 3)) // np.linspace(1, 9, 40)[:, None, None, None]).astype(np.uint8)


def told(images, conditions):
    """Says whether the image is as bright as its caption says."""
    return 1 - np.abs(images.mean((1, 2, 3)) - np.array([float(c) for c in conditions])) / 255


def pool(values, captions):
    return Pool.of(np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8), np.array(captions), 0)


def evidence(samples, held_out):
    return Evidence(samples, samples, Splits("told", (), held_out, held_out, held_out, held_out), CTX)


def test_alignment_is_the_mean_of_the_scores_with_held_out_rows_beside():
    values = np.arange(40) * 5
    samples, real = pool(values, [str(v + 51) for v in values]), pool(values, [str(v) for v in values])
    found = {value.of: value for value in Alignment(Function(told, "told"))(evidence(samples, real))}
    assert found["samples"].value == pytest.approx(0.8)
    assert found["reference"].value == pytest.approx(1)
    assert (found["samples"].extractor, found["samples"].n, found["samples"].better) == ("told", 40, "high")
    assert entry("alignment").meaning


def test_the_interval_is_that_of_a_mean_and_is_over_captions_where_they_repeat():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, 400)
    alone = Pool.of(np.zeros((400, 2, 2, 1), np.uint8), np.array([f"caption {i}" for i in range(400)]))
    value, low, high = over_captions(scores, alone)
    half = 1.96 * scores.std() / 20
    assert (value, low, high) == (
        pytest.approx(scores.mean()),
        pytest.approx(value - half, abs=0.02),
        pytest.approx(value + half, abs=0.02),
    )
    # Ten rows of each of 40 captions that score alike are forty draws, not four hundred.
    together = replace(alone, condition=np.repeat([f"caption {i}" for i in range(40)], 10))
    alike = np.repeat(rng.normal(0, 1, 40), 10)
    value, low, high = over_captions(alike, together)
    assert value == pytest.approx(alike.mean())
    assert high - low == pytest.approx(2 * 1.96 * alike.std() / np.sqrt(40), rel=0.15)
    # Captions of unequal numbers of rows: the mean is over rows.
    uneven = replace(alone.take(np.arange(60)), condition=np.repeat([f"caption {i}" for i in range(12)], np.r_[[16], [4] * 11]))
    assert over_captions(scores[:60], uneven)[0] == pytest.approx(scores[:60].mean())


def test_it_is_measured_where_captions_and_weights_are_there(tmp_path, monkeypatch):
    folder = tiny_scorers.clip_folder(tmp_path / "clip")
    rows = pool(np.arange(24) * 9, [f"a photo of a {kind}" for kind in ("cat", "dog", "bird") * 8])
    data = Splits("told", (), rows, rows, rows, rows)
    assert not [m for m in registry.metrics_for(data) if isinstance(m, Alignment)], "nothing is downloaded"
    monkeypatch.setattr(published, "here", lambda name: folder if name == "clip" else None)
    (metric,) = [m for m in registry.metrics_for(data) if isinstance(m, Alignment)]
    assert metric.scorer.weights == folder
    (value, _) = metric(Evidence(rows, rows, data, CTX))
    assert value.value == pytest.approx(metric.scorer(rows, CTX).mean())
    one = replace(data, **{name: replace(rows, condition=np.full(24, "cat")) for name in ("real", "reserve", "judge", "held_out")})
    assert standard.of_captions(one) == [], "one caption for all: nothing to mix up"
    assert standard.of_captions(replace(data, real=replace(rows, condition=np.zeros(24, np.int64)))) == []


def prepared(images):
    """What the pipeline's own feature extractor makes of pictures."""
    from transformers import CLIPImageProcessorPil

    sizes = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    return CLIPImageProcessorPil(**sizes)(list(images), return_tensors="pt").pixel_values


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    """A tiny checker in a pipeline's folder, its thresholds at the middle of what the pictures give."""
    pytest.importorskip("diffusers", reason="extra: t2i")
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(vision_config={**sizes, "image_size": 28, "patch_size": 14}, text_config=sizes, projection_dim=12)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = StableDiffusionSafetyChecker(config).eval()
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        model.special_care_embeds_weights.fill_(0.3)
        vectors = model.visual_projection(model.vision_model(prepared(PICTURES))[1])
        nearest = torch.nn.functional.cosine_similarity(vectors[:, None], model.concept_embeds[None], dim=-1).max(1).values
        model.concept_embeds_weights.fill_(float(nearest.median()))
    folder = tmp_path_factory.mktemp("pipelines") / "sd"
    model.save_pretrained(folder / "safety_checker")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder, model


def test_the_checker_is_that_of_diffusers(checker, capfd):
    folder, model = checker
    with torch.inference_mode():
        _, flagged = model(clip_input=prepared(PICTURES), images=list(PICTURES.copy()))
    assert 5 < sum(flagged) < 35
    capfd.readouterr()
    rows = Pool.of(PICTURES, np.array(["a cat"] * 40))
    scorer = scorer_of(f"safety:{folder}")
    assert scorer == Safety(folder / "safety_checker")
    assert scorer(rows, CTX).tolist() == [0.0 if flag else 1.0 for flag in flagged]
    assert "black image" not in capfd.readouterr().err
    found = {value.of: value for value in Flagged(scorer)(evidence(rows, rows.take(np.flatnonzero(~np.array(flagged)))))}
    assert found["samples"].value == pytest.approx(np.mean(flagged))
    assert (found["reference"].value, found["reference"].low) == (0, 0)
    assert found["reference"].high > 0.05, "none of a few is not none"


def test_a_pipelines_own_checker_is_measured(checker, tmp_path):
    folder, _ = checker
    rows = pool(np.arange(24) * 9, [f"a {i}" for i in range(24)])
    data = Splits("told", (), rows, rows, rows, rows)
    recipe = Recipe(Import(folder), Replace(), TunePipeline(folder), SamplePipeline(4))
    assert [m.scorer for m in registry.metrics_for(data, recipe) if isinstance(m, Flagged)] == [Safety(folder)]
    (tmp_path / "plain").mkdir()
    bare = replace(recipe, founder=Import(tmp_path / "plain"))
    assert not [m for m in registry.metrics_for(data, bare) if isinstance(m, Flagged)]
    assert standard.of_pipeline("owner/name") == standard.of_pipeline(None) == []
    with pytest.raises(BadInput, match="has no safety_checker; name a pipeline that came with one"):
        Safety(tmp_path / "plain")(rows, CTX)
    with pytest.raises(BadInput, match="Safety"):
        Safety(tmp_path / "nowhere")
