"""One number a row, more is better."""

from germline.scorers.agreement import Agreement

__all__ = ["Agreement"]
