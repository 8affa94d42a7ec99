"""What the section on selection shows is what lies in the choice: order, origins, reasons and counts, by hand."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.core.generation import column_of
from germline.loop import Loop
from germline.mixers import Accumulate, Replace
from germline.report.arms import groups
from germline.report.page import write_page
from germline.report.selections import selections
from germline.selectors import Top, Uniform
from report.test_page import decoded, make, own
from report.test_verdicts import section, text_of


@dataclass(frozen=True)
class Brightness:
    """The mean grey level."""

    @property
    def name(self) -> str:
        """Of its column."""
        return "brightness"

    def __call__(self, pool, ctx):
        return pool.images[:].mean(axis=(1, 2, 3))


@dataclass(frozen=True)
class DropOdd:
    """Leave every other row out."""

    def __call__(self, pool, ctx):
        return np.where(np.arange(len(pool)) % 2, -np.inf, 0.0)


def arms(folder, data, **arms):
    runs = []
    for name, recipe in arms.items():
        loop = Loop.at(folder / name, recipe, data)
        list(loop.run(2))
        runs.append((name, loop.chain, data))
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    data = gaussian_splits(20, 6)
    return arms(
        tmp_path_factory.mktemp("selections"),
        data,
        top=gaussian_recipe(20, Accumulate(), scorers=(Brightness(),), selector=Top(15, "brightness")),
        uniform=gaussian_recipe(20, Accumulate(), selector=Uniform(20)),
        dropped=gaussian_recipe(20, Replace(), weighters=(DropOdd(),)),
        everything=gaussian_recipe(20, Replace()),
    )


@pytest.fixture(scope="module")
def group(runs):
    return groups(runs)[0]


def by_name(found):
    return {one.arm.name: one for one in found.found}


def test_only_arms_that_leave_rows_out_are_shown(group):
    assert set(by_name(selections(group))) == {"top", "uniform", "dropped"}


def test_rows_stand_in_order_of_choice_with_their_origins(group):
    one = by_name(selections(group))["top"]
    offer = one.arm.shown.last.offer(group.data)
    brightness, order = offer.images[:].mean(axis=(1, 2, 3)), offer.columns["order"]
    first = [int(np.flatnonzero(order == i)[0]) for i in range(10)]
    assert (np.diff(brightness[first]) <= 0).all()
    assert brightness[first[0]] == brightness.max()
    for shown, row in zip(one.chosen, first, strict=True):
        np.testing.assert_array_equal(decoded(shown.uri), offer.images[[row]][0, :, :, 0])
        made = int(offer.generation[row])
        assert shown.origin == ("real" if made < 0 else f"generation {made}")
        assert shown.label == "ab"[offer.condition[row]]


def test_rows_left_out_span_the_offer(group):
    one = by_name(selections(group))["uniform"]
    choice = one.arm.shown.last.choice
    left = np.flatnonzero(column_of(choice, "order") < 0)
    images = one.arm.shown.last.offer(group.data).images
    np.testing.assert_array_equal(decoded(one.left[0].uri), images[left[:1]][0, :, :, 0])
    np.testing.assert_array_equal(decoded(one.left[-1].uri), images[left[-1:]][0, :, :, 0])
    assert {one.origin for one in one.left} >= {"real", "generation 1"}


def test_the_table_has_the_counts_of_the_choice(group):
    found = selections(group)
    head, cells = found.table.head, {row[0]: row[1:] for row in found.table.rows}
    assert head == ("arm", "rows", "real", "mean age", "of one class", "mean brightness")
    offer = by_name(found)["top"].arm.shown.last.offer(group.data)
    chosen = offer.take(offer.columns["order"] >= 0)
    assert len(offer) == 60
    assert cells["top"][0] == "60 → 15"
    assert cells["top"][1] == f"33 % → {100 * chosen.real.mean():.0f} %"
    assert cells["top"][2].startswith("1.50 → ")
    assert cells["top"][4] == f"{offer.images[:].mean():.1f} → {chosen.images[:].mean():.1f}"
    assert cells["uniform"][4] == ""
    counts = [int((chosen.condition == c).sum()) for c in (0, 1)]
    assert by_name(found)["top"].classes == f"a: {counts[0]} of 30, b: {counts[1]} of 30"


def test_reasons_say_who_left_rows_out(group):
    found = by_name(selections(group))
    assert found["top"].reasons == "45 not chosen by Top"
    assert found["dropped"].reasons == "10 log-weight -inf"
    assert (found["top"].by, found["dropped"].by) == ("Top", "no selector")


def test_the_page_has_the_section_only_where_rows_are_left_out(runs, tmp_path):
    write_page(runs, tmp_path / "page.html")
    page = own((tmp_path / "page.html").read_text())
    said = text_of(section(page, "selection"))
    assert re.search(r"top 60 → 15", said)
    assert "Left out: 45 not chosen by Top." in said
    write_page(make(tmp_path / "runs", gaussian_splits(20, 6), generations=1), tmp_path / "page.html")
    assert "-selection" not in own((tmp_path / "page.html").read_text())
