"""What is told of a file that was not imported is what the file says."""

from importlib import import_module

import pytest

from germline import metrics, recipes, registry
from germline.core.names import first_line
from germline.core.shelf import offered, summary
from germline.verbs import VERBS

SHELVES = {"verbs": VERBS, "recipes": recipes.ALL}
EVERY = [(shelf, name) for shelf, on in SHELVES.items() for name in on]


@pytest.mark.parametrize(("shelf", "name"), EVERY)
def test_a_summary_is_the_first_line_of_the_function(shelf, name):
    function = SHELVES[shelf][name]
    assert function.__module__ == f"germline.{shelf}.{name.replace('-', '_')}"
    assert SHELVES[shelf].summary(name) == first_line(function) != ""


@pytest.mark.parametrize("name", registry.study_names())
def test_a_study_is_found_and_summed_up(name):
    study = registry.study_names()[name]
    file = import_module(f"germline.studies.{study.file or name.replace('-', '_')}")
    assert study.summary == first_line(getattr(file, name.replace("-", "_"))) != ""
    assert isinstance(study.metrics, tuple)


def test_what_a_package_offers_is_read_off_its_source():
    found = offered("germline.metrics")
    assert set(found) == set(metrics.__all__)
    for name, module in found.items():
        assert summary(module, name) == first_line(getattr(metrics, name))


def test_names_that_are_not_there():
    assert "nothing" not in VERBS
    with pytest.raises(KeyError):
        VERBS["nothing"]
    with pytest.raises(LookupError, match=r"germline.verbs.ls defines no nothing"):
        summary("germline.verbs.ls", "nothing")
