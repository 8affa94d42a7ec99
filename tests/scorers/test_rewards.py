"""The reward models against golden data of their authors' own code, and against straight-forward computation."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

import tiny_scorers as tiny
from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.scorers import HPS, Aesthetic, ClipScore, ImageReward, PickScore, blip, hps, image_reward, open_clip
from germline.scorers.aesthetic import collapsed, head
from germline.scorers.images import DEVIATION, MEAN, cropped, padded
from germline.scorers.library import only
from germline.scorers.prompts import cleaned, told
from germline.scorers.words import tokenizer, tokens

GOLDEN, IMAGES, WORDS = tiny.GOLDEN, tiny.IMAGES, tiny.WORDS
CTX = Context(1, 0, None)
HPS_DATA = json.loads((GOLDEN / "hps_v2_tiny.json").read_text())
REWARD_DATA = json.loads((GOLDEN / "imagereward_tiny.json").read_text())
SQUARES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
PROMPTS = np.array(["a photo of a cat", "Cats &amp; dogs", "“curly” quotes", "東京の夜", "a red apple on a wooden table"])


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    root = tmp_path_factory.mktemp("rewards")
    return {name: make(root / name) for name, make in tiny.MADE.items()}


def each(image, prompts):
    return Pool.of(np.repeat(image[None], len(prompts), axis=0), np.array(prompts))


# --- golden data


@pytest.mark.parametrize("mode", ["antialias", "legacy"])
def test_hps_is_that_of_its_authors(mode, scorers):
    scorer, data = dataclasses.replace(scorers["hps_v2.1"], resize=mode), HPS_DATA
    for name, expected in zip(data["image_order"], data["results"][mode]["scores_float64"], strict=True):
        found = scorer(each(IMAGES[name], data["prompts"]), CTX)
        np.testing.assert_allclose(found, expected, rtol=0, atol=data["tolerance"]["scores_abs"])


def test_the_two_resizes_of_hps_are_told_apart(scorers):
    old, new = (dataclasses.replace(scorers["hps_v2.1"], resize=mode) for mode in ("legacy", "antialias"))
    assert abs(np.subtract(*(HPS_DATA["results"][mode]["scores_float64"] for mode in ("legacy", "antialias")))).max() > 0.05
    assert digest.of_part(old) != digest.of_part(new)
    assert (old.preprocessing, new.preprocessing) == ("B, legacy", "B, antialias")


@pytest.mark.parametrize("mode", ["antialias", "legacy"])
@pytest.mark.parametrize("name", ["landscape", "portrait", "square"])
def test_hps_sees_the_pixels_that_its_authors_code_sees(mode, name):
    x = padded(IMAGES[name][None], 224, mode)[0]
    io = np.load(GOLDEN / "hps_v2_tiny_io.npz")
    np.testing.assert_allclose(x[:, 3::13, 5::13].numpy(), io[f"pixels_{mode}_{name}"], rtol=0, atol=2e-5)
    whole = x.double()
    found = [whole.sum().item(), whole.square().sum().item(), whole.min().item(), whole.max().item()]
    np.testing.assert_allclose(found, HPS_DATA["results"][mode]["pixel_summary"][name], rtol=1e-5)


def test_imagereward_is_that_of_its_authors(scorers):
    data = REWARD_DATA
    for name, expected in zip(data["image_order"], data["results"]["normalised_float64"], strict=True):
        found = scorers["imagereward"](each(IMAGES[name], data["prompts"]), CTX)
        np.testing.assert_allclose(found, expected, rtol=0, atol=data["tolerance"]["rewards_abs"])


@pytest.mark.parametrize("name", ["landscape", "portrait", "square"])
def test_imagereward_sees_the_pixels_that_its_authors_code_sees(name):
    x = cropped(IMAGES[name][None], 224)[0]
    np.testing.assert_allclose(x[:, 3::13, 5::13].numpy(), np.load(GOLDEN / "imagereward_tiny_io.npz")[f"pixels_{name}"], rtol=0, atol=2e-5)
    whole = x.double()
    found = [whole.sum().item(), whole.square().sum().item(), whole.min().item(), whole.max().item()]
    np.testing.assert_allclose(found, REWARD_DATA["pixels"]["summary"][name], rtol=1e-6)


def test_halves_rounded_down_are_the_image_processor_of_transformers():
    """And halves rounded to even are not: the two crop one pixel apart where an odd number is cut off."""
    processor = tiny.transformers.CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224})
    far = {}
    for name, image in IMAGES.items():
        expected = processor(images=[image], return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        torch.testing.assert_close(cropped(image[None], 224, "down"), expected, rtol=0, atol=1e-6)
        far[name] = float((cropped(image[None], 224) - expected).abs().max())
    assert far["portrait"] > 1 > 1e-6 > max(far["square"], far["landscape"])


def test_the_embedded_head_gives_laions_ten_scores():
    embeddings = np.load(Path(blip.__file__).parent / "embedded" / "laion_rating_embeddings.npz")["embeddings"].astype(np.float64)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    weight, bias = head()
    expected = json.loads((GOLDEN / "laion_rating_scores.json").read_text())["scores_float64"]
    np.testing.assert_allclose(embeddings @ weight + bias, expected, rtol=0, atol=1e-9)


def test_the_vectors_of_hps_are_those_of_its_authors(scorers):
    io, tolerance = np.load(GOLDEN / "hps_v2_tiny_io.npz"), HPS_DATA["tolerance"]["features_abs"]
    for mode in ("antialias", "legacy"):
        towers = only(hps._towers, dataclasses.replace(scorers["hps_v2.1"], resize=mode))
        seen = torch.cat([towers.images(IMAGES[name][None]) for name in HPS_DATA["image_order"]])
        np.testing.assert_allclose(seen, io[f"image_features_{mode}"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(towers.prompts(HPS_DATA["prompts"]), io["text_features"], rtol=0, atol=tolerance)


def test_the_hidden_states_of_imagereward_are_those_of_its_authors(scorers):
    io, tolerance = np.load(GOLDEN / "imagereward_tiny_io.npz"), REWARD_DATA["tolerance"]["hidden_abs"]
    network, words = only(image_reward._network, scorers["imagereward"])
    ids, mask = tokens(words, REWARD_DATA["prompts"], 35)
    for number, name in enumerate(REWARD_DATA["image_order"]):
        with torch.inference_mode():
            seen = network.vision(pixel_values=cropped(IMAGES[name][None], 224)).last_hidden_state
            np.testing.assert_allclose(seen[0, :2], io["image_tokens_first2"][number], rtol=0, atol=tolerance)
            read = network.text(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen.expand(3, -1, -1), is_decoder=False)
        np.testing.assert_allclose(read.last_hidden_state[:, 0], io["text_hidden_position0"][number], rtol=0, atol=tolerance)


REAL = Path(os.environ.get("GERMLINE_TEST_REWARDS", "/nowhere"))  # a folder with what the tests below name


def given(*names):
    absent = [name for name in names if not (REAL / name).exists()]
    return pytest.mark.skipif(bool(absent), reason=f"give {', '.join(absent)} in the folder GERMLINE_TEST_REWARDS")


@given("aesthetic_v2_head.safetensors")
def test_the_embedded_head_is_the_published_one():
    weight, bias = head(REAL / "aesthetic_v2_head.safetensors")
    np.testing.assert_allclose(head()[0], weight, rtol=1e-12)
    assert head()[1] == pytest.approx(bias, rel=1e-12)


@given("ImageReward.pt", "vocab.txt", "1.webp", "2.webp", "3.webp", "4.webp")
def test_imagereward_gives_the_numbers_of_its_readme():
    pictures = [np.asarray(Image.open(REAL / f"{number}.webp").convert("RGB")) for number in (1, 2, 3, 4)]
    prompt = "a painting of an ocean with clouds and birds, day time, low depth field effect"
    found = [ImageReward(REAL / "ImageReward.pt")(each(picture, [prompt]), CTX)[0] for picture in pictures]
    np.testing.assert_allclose(found, [0.5812, 0.2745, -1.4132, -2.0296], atol=0.01)


# --- words


def test_cleaned_prompts_are_the_tokens_of_open_clip(tmp_path):
    words = tokenizer("x", "CLIPTokenizer", tiny.clip_words(tmp_path), "<|endoftext|>", 49408, "clip")
    ids, _ = tokens(words, [cleaned(text) for text in WORDS["texts"]], 77)
    raw, _ = tokens(words, WORDS["texts"], 77)
    for text, found, uncleaned, expected, expected_raw in zip(
        WORDS["texts"], ids, raw, WORDS["clip_ids"], WORDS["clip_raw_ids"], strict=True
    ):
        assert found.tolist() == expected + [49407] * (77 - len(expected)), text
        assert uncleaned.tolist() == expected_raw + [49407] * (77 - len(expected_raw)), text
    assert len(WORDS["clip_ids"][-1]) == 77, "the last text is over-long"
    assert (ids[-1, -1], (ids[-1] == 49407).sum()) == (49407, 1), "cut, it keeps its end token"
    assert sum(a != b for a, b in zip(WORDS["clip_ids"], WORDS["clip_raw_ids"], strict=True)) == 5, "cleaning matters"


def test_the_golden_prompts_have_the_golden_tokens(tmp_path):
    clip = tokenizer("x", "CLIPTokenizer", tiny.clip_words(tmp_path / "clip"), "<|endoftext|>", 49408, "clip")
    ids, mask = tokens(clip, [cleaned(text) for text in HPS_DATA["prompts"]], 77)
    expected = np.load(GOLDEN / "hps_v2_tiny_io.npz")["token_ids_full"]
    np.testing.assert_array_equal(np.where(mask == 1, ids, 0), expected)
    bert = tokenizer("x", "BertTokenizer", tiny.bert_words(tmp_path / "bert"), "[SEP]", 30524, "bert")
    ids, mask = tokens(bert, REWARD_DATA["prompts"], 35)
    io = np.load(GOLDEN / "imagereward_tiny_io.npz")
    np.testing.assert_array_equal(ids, io["token_ids_full"])
    np.testing.assert_array_equal(mask, io["attention_mask"])
    ids, _ = tokens(bert, WORDS["texts"], 35)
    np.testing.assert_array_equal(ids, WORDS["bert_ids"])
    assert ids[-1, -1] == 102, "an over-long prompt keeps its end token"


def test_classes_need_a_template(tiny_classes):
    pool, ctx = tiny_classes
    assert told("HPS", pool, ctx, "a photo of a {class}")[:2] == ["a photo of a a", "a photo of a b"]
    with pytest.raises(
        BadInput, match=r'HPS compares images with prompts, but the conditions of gaussian are classes.*template="a photo of'
    ):
        told("HPS", pool, ctx, None)
    with pytest.raises(BadInput, match=r"the template 'a photo' must hold \{class\}"):
        told("HPS", pool, ctx, "a photo")
    assert told("HPS", each(SQUARES[0], ["a {class}"]), ctx, "ignored {class}") == ["a {class}"], "a prompt is taken as it is"


@pytest.fixture
def tiny_classes():
    from conftest import gaussian_splits

    data = gaussian_splits(20, 4)
    return data.real.take(np.argsort(data.real.condition, kind="stable")[[0, -1]]), Context(1, 0, data)


# --- straight-forward computation


def by_hand(folder, images, prompts, clean):
    """Unit vectors by transformers' own processor and model."""
    model = tiny.transformers.CLIPModel.from_pretrained(folder).eval()
    words = tiny.transformers.CLIPTokenizer.from_pretrained(folder)
    x = tiny.transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})(
        images=list(images), return_tensors="pt", input_data_format="channels_last"
    )["pixel_values"]
    with torch.inference_mode():
        seen = model.get_image_features(pixel_values=x).pooler_output.double()
        made = [words([clean(prompt)], truncation=True, max_length=77, return_tensors="pt") for prompt in prompts]
        read = torch.cat([model.get_text_features(**one).pooler_output for one in made]).double()
    return tuple((v / v.norm(dim=-1, keepdim=True)).numpy() for v in (seen, read))


