"""The toy's classifier is scikit-learn's own, fitted on everything outside R."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.data import toy_digits
from germline.features import Perceptron
from germline.features.named import extractor


def test_it_is_scikit_learns_classifier_and_has_seen_the_reference():
    data = toy_digits()
    ctx = Context(0, 0, data)
    seen = Pool.concat([data.reserve, data.judge, data.held_out])
    flat = lambda pool: pool.images[:].reshape(len(pool), -1) / 127.5 - 1
    theirs = MLPClassifier((64,), max_iter=400, alpha=1e-3, random_state=0).fit(flat(seen), seen.condition)
    ours = Perceptron()
    np.testing.assert_array_equal(ours.predict(data.real, ctx), theirs.predict(flat(data.real)))
    np.testing.assert_allclose(np.exp(ours.log_probabilities(data.real, ctx)), theirs.predict_proba(flat(data.real)), atol=1e-5)
    units = np.maximum(flat(data.real) @ theirs.coefs_[0] + theirs.intercepts_[0], 0)
    np.testing.assert_allclose(ctx.features(ours, data.real), units, rtol=1e-5, atol=1e-5)
    assert (ours.predict(data.held_out, ctx) == data.held_out.condition).mean() > 0.99, "it was fitted on these rows"
    assert extractor("perceptron") == ours


def test_a_class_that_no_row_shows_is_named():
    data = toy_digits()
    blind = {name: getattr(data, name).take(getattr(data, name).condition > 0) for name in ("reserve", "judge", "held_out")}
    with pytest.raises(BadInput, match="rows of each of them outside R, but toy-digits has 10 classes"):
        Perceptron()(data.real, Context(0, 0, replace(data, **blind)))
