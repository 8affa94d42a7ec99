"""A judge in this process: a chat model of transformers, asked yes or no, read at the first token of its answer."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from germline.core import digest
from germline.core.errors import BadInput, MissingExtra
from germline.prompts import instruction
from germline.prompts.answers import Answer, undecided
from germline.prompts.instruction import CRITERIA, QUESTIONS
from germline.prompts.judge import Cost
from germline.prompts.replies import Reply

if TYPE_CHECKING:
    import torch

YES, NO = ("yes", "Yes", " yes", " Yes", "YES"), ("no", "No", " no", " No", "NO")


@dataclass(frozen=True)
class LogOdds:
    """log p(yes) - log p(no) of the first token of the answer to one question a criterion; 0 is even odds.

    Nothing has to be parsed, the scores are continuous, and equal versions give equal ones. "yes" and "no" are summed over how they may
    be written, as far as each is one token. Batches are padded on the left, so that the last token is the last one of every row.

    Source: the paper (arXiv 2502.09963) instructs Llama 3; questions and scale are ours. With Llama 3 Instruct in ``folder`` it is as
    near to the paper's method as its text allows.

    Attributes:
        folder: a causal language model as transformers saves it, with its tokenizer, or a .gguf file, whose numbers transformers turns back
            into ``dtype``; its chat template is used if it has one.
        device: such as "cpu" or "cuda".
        dtype: such as "float32" or "bfloat16".
        batch: prompts at once; half as many where memory is short.

    Raises:
        MissingExtra: transformers, or gguf for such a file, is not installed.
        BadInput: there is no such model, or its tokenizer has no token for yes or no.
    """

    folder: Path
    device: str = field(default="cpu", metadata=digest.OF_NO_CONSEQUENCE)
    dtype: str = "float32"
    batch: int = field(default=8, metadata=digest.OF_NO_CONSEQUENCE)

    @property
    def name(self) -> str:
        """The folder's or file's name, the start of the hash of what is in it, and the number format."""
        if not self.folder.is_dir() and not (self.folder.is_file() and self.folder.suffix == ".gguf"):
            raise BadInput(f"{self.folder} is no folder and no .gguf file; name a language model as transformers saves it, or such a file.")
        return f"{self.folder.resolve().name}-{digest.of_path(self.folder)[:8]}-{self.dtype}"

    @property
    def note(self) -> str:
        """What every output says."""
        return "log-odds of yes, asked with questions of ours: the paper's instruction is not published"

    @property
    def instruction(self) -> str:
        """The hash of the questions."""
        return instruction.hash_of([*QUESTIONS.values(), *YES, *NO])

    @property
    def thresholds(self) -> tuple[float, float]:
        """Even odds. Ours, untuned: models lean to one side, so look at the scores."""
        return 0.0, 0.0

    def ask(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply | str]]:
        """Yield log p(yes) and log p(no) of both questions, batch after batch."""
        log_odds = _opened(self.folder, self.device, self.dtype)
        for start in range(0, len(prompts), self.batch):
            part = prompts[start : start + self.batch]
            found = {name: log_odds([QUESTIONS[name].format(prompt=prompt) for prompt in part]) for name in CRITERIA}
            for i in range(len(part)):
                yield start + i, {name: {"yes": found[name][i][0], "no": found[name][i][1]} for name in CRITERIA}

    def read(self, reply: Reply) -> Answer:
        """Return the log-odds of both criteria."""
        scores: dict[str, float] = {}
        for name in CRITERIA:
            odds = reply.get(name)
            yes, no = (odds.get("yes"), odds.get("no")) if isinstance(odds, dict) else (None, None)
            if not isinstance(yes, float) or not isinstance(no, float):
                return undecided(f"no log-probabilities of {name}")
            scores[name] = yes - no
        return Answer(scores["clarity"], scores["specificity"])

    def cost(self, prompts: Sequence[str]) -> Cost:
        """Return two calls a prompt, and one token each."""
        fixed = sum(len(question) for question in QUESTIONS.values()) // 4
        return Cost(2 * len(prompts), sum(fixed + len(prompt) // 2 + 2 for prompt in prompts), 2 * len(prompts))


LogProbabilities = Callable[[list[str]], list[tuple[float, float]]]


@lru_cache(maxsize=1)
def _opened(folder: Path, device: str, dtype: str) -> LogProbabilities:
    """Return a function of questions to (log p(yes), log p(no)); no code of the folder runs, and nothing is downloaded."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(f"LogOdds needs {error.name}; install it with: pip install 'germline[prompts]'") from error
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if folder.is_file() and missing:
        need = " and ".join(missing)
        raise MissingExtra(
            f"A .gguf file needs {need}; install with: pip install gguf accelerate (germline[llm] has them, and builds llama.cpp)"
        )
    from germline.pipelines.files import quiet

    where, file = (folder.parent, {"gguf_file": folder.name}) if folder.is_file() else (folder, {})
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True, padding_side="left", **file)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                where, local_files_only=True, use_safetensors=True, dtype=dtype, **file
            )
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:  # the last three of half a file
        raise BadInput(f"{folder} holds no language model that transformers can open ({error}).") from error
    model = model.eval().to(device)
    if tokenizer.pad_token is None:  # Llama 3 has none; what is padded with is masked
        tokenizer.pad_token = tokenizer.eos_token
    yes, no = token_ids(tokenizer.encode, YES), token_ids(tokenizer.encode, NO)
    if not yes or not no or yes & no:
        raise BadInput(f"{folder}: the tokenizer has no single token for yes and another for no, so its answers cannot be read.")
    takes = inspect.signature(model.forward).parameters

    def log_probabilities(questions: list[str]) -> list[tuple[float, float]]:
        given = tokenizer(
            [_chat(tokenizer, question) for question in questions], padding=True, add_special_tokens=False, return_tensors="pt"
        ).to(device)
        mask = given["attention_mask"]
        inputs = {"input_ids": given["input_ids"], "attention_mask": mask}
        if "position_ids" in takes:  # counted from the first real token: on their own, models count the padding too
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        if "logits_to_keep" in takes:  # a vocabulary times a whole batch of tokens is gigabytes
            inputs["logits_to_keep"] = 1
        with torch.inference_mode():
            logits = model(**inputs).logits[:, -1].float().log_softmax(-1).cpu()
        return [(_total(row, yes), _total(row, no)) for row in logits]

    return log_probabilities


def _chat(tokenizer, question: str) -> str:  # type: ignore[no-untyped-def]  # transformers is half typed
    """Return a question as the model's chat wants it, up to where its answer begins."""
    if tokenizer.chat_template is None:
        return f"{tokenizer.bos_token or ''}{question}\nAnswer:"
    text: str = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
    return text


def token_ids(encode: Callable[..., list[int]], words: Sequence[str]) -> frozenset[int]:
    """Return the ids of those words that are one token."""
    found = [encode(word, add_special_tokens=False) for word in words]
    return frozenset(ids[0] for ids in found if len(ids) == 1)


def _total(row: torch.Tensor, ids: frozenset[int]) -> float:
    return float(row[sorted(ids)].logsumexp(0))