def test_clip_and_pickscore_are_those_of_transformers(scorers):
    pool = Pool.of(SQUARES, PROMPTS)
    for name, factor, clean in (("clip", 1, cleaned), ("pickscore", 100, str)):
        seen, read = by_hand(scorers[name].weights, SQUARES, PROMPTS.tolist(), clean)
        found = scorers[name](pool, CTX)
        np.testing.assert_allclose(found, factor * (seen * read).sum(axis=1), rtol=0, atol=2e-6 * factor)
        assert found.std() > 0.01 * factor
    seen, read = by_hand(scorers["clip"].weights, SQUARES, PROMPTS.tolist(), str)
    assert abs(scorers["clip"](pool, CTX) - (seen * read).sum(axis=1)).max() > 1e-3, "without cleaning, other scores"


def test_aesthetic_is_an_affine_map_of_the_unit_vector(scorers):
    weight, bias = head()
    seen, _ = by_hand(scorers["aesthetic_v2"].weights, SQUARES, ["a photo"], str)
    found = scorers["aesthetic_v2"](Pool.of(SQUARES, PROMPTS), CTX)
    np.testing.assert_allclose(found, seen @ weight + bias, rtol=0, atol=1e-5)
    other = scorers["aesthetic_v2"](Pool.of(SQUARES, PROMPTS[::-1]), CTX)
    np.testing.assert_array_equal(found, other)


