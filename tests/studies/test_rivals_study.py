"""The studies of rivals compare like with like."""

import pytest

from germline import sweep
from germline.core import digest
from germline.selectors import Matched
from germline.studies import rivals, rivals_digits, self_improvement, self_improvement_digits, self_improvement_digits_guided

WEIGHTS = (self_improvement, self_improvement_digits, self_improvement_digits_guided)


@pytest.mark.parametrize("study", [rivals, rivals_digits, *WEIGHTS])
def test_arms_share_the_founder_and_the_budget(study):
    arms = dict(study())
    assert len(arms) == len(list(study())), "names are distinct"
    assert {digest.of_part(recipe.founder) for recipe in arms.values()} == {digest.of_part(arms["real-only"].founder)}
    assert {recipe.trainer.images for recipe in arms.values()} == {arms["real-only"].trainer.images}
    assert len({digest.of_part(recipe) for recipe in arms.values()}) == len(arms), "no arm is another under a second name"


@pytest.mark.parametrize("study", [rivals, rivals_digits])
def test_every_selector_in_features_has_its_match(study):
    arms = dict(study())
    for name, recipe in arms.items():
        if name + "-matched" in arms:
            control = arms[name + "-matched"]
            assert control.selector == Matched(recipe.selector)
            assert (control.mixer, control.trainer, control.sampler) == (recipe.mixer, recipe.trainer, recipe.sampler)
        else:
            assert not hasattr(recipe.selector, "extractor"), f"{name} needs a control"


@pytest.mark.parametrize("name, field", [("neon", "w"), ("sims", "w")])
def test_w_can_be_swept(name, field):
    arms = sweep.arms_of(name, [f"{field}=0,0.5,1"])
    assert list(arms) == ["w-0", "w-0.5", "w-1"]
    assert [kwargs[field] for kwargs in arms.values()] == [0.0, 0.5, 1.0]
