"""Distances shared by metrics: measured once, and those of the rows asked for."""

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.pool import Pool
from germline.features import Pixels
from germline.metrics import near as module
from germline.metrics.near import near


def test_each_pair_of_sets_is_measured_once_whoever_asks(monkeypatch, tmp_path):
    asked, measured = [], module.nearest

    def counting(query, base, k=1, exclude_self=False):
        asked.append((len(query), len(base)))
        return measured(query, base, k, exclude_self)

    monkeypatch.setattr(module, "nearest", counting)
    data = gaussian_splits(20, 4)
    ctx = Context(1, 0, data, cache=Cache(tmp_path))
    rows = np.array([3, 1, 7])
    first = near(data.real.take(rows), data.held_out, None, ctx)
    again = near(data.real.take(rows), data.held_out, None, Context(2, 5, data, cache=Cache(tmp_path)))
    assert asked == [(3, 20)]
    assert (first == again).all()
    near(data.real.take(rows[::-1]), data.held_out, None, ctx)
    near(data.real.take(rows), data.held_out, Pixels(), ctx)
    near(data.real, None, None, ctx)
    other = Pool.of(255 - data.real.images[:], data.real.condition)  # the same rows of another source
    near(other.take(rows), data.held_out, None, ctx)
    assert asked == [(3, 20), (3, 20), (3, 20), (20, 20), (3, 20)]


def test_against_brute_force():
    data = gaussian_splits(30, 4)
    a, b = (pool.images[:].reshape(30, -1).astype(np.float64) for pool in (data.real, data.held_out))
    distance = np.sqrt(np.square(a[:, None] - b[None]).sum(axis=2))
    ctx = Context(1, 0, data)
    assert near(data.real, data.held_out, None, ctx) == pytest.approx(distance.min(axis=1))
    own = np.sqrt(np.square(a[:, None] - a[None]).sum(axis=2)) + 1e9 * np.eye(30)
    assert near(data.real, None, None, ctx) == pytest.approx(own.min(axis=1))