def test_a_head_of_layers_is_the_chain_of_them(tmp_path):
    random, widths = np.random.default_rng(0), (24, 1024, 128, 64, 16, 1)
    layers = {f"layers.{layer}": pair for layer, pair in zip((0, 2, 4, 6, 7), zip(widths[1:], widths[:-1], strict=True), strict=True)}
    arrays = {f"{name}.weight": random.normal(size=shape).astype(np.float32) / shape[1] ** 0.5 for name, shape in layers.items()}
    arrays |= {f"{name}.bias": random.normal(size=shape[:1]).astype(np.float32) for name, shape in layers.items()}
    x = random.normal(size=(7, 24))
    expected = x
    for name in layers:
        expected = expected @ arrays[f"{name}.weight"].T.astype(np.float64) + arrays[f"{name}.bias"]
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, tmp_path / "head.pth")
    weight, bias = head(tmp_path / "head.pth")
    np.testing.assert_allclose(x @ weight + bias, expected[:, 0], rtol=1e-10)
    for name, wrong in (("layers.4.bias", None), ("layers.1.weight", np.zeros(3)), ("layers.6.weight", np.zeros((16, 63)))):
        changed = {key: value for key, value in {**arrays, name: wrong}.items() if value is not None}
        with pytest.raises(BadInput, match=rf"is no head of five linear layers.*{re.escape(name)}"):
            collapsed(changed, tmp_path / "head.pth")


