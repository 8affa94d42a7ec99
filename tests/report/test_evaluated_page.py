"""The curves of an evaluation's page: where points and texts stand."""

from itertools import pairwise

import pytest

from germline.report.evaluated import APART, BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, Point, plotted


def test_points_stand_to_scale_and_zero_is_drawn():
    rising = Curve("a", (Point(0, 0.0), Point(4, 3.0, 1.0, 4.0)))
    plot = plotted([rising, Curve("a pipeline, one round", (Point(0, 90.0),))])
    assert [drawn.arm for drawn in plot.curves] == ["a"], "one round makes no curve, and stretches no axis"
    first, last = plot.curves[0].marks
    assert (first.x, last.x) == (LEFT, WIDTH - RIGHT)
    assert (first.y, plot.zero, last.high) == (HEIGHT - BOTTOM, HEIGHT - BOTTOM, TOP)
    assert (last.y - last.high) / (first.y - last.high) == pytest.approx(1 / 4)
    assert [text for _, text in plot.across] == ["0", "2", "4"]
    assert [text for _, text in plot.up] == ["0", "4.00"]


def test_texts_of_an_axis_do_not_cover_each_other():
    plot = plotted([Curve("a", (Point(0, 0.0), Point(1, 1.0, -0.01, 1.2)))])
    heights = sorted(y for y, _ in plot.up)
    assert all(b - a >= APART for a, b in pairwise(heights))
    assert len(heights) == 2


def test_no_rounds_no_picture():
    assert plotted([Curve("a", (Point(0, 0.0),))]) is None
    assert plotted([]) is None
    flat = plotted([Curve("a", (Point(0, 0.0), Point(1, 0.0)))])
    assert flat.curves[0].marks[1].y == flat.zero


def test_many_arms_are_told_apart():
    drawn = plotted([Curve(f"arm {n}", (Point(0, 0.0), Point(4, n, n - 1.0, n + 1.0))) for n in range(14)]).curves
    assert len({(one.paint, one.dashes) for one in drawn}) == 14
    assert len({one.marks[1].x for one in drawn}) == 14
    assert all(0 < one.marks[1].x < WIDTH for one in drawn)
