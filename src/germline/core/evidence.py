"""What a metric may look at."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.splits import Splits


@dataclass(frozen=True, eq=False)
class Evidence:
    """A finished generation: its samples S_g, its training set T_g, the data's splits, and the context (features, once)."""

    samples: Pool
    training: Pool
    data: Splits
    ctx: Context
