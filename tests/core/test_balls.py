"""Balls of own radii, against brute force in float64."""

import numpy as np
import pytest

from germline.core import balls
from germline.core.balls import held_by, reach


def brute(query, base):
    return np.sqrt(np.square(query[:, None].astype(np.float64) - base[None]).sum(axis=2))


@pytest.mark.parametrize("offset", [0, 1000])  # far from the origin float32 products round more
def test_against_brute_force(monkeypatch, offset):
    monkeypatch.setattr(balls, "QUERIES", 64)
    monkeypatch.setattr(balls, "BASE", 90)
    rng = np.random.default_rng(0)
    query, base = (rng.normal(offset, 1, (n, 6)).astype(np.float32) for n in (150, 200))
    radii = rng.uniform(0.2, 2, 200)
    distance = brute(query, base)
    assert (held_by(query, base, radii) == (distance < radii).sum(axis=1)).all()
    np.testing.assert_allclose(reach(query, base, radii), (distance / radii).min(axis=1), rtol=1e-14)


def test_rows_on_the_surface_are_outside():
    base = np.array([[0, 0], [4, 3]], np.float32)
    query = np.array([[3, 4], [0, 0], [4, 3 - 1e-3]], np.float32)
    radii = np.array([5.0, 5.0])
    assert held_by(query, base, radii).tolist() == [1, 1, 2]  # |(3, 4)| = |(4, 3)| = 5, not below it
    assert held_by(query, base, np.nextafter(radii, 6)).tolist() == [2, 2, 2]
    assert reach(query[:1], base[:1], radii[:1]).tolist() == [1.0]


def test_balls_of_radius_nothing():
    x = np.eye(3, dtype=np.float32)
    assert held_by(x, x, np.zeros(3)).tolist() == [0, 0, 0]
    assert np.isinf(reach(x, x, np.zeros(3))).all()
    assert reach(x, x, np.array([0.0, 1, 0])).tolist() == pytest.approx([np.sqrt(2), 0, np.sqrt(2)])
