"""The verdict section: words are counted over seeds, numbers belong to the seed that is named."""

import html
import re
from pathlib import Path
from types import SimpleNamespace

from conftest import gaussian_splits
from germline.core.verdict import Axis, Verdict
from germline.report.page import write_page
from germline.report.verdicts import judgements
from report.test_page import NAMES, make, own


def verdict(word, since, best, last=0.2):
    axis = Axis("diversity", "coverage", "worse", (0.4, last), (0.3, 0.1), (0.5, 0.3), "high", -0.05, -0.06, -0.03, 0.5, 3, 2, 4)
    return Verdict(word, (axis,), best, 6, since, because=("coverage worse: 0.4 to 0.2 (real 0.5)",))


def group_of(*seeds):
    runs = tuple(SimpleNamespace(chain=SimpleNamespace(path=Path(f"replace-{seed}")), seed=seed) for seed in seeds)
    return SimpleNamespace(arms=[SimpleNamespace(name="replace", runs=runs)])


def test_words_are_counted_over_seeds():
    found = {Path("replace-0"): verdict("collapsing", 3, 0), Path("replace-1"): verdict("collapsing", 4, 1)}
    (one,) = judgements(group_of(0, 1), found)
    assert [(r.symbol, r.word, r.seeds) for r in one.rulings] == [("▼", "collapsing", "2 of 2 seeds")]
    assert (one.since, one.best) == ("since generation 3 to 4", "0 to 1")


def test_every_seed_keeps_its_own_numbers():
    found = {Path("replace-0"): verdict("collapsing", 3, 0), Path("replace-2"): verdict("stable", None, 1, last=0.3)}
    (one,) = judgements(group_of(0, 2), found)
    assert [trial.seed for trial in one.trials] == [0, 2]
    first, second = (next(f for f in trial.findings if f.axis == "diversity") for trial in one.trials)
    assert first.numbers == "coverage 0.400 → 0.200 (real images 0.500)"
    assert second.numbers == "coverage 0.400 → 0.300 (real images 0.500)"
    assert first.trend == "−0.050 [−0.060, −0.030] a generation"
    assert first.change == "another level from generation 3 [2, 4]"
    assert [f.says for f in one.trials[0].findings] == ["not read", "worse", "not read", "not read"]


def test_seeds_that_disagree_are_both_said():
    found = {Path("replace-0"): verdict("collapsing", 3, 0), Path("replace-1"): verdict("stable", None, 1)}
    (one,) = judgements(group_of(0, 1), found)
    assert [(r.word, r.seeds) for r in one.rulings] == [("collapsing", "1 of 2 seeds"), ("stable", "1 of 2 seeds")]
    assert one.since == "since generation 3"


def test_without_verdicts_there_is_no_judgement():
    assert judgements(group_of(0), {}) == []


def section(page, name):
    return re.search(rf'<section id="c1-{name}">.*?</section>', page, flags=re.S).group()


def text_of(part):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())


def test_the_page_has_a_line_an_arm_and_says_whose_numbers_they_are(tmp_path):
    data = gaussian_splits(20, 6)
    runs = make(tmp_path, data, generations=1, seeds=(0, 5))
    verdicts = {
        chain.path: verdict("collapsing", 1, 0, last=0.2 if chain.seed == 0 else 0.1) for name, chain, _ in runs if name == NAMES[0]
    }
    write_page(runs, tmp_path / "page.html", verdicts=verdicts)
    part = section(own((tmp_path / "page.html").read_text()), "verdicts")
    lines = [text_of(line) for line in re.findall(r"<summary>(.*?)</summary>", part, flags=re.S)]
    assert lines == [f"{NAMES[0]} ▼ collapsing in 2 of 2 seeds since generation 1 best generation 0"]
    assert part.count("<details>") == 1
    said = text_of(part)
    at = [said.index(f"Seed {seed}: ▼ collapsing, since generation 1; best generation 0") for seed in (0, 5)]
    assert at[0] < said.index("coverage 0.400 → 0.200 (real images 0.500)") < at[1] < said.index("coverage 0.400 → 0.100")
    assert said.count("Measures that speak: coverage worse: 0.4 to 0.2 (real 0.5).") == 2
    assert "not the means over seeds" in said


def test_without_verdicts_the_page_has_no_such_section(tmp_path):
    write_page(make(tmp_path, gaussian_splits(20, 6), generations=1), tmp_path / "page.html")
    assert "-verdicts" not in own((tmp_path / "page.html").read_text())
