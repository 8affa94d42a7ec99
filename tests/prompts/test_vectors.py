"""Vectors are kept by text: what is embedded how often, after a kill, in another order, beside a damaged block."""

from dataclasses import dataclass

import numpy as np
import pytest

from germline.core.cache import Cache
from germline.prompts import vectors
from germline.prompts.vectors import embedded


@dataclass(frozen=True)
class Numbers:
    """The vector of a text is (its number, 1); what it is asked for is noted, and at its ``DIES[0]``-th block it is interrupted."""

    name: str = "numbers"

    def __call__(self, texts):
        if len(ASKED) == DIES[0]:
            raise KeyboardInterrupt
        ASKED.append(list(texts))
        return np.array([[int(text), 1] for text in texts], np.float32)


ASKED, DIES = [], [-1]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 10)
    ASKED.clear()
    DIES[0] = -1


def numbers(*ranges):
    return [str(i) for part in ranges for i in part]


def check(texts, cache):
    np.testing.assert_array_equal(embedded(Numbers(), texts, cache), [[int(text), 1] for text in texts])


def test_only_what_is_new_is_embedded_whatever_was_dropped_or_moved(tmp_path):
    """A row near the top is dropped, the file is turned round, rows come back, others are new: counted in texts embedded."""
    texts = numbers(range(35))
    check(texts, Cache(tmp_path))
    assert [len(block) for block in ASKED] == [10, 10, 10, 5]
    for kept in (texts[:2] + texts[3:], texts[::-1], texts[20:], texts):
        check(kept, Cache(tmp_path))
    assert len(ASKED) == 4, "nothing more was embedded"
    check(numbers([99], range(35), [98]), Cache(tmp_path))
    assert ASKED[4:] == [["99", "98"]]


def test_a_text_that_occurs_twice_is_embedded_once(tmp_path):
    for cache in (Cache(tmp_path), Cache(None)):
        ASKED.clear()
        check(["3", "4", "3", "3"], cache)
        assert ASKED == [["3", "4"]]


def test_a_killed_embedding_loses_one_block(tmp_path):
    DIES[0] = 2
    with pytest.raises(KeyboardInterrupt):
        embedded(Numbers(), numbers(range(35)), Cache(tmp_path))
    DIES[0] = -1
    check(numbers(range(35)), Cache(tmp_path))
    assert [len(block) for block in ASKED] == [10, 10, 10, 5]
    assert ASKED[2] == numbers(range(20, 30)), "the blocks of a run that was not killed"


def test_a_damaged_block_is_embedded_again(tmp_path):
    check(numbers(range(25)), Cache(tmp_path))
    block = sorted(tmp_path.rglob("*.safetensors"))[0]
    block.write_bytes(block.read_bytes()[:-3])
    lost = len(ASKED)
    check(numbers(range(25)), Cache(tmp_path))
    assert len(ASKED) == lost + 1
    assert len(ASKED[-1]) in (5, 10)
    check(numbers(range(25)), Cache(tmp_path))
    assert len(ASKED) == lost + 1, "and kept"


def test_another_encoder_has_vectors_of_its_own(tmp_path):
    check(["3"], Cache(tmp_path))
    embedded(Numbers("another"), ["3"], Cache(tmp_path))
    assert ASKED == [["3"], ["3"]]


def test_no_texts_have_no_vectors(tmp_path):
    assert embedded(Numbers(), [], Cache(tmp_path)).shape == (0, 1)
