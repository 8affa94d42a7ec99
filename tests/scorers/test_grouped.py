"""Prompts as labels of a probe: the groups of emoji are all there, and the probe finds what was planted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.data.emoji_files import GROUPS, ROUNDS, load
from germline.features import Pixels
from germline.scorers import Confidence, Grouped

RNG = np.random.default_rng(0)
ANIMALS, FOODS = ("cat", "dog", "owl"), ("apple", "bread", "rice")


@dataclass(frozen=True)
class Echo:
    """Gives back a row's class and remembers nothing."""

    name: str = "echo"

    def __call__(self, pool, ctx):
        return pool.condition + 10.0 * len(ctx.data.classes)


def images(prompts):
    """Animals are red, foods are blue, and both noisy."""
    out = RNG.normal(100, 25, (len(prompts), 4, 4, 3))
    animal = np.isin(prompts, ANIMALS)
    out[animal, ..., 0] += 60
    out[~animal, ..., 2] += 60
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "groups.csv"
    lines = [f"{name},animal" for name in ANIMALS] + [f"{name},food" for name in FOODS]
    path.write_text("\n".join(["prompt,group", *lines]))
    return path


@pytest.fixture
def ctx():
    told = np.array([*ANIMALS, *FOODS, "a thing of no group"])[RNG.integers(7, size=120)]
    whole = Pool.of(images(told), told)
    rows = [whole.take(np.arange(start, start + 30)) for start in (0, 0, 30, 30)]
    rows[2] = whole.take(np.arange(30, 120))
    data = Splits("things", (), *rows)
    return Context(1, 0, data, cache=Cache(None))


def made(prompts, shown):
    """Samples that were asked for one thing and show another."""
    return Pool.of(images(np.array(shown)), np.array(prompts), 0)


def test_groups_are_classes_to_the_scorer(table, ctx):
    found = Grouped(Echo(), table)(made(["  CAT", "rice"], ["cat", "rice"]), ctx)
    assert found.tolist() == [20, 21], "in the order of their names, and blanks and case do not count"
    assert Grouped(Echo(), table).name == "echo"


def test_a_probe_of_groups_finds_samples_that_show_another_group(table, ctx):
    asked = ["cat", "dog", "owl", "apple", "bread", "rice"] * 5
    right = Grouped(Confidence((Pixels(),), "judge"), table)(made(asked, asked), ctx)
    wrong = Grouped(Confidence((Pixels(),), "judge"), table)(made(asked, [*asked[3:], *asked[:3]]), ctx)
    assert right.min() > 0 > wrong.max()
    assert Grouped(Confidence((Pixels(),), "judge"), table).needs == ("judge",)


def test_errors_name_the_prompt_and_the_line(table, ctx, tmp_path):
    with pytest.raises(
        BadInput,
        match=r"groups.csv has no group for the prompt 'a ship' that rows of the judge split have, nor for 1 other rows; add a line",
    ):
        Grouped(Echo(), table)(made(["cat", "a ship", "a car"], ["cat"] * 3), ctx)
    with pytest.raises(BadInput, match=r"there is no file .*nowhere.csv"):
        Grouped(Echo(), Path("nowhere.csv"))
    two = tmp_path / "two.csv"
    two.write_text("prompt,group\ncat,animal\nCat,food")
    with pytest.raises(BadInput, match=r"two.csv entry 1 puts 'Cat' into food, but an earlier one into animal"):
        Grouped(Echo(), two)(made(["cat"], ["cat"]), ctx)
    two.write_text("prompt,group\ncat,\n")
    with pytest.raises(BadInput, match=r"entry 0 lacks group"):
        Grouped(Echo(), two)(made(["cat"], ["cat"]), ctx)
    two.write_text("prompt,group\ncat,animal\n")
    with pytest.raises(BadInput, match=r"has 1 groups, and a probe tells two or more apart"):
        Grouped(Echo(), two)(made(["cat"], ["cat"]), ctx)


def test_every_shipped_caption_and_prompt_has_a_group():
    known = pq.read_table(GROUPS).to_pydict()
    told = dict(zip(known["prompt"], known["group"], strict=True))
    assert len(set(told.values())) == 8
    assert set(pq.read_table(ROUNDS)["prompt"].to_pylist()) <= set(told)
    assert {caption.label for caption in load(("fluent", "noto")).captions} <= set(told)
    assert told["twemoji emoji of oncoming fist"] == told["oncoming fist"] == "people-body"
    assert told["boar"] == "animals-nature"