@pytest.mark.parametrize("name", sorted(tiny.MADE))
def test_a_row_does_not_depend_on_those_beside_it(name, scorers, tmp_path):
    pool = Pool.of(np.random.default_rng(1).integers(0, 256, (21, 32, 32, 3), dtype=np.uint8), np.resize(PROMPTS, 21))
    whole = scorers[name](pool, CTX)
    assert len(np.unique(whole)) == 21
    rows = np.array([20, 3, 11])
    np.testing.assert_array_equal(scorers[name](pool.take(rows), CTX), whole[rows])
    ctx = Context(1, 0, None, cache=Cache(tmp_path))
    scorers[name](pool.take(rows), ctx)
    np.testing.assert_array_equal(scorers[name](pool, ctx), whole)


@pytest.mark.parametrize("name", sorted(tiny.MADE))
def test_bf16_is_near(name, scorers):
    pool = Pool.of(np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), np.resize(PROMPTS, 8))
    exact, rough = scorers[name](pool, CTX), dataclasses.replace(scorers[name], precision="bf16")(pool, CTX)
    assert 0 < abs(exact - rough).max() < 0.1 * max(1, abs(exact).max())
    assert np.corrcoef(exact, rough)[0, 1] > 0.95
    assert len(np.unique(rough)) == 8, "no ties by rounding"


def test_the_scale_of_pickscore_stays_100_in_bf16(scorers):
    from germline.scorers import pick_score

    towers = only(pick_score._towers, dataclasses.replace(scorers["pickscore"], precision="bf16"))
    assert float(towers.clip.logit_scale.exp()) == pytest.approx(100, rel=1e-6)
    assert towers.clip.get_image_features is not None
    assert next(towers.model.vision_model.parameters()).dtype == torch.bfloat16


def test_grey_is_three_equal_channels(scorers):
    grey = SQUARES[..., :1]
    for scorer in (scorers["clip"], scorers["hps_v2.1"]):
        np.testing.assert_array_equal(scorer(Pool.of(grey, PROMPTS), CTX), scorer(Pool.of(np.repeat(grey, 3, axis=3), PROMPTS), CTX))


