"""The control: every generation is trained on the real data again."""

from dataclasses import dataclass

from germline.core.context import Context
from germline.core.pool import Pool


@dataclass(frozen=True)
class RealOnly:
    """Offer R.

    From scratch it is the noise floor of retraining; warm-started, it shows what mere extra training on R does.
    """

    def __call__(self, ctx: Context) -> Pool:
        """Return R."""
        return ctx.data.real
