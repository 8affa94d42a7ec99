from pathlib import Path
from types import SimpleNamespace

from germline.core.verdict import Axis, Verdict
from germline.report.verdicts import verdict_table


def verdict(word, since, best):
    axis = Axis("diversity", "coverage", "worse", (0.4, 0.2), (0.3, 0.1), (0.5, 0.3), "high", -0.05, -0.06, -0.03, 0.5, 3, 2, 4)
    return Verdict(word, (axis,), best, 6, since)


def group_of(*seeds):
    runs = tuple(SimpleNamespace(chain=SimpleNamespace(path=Path(f"replace-{seed}"))) for seed in seeds)
    return SimpleNamespace(arms=[SimpleNamespace(name="replace", runs=runs)])


def test_words_are_counted_over_seeds_and_axes_carry_their_intervals():
    found = {Path("replace-0"): verdict("collapsing", 3, 0), Path("replace-1"): verdict("collapsing", 4, 1)}
    table = verdict_table(group_of(0, 1), found)
    name, word, fidelity, diversity, *_ = table.rows[0]
    assert (name, word) == ("replace", "▼ collapsing in 2 of 2 seeds, since generation 3 to 4; best generation 0 to 1")
    assert fidelity == "not read"
    assert diversity.startswith("worse: coverage 0.4")
    assert diversity.endswith("a generation, another level from 3 [2, 4]")


def test_seeds_that_disagree_are_both_said():
    found = {Path("replace-0"): verdict("collapsing", 3, 0), Path("replace-1"): verdict("stable", None, 1)}
    word = verdict_table(group_of(0, 1), found).rows[0][1]
    assert word == "▼ collapsing in 1 of 2 seeds, ■ stable in 1 of 2 seeds, since generation 3; best generation 0 to 1"


def test_without_verdicts_there_is_no_table():
    assert verdict_table(group_of(0), {}) is None
