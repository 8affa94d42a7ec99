import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from germline.core import neighbours
from germline.core.nearest_pick import NearestPick
from germline.core.neighbours import centre, first_copies, nearest, squared_distances


def brute(query, base, k, exclude_self):
    d = np.sqrt(((query.astype(np.float64)[:, None] - base.astype(np.float64)[None]) ** 2).sum(-1))
    if exclude_self:
        np.fill_diagonal(d, np.inf)
    rows = np.argsort(d, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(d, rows, 1)


@pytest.fixture(params=[(512, 4096), (7, 16)])
def tiles(request, monkeypatch):
    monkeypatch.setattr(neighbours, "QUERIES", request.param[0])
    monkeypatch.setattr(neighbours, "BASE", request.param[1])


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_neighbours_are_those_of_brute_force(tiles, k, offset):
    rng = np.random.default_rng(0)
    base = (rng.normal(size=(300, 24)) + offset).astype(np.float32)
    query = (rng.normal(size=(40, 24)) + offset).astype(np.float32)
    for q, exclude_self in ((query, False), (base, True)):
        rows, radii = nearest(q, base, k, exclude_self)
        expected, distances = brute(q, base, k, exclude_self)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_allclose(radii, distances, rtol=1e-12)


def test_near_copies_far_from_the_centre_are_measured_exactly(tiles):
    # the matrix product is off by about 4 in squared distances of 0.01: only differences can tell these rows apart
    rng = np.random.default_rng(1)
    far = np.where(np.arange(64)[:, None] % 2, 4000, -4000) + rng.normal(size=(64, 16)) * 0.03
    base = far.astype(np.float32)
    rows, radii = nearest(base, base, 1, exclude_self=True)
    expected, distances = brute(base, base, 1, True)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(radii, distances, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_tied_integers_go_to_the_lowest_row(seed, n, d, k, exclude_self):
    base = np.random.default_rng(seed).integers(0, 4, (n, d)).astype(np.float32)
    k = min(k, n - exclude_self)
    rows, radii = nearest(base, base, k, exclude_self)
    expected, distances = brute(base, base, k, exclude_self)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(radii, distances)


def test_works_on_memory_maps(tmp_path):
    base = np.random.default_rng(2).normal(size=(200, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", base)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(nearest(mapped, mapped, 3, True)[1], nearest(base, base, 3, True)[1])


def test_too_few_rows_is_an_error():
    with pytest.raises(ValueError, match="asked for 3 neighbours, but each row has 2"):
        nearest(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32), 3, exclude_self=True)


def test_squared_distances_of_integers_are_exact():
    a = np.random.default_rng(3).integers(-9, 10, (20, 5)).astype(np.float32)
    b = np.random.default_rng(4).integers(-9, 10, (30, 5)).astype(np.float32)
    np.testing.assert_array_equal(squared_distances(a, b), ((a[:, None] - b[None]) ** 2).sum(-1))


def test_the_centre_keeps_features_on_their_grid():
    x = np.random.default_rng(5).integers(0, 100, (2500, 3)).astype(np.float32) / 8
    assert np.array_equal(centre(x) * 8, np.rint(centre(x) * 8))
    assert np.abs(centre(x) - x.mean(0)).max() < 1
    for n in (1, 2, 3, 10):
        assert (centre(x[:n]) == x[:n]).any(axis=0).all()


def test_first_copies_are_found_by_bytes():
    rows = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, -0.0], [2.0, 1e-30], [1.0, 0.0]], np.float32)
    assert first_copies(rows).tolist() == [0, 1, 0, 3, 0]


def test_bounds_are_upper_and_become_exact():
    rng = np.random.default_rng(6)
    x = rng.integers(-50, 50, (400, 6)).astype(np.float32)
    chosen = NearestPick(x, 200, np.array([3]), "test")
    for _ in range(6):
        waiting = np.flatnonzero(chosen.bound >= 0)
        chosen.add(rng.choice(waiting, 30, replace=False), np.zeros(30))
        true = ((x[:, None] - x[chosen.picks][None]) ** 2).sum(-1).min(1)
        waiting = np.flatnonzero(chosen.bound >= 0)
        assert (chosen.bound[waiting] >= true[waiting]).all()
        some = rng.choice(waiting, 60, replace=False)
        floor = float(np.median(true))
        chosen.refresh(some, floor)
        high = some[true[some] >= floor]
        np.testing.assert_array_equal(chosen.bound[high], true[high])
        assert (chosen.bound[some[true[some] < floor]] < floor).all()
