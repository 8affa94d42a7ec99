"""Presets for cards of 12, 16 and 24 GB: each trains, changes only how a step is computed, and stands in the docs as it is."""

import importlib.util
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.pipelines.lora import Lora
from germline.recipes.chain_setup import TEXT_TO_IMAGE
from germline.recipes.pipeline_setup import CARDS, Card, tuner
from germline.trainers import TunePipeline
from tiny_pipelines import saved

pytest.importorskip("peft", reason="extra: t2i")

PAGE = Path(__file__).parents[2] / "docs" / "text-to-image.md"
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
POOL = Pool.of(IMAGES, np.array([*"abcdefgh"])).weighed(np.linspace(-1, 1, 8))
MISSING = "8-bit AdamW is an extra: pip install 'germline[t2i-8bit]'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved("sd1", tmp_path_factory.mktemp("pipelines") / "sd1")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


def apart(a, b):
    assert a.arrays.keys() == b.arrays.keys()
    return max(float(np.abs(a.arrays[name] - b.arrays[name]).max()) for name in a.arrays)


@pytest.mark.parametrize(("card", "what"), CARDS, ids=lambda value: str(value))
def test_a_preset_trains_and_its_pieces_change_nothing(card, what, folder, cache, tmp_path):
    """A step in the card's own precision moves the weights; in fp32 it is the step of no card at all, up to the order of sums."""
    preset, lora = CARDS[card, what], Lora(4) if what == "lora" else None
    if preset.eight_bit and not importlib.util.find_spec("bitsandbytes"):
        pytest.skip(MISSING)
    step = replace(tuner(folder, preset, lora, images=preset.batch), learning_rate=1e-3)
    start = replace(step, learning_rate=1e-12)

    def trained(trainer):
        return trainer(POOL, None, Context(0, 0, None, cache=cache, scratch=tmp_path / "scratch"))

    made, before = trained(step), trained(start)
    assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in made.arrays.values())
    assert 0.5e-3 < apart(made, before) < 2e-3, "Adam's first step is the rate"
    if not preset.eight_bit:
        plain = replace(tuner(folder, Card(precision="fp32"), lora, images=preset.batch), learning_rate=1e-3)
        # Adam's first step is the sign of a gradient: where that is almost nothing, rounding decides it.
        one, other = (trained(trainer).arrays for trainer in (replace(step, precision="fp32"), plain))
        differ = np.mean([(np.abs(one[name] - other[name]) > 1e-5).mean() for name in one])
        assert differ < 0.01


@pytest.mark.parametrize(("card", "what"), CARDS, ids=lambda value: str(value))
def test_a_recipes_card_is_the_preset(card, what):
    made = replace(TEXT_TO_IMAGE, model="emoji", card=card, rank=16 if what == "lora" else None).trainer()
    assert isinstance(made, TunePipeline)
    preset = CARDS[card, what]
    for one in fields(Card):
        assert getattr(made, one.name) == getattr(preset, one.name), one.name
    assert (made.lora is None) == (what == "full")


def test_the_docs_show_every_field_of_every_preset():
    page = PAGE.read_text()
    (head,) = re.findall(r"^\| card \|.*$", page, re.M)
    assert [name.strip(" `") for name in head.strip("|").split("|")[2:]] == [one.name for one in fields(Card)]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| \d+ GB \|.*$", page, re.M)]
    told = {(int(card.removesuffix(" GB")), what): cells for card, what, *cells in rows}
    plain = {True: "yes", False: "no"}
    for key, preset in CARDS.items():
        values = [getattr(preset, one.name) for one in fields(Card)]
        assert told[key] == [plain[value] if isinstance(value, bool) else str(value) for value in values], key
    assert told.keys() == CARDS.keys()
