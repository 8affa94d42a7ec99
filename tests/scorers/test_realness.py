"""The realness scorer of emoji: what it is by hand, what it tells apart, and that another file cannot pass for it."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.data.emoji import emoji
from germline.samplers import ReEncoded
from germline.scorers import Realness
from germline.scorers.dual_encoder import DualEncoder, opened
from germline.scorers.named import scorer
from germline.scorers.realness import HEAD, log_odds, opened_head

CTX = Context(0, 0, None)


def test_it_is_a_regression_on_what_the_dual_encoder_reads():
    rows = emoji(styles=("noto",)).held_out.take(np.arange(8))
    features = opened(DualEncoder().pictures).features(rows.images[:]).double()
    head = {name: value.double() for name, value in load_file(HEAD).items()}
    by_hand = (((features - head["mean"]) / head["std"]) * head["weight"]).sum(1) + head["bias"]
    found = Realness()(rows, CTX)
    assert found == pytest.approx(by_hand.numpy(), abs=1e-3)
    assert Realness()(Pool.of(rows.images[:], np.array([f"something else {i}" for i in range(8)])), CTX).tolist() == found.tolist()
    assert (
        log_odds(
            torch.zeros(1, 2), {"mean": torch.ones(2), "std": torch.tensor([1.0, 2.0]), "weight": torch.ones(2), "bias": torch.tensor(3.0)}
        )
        == 1.5
    )


def test_drawn_emoji_score_above_what_the_shipped_models_vae_makes_of_them():
    """The sign, on pictures that it never saw; the AUCs against generators are in the card."""
    pytest.importorskip("diffusers", reason="extra: t2i")
    rows = emoji(styles=("noto",)).held_out.take(np.arange(48))
    ctx = Context(0, 0, Splits("drawn", (), rows, rows, rows, rows))
    again = ReEncoded(48, "emoji")(None, np.arange(48), ctx)
    scores = [Realness()(pool, CTX) for pool in (rows, again)]
    assert (scores[0] > 0).mean() > 0.8
    assert roc_auc_score(np.repeat([1, 0], 48), np.concatenate(scores)) > 0.7
    assert (scores[0] > scores[1]).mean() > 0.8


def test_noise_passes_for_drawn_as_its_card_says():
    """What it cannot do: pictures whose halves are swapped and that are noisy score above the drawn ones."""
    images = emoji(styles=("noto",)).held_out.take(np.arange(60)).images[:]
    pieces = np.concatenate([images[:, 16:], images[:, :16]], axis=1)
    noisy = np.clip(pieces.astype(int) + np.random.default_rng(0).normal(0, 25, images.shape), 0, 255).astype(np.uint8)
    scores = [Realness()(Pool.of(some, np.full(60, "an emoji")), CTX) for some in (images, noisy)]
    assert roc_auc_score(np.repeat([1, 0], 60), np.concatenate(scores)) == pytest.approx(0.064, abs=0.02)


def test_it_has_a_name_and_takes_no_weights(tmp_path):
    assert scorer("realness") == Realness()
    with pytest.raises(BadInput, match="is shipped and takes no weights"):
        scorer("realness:here")
    save_file({"weight": torch.zeros(3)}, tmp_path / "head.safetensors")
    with pytest.raises(BadInput, match=r"should hold bias, mean, std, weight, but holds weight"):
        opened_head(tmp_path / "head.safetensors")
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"no.safetensors cannot be read"):
        opened_head(tmp_path / "no.safetensors")
