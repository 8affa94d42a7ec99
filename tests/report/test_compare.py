"""The comparison of arms over seeds, against scipy by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from germline.core.errors import BadInput
from germline.core.measurement import Measurement
from germline.report.compare import caveat, compare


@dataclass(frozen=True)
class Run:
    name: str
    seed: int
    values: tuple[tuple[Measurement, ...], ...]
    data: str = "digits"

    @property
    def config(self):
        arm = self.name.removesuffix(f"-seed{self.seed}")
        return {"parts": arm, "data": self.data, "names": {"study": "none", "arm": arm}}

    @property
    def splits(self):
        return self.data.partition("+")[0]


def runs(arms: dict[str, np.ndarray], n: int = 100, **fields) -> list[Run]:
    """One run an arm and seed; ``arms`` holds (seeds, generations) values of FD."""
    return [
        Run(f"{name}-seed{seed}", seed, tuple((Measurement("FD-x", float(v), n=n, extractor="x", better="low"),) for v in row), **fields)
        for name, values in arms.items()
        for seed, row in enumerate(values)
    ]


RNG = np.random.default_rng(0)
SEED = RNG.normal(50, 20, (5, 1))
ARMS = {"replace": SEED + 10 + RNG.normal(0, 1, (5, 4)), "noise": SEED + RNG.normal(0, 1, (5, 4)), "real-only": SEED + np.zeros((5, 4))}


@pytest.mark.parametrize(("when", "columns"), [("last", slice(3, 4)), ("mean", slice(1, 4))])
def test_means_and_paired_differences_are_scipys(when, columns):
    found = next(c for c in compare(runs(ARMS)) if c.when == when)
    assert (found.metric, found.against, found.generation) == ("FD-x", "real-only", 3)
    by_arm = {arm.arm: arm for arm in found.arms}
    for name, values in ARMS.items():
        x, base = values[:, columns].mean(axis=1), ARMS["real-only"][:, columns].mean(axis=1)
        own = stats.ttest_1samp(x, 0).confidence_interval()
        assert (by_arm[name].value.low, by_arm[name].value.high) == pytest.approx((own.low, own.high))
        if name != "real-only":
            gap = stats.ttest_rel(x, base).confidence_interval()
            assert (by_arm[name].difference.low, by_arm[name].difference.high) == pytest.approx((gap.low, gap.high))
    assert by_arm["real-only"].difference is None
    assert [by_arm[name].ordering for name in ARMS] == ["higher", "undecided", ""]


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_seeds_there_is_no_interval_no_ordering_and_the_sentence_says_why(seeds):
    found = compare(runs({name: values[:seeds] for name, values in ARMS.items()}))
    assert {arm.ordering for c in found for arm in c.arms} == {""}
    assert all(gap is None or gap.low is None for c in found for arm in c.arms for gap in (arm.value, arm.difference))
    assert "no interval and no ordering is stated" in caveat(found)


def test_pairs_are_of_equal_seeds_only():
    some = [run for run in runs(ARMS) if not (run.name.startswith("replace") and run.seed == 1)]
    arm = compare(some)[0].arms[0]
    x, base = np.delete(ARMS["replace"][:, 3], 1), np.delete(ARMS["real-only"][:, 3], 1)
    assert arm.seeds == (0, 2, 3, 4)
    assert arm.difference.mean == pytest.approx((x - base).mean())
    assert arm.difference.n == 4


def test_what_was_measured_on_another_number_of_rows_is_not_compared():
    found = compare(runs({"real-only": ARMS["real-only"]}) + runs({"twice": ARMS["replace"]}, n=200))
    assert {arm.arm: arm.difference for c in found for arm in c.arms} == {"real-only": None, "twice": None}
    assert all(len(c.arms) == 1 for c in found)


def test_a_run_that_stopped_early_is_left_out_of_the_last_generation():
    stopped = [Run(run.name, run.seed, run.values[:2]) if run.name == "replace-seed4" else run for run in runs(ARMS)]
    assert [arm.value.n for arm in compare(stopped)[0].arms] == [4, 5, 5]


def test_the_reference_is_the_control_else_the_first_else_what_was_asked_for():
    assert compare(runs(ARMS))[0].against == "real-only"
    assert compare(runs({"a": ARMS["replace"], "b": ARMS["noise"]}))[0].against == "a"
    assert compare(runs(ARMS), "noise")[0].against == "noise"
    with pytest.raises(BadInput, match="No arm is named 'nose'. There are: replace, noise, real-only"):
        compare(runs(ARMS), "nose")


def test_runs_on_two_data_sets_are_refused():
    with pytest.raises(BadInput, match="different data sets"):
        compare(runs(ARMS) + runs(ARMS, data="mnist"))


def test_runs_that_were_given_other_pools_are_arms_of_one_data_set():
    found = compare(
        runs({"real-only": ARMS["real-only"]}) + [run for pool in "ab" for run in runs({"noise": ARMS["noise"]}, data=f"digits+{pool}")]
    )
    assert [len(arm.seeds) for arm in found[0].arms] == [5, 5, 5]


def test_nothing_measured_is_nothing_to_compare():
    assert compare([Run("a", 0, ())]) == []
    assert caveat([]) == ""
