"""Cleaning: what is taken out, what is left alone, and the reason of every rejection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from germline.core.errors import BadInput, MissingExtra
from germline.prompts.clean import Cleaning, clean
from germline.prompts.duplicates import nearest_before, nearest_of
from germline.prompts.length import counter, estimate
from germline.prompts.markup import undecidable, without_markup
from germline.prompts.read import read_prompts
from germline.prompts.text import plain_text, single_blanks


def cleaned(text: str) -> str:
    return single_blanks(without_markup(plain_text(text))[0])


def table(*texts: str) -> pa.Table:
    return pa.table({"prompt": list(texts), "source": ["x"] * len(texts), "row": list(range(len(texts)))})


@dataclass(frozen=True)
class Planted:
    """Vectors that a test chose; a text without one is an error."""

    vectors: Mapping[str, list[float]]
    name: ClassVar[str] = "planted"

    def __call__(self, texts):
        return np.array([self.vectors[text] for text in texts], np.float32)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a (red:1.2) fox, <lora:foo_v2:0.8>, masterpiece --ar 3:2 --v 5", "a red fox, masterpiece"),
        ("((big ((blue)) eyes)), [a cat:a dog:0.5] on {wood}", "big blue eyes, a dog on wood"),
        ("(a (very (old:1.3) tree:1.1) here:0.9)", "a very old tree here"),
        ("a castle --ar 16:9 in fog --no people, cars --q 2", "a castle in fog"),
        ("a cat \u2014ar 2:3 \u2014style raw", "a cat"),
        ("cat::2 dog::-0.5 park", "cat dog park"),
        ("portrait \\(medium\\) BREAK of a man", "portrait (medium), of a man"),
        ("a man Negative prompt: ugly Steps: 20, Sampler: Euler a", "a man"),
        ("https://cdn.example/a.png?x=1 a cat in a hat", "a cat in a hat"),
        ("Tom &amp;amp; Jerry <b>bold</b><br/> <a href='x'>link</a>", "Tom & Jerry bold link"),
        ("cafe\u0301 \u200b table\u00a0top\x07\ufeff\n new", "caf\u00e9 table top new"),
        ("family \U0001f468\u200d\U0001f469\u200d\U0001f467 emoji", "family \U0001f468\u200d\U0001f469\u200d\U0001f467 emoji"),
    ],
)
def test_markup_is_taken_out(text, left):
    assert cleaned(text) == left


@pytest.mark.parametrize(
    "text",
    [
        '"quoted" start, as in PartiPrompts',
        "a film-noir still (1947), 3:2, f/1.8, state-of-the-art",
        "a robot that says: hello, world! 100% cotton & silk",
        "a<b and c>d on a blackboard",
        "H2O -- the molecule",
        "東京の夜、雨",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert cleaned(text) == text
    assert undecidable(text) is None


def test_every_parti_prompt_survives_but_for_blanks():
    for text in read_prompts(["parti"])["prompt"].to_pylist():
        assert "".join(cleaned(text).split()) == "".join(text.split()).strip(",;|"), text


def test_reasons_are_given_in_order_and_the_original_is_kept():
    long = "a very long prompt " * 30
    texts = ["", "<lora:x:1>", "{red|blue} car on a road", "two words", long, "A Red Fox  runs", "a red fox (runs:1.1)", "a cat on a mat"]
    found = clean(table(*texts), Cleaning(), evaluation=["A cat on a mat"])
    assert found.kept["prompt"].to_pylist() == ["A Red Fox runs"]
    assert found.kept["original"].to_pylist() == ["A Red Fox  runs"]
    rejected = {row["original"]: (row["reason"], row["detail"]) for row in found.rejected.to_pylist()}
    assert rejected == {
        "": ("empty", ""),
        "<lora:x:1>": ("empty", ""),
        "{red|blue} car on a road": ("markup", "{red|blue}"),
        "two words": ("short", "2 words"),
        long: ("long", "120 tokens (estimate)"),
        "a red fox (runs:1.1)": ("duplicate", "A Red Fox runs"),
        "a cat on a mat": ("evaluation", ""),
    }
    report = found.report()
    assert (report["in"], report["kept"], report["rejected"]) == (8, 1, 7)
    assert report["reasons"] == {"empty": 2, "markup": 1, "short": 1, "long": 1, "duplicate": 1, "evaluation": 1}


def test_markup_can_be_rejected_or_kept():
    texts = ("a (red:1.2) fox in snow", "a red fox in fog")
    assert clean(table(*texts), Cleaning(markup="reject")).rejected["detail"].to_pylist() == ["weight"]
    assert clean(table(*texts), Cleaning(markup="keep")).kept["prompt"].to_pylist() == list(texts)


def test_what_imagereward_would_not_read_is_marked_and_kept():
    found = clean(table("one two three", "word " * 40), Cleaning())
    assert found.kept["imagereward_cuts"].to_pylist() == [False, True]


def test_cleaning_what_is_clean_changes_nothing():
    once = clean(table("a red fox runs", "a  (blue:1.3) fox runs"), Cleaning()).kept
    again = clean(once, Cleaning()).kept
    assert again["prompt"].equals(once["prompt"])
    assert again["original"].to_pylist() == ["a red fox runs", "a  (blue:1.3) fox runs"]


def test_the_first_of_near_duplicates_wins_and_chains_do_not_vanish():
    """Rows at 0, 10, 20, 30 degrees, alike up to 15: 0 and 20 stay; 10 repeats 0, and 30 repeats 20, not the dropped 10."""
    angles = np.deg2rad([0, 10, 20, 30])
    like, cosine = nearest_before(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32), np.cos(np.deg2rad(15)))
    assert like.tolist() == [-1, 0, -1, 2]
    np.testing.assert_allclose(cosine[[1, 3]], np.cos(np.deg2rad(10)), atol=1e-6)


def test_near_duplicates_across_blocks_equal_brute_force():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2500, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    like, _ = nearest_before(rows, 0.97)
    kept: list[int] = []
    for i, row in enumerate(rows):
        near = rows[kept] @ row >= 0.97 if kept else np.zeros(0, bool)
        assert (like[i] >= 0) == near.any(), i
        if near.any():
            assert like[i] in kept
            assert rows[like[i]] @ row == pytest.approx((rows[kept] @ row).max(), abs=1e-6)
        else:
            kept.append(i)
    assert 0 < len(kept) < len(rows)


def test_nearest_of_no_base_is_nothing():
    best, value = nearest_of(np.eye(2, dtype=np.float32), np.zeros((0, 2), np.float32))
    assert best.tolist() == [-1, -1]
    assert (value == -2).all()


def test_near_duplicates_and_near_evaluation_prompts_are_named():
    planted = Planted({"a red fox": [1, 0], "a crimson fox": [0.99, 0.141], "a blue car": [0, 1], "the blue car": [0.05, 0.9987]})
    found = clean(table("a red fox", "a crimson fox", "a blue car"), Cleaning(near=0.95), ["the blue car"], planted)
    assert found.kept["prompt"].to_pylist() == ["a red fox"]
    assert [(row["reason"], row["detail"]) for row in found.rejected.to_pylist()] == [
        ("near duplicate", "0.990 a red fox"),
        ("near evaluation", "0.999 the blue car"),
    ]


def test_near_needs_an_encoder_and_a_cosine():
    with pytest.raises(BadInput, match="Near duplicates need a text encoder"):
        clean(table("a red fox"), Cleaning(near=0.9))
    with pytest.raises(BadInput, match="--near is a cosine above 0 and at most 1, but is 1.5"):
        Cleaning(near=1.5)


def test_tokens_are_counted_by_the_users_tokenizer(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "fox": 1, "?": 2}, unk_token="?"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="?", model_max_length=77)
    fast.save_pretrained(tmp_path / "pipeline" / "tokenizer")
    count, name = counter(tmp_path / "pipeline")
    assert count(["a fox a fox", "a", "a fox " * 100]) == [4, 1, 200]
    assert name == "pipeline"
    found = clean(table("a fox a fox"), Cleaning(tokenizer=tmp_path / "pipeline", max_tokens=3))
    assert found.rejected["detail"].to_pylist() == ["4 tokens (pipeline)"]


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises((BadInput, MissingExtra), match="holds no tokenizer"):
        counter(tmp_path)


def test_the_estimate_knows_words_digits_marks_and_other_scripts():
    assert estimate("a red fox") == 3
    assert estimate("in 1947, it's") == 8  # in, four digits, a comma, it, 's
    assert estimate("東京") == 3
