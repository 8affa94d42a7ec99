"""The table of differences says what ``compare`` found, and orders nothing under three seeds."""

import pytest

from conftest import gaussian_splits
from germline.core.intervals import paired
from germline.report.arms import groups
from germline.report.contrasts import contrasts
from germline.report.curves import series_of
from germline.report.text import number
from report.test_page import make


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)])
def test_the_cells_are_the_paired_intervals(tmp_path, seeds):
    group = groups(make(tmp_path, gaussian_splits(20, 4), names=("replace", "accumulate", "real-only"), generations=2, seeds=seeds))[0]
    found = contrasts(group)
    arms = {tuple(run.config["parts"]["mixer"]["part"].split(":"))[1]: arm for arm in group.arms for run in arm.runs}
    series = series_of(group)[0]
    value = {name: [series.of("samples", run)[2].value for run in arm.runs] for name, arm in arms.items()}
    row = next(row for row, arm in zip(found.table.rows, found.table.rows_of, strict=True) if arm in (None, arms["Replace"]))
    reference = next(name for name, arm in arms.items() if arm.name == found.against or found.against.startswith(arm.name))
    gap = paired(value["Replace"], value[reference])
    sign = "+" if gap.mean > 0 else ""
    if len(seeds) < 3:
        assert row[1] == sign + number(gap.mean)
        assert "no ordering" in found.note
    else:
        assert row[1].startswith(f"{sign}{number(gap.mean)} [{number(gap.low)}, {number(gap.high)}], ")
