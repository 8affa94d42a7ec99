"""The studies of RSIDiff: what stays the base, what is swept, and that an arm which trains nothing can be reckoned with."""

import pytest

from germline import registry
from germline.core import digest
from germline.data.emoji import emoji
from germline.estimate import rates
from germline.recipes.rsidiff import embedded
from germline.studies import rsidiff
from germline.trainers import Import, Kept

pytest.importorskip("peft", reason="extra: t2i")


@pytest.mark.parametrize("arms", [rsidiff.rsidiff_ablations, rsidiff.rsidiff_kept, rsidiff.rsidiff_weights])
def test_every_arm_has_an_untrained_one_that_is_asked_the_same_prompts(arms):
    made = dict(arms())
    untrained = [recipe.sampler for name, recipe in made.items() if name.startswith("base")]
    assert untrained
    assert all(recipe.sampler in untrained for recipe in made.values())
    assert all((recipe.trainer == Kept(recipe.founder)) == name.startswith("base") for name, recipe in made.items())
    assert {recipe.founder for recipe in made.values()} == {Import("emoji")}


def test_arms_of_a_study_are_measured_as_a_run_is():
    data = emoji()
    made = dict(rsidiff.rsidiff_ablations())
    names = {type(metric).__name__ for metric in registry.metrics_of(made["rsidiff"], data)}
    assert {"BaseDistance", "Weights", "Colour", "RankCorrelation"} <= names
    whole = {digest.of_part(metric) for metric in registry.metrics_for(data, made["rsidiff"])}
    apart = {digest.of_part(one) for one in (*registry.metrics_for(data), *registry.metrics_of(made["rsidiff"], data))}
    assert whole == apart


def test_kept_counts_are_the_papers_shares():
    kept = [recipe.selector.n for name, recipe in rsidiff.rsidiff_kept() if name != "base"]
    assert kept == [round(n / 5_000 * 384) for n in (100, 300, 1_000, 2_000)]


def test_an_arm_that_trains_nothing_costs_samples_alone():
    found = rates(rsidiff.untrained(embedded(n=4, kept=2)), emoji(sizes={"real": 4}))
    assert found is not None
    assert found.image == 0
    assert found.row > 0
