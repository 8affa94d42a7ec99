"""The comparison as Markdown: every number stands in its arm's row and its metric's column."""

from germline.core.intervals import over_seeds, paired
from germline.core.measurement import Measurement
from germline.report.compare import compare
from germline.report.markdown import markdown
from germline.report.text import number
from report.test_compare import ARMS, Run, runs


def cells(text, arm):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {arm} ")]


def test_means_and_differences_of_the_last_generation():
    text = markdown(compare(runs(ARMS)))
    own, gap = over_seeds(ARMS["replace"][:, -1]), paired(ARMS["replace"][:, -1], ARMS["real-only"][:, -1])
    value, difference = cells(text, "replace")
    assert value == ["replace", f"{own.mean:.1f} [{own.low:.1f}, {own.high:.1f}]"]
    assert difference[0] == "replace"
    assert difference[1].startswith("+")
    assert f"{number(gap.mean)} [" in difference[1]
    assert len(cells(text, "real-only")) == 1  # the reference has no difference to itself
    assert "one in twenty would exclude 0 by chance" in text


def test_other_numbers_of_samples_stand_in_a_table_of_their_own():
    twice = runs({"twice": ARMS["noise"]}, n=200)
    text = markdown(compare(runs(ARMS) + twice))
    assert text.index("n = 100:") < text.index("n = 200:") < text.index("| twice |")


def test_under_three_seeds_there_is_no_interval():
    text = markdown(compare(runs({name: values[:2] for name, values in ARMS.items()})))
    assert "[" not in text
    assert "Two seeds an arm" in text


def test_a_metric_is_told_apart_by_its_features():
    values = tuple(Measurement("coverage", 0.5, n=9, extractor=name) for name in ("a", "b"))
    text = markdown(compare([Run("x-seed0", 0, (values,)), Run("x-seed1", 1, (values,))]))
    assert "| arm | coverage (a) | coverage (b) |" in text
    assert text.count("0.500") == 2
