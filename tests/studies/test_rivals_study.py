"""The studies of rivals, and of filtering, compare like with like."""

from dataclasses import fields, replace

import pytest

from germline import sweep
from germline.core import digest
from germline.metrics import OLE, ClassAngles, Confidence
from germline.selectors import Matched, Uniform
from germline.studies import ALL
from germline.studies.lsf import lsf, lsf_digits, lsf_digits_guided
from germline.studies.rivals import rivals, rivals_digits
from germline.studies.self_improvement import self_improvement, self_improvement_digits, self_improvement_digits_guided

LATENT = (lsf, lsf_digits, lsf_digits_guided)
WEIGHTS = (self_improvement, self_improvement_digits, self_improvement_digits_guided)


@pytest.mark.parametrize("study", [rivals, rivals_digits, *LATENT, *WEIGHTS])
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
            assert control.selector == (Uniform(recipe.selector.n) if name == "curation" else Matched(recipe.selector))
            assert (control.mixer, control.trainer, control.sampler) == (recipe.mixer, recipe.trainer, recipe.sampler)
        else:
            assert not hasattr(recipe.selector, "extractor"), f"{name} needs a control"


@pytest.mark.parametrize("study", LATENT)
def test_every_control_of_filtering_differs_from_it_in_one_thing(study):
    arms = dict(study())
    filtered = arms["acu-lsf"]
    (probe,) = filtered.scorers
    assert arms["matched"].selector == Matched(filtered.selector)
    assert arms["held-out"].scorers == (replace(probe, fit_on="judge"),)
    assert arms["random-probe"].scorers == (replace(probe, fit_on="random"),)
    assert arms["per-class"].selector == replace(filtered.selector, per_class=True)
    for name, differs in {"matched": "selector", "held-out": "scorers", "random-probe": "scorers", "per-class": "selector"}.items():
        same = {field.name for field in fields(filtered)} - {differs, "source"}
        assert all(getattr(arms[name], field) == getattr(filtered, field) for field in same), name
    twice, uniform = arms["syn-lsf"], arms["syn-uniform"]
    assert (uniform.mixer, uniform.sampler, uniform.selector.n) == (twice.mixer, twice.sampler, twice.selector.n)
    assert twice.sampler.n == 2 * filtered.sampler.n


@pytest.mark.parametrize("study", LATENT)
def test_every_arm_of_filtering_is_seen_by_a_probe_of_rows_that_no_arm_trains_on(study):
    (found,) = [each for each in ALL if each.name == study.__name__.replace("_", "-")]
    (seen,) = [metric.scorer for metric in found.metrics if isinstance(metric, Confidence)]
    assert seen.fit_on == "judge"
    assert found.data == ("fashion-mnist" if study is lsf else "digits")


@pytest.mark.parametrize("study", LATENT)
def test_every_arm_of_filtering_samples_as_many_rows_of_a_class_as_are_measured(study):
    """OLE grows with the rows: arms that sample twice as many are seen by equally many."""
    (found,) = [each for each in ALL if each.name == study.__name__.replace("_", "-")]
    fewest = min(recipe.sampler.n for recipe in dict(study()).values()) // 10
    measured = [metric.per_class for metric in found.metrics if isinstance(metric, OLE | ClassAngles)]
    assert len(measured) == 2
    assert set(measured) == {100 if study is lsf else 29}
    assert max(measured) <= fewest


@pytest.mark.parametrize("name, field", [("neon", "w"), ("sims", "w")])
def test_w_can_be_swept(name, field):
    arms = sweep.arms_of(name, [f"{field}=0,0.5,1"])
    assert list(arms) == ["w-0", "w-0.5", "w-1"]
    assert [kwargs[field] for kwargs in arms.values()] == [0.0, 0.5, 1.0]
