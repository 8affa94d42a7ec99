"""How many of the samples that people voted on they kept."""

from __future__ import annotations

from dataclasses import dataclass

from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.measurement import Measurement
from germline.core.noise import share
from germline.metrics.vote_agreement import Votes, voted


@dataclass(frozen=True)
class VotesKept:
    """``votes_kept``: the share of the voted rows of S_g that people kept, with its 95 % interval (Wilson).

    The interval is over rows, and says nothing of other voters.

    Source: ours.

    Attributes:
        votes: the ratings, such as ``Ratings``.
        keep_from: the least rating that says keep; of several voters the mean is compared.

    Raises:
        BadInput: no row was voted on.
    """

    votes: Votes
    keep_from: float = 0.5

    def __call__(self, evidence: Evidence) -> list[Measurement]:
        """Return the share."""
        _, kept = voted(self.votes, evidence.samples, self.keep_from)
        if not len(kept):
            raise BadInput(f"VotesKept: none of {len(evidence.samples)} samples has a vote; measure the generation that was voted on.")
        value, low, high = share(kept)
        return [Measurement("votes_kept", value, "samples", len(kept), low=low, high=high)]
