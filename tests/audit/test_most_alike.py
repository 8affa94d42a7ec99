"""The short way finds what comparing everything in full finds."""

import numpy as np
import pytest

from germline.audit import most_alike
from germline.audit.most_alike import MostAlike


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("fall", [0.0, 1.0])  # vectors without and with a few main directions
@pytest.mark.parametrize("tile", [64, 2048])
def test_the_same_rows_as_by_brute_force(monkeypatch, fall, tile):
    monkeypatch.setattr(most_alike, "TILE", tile)
    draw = np.random.default_rng(0)
    scale = np.arange(1, 61) ** -fall
    known, queries = unit(draw.normal(size=(3000, 60)) * scale), unit(draw.normal(size=(12, 3, 60)) * scale)
    known[7] = 0  # a plain image
    queries[0] = known[:3]
    without = np.stack([np.arange(12), np.full(12, 2999)], axis=1)
    found = MostAlike(known)(queries, 9, without)
    alike = (queries.reshape(-1, 60) @ known.T).reshape(12, 3, -1).max(axis=1)
    np.put_along_axis(alike, without, -np.inf, axis=1)
    expected = np.argsort(-alike, axis=1)[:, :9]
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(expected, axis=1))


def test_few_vectors_are_in_full():
    known = unit(np.random.default_rng(0).normal(size=(5, 3)))
    assert sorted(MostAlike(known)(known[:1, None], 5)[0]) == [0, 1, 2, 3, 4]
