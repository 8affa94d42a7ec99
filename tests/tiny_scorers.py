"""Tiny reward models of the real architectures, each in a folder as its own authors' files lie: weights and vocabulary.

HPS and ImageReward are the golden ones; the vocabularies are excerpts of the real ones, with the real numbers (tests/golden/README.md).
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from germline.scorers import HPS, Aesthetic, ClipScore, ImageReward, PickScore, blip, open_clip

transformers = pytest.importorskip("transformers", reason="extra: rewards")
pytest.importorskip("ftfy", reason="extra: rewards")

GOLDEN = Path(__file__).parent / "golden"
WORDS = json.loads((GOLDEN / "words.json").read_text())
IMAGES = dict(np.load(GOLDEN / "images.npz"))
HPS_SIZES = open_clip.Sizes(24, 224, 14, 32, 2, 4, 77, 49408, 32, 2, 4)
REWARD_SIZES = blip.Sizes(224, 16, 48, 2, 4, 30524, 32, 2, 4, 64, 48)
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def clip_words(folder: Path) -> Path:
    """CLIP's vocabulary, as far as the tests need it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(WORDS["clip_vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(WORDS["clip_merges"]) + "\n")
    return folder


def bert_words(folder: Path) -> Path:
    """The vocabulary of bert-base-uncased; pieces that the tests do not need have other names."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {number: piece for piece, number in WORDS["bert_vocab"].items()}
    (folder / "vocab.txt").write_text("\n".join(known.get(number, f"[other{number}]") for number in range(30522)) + "\n")
    return folder


def spread(rows: torch.Tensor, numbers: np.ndarray, size: int) -> torch.Tensor:
    """The embedding of a whole vocabulary of which only some rows are known."""
    out = torch.zeros(size, rows.shape[1])
    out[torch.from_numpy(numbers)] = rows
    return out


def hps_tensors() -> dict[str, torch.Tensor]:
    tensors, io = load_file(GOLDEN / "hps_v2_tiny.safetensors"), np.load(GOLDEN / "hps_v2_tiny_io.npz")
    return tensors | {"token_embedding.weight": spread(tensors["token_embedding.weight"], io["vocab_rows"], 49408)}


def hps(folder: Path, **fields) -> HPS:
    clip_words(folder)
    torch.save({"epoch": 0, "state_dict": hps_tensors()}, folder / "HPS_v2.1_compressed.pt")
    return HPS(folder / "HPS_v2.1_compressed.pt", sizes=HPS_SIZES, **fields)


def reward_tensors() -> dict[str, torch.Tensor]:
    tensors, io = load_file(GOLDEN / "imagereward_tiny.safetensors"), np.load(GOLDEN / "imagereward_tiny_io.npz")
    name = "blip.text_encoder.embeddings.word_embeddings.weight"
    return tensors | {name: spread(tensors[name], io["vocab_rows"], 30524)}


def image_reward(folder: Path, **fields) -> ImageReward:
    bert_words(folder)
    torch.save(reward_tensors(), folder / "ImageReward.pt")
    return ImageReward(folder / "ImageReward.pt", sizes=REWARD_SIZES, **fields)


def clip_folder(folder: Path, activation: str = "quick_gelu", dims: int = 24, seed: int = 0) -> Path:
    """A CLIPModel in which nothing is at its neutral value, with its tokenizer."""
    words = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1, "max_position_embeddings": 77}
    config = transformers.CLIPConfig(
        text_config={**SMALL, **words, "hidden_act": activation},
        vision_config={**SMALL, "image_size": 56, "patch_size": 14, "hidden_act": activation},
        projection_dim=dims,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = transformers.CLIPModel(config)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        model.logit_scale.fill_(float(np.log(100)))
    model.save_pretrained(folder)
    return clip_words(folder)


def clip_score(folder: Path, **fields) -> ClipScore:
    return ClipScore(clip_folder(folder), **fields)


def pick_score(folder: Path, **fields) -> PickScore:
    return PickScore(clip_folder(folder, "gelu", seed=1), **fields)


def aesthetic(folder: Path, **fields) -> Aesthetic:
    return Aesthetic(clip_folder(folder, dims=768, seed=2), **fields)


MADE = {"aesthetic_v2": aesthetic, "clip": clip_score, "hps_v2.1": hps, "imagereward": image_reward, "pickscore": pick_score}


def five(root: Path) -> Path:
    """All of them, each in a folder of its name, sizes beside the weights: ``scorer("clip:ROOT/clip")`` opens one."""
    for name, make in MADE.items():
        make(root / name)
    config = json.loads((GOLDEN / "hps_v2_tiny.json").read_text())["config"]
    config["text_cfg"]["vocab_size"] = 49408
    (root / "hps_v2.1" / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    (root / "imagereward" / "sizes.json").write_text(json.dumps(asdict(REWARD_SIZES)))
    return root
