"""Which classes the samples show, whatever they were asked for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import bootstrap
from germline.metrics.agreement import Classifier


@dataclass(frozen=True)
class PredictedClasses:
    """``class_entropy``, in nats, of the classes that the classifier sees in S_g and T_g, and the number of ``lost_classes``.

    With c classes the entropy is at most log c, there if all are seen equally often. Its curve holds their shares, in the order of the
    classes. A class is lost if it is seen less than ``lost`` times as often as in held-out rows; not 0, since a classifier errs.
    Both read what is seen, not what was asked for: a model that answers every class with shirts keeps the entropy of its conditions.

    Source: ours; the entropy is that of the marginal in the inception score, arXiv 1606.03498.
    """

    classifier: Classifier
    lost: float = 0.1

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return both numbers of samples, training set and, for reference, held-out rows, of which no class is lost."""
        out, who, c = [], name_of(self.classifier), len(evidence.data.classes)
        usual = shares(self.classifier.predict(evidence.data.held_out, evidence.ctx), c)
        for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.held_out)):
            seen = self.classifier.predict(pool, evidence.ctx)
            p, n = shares(seen, c), len(pool)
            surprise = -np.log(np.where(p > 0, p, 1))
            low, high = bootstrap(surprise[seen])
            lost = int((p < self.lost * usual).sum())
            out.append(Measurement("class_entropy", float(p @ surprise), of, n, who, None, c, low, high, tuple(map(float, p)), "high"))
            out.append(Measurement("lost_classes", lost, of, n, who, None, c, better="low"))
        return out


def shares(seen: Int[np.ndarray, " n"], classes: int) -> Float[np.ndarray, " c"]:
    """Return the share of each class."""
    counts: np.ndarray = np.bincount(seen, minlength=classes)
    return counts / len(seen)
