"""A cap for any selector, and votes that choose in the generation that has them."""

from dataclasses import replace

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import GIVEN, Pool
from germline.selectors import Capped, Preference, Top, Uniform, Voted

CTX = Context(1, 0, None)
PROMPTS = np.array(["a"] * 6 + ["b"] * 2 + ["c"])
RNG = np.random.default_rng(0)
OFFER = Pool.of(RNG.integers(0, 255, (9, 2, 2, 3), np.uint8), PROMPTS, 0, {"score": np.arange(9.0), "ratings": -np.arange(9.0)})


@pytest.mark.parametrize(("cap", "counts"), [(1, [1, 1, 1]), (2, [2, 2, 1]), (6, [6, 2, 1])])
def test_no_prompt_has_more_rows_than_the_cap(cap, counts):
    left = sum(counts)
    found = Capped(Uniform(left), cap)(OFFER, CTX)
    assert np.unique(PROMPTS[found], return_counts=True)[1].tolist() == counts
    with pytest.raises(BadInput, match=rf"asked for {left + 1} of {left} rows"):
        Capped(Uniform(left + 1), cap)(OFFER, CTX)
    with pytest.raises(BadInput, match="cap of 1 or more"):
        Capped(Uniform(1), 0)


def test_every_row_of_a_prompt_has_the_same_chance():
    hits = np.zeros(9)
    for seed in range(600):
        hits[Capped(Uniform(3))(OFFER, Context(1, seed, None))] += 1
    assert hits[6:8] == pytest.approx([300, 300], abs=60)
    assert hits[:6] == pytest.approx([100] * 6, abs=40)
    assert hits[8] == 600


def test_the_selector_behind_a_cap_keeps_its_order():
    found = Capped(Top(2, "score"), 1)(OFFER, CTX)
    assert found[0] == 8
    assert PROMPTS[found[1]] == "b"


def test_votes_choose_on_the_users_own_images_and_nowhere_else():
    own = Pool.of(OFFER.images[:], PROMPTS, GIVEN, OFFER.columns)
    part = Voted(Preference(2, ("ratings",), cap=None), Top(2, "score"))
    assert part(own, CTX).tolist() == [0, 1]
    assert part(OFFER, CTX).tolist() == [8, 7]
    assert part(replace(own, columns={"score": own.columns["score"], "ratings": np.arange(9.0)}), CTX).tolist() == [8, 7]
