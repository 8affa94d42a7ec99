"""Judges in this process: log-odds of a tiny model in closed form, the rules, and the cache of raw replies."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from germline.core import sealed
from germline.core.errors import BadInput, Corrupt, MissingExtra, RunConflict
from germline.prompts import log_odds
from germline.prompts.instruction import QUESTIONS
from germline.prompts.judge import judge
from germline.prompts.log_odds import LogOdds
from germline.prompts.replies import Replies, path_of
from germline.prompts.rules import Rules, odd

CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PROMPTS = ["fox", "a red fox in the snow at dawn, oil painting by a very patient painter", "a cat"]


def table(*texts):
    return pa.table({"prompt": list(texts)})


def tiny_llama(parent):
    """A random Llama of two layers with a byte-level vocabulary in which yes and no are tokens, and a chat template; its folder."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.ByteLevelBPETokenizer()
    words = ["yes", "no", "Yes", "No", " yes", " no"] * 50 + list(QUESTIONS.values())
    model.train_from_iterator(words, vocab_size=400, min_frequency=2, special_tokens=["<s>", "</s>"])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model._tokenizer, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = CHAT
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    where = parent / "tiny-llama"
    transformers.LlamaForCausalLM(config).save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("tiny"))


def by_hand(folder, question):
    """log p(yes) - log p(no) of one question, alone, without padding."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    text = f"<s><user> {question} <assistant>"
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        probabilities = model(ids).logits[0, -1].double().softmax(-1)
    one = lambda words: {i[0] for w in words if len(i := tokenizer.encode(w, add_special_tokens=False)) == 1}
    yes, no = one(["yes", "Yes", " yes", " Yes", "YES"]), one(["no", "No", " no", " No", "NO"])
    assert len(yes) >= 2
    return float((probabilities[list(yes)].sum() / probabilities[list(no)].sum()).log())


def test_log_odds_equal_those_by_hand_whatever_is_padded(folder, tmp_path):
    """Left padding moves positions: without positions of our own the short prompts of a batch would come out otherwise."""
    found = judge(table(*PROMPTS), LogOdds(folder, batch=3), tmp_path, clarity=-99, specificity=-99)
    assert found.kept["prompt"].to_pylist() == PROMPTS
    for row in found.kept.to_pylist():
        for name, question in QUESTIONS.items():
            assert row[name] == pytest.approx(by_hand(folder, question.format(prompt=row["prompt"])), abs=2e-4)
    spread = [row["clarity"] for row in found.kept.to_pylist()]
    assert max(spread) - min(spread) > 2e-3, "prompts must matter more than the tolerance"


def test_thresholds_move_without_the_model(folder, tmp_path, monkeypatch):
    first = judge(table(*PROMPTS), LogOdds(folder), tmp_path, clarity=-99, specificity=-99)
    middle = sorted(first.kept["clarity"].to_pylist())[1]
    monkeypatch.setattr(LogOdds, "ask", lambda *_: pytest.fail("asked again"))
    again = judge(table(*PROMPTS), LogOdds(folder), tmp_path, clarity=middle, specificity=-99)
    assert len(again.kept) == 2
    assert again.rejected["reason"].to_pylist() == ["unclear"]


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(BadInput, match="is no folder and no .gguf file; name a language model"):
        judge(table("a red fox"), LogOdds(tmp_path / "no"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no language model that transformers can open"):
        judge(table("a red fox"), LogOdds(tmp_path / "empty"), tmp_path)


def test_a_gguf_file_that_is_none_and_one_that_cannot_be_opened_here_are_named(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"GGUF no")
    with pytest.raises((BadInput, MissingExtra), match="holds no language model that transformers can open|A .gguf file needs"):
        judge(table("a red fox"), LogOdds(tmp_path / "model.gguf"), tmp_path)
    monkeypatch.setattr(log_odds, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="A .gguf file needs gguf and accelerate; install with: pip install gguf accelerate"):
        judge(table("a red fox"), LogOdds(tmp_path / "model.gguf", dtype="bfloat16"), tmp_path)


def test_the_rules_say_everywhere_that_they_are_not_the_paper_s_method(tmp_path):
    found = judge(table("a red fox sleeping under a birch in deep snow", "fox"), Rules(), tmp_path)
    assert all("NOT the paper's method" in row["judge"] for part in (found.kept, found.rejected) for row in part.to_pylist())
    assert "NOT the paper's method" in found.report()["note"]
    assert len(found.kept) == len(found.rejected) == 1


def test_the_rules_know_words_from_noise():
    assert not any(odd(word) for word in ("painting", "strawberry", "lighthouse", "astronaut", "rhythm", "fox", "wearing"))
    assert all(odd(word) for word in ("xkqzv", "sdfghjk", "qqwzx", "bcdfg", "zxcvbnm"))


def test_replies_survive_a_cut_last_line_and_a_changed_one_is_named(tmp_path):
    with Replies.opened(tmp_path, "i", "m") as replies:
        replies.add("one", {"content": "1"})
        replies.add("two", {"content": "2"})
    path = path_of(tmp_path, "i", "m")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with Replies.opened(tmp_path, "i", "m") as replies:
        assert replies.get("one") == {"content": "1"}
        assert replies.get("two") is None
        replies.add("two", {"content": "2"})
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(b'"content":"1"', b'"content":"9"'))
    with pytest.raises(Corrupt, match="line 1 is damaged"), Replies.opened(tmp_path, "i", "m"):
        pass


def test_a_line_holds_the_key_and_the_raw_reply(tmp_path):
    with Replies.opened(tmp_path, "i", "m") as replies:
        replies.add("one", {"content": "1", "finish_reason": "stop"})
    line = path_of(tmp_path, "i", "m").read_text()
    value = sealed.parse_line(line, "")
    assert (value["instruction"], value["model"], value["reply"]) == ("i", "m", {"content": "1", "finish_reason": "stop"})
    assert len(value["prompt"]) == 64


def test_two_processes_do_not_ask_the_same_judge_at_once(tmp_path):
    with Replies.opened(tmp_path, "i", "m"), pytest.raises(RunConflict, match="Another process is asking m"):  # noqa: SIM117
        with Replies.opened(tmp_path, "i", "m"):
            pass


def test_the_labelled_prompts_are_what_the_page_says_of_them():
    path = Path(__file__).parents[2] / "benchmarks" / "labelled_prompts.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["label", "prompt"]
    assert Counter(label for label, _ in rows[1:]) == {"good": 80, "vague": 60, "garbled": 60}
    assert len({prompt for _, prompt in rows[1:]}) == 200