def test_an_image_of_the_right_size_is_not_resized():
    x = padded(np.full((1, 16, 24, 3), 255, np.uint8), 24)
    assert x.shape == (1, 3, 24, 24)
    white, black = ((np.array([v, v, v]) - MEAN) / DEVIATION for v in (1, 0))
    np.testing.assert_allclose(x[0, :, 4, 0], white, rtol=1e-6)
    np.testing.assert_allclose(x[0, :, 3, 0], black, rtol=1e-6)
    np.testing.assert_allclose(x[0, :, 20, 23], black, rtol=1e-6)
    image = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    by_pillow = np.asarray(Image.fromarray(image).crop((3, 0, 27, 24)), np.float64) / 255
    np.testing.assert_allclose(cropped(image[None], 24)[0], ((by_pillow - MEAN) / DEVIATION).transpose(2, 0, 1), rtol=1e-5, atol=1e-6)


# --- faults


@pytest.mark.parametrize("part", [Aesthetic, ClipScore, HPS, ImageReward, PickScore])
def test_missing_weights_are_named(part, tmp_path):
    with pytest.raises(BadInput, match=rf"{part.__name__}: there is no \S*gone.pt; give the path of the weights"):
        part(tmp_path / "gone.pt")


def changed_hps(tensors, change):
    if change == "lacks":
        del tensors["visual.transformer.resblocks.1.ln_2.weight"]
    elif change == "besides":
        tensors["visual.attn_pool.query"] = torch.zeros(3)
    elif change == "deeper":
        tensors |= {name.replace("resblocks.1", "resblocks.2"): value for name, value in tensors.items() if "resblocks.1" in name}
    elif change == "wider":
        tensors["visual.proj"] = torch.zeros(32, 25)
    elif change == "attention":
        tensors["transformer.resblocks.0.attn.in_proj_weight"] = torch.zeros(99, 32)
    return tensors


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("lacks", r"it lacks 1 of the tensors, first vision_model.encoder.layers.1.layer_norm2.weight"),
        ("besides", r"another network than a CLIP of open_clip: it has a tensor visual.attn_pool.query"),
        ("deeper", r"it has besides 32 of the tensors|it has besides \d+ of the tensors"),
        ("wider", r"visual_projection.weight|size mismatch|other weights|another shape"),
        ("attention", r"another shape|other weights"),
    ],
)
def test_a_wrong_file_cannot_pass_for_hps(change, says, tmp_path):
    scorer = tiny.hps(tmp_path)
    torch.save({"state_dict": changed_hps(tiny.hps_tensors(), change)}, scorer.weights)
    with pytest.raises(BadInput, match=rf"HPS: \S*HPS_v2.1_compressed.pt holds (?s:.)*(?:{says})"):
        scorer(Pool.of(SQUARES, PROMPTS), CTX)


def test_the_default_sizes_are_the_published_ones():
    """ViT-H/14 has 986.11 million weights in open_clip's own table; ImageReward.pt has 1.8 GB of float32."""
    config = open_clip._config("HPS", open_clip.Sizes())
    vision, text = blip._configs("ImageReward", blip.Sizes())
    with torch.device("meta"):
        clip = tiny.transformers.CLIPModel(config)
        reward = [tiny.transformers.BlipVisionModel(vision), tiny.transformers.BlipTextModel(text, add_pooling_layer=False)]
    assert sum(p.numel() for p in clip.parameters()) / 1e6 == pytest.approx(986.11, abs=0.005)
    assert 4 * sum(p.numel() for model in reward for p in model.parameters()) / 1e9 == pytest.approx(1.8, abs=0.05)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("blip.visual_encoder.blocks.1.norm1.weight", None, "it lacks 1 of the tensors, first encoder.layers.1.layer_norm1.weight"),
        ("blip.text_encoder.encoder.layer.0.crossattention.self.key.weight", None, "it lacks 1 of the tensors"),
        ("blip.text_encoder.pooler.dense.weight", torch.zeros(32, 32), "it has besides 1 of the tensors, first pooler"),
        ("blip.text_decoder.bias", torch.zeros(3), "another network than ImageReward's: it has a tensor blip.text_decoder.bias"),
        ("mlp.layers.4.weight", None, "another head than 32-1024-128-64-16-1"),
        ("mlp.layers.4.weight", torch.zeros(64, 127), "another head"),
        ("mlp.layers.1.weight", torch.zeros(3), "it has a tensor mlp.layers.1.weight"),
    ],
)
def test_a_wrong_file_cannot_pass_for_imagereward(name, value, says, tmp_path):
    scorer, tensors = tiny.image_reward(tmp_path), tiny.reward_tensors()
    torch.save({key: tensor for key, tensor in {**tensors, name: value}.items() if tensor is not None}, scorer.weights)
    with pytest.raises(BadInput, match=rf"ImageReward: \S*ImageReward.pt holds .*{says}"):
        scorer(Pool.of(SQUARES, PROMPTS), CTX)


