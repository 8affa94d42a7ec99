"""The score of curation: a row's own class, by a classifier."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.data import digits
from germline.features import Classifier
from germline.scorers import Agreement


@dataclass(frozen=True)
class Known:
    def log_probabilities(self, pool, ctx):
        return np.log(np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]))[np.arange(len(pool)) % 3]


def test_it_is_the_log_probability_of_the_own_class(tiny):
    pool = replace(tiny.real.take(np.arange(3)), condition=np.array([0, 0, 1]))
    np.testing.assert_allclose(np.exp(Agreement(Known())(pool, Context(1, 0, tiny))), [0.9, 0.3, 0.8])


def test_wrong_labels_score_below_right_ones(tmp_path):
    data = digits()
    ctx, scorer = Context(1, 0, data, scratch=tmp_path), Agreement(Classifier(seed=2, images=2_560))
    right = scorer(data.held_out, ctx)
    wrong = scorer(replace(data.held_out, condition=(data.held_out.condition + 1) % 10), ctx)
    assert (right <= 0).all()
    assert (right > wrong).mean() > 0.9


def test_errors_say_what_to_do(tiny):
    for condition in (np.array(["cat"] * 20), np.full(20, 2), np.full(20, -1)):
        with pytest.raises(BadInput, match="classes from 0 to 1, but got"):
            Agreement(Known())(replace(tiny.real, condition=condition), Context(1, 0, tiny))
