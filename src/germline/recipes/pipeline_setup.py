"""How a pipeline is fine-tuned on a card of 12, 16 or 24 GB.

Ours, and untried on a card: reckoned from the sizes of the networks, not measured. ``germline doctor --model M`` measures one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from germline.pipelines.lora import Lora
from germline.trainers import TunePipeline


@dataclass(frozen=True)
class Card:
    """What decides the memory of training; the rows of a step are equal on all cards, so the models are too, up to rounding.

    Attributes:
        batch: rows a step of the optimiser.
        accumulate: pieces in which they are computed.
        checkpointing: compute activations twice instead of keeping them.
        precision: of frozen weights and products.
        eight_bit: keep AdamW's momenta in 8 bits.
    """

    batch: int = 8
    accumulate: int = 1
    checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "bf16"
    eight_bit: bool = False


# LoRA of SD 1.x at 512 (1.7 GB of frozen bf16 weights) and of XL at 1024 (5.1 GB): what is left for activations sets the pieces.
# The whole U-Net of SD 1.x: 3.4 GB each of weights, gradients and two momenta, 13.8 GB; 8-bit momenta make that about 8.6 GB, so it
# fits 12 GB barely, and 16 and 24 GB with room for activations.
LORA_12 = Card(accumulate=8, checkpointing=True)
LORA_16 = Card(accumulate=4, checkpointing=True)
LORA_24 = Card(accumulate=2, checkpointing=True)
FULL_12 = Card(accumulate=8, checkpointing=True, eight_bit=True)
FULL_16 = Card(accumulate=8, checkpointing=True, eight_bit=True)
FULL_24 = Card(accumulate=4, checkpointing=True)
CARDS: dict[tuple[int, Literal["lora", "full"]], Card] = {
    (12, "lora"): LORA_12,
    (16, "lora"): LORA_16,
    (24, "lora"): LORA_24,
    (12, "full"): FULL_12,
    (16, "full"): FULL_16,
    (24, "full"): FULL_24,
}


def tuner(base: Path | str, card: Card, lora: Lora | None = Lora(), *, images: int = 8_000, condition_drop: float = 0.0) -> TunePipeline:  # noqa: B008
    """Return the trainer of a base on a card; ``dataclasses.replace`` changes the rest of it."""
    return TunePipeline(
        base,
        images=images,
        batch=card.batch,
        accumulate=card.accumulate,
        lora=lora,
        condition_drop=condition_drop,
        precision=card.precision,
        checkpointing=card.checkpointing,
        eight_bit=card.eight_bit,
    )