def test_files_of_other_scorers_are_refused(tmp_path):
    hps, reward = tiny.hps(tmp_path / "hps"), tiny.image_reward(tmp_path / "reward")
    pool = Pool.of(SQUARES, PROMPTS)
    with pytest.raises(BadInput, match="HPS: .* holds another network than a CLIP of open_clip"):
        dataclasses.replace(hps, weights=reward.weights, tokenizer=hps.weights.parent)(pool, CTX)
    with pytest.raises(BadInput, match=r"compressed.pt should hold tensors by name"):
        dataclasses.replace(reward, weights=hps.weights, tokenizer=reward.weights.parent)(pool, CTX)
    with pytest.raises(BadInput, match=r"HPS: \S*pt is not the file that was expected: its sha256 should be 00"):
        dataclasses.replace(hps, checksum="0" * 64)(pool, CTX)
    assert np.isfinite(dataclasses.replace(hps, checksum=digest.of_path(hps.weights))(pool, CTX)).all()
    with pytest.raises(BadInput, match="ClipScore: the model in .* computes with gelu, but should with quick_gelu"):
        ClipScore(tiny.clip_folder(tmp_path / "laion", "gelu"))(pool, CTX)
    with pytest.raises(BadInput, match="PickScore: the model in .* computes with quick_gelu, but should with gelu"):
        PickScore(tiny.clip_folder(tmp_path / "openai"))(pool, CTX)
    with pytest.raises(BadInput, match=r"Aesthetic: the head reads 768 numbers, but the CLIP in .* makes 24; give ViT-L/14"):
        Aesthetic(tmp_path / "openai")(pool, CTX)
    with pytest.raises(BadInput, match="ClipScore: the CLIPModel in .* cannot be opened"):
        ClipScore(hps.weights.parent)(pool, CTX)


def test_a_clip_that_lacks_a_tensor_is_refused(tmp_path):
    folder = tiny.clip_folder(tmp_path / "clip")
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if name != "visual_projection.weight"},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(BadInput, match="holds another model: it lacks 1 of the tensors, first visual_projection.weight"):
        ClipScore(folder)(Pool.of(SQUARES, PROMPTS), CTX)


def test_position_numbers_that_old_files_hold_are_no_fault(tmp_path, scorers):
    """As openai/clip-vit-large-patch14 has them."""
    folder = tiny.clip_folder(tmp_path / "clip")
    old = {"text_model.embeddings.position_ids": np.arange(77)[None], "vision_model.embeddings.position_ids": np.arange(17)[None]}
    save_file({**load_file(folder / "model.safetensors"), **old}, folder / "model.safetensors", {"format": "pt"})
    pool = Pool.of(SQUARES, PROMPTS)
    np.testing.assert_array_equal(ClipScore(folder)(pool, CTX), scorers["clip"](pool, CTX))


def test_a_folder_without_its_vocabulary_is_refused(tmp_path, scorers):
    """transformers makes a tokenizer of nothing there, and says nothing."""
    for scorer, kind in ((scorers["hps_v2.1"], "CLIPTokenizer"), (scorers["imagereward"], "BertTokenizer")):
        (tmp_path / kind).mkdir()
        with pytest.raises(BadInput, match=rf"{kind} holds no vocabulary of a {kind}; put its files there"):
            dataclasses.replace(scorer, tokenizer=tmp_path / kind)(Pool.of(SQUARES, PROMPTS), CTX)
    with pytest.raises(BadInput, match="the tokenizer in .* knows 755 tokens, but the model has 60|knows .* tokens, but the model has 60"):
        tokenizer("HPS", "CLIPTokenizer", tiny.clip_words(tmp_path / "words"), "<|endoftext|>", 60, "")


def test_the_extra_is_named(scorers, monkeypatch):
    import sys

    pool = Pool.of(SQUARES, PROMPTS)
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(MissingExtra, match=r"ftfy; install it with: pip install 'germline\[rewards\]'"):
        dataclasses.replace(scorers["clip"], name="other")(pool, CTX)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"transformers; install it with: pip install 'germline\[rewards\]'"):
        dataclasses.replace(
            scorers["aesthetic_v2"],
            precision="bf16",
            head=None,
            weights=shutil.copytree(scorers["clip"].weights, scorers["clip"].weights.parent / "moved"),
        )(pool, CTX)
