"""The table of differences says what ``compare`` found, and orders nothing under three seeds."""

import pytest

from conftest import gaussian_splits
from germline.core import sealed
from germline.core.intervals import Interval, paired
from germline.report.arms import groups
from germline.report.compare import Comparison, Contrast
from germline.report.contrasts import contrasts, difference_text, head_of
from germline.report.curves import series_of
from germline.report.page import write_page
from germline.report.text import number
from report.test_page import Spread, make, own
from report.test_verdicts import section, text_of


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)])
def test_the_cells_are_the_paired_intervals(tmp_path, seeds):
    group = groups(make(tmp_path, gaussian_splits(20, 4), names=("replace", "accumulate", "real-only"), generations=2, seeds=seeds))[0]
    found = contrasts(group)
    arms = {tuple(run.config["parts"]["mixer"]["part"].split(":"))[1]: arm for arm in group.arms for run in arm.runs}
    series = series_of(group)[0]
    value = {name: [series.of("samples", run)[2].value for run in arm.runs] for name, arm in arms.items()}
    row = next(
        row for row, arm in zip(found.parts[0].table.rows, found.parts[0].table.rows_of, strict=True) if arm in (None, arms["Replace"])
    )
    reference = next(name for name, arm in arms.items() if arm.name == found.against or found.against.startswith(arm.name))
    gap = paired(value["Replace"], value[reference])
    sign = "+" if gap.mean > 0 else ""
    if len(seeds) < 3:
        assert row[1] == sign + number(gap.mean)
        assert "no ordering" in found.note
    else:
        assert row[1].startswith(f"{sign}{number(gap.mean)} [{number(gap.low)}, {number(gap.high)}], ")


@pytest.fixture
def two_sizes(tmp_path):
    """Three arms measured on 20 samples, two on 10, one on 5."""
    data, names = gaussian_splits(20, 4), ("replace", "accumulate", "real-only")
    runs = make(tmp_path / "a", data, names=names, generations=1, seeds=(0, 1, 2))
    half = make(tmp_path / "b", data, names=("replace-half", "accumulate-half", "c"), generations=1, seeds=(0, 1, 2), metrics=(Spread(10),))
    alone = make(tmp_path / "c", data, names=("replace-quarter", "b", "c"), generations=1, seeds=(0, 1, 2), metrics=(Spread(5),))
    return runs, [run for run in half if run[0] != "c"], [run for run in alone if run[0] == "replace-quarter"]


def named(runs, controls=()):
    """Give every run a configuration of its own, so that equal parts are not taken for one arm."""
    for name, chain, _ in runs:
        config = sealed.read(chain.path / "config.json")
        changed = {
            "parts": {**config["parts"], "source": "control" if name in controls else name},
            "names": {"study": "s", "arm": name, "data": {}},
        }
        sealed.write(chain.path / "config.json", {**config, **changed})
    return [(f"{name}-seed{chain.seed}", chain, data) for name, chain, data in runs]


def test_arms_on_another_number_of_samples_have_a_table_of_their_own(two_sizes, tmp_path):
    runs, half, alone = two_sizes
    group = groups(named([*runs, *half, *alone]))[0]
    found = contrasts(group)
    assert found.against == "real-only"
    first, second = found.parts
    assert {row[0] for row in first.table.rows} == {"replace", "accumulate"}
    assert (second.against, [row[0] for row in second.table.rows]) == ("replace-half", ["accumulate-half"])
    assert "measured on 10 samples, real-only was not" in second.why
    assert found.left_out == "replace-quarter is in no table: no other arm was measured on its number of samples."
    values = {arm.name: arm for arm in group.arms}
    half_values = {name: [run.values[1][0].value for run in values[name].runs] for name in ("accumulate-half", "replace-half")}
    gap = paired(half_values["accumulate-half"], half_values["replace-half"])
    assert number(gap.mean) in second.table.rows[0][1]
    assert number(gap.low) in second.table.rows[0][1]
    write_page(named([*runs, *half, *alone]), tmp_path / "page.html")
    said = text_of(section(own((tmp_path / "page.html").read_text()), "differences"))
    assert "Differences to replace-half" in said
    assert "replace-quarter is in no table" in said


def test_arms_on_one_number_of_samples_have_one_table(two_sizes):
    found = contrasts(groups(named(two_sizes[0]))[0])
    assert (len(found.parts), found.left_out, found.parts[0].why) == (1, "", "")


def test_arms_on_another_number_are_compared_with_their_control(two_sizes):
    runs, half, _ = two_sizes
    group = groups(named([*runs, *half], controls=("accumulate-half",)))[0]
    assert [part.against for part in contrasts(group).parts] == ["real-only", "accumulate-half"]


def comparison(k, mean=0.5, value=1.0):
    gap = Interval(mean, mean - 0.1, mean + 0.1, 3)
    return Comparison(
        "coverage", "space", 20, k, 4, "high", "last", 2, "a", (Contrast("b", (0, 1, 2), Interval(value, None, None, 3), gap),)
    )


def test_metrics_at_several_neighbours_are_told_apart():
    both = [comparison(1), comparison(5)]
    assert [head_of(one, both) for one in both] == ["Coverage (space, k = 1, n = 20)", "Coverage (space, k = 5, n = 20)"]
    assert head_of(both[0], both[:1]) == "Coverage (space, n = 20)"


def test_a_difference_of_rounding_is_nought():
    assert difference_text(comparison(1, mean=-3.7e-17).arms[0]).startswith("0 [")
    assert difference_text(comparison(1, mean=3.7e-17, value=1e-16).arms[0]).startswith("+3.7e\N{MINUS SIGN}17 [")
